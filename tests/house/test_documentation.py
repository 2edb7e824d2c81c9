"""The documentation leads somewhere: links, commands and indexes are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
KINDS = ("tutorial", "howto", "reference", "explanation", "decisions")
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")],
    key=lambda page: page.as_posix(),
)
_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?)\s*$", re.M)
_COMMAND = re.compile(r"\bmake ((?:[A-Z_]+=\S+ )*)([a-z][a-z-]*)")
_TARGET = re.compile(r"^([a-z][a-z-]*):.*## ", re.M)


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def prose_of(page: Path) -> str:
    """The text without blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """What can follow ``#`` in a link to the page, as code forges make it from headings."""
    headings = (heading.lower() for heading in _HEADING.findall(prose_of(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def links_of(page: Path) -> list[str]:
    """The links of a page that stay inside the repository."""
    return [link for link in _LINK.findall(prose_of(page)) if "://" not in link]


def make_targets() -> set[str]:
    return set(_TARGET.findall((REPOSITORY / "Makefile").read_text()))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_heading_that_exist(page: Path) -> None:
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}"
        assert not anchor or anchor in anchors_of(target), f"{name_of(page)} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    quoted = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^\s*\$? ?(make .*)$", text, re.M)
    for command in quoted:
        for _variables, target in _COMMAND.findall(command):
            assert target in make_targets(), f"{name_of(page)} names 'make {target}'"


@pytest.mark.parametrize("kind", KINDS)
def test_the_index_of_a_kind_lists_all_its_pages(kind: str) -> None:
    folder = REPOSITORY / "docs" / kind
    index = folder / "README.md"
    listed = {(folder / link.partition("#")[0]).resolve() for link in links_of(index)}
    missing = {page.name for page in folder.glob("*.md") if page != index and page not in listed}
    assert not missing, f"docs/{kind}/README.md does not list {sorted(missing)}"


def test_the_first_page_of_the_documentation_leads_to_every_kind() -> None:
    assert {f"{kind}/README.md" for kind in KINDS} <= set(links_of(REPOSITORY / "docs/README.md"))


def test_no_documentation_lies_outside_the_kinds() -> None:
    known = {REPOSITORY / "docs" / kind for kind in KINDS}
    for page in REPOSITORY.glob("docs/**/*.md"):
        assert page.parent in known or page == REPOSITORY / "docs/README.md", name_of(page)


def test_the_readme_shows_the_two_commands_and_names_where_the_rest_is() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for words in ("make demo", "make test", "docs/README.md", "CONTRIBUTING.md", "LICENSE"):
        assert words in text
