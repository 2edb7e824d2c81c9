"""The locks fit pyproject.toml, are whole, and name no package index."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
DEVELOPMENT = REPOSITORY / "requirements" / "dev.txt"
RUNTIME = REPOSITORY / "requirements" / "runtime.txt"
_PIN = re.compile(r"^([\w.-]+)==([^ ;]+)(?: ; (.*?))? \\$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock; ``marker`` says where it applies."""

    name: NormalizedName
    version: Version
    marker: Marker | None
    hashes: int

    @property
    def applies(self) -> bool:
        """Whether this machine gets it."""
        return self.marker is None or self.marker.evaluate()


def pins(lock: Path) -> list[Pin]:
    found: list[Pin] = []
    for block in re.split(r"\n(?=\S)", lock.read_text().strip()):
        head, *rest = block.splitlines()
        match = _PIN.match(head)
        assert match, f"not a pinned version with hashes: {head}"
        name, version, marker = match.groups()
        hashes = sum("--hash=sha256:" in line for line in rest)
        parsed = Marker(marker) if marker else None
        found.append(Pin(canonicalize_name(name), Version(version), parsed, hashes))
    return found


def direct_requirements(with_development: bool) -> Iterator[Requirement]:
    """What pyproject.toml names, but for the project's own extras."""
    texts = [
        text for extra in PROJECT["project"]["optional-dependencies"].values() for text in extra
    ]
    if with_development:
        texts += PROJECT["dependency-groups"]["dev"]
    for requirement in map(Requirement, texts):
        if canonicalize_name(requirement.name) != PROJECT["project"]["name"]:
            yield requirement


def needed(requirements: list[Requirement]) -> set[NormalizedName]:
    """All that the requirements need, by what the installed distributions say."""
    seen: set[tuple[NormalizedName, str]] = set()
    left = [(requirement, "") for requirement in requirements]
    while left:
        requirement, extra = left.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                left += [(Requirement(text), wanted) for text in requires(name) or ()]
    return {name for name, _ in seen}


@pytest.mark.parametrize(("lock", "development"), [(DEVELOPMENT, True), (RUNTIME, False)])
def test_every_requirement_of_the_project_is_locked_within_its_range(
    lock: Path, development: bool
) -> None:
    locked = {pin.name: pin.version for pin in pins(lock)}
    for requirement in direct_requirements(development):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is in no line of {lock.name}: run make lock"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{lock.name} has {version} where {requirement} is wanted: run make lock"
        )


@pytest.mark.parametrize(("lock", "development"), [(DEVELOPMENT, True), (RUNTIME, False)])
def test_a_lock_holds_what_is_needed_and_nothing_else(lock: Path, development: bool) -> None:
    try:
        wanted = needed(list(direct_requirements(development)))
    except PackageNotFoundError as error:
        pytest.fail(f"{error.name} is not in .venv: run make lock, then make venv")
    assert {pin.name for pin in pins(lock) if pin.applies} == wanted, "run make lock"


def test_both_locks_have_the_same_versions() -> None:
    development = {pin.name: pin.version for pin in pins(DEVELOPMENT)}
    for pin in pins(RUNTIME):
        assert development[pin.name] == pin.version


@pytest.mark.parametrize("lock", [DEVELOPMENT, RUNTIME])
def test_every_pin_has_a_hash_and_no_line_names_a_place(lock: Path) -> None:
    assert all(pin.hashes for pin in pins(lock))
    assert "://" not in lock.read_text()
    assert not re.search(r"^\s*--(?!hash)", lock.read_text(), re.M)
