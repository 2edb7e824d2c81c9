"""The page docs/reference/api-coverage.md, made from the API tables themselves.

``python -m tricircle.wiring.coverage FILE`` writes it; without FILE it is printed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from tricircle.compute.routes import ROWS as COMPUTE_ROWS
from tricircle.core.table import (
    Aggregate,
    Ask,
    ById,
    ByNumber,
    ByVersion,
    Composed,
    Create,
    Local,
    Merge,
    Refuse,
    Replicated,
    Row,
    Shared,
    Strategy,
)
from tricircle.volume.routes import ROWS as VOLUME_ROWS

_INTRODUCTION = """\
# API coverage

Every operation of Nova and Cinder, and what the gateways do with it. This page is written by
`make coverage-page` from `src/tricircle/compute/routes.py` and `src/tricircle/volume/routes.py`;
the tests fail when it is not current. Paths are below the version and the project, as in
`/v2.1/servers` and `/v3/{project_id}/volumes`. The strategies are told in
[the architecture](../explanation/architecture.md#strategies).
"""
_WORDS = {
    "ById": "forwarded to the pod that holds the resource",
    "Create": "a pod is chosen, the resource is made there",
    "Merge": "one list merged from all pods",
    "Replicated": "equal in all pods: read from one, changed in one and carried to the others",
    "Shared": "kept in a service that all pods share: asked of one of them, changed there too",
    "Local": "answered by the top itself",
    "Composed": "put together out of what several pods say",
    "Aggregate": "all pods are asked the same, their answers are joined into one",
    "Ask": "forwarded to the pod that has it, which is found by asking all",
    "ByNumber": "forwarded to the pod that the number in the path names",
}
_GONE = 410
_NOT_YET = 501


def coverage_page() -> str:
    """Return the whole page."""
    services = (("Compute (Nova)", COMPUTE_ROWS), ("Volumes (Cinder)", VOLUME_ROWS))
    parts = [_INTRODUCTION, _summary(services)]
    parts += [_section(title, rows) for title, rows in services]
    return "\n".join(parts)


def strategy_name(strategy: Strategy) -> str:
    """Return the name of a strategy, for a refusal with its status."""
    match strategy:
        case ById() | Create() | Merge() | Replicated() | Shared() | Local() | Composed():
            return type(strategy).__name__
        case Aggregate() | Ask() | ByNumber():
            return type(strategy).__name__
        case ByVersion(then=then):
            return strategy_name(then)
        case Refuse(status):
            return f"Refuse {status}"
        case _:
            assert_never(strategy)


def _summary(services: Sequence[tuple[str, Sequence[Row]]]) -> str:
    """Return the table of counts, one line a service."""
    columns = ("removed by the service itself (410)", "not yet (501)", "refused otherwise")
    lines = [
        f"| service | operations | served | {' | '.join(columns)} |",
        "|---" + "|---:" * 5 + "|",
    ]
    for title, rows in services:
        counts = Counter(strategy_name(row.strategy) for row in rows)
        gone, not_yet = counts[f"Refuse {_GONE}"], counts[f"Refuse {_NOT_YET}"]
        refused = sum(n for name, n in counts.items() if name.startswith("Refuse"))
        served, other = len(rows) - refused, refused - gone - not_yet
        lines.append(f"| {title} | {len(rows)} | {served} | {gone} | {not_yet} | {other} |")
    return "\n".join(lines) + "\n"


def _section(title: str, rows: Sequence[Row]) -> str:
    """Return one service: its count by strategy, then every operation."""
    counts = Counter(strategy_name(row.strategy) for row in rows)
    lines = [f"## {title}", "", "| strategy | operations | meaning |", "|---|---:|---|"]
    lines += [f"| {name} | {counts[name]} | {text} |" for name, text in _WORDS.items()]
    lines += ["", "| operation | | strategy |", "|---|---|---|"]
    ordered = sorted(rows, key=lambda row: (row.path, row.method))
    lines += [f"| {r.method} | `{r.path}` | {strategy_name(r.strategy)} |" for r in ordered]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the page to the file named, or print it; returns the exit status."""
    page = coverage_page()
    if not arguments:
        print(page, end="")
        return 0
    Path(arguments[0]).write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
