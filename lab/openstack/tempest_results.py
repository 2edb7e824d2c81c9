"""Prints the outcomes in a file that tempest wrote, as JSON; runs in tempest's own virtualenv."""

import json
import sys
from typing import Any

import subunit
import testtools


def read(path: str) -> list[dict[str, Any]]:
    """Return test, status and the end of what a failed test says, ordered by test."""
    found: dict[str, dict[str, Any]] = {}

    def keep(test: dict[str, Any]) -> None:
        name = test["id"].partition("[")[0]
        details = test.get("details") or {}
        text = "".join(
            detail.as_text() for key, detail in details.items() if key in ("traceback", "reason")
        )
        found[name] = {"test": name, "status": test["status"], "text": text[-3000:]}

    result = testtools.StreamToDict(keep)
    result.startTestRun()
    with open(path, "rb") as stream:
        subunit.ByteStreamToStreamResult(stream, non_subunit_name="stdout").run(result)
    result.stopTestRun()
    found.pop("stdout", None)
    return [found[name] for name in sorted(found)]


if __name__ == "__main__":
    json.dump(read(sys.argv[1]), sys.stdout, indent=1)
