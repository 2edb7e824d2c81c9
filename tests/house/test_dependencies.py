"""What is imported is declared, reasoned and under a licence that fits ours."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
SOURCE = REPOSITORY / "src" / "tricircle"
# Chosen by name, never imported: uvicorn's loop.
NOT_IMPORTED = {"uvloop"}
# What Apache-2.0 software may depend on; MPL is so file by file.
FITTING = re.compile(r"Apache|MIT|BSD|\bISC\b|PSF|Python Software Foundation|MPL|Mozilla", re.I)


def declared(texts: list[str]) -> set[str]:
    names = {canonicalize_name(Requirement(text).name) for text in texts}
    return {str(name) for name in names if name != PROJECT["project"]["name"]}


def runtime_requirements() -> set[str]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    return declared([text for extra in extras for text in extra])


def imported_modules() -> set[str]:
    """The first words of all that the source imports, but for the standard library and itself."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"tricircle"}


def imported_distributions() -> set[str]:
    known = packages_distributions()
    names = {known[module][0] for module in imported_modules()}
    return {str(canonicalize_name(name)) for name in names}


def locked_at_run_time() -> Iterator[str]:
    text = (REPOSITORY / "requirements" / "runtime.txt").read_text()
    yield from re.findall(r"^([\w.-]+)==", text, re.M)


def licence_of(distribution: str) -> str:
    """All that a distribution says of its licence, however it says it."""
    said = metadata(distribution)
    texts = [*(said.get_all("License-Expression") or []), *(said.get_all("License") or [])]
    classifiers = [text for text in said.get_all("Classifier") or [] if "License" in text]
    return " ".join(texts + classifiers)


def test_everything_imported_is_declared() -> None:
    assert imported_distributions() <= runtime_requirements()


def test_everything_declared_is_used() -> None:
    assert runtime_requirements() - imported_distributions() == NOT_IMPORTED


def test_nothing_is_installed_without_an_extra() -> None:
    assert PROJECT["project"]["dependencies"] == []


def test_every_dependency_has_its_line_and_reason() -> None:
    page = (REPOSITORY / "docs" / "decisions" / "0003-dependencies.md").read_text()
    cells = re.findall(r"^\| ([^|]+) \|", page, re.M)
    listed = {str(canonicalize_name(name)) for cell in cells for name in cell.split(", ")}
    wanted = runtime_requirements() | declared(PROJECT["dependency-groups"]["dev"])
    assert listed - {"dependency", "---"} == wanted


def test_every_licence_can_be_combined_with_ours() -> None:
    unfit = []
    for distribution in locked_at_run_time():
        try:
            said = licence_of(distribution)
        except PackageNotFoundError:
            continue  # for another platform or Python
        if not FITTING.search(said):
            unfit.append(f"{distribution}: {said}")
    assert not unfit
