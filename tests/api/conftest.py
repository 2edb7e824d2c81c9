"""The cloud that the cases are sent to, simulated or real, with what they find in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache

import pytest
from gabbi.case import HTTPTestCase

from tests.api.cases import make_suite
from tests.api.exchanges import WatchedHttp
from tests.api.places import Place, open_lab, open_simulated
from tests.api.world import made_in

PLACES = ["simulated", pytest.param("lab", marks=pytest.mark.lab)]


@pytest.fixture(scope="session", params=PLACES)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A cloud and people who have tokens of it."""
    if request.param == "lab":
        with open_lab() as opened:
            yield opened
        return
    with open_simulated(tmp_path_factory.mktemp("api")) as opened:
        yield opened


@pytest.fixture(scope="session")
def values(place: Place) -> Iterator[Mapping[str, str]]:
    """The values that cases name as ``$ENVIRON``, in the environment while they run."""
    with made_in(place) as made:
        before = {key: os.environ.get(key) for key in made}
        os.environ.update(made)
        yield made
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


class Suites:
    """The files of cases, each made ready once for a place."""

    def __init__(self, roots: Mapping[str, str], client: WatchedHttp) -> None:
        self._roots, self._client = roots, client
        self.get = cache(self._make)

    def _make(self, service: str, file: str) -> list[HTTPTestCase]:
        return make_suite(service, file, self._roots[service], self._client)


@pytest.fixture(scope="session")
def suites(place: Place, values: Mapping[str, str]) -> Iterator[Suites]:
    """All files of cases for this place."""
    roots = {"compute": values["COMPUTE"], "volume": values["VOLUME"]}
    client = WatchedHttp(place.exchanges, roots)
    yield Suites(roots, client)
    client.client.close()
