"""What no file of the repository may say: where it was written, and what is left undone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TREES = ("src", "tests", "lab", "bench", "house", "docs", "releasenotes", "requirements", "etc")
BUILT = {"__pycache__", "run", ".prepared", "results"}
THIS_FILE = Path(__file__).resolve()

FORBIDDEN = {
    "a home directory": re.compile(r"(?<![\w.])/(?:root|home/\w+)/|~root\b"),
    "a working directory": re.compile(r"(?<![\w.}])/(?:work|workspace|tmp/src)/"),
    "a package index": re.compile(r"\bpypi\.org\b|pythonhosted\.org|(?:--|_)(?:extra-)?index-url"),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
}
# The lock command asks uv by name not to write what must not be in a lock.
ALLOWED = {"house/environment.py": ("--no-emit-index-url",)}


def files() -> Iterator[Path]:
    """Yield every file that belongs to the repository."""
    yield from (path for path in REPOSITORY.iterdir() if path.is_file())
    for tree in TREES:
        for folder, folders, names in os.walk(REPOSITORY / tree):
            folders[:] = sorted(set(folders) - BUILT)
            yield from (Path(folder) / name for name in sorted(names))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    found = []
    for path in files():
        name = path.relative_to(REPOSITORY).as_posix()
        if path.resolve() == THIS_FILE:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for words in ALLOWED.get(name, ()):
            text = text.replace(words, "")
        lines = text.splitlines()
        found += [
            f"{name}:{n}: {line.strip()}"
            for n, line in enumerate(lines, 1)
            if FORBIDDEN[what].search(line)
        ]
    assert not found, "\n".join(found)


FORBIDDEN_MODULES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}


def test_no_module_is_named_after_a_drawer() -> None:
    names = {path.stem for path in files() if path.suffix == ".py"}
    assert not names & FORBIDDEN_MODULES
