"""The facts that make a gateway the Cinder one (Cinder 29)."""

from __future__ import annotations

from tricircle.core.lookups import LOOKUPS
from tricircle.core.model import Service, Version, VersionRange
from tricircle.core.versions import STANDARD_HEADER, read_volume_version
from tricircle.gateway.answers import Header
from tricircle.gateway.profile import Profile
from tricircle.volume.routes import TABLE

_UPDATED = "2023-08-31T00:00:00Z"
_DOCUMENTATION = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}


def list_versions(served: VersionRange, root: str) -> object:
    """Return the body of ``GET /``."""
    return show_version(served, f"{root}/v3/")


def show_version(served: VersionRange, url: str) -> object:
    """Return the body of ``GET /v3/``, which is the same in Cinder."""
    media = "application/vnd.openstack.volume+json;version=3"
    return {
        "versions": [
            {
                "id": "v3.0",
                "status": "CURRENT",
                "version": str(served.maximum),
                "min_version": str(served.minimum),
                "updated": _UPDATED,
                "links": [_DOCUMENTATION, {"rel": "self", "href": url}],
                "media-types": [{"base": "application/json", "type": media}],
            }
        ]
    }


def version_headers(version: Version) -> tuple[Header, ...]:
    """Return the headers by which Cinder tells which microversion an answer has."""
    return (
        (STANDARD_HEADER, f"volume {version}".encode()),
        (b"vary", b"OpenStack-API-Version"),
    )


PROFILE = Profile(
    name="volume",
    service=Service.VOLUME,
    apis={"v3": "v3"},
    table=TABLE,
    lookups=LOOKUPS,
    read_version=read_volume_version,
    version_headers=version_headers,
    default_range=VersionRange(Version(3, 0), Version(3, 0)),
    list_versions=list_versions,
    documents={"v3": show_version},
    list_status=300,
    show_needs_token=True,
    absent_zone="Availability zone '{zone}' is invalid.",
    wrong_project="Malformed request url",
)
