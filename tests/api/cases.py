"""Cases as they stand in the YAML files, and the row of the API tables that each is about."""

from __future__ import annotations

import re
import unittest
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from gabbi import handlers, suitemaker
from gabbi.case import HTTPTestCase
from gabbi.httpclient import Http

from tricircle.compute.routes import TABLE as COMPUTE
from tricircle.core.table import Row, Table
from tricircle.volume.routes import TABLE as VOLUME

FOLDER = Path(__file__).parent
TABLES: Mapping[str, Table] = {"compute": COMPUTE, "volume": VOLUME}
_PATH = re.compile(
    r"(?:\$ENVIRON\['(?P<root>COMPUTE|VOLUME)'\])?"
    r"/v[23](?:\.\d)?(?:/\$ENVIRON\['\w*PROJECT'\])?(?P<path>/[^?]*)?(?:\?.*)?"
)
_VALUE = re.compile(r"(?:\$HISTORY\['[^']*'\]\.)?\$[A-Z_]+(?::\w+)?(?:\['[^']*'\])?")


@dataclass(frozen=True, slots=True)
class Case:
    """One request of a YAML file and what is expected of its answer."""

    service: str
    file: str
    number: int
    name: str
    method: str
    url: str
    status: str

    @property
    def title(self) -> str:
        """Return what the case is called in reports."""
        return f"{self.service}/{self.file}: {self.name}"

    @property
    def service_of_row(self) -> str:
        """Return the service that its request is for, which may be the other one."""
        match = _PATH.fullmatch(self.url)
        return ((match and match["root"]) or self.service).lower()

    @property
    def row(self) -> Row | None:
        """Return the row that its request is for; None when it is for no row."""
        match = _PATH.fullmatch(self.url)
        if match is None:
            return None
        path = _VALUE.sub("1", match["path"] or "/")
        found = TABLES[self.service_of_row].find(self.method, path)
        return found.row if found else None


@cache
def read_file(service: str, file: str) -> dict[str, Any]:
    """Return the content of a file of cases."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / service / f"{file}.yaml").read_text())
    return content


def list_cases() -> list[Case]:
    """Return all cases in the order they are run in."""
    return [
        case
        for service in TABLES
        for path in sorted((FOLDER / service).glob("*.yaml"))
        for case in _cases_of(service, path.stem)
    ]


def _cases_of(service: str, file: str) -> Iterator[Case]:
    content = read_file(service, file)
    status = content.get("defaults", {}).get("status", 200)
    for number, test in enumerate(content["tests"]):
        [(method, url)] = [(key, value) for key, value in test.items() if key.isupper()]
        yield Case(
            service, file, number, test["name"], method, url, str(test.get("status", status))
        )


def make_suite(service: str, file: str, root: str, client: Http) -> list[HTTPTestCase]:
    """Return the cases of a file, ready to be sent to the service at ``root`` by ``client``."""
    host, _, port = root.removeprefix("http://").partition(":")
    port, _, prefix = port.partition("/")
    content = read_file(service, file)
    # Nothing here speaks TLS, and reading all certificates costs each client 30 ms.
    defaults = {**content.get("defaults", {}), "cert_validate": False}
    suite = suitemaker.test_suite_from_dict(
        unittest.TestLoader(),
        f"{service}_{file}",
        {**content, "defaults": defaults},
        str(FOLDER),
        host,
        int(port),
        None,
        None,
        prefix=f"/{prefix}" if prefix else "",
        handlers=[handler() for handler in handlers.RESPONSE_HANDLERS],
    )
    cases = list(suite)
    for case in cases:
        case.http.client.close()
        case.http = client
    return cases


class Outcome(unittest.TestResult):
    """What became of one case. gabbi's own kind of result would send a failed request again."""

    error: BaseException | None = None

    def addFailure(self, test: object, err: Any) -> None:
        """Keep the error."""
        self.error = err[1]

    def addError(self, test: object, err: Any) -> None:
        """Keep the error."""
        self.error = err[1]
