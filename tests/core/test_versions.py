"""Microversions are read, checked and worded as Nova and Cinder do."""

import pytest

from tricircle.core.errors import BadInput, NotAcceptable
from tricircle.core.model import Version, VersionRange
from tricircle.core.versions import (
    common_range,
    decide_version,
    parse_version,
    read_compute_version,
    read_volume_version,
)

SERVED = VersionRange(Version(2, 1), Version(2, 100))
STANDARD, LEGACY = b"openstack-api-version", b"x-openstack-nova-api-version"


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ([], None),
        ([(LEGACY, b"2.60")], "2.60"),
        ([(STANDARD, b"compute 2.79")], "2.79"),
        ([(STANDARD, b"compute 2.79"), (LEGACY, b"2.60")], "2.79"),
        ([(STANDARD, b"volume 3.5"), (LEGACY, b"2.60")], "2.60"),
        ([(STANDARD, b"volume 3.5, compute 2.79")], "2.79"),
        ([(STANDARD, b"compute latest")], "latest"),
    ],
)
def test_what_a_nova_client_asks_for(headers: list[tuple[bytes, bytes]], asked: str | None) -> None:
    assert read_compute_version(headers) == asked


def test_what_a_cinder_client_asks_for() -> None:
    assert read_volume_version([]) is None
    assert read_volume_version([(STANDARD, b"volume 3.59")]) == "3.59"
    assert read_volume_version([(STANDARD, b"compute 2.1, volume latest")]) == "latest"


def test_a_header_for_another_service_is_an_error_in_cinder() -> None:
    with pytest.raises(BadInput):
        read_volume_version([(STANDARD, b"compute 2.3")])


@pytest.mark.parametrize(
    ("asked", "decided"),
    [(None, Version(2, 1)), ("latest", Version(2, 100)), ("2.47", Version(2, 47))],
)
def test_the_decided_version(asked: str | None, decided: Version) -> None:
    assert decide_version(asked, SERVED) == decided


def test_a_version_out_of_range_is_refused_in_novas_words() -> None:
    with pytest.raises(
        NotAcceptable,
        match=r"Version 2\.101 is not supported by the API\. Minimum is 2\.1 and maximum is 2\.100",
    ):
        decide_version("2.101", SERVED)


@pytest.mark.parametrize("text", ["2", "2.01", "02.1", "x", "2.1.1", "", "2.1 "])
def test_a_malformed_version_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is of invalid format"):
        parse_version(text)


def test_pods_of_different_releases_share_the_smaller_range() -> None:
    old = VersionRange(Version(2, 1), Version(2, 96))
    assert common_range([SERVED, old], SERVED) == old


def test_without_any_pod_the_default_is_served() -> None:
    assert common_range([], SERVED) == SERVED
