"""The facts that make a gateway the Nova one (Nova 34)."""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.compute.routes import TABLE
from tricircle.core.lookups import LOOKUPS
from tricircle.core.model import Service, Version, VersionRange
from tricircle.core.versions import NOVA_HEADER, STANDARD_HEADER, read_compute_version
from tricircle.gateway.answers import Header
from tricircle.gateway.profile import Profile

_UPDATED = "2013-07-23T11:33:21Z"
_LEGACY_UPDATED = "2025-07-04T12:00:00Z"
_DOCUMENTATION = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}


def list_versions(served: VersionRange, root: str) -> object:
    """Return the body of ``GET /``."""
    return {
        "versions": [
            {
                "id": "v2.0",
                "status": "DEPRECATED",
                "version": "",
                "min_version": "",
                "updated": _LEGACY_UPDATED,
                "links": [{"rel": "self", "href": f"{root}/v2/"}],
            },
            {
                "id": "v2.1",
                "status": "CURRENT",
                "version": str(served.maximum),
                "min_version": str(served.minimum),
                "updated": _UPDATED,
                "links": [{"rel": "self", "href": f"{root}/v2.1/"}],
            },
        ]
    }


def show_version(served: VersionRange, url: str) -> object:
    """Return the body of ``GET /v2.1/``."""
    numbers = {"version": str(served.maximum), "min_version": str(served.minimum)}
    return _document("v2.1", "CURRENT", numbers, _UPDATED, url)


def show_legacy(served: VersionRange, url: str) -> object:
    """Return the body of ``GET /v2/``, which has no microversions."""
    numbers = {"version": "", "min_version": ""}
    return _document("v2.0", "DEPRECATED", numbers, _LEGACY_UPDATED, url)


def _document(name: str, status: str, numbers: Mapping[str, str], updated: str, url: str) -> object:
    media = f"application/vnd.openstack.compute+json;version={name[1:].removesuffix('.0')}"
    return {
        "version": {
            "id": name,
            "status": status,
            **numbers,
            "updated": updated,
            "links": [{"rel": "self", "href": url}, _DOCUMENTATION],
            "media-types": [{"base": "application/json", "type": media}],
        }
    }


def version_headers(version: Version) -> tuple[Header, ...]:
    """Return the headers by which Nova tells which microversion an answer has."""
    return (
        (STANDARD_HEADER, f"compute {version}".encode()),
        (NOVA_HEADER, str(version).encode()),
        (b"vary", b"OpenStack-API-Version"),
        (b"vary", b"X-OpenStack-Nova-API-Version"),
    )


PROFILE = Profile(
    name="compute",
    service=Service.COMPUTE,
    apis={"v2.1": "v2.1", "v2": "v2.0"},
    table=TABLE,
    lookups=LOOKUPS,
    read_version=read_compute_version,
    version_headers=version_headers,
    default_range=VersionRange(Version(2, 1), Version(2, 1)),
    list_versions=list_versions,
    documents={"v2.1": show_version, "v2.0": show_legacy},
    list_status=200,
    show_needs_token=False,
    absent_zone="The requested availability zone is not available",
    wrong_project=(
        "Malformed request URL: URL's project_id '{project}' doesn't match Context's "
        "project_id '{token_project}'"
    ),
)
