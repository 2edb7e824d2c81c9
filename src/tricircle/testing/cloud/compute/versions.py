"""Nova's microversions: what a client asks for and what documents say."""

import re

from tricircle.testing.cloud.http import Document, Refused, Request

_HEADER = "openstack-api-version"
_LEGACY_HEADER = "x-openstack-nova-api-version"

LEGACY = "v2"
APIS = ("v2.1", LEGACY)


def requested_minor(request: Request, maximum: int) -> int:
    """Return N of the 2.N a request is served with.

    `OpenStack-API-Version` wins over Nova's older header, the last of several
    values for a service wins, and the default is 2.1. Raises Refused: 400 for
    what is no version, 406 outside 2.1 to 2.`maximum`.
    """
    wanted = _find_wanted(request)
    if wanted is None:
        return 1
    if wanted == "latest":
        return maximum
    match = re.fullmatch(r"([1-9]\d*)\.([1-9]\d*|0)", wanted)
    if match is None:
        raise Refused(
            400,
            f"API Version String {wanted} is of invalid format. Must be of format "
            "MajorNum.MinorNum.",
        )
    major, minor = int(match[1]), int(match[2])
    if major != 2 or not 1 <= minor <= maximum:
        raise Refused(
            406,
            f"Version {wanted} is not supported by the API. Minimum is 2.1 and maximum is "
            f"2.{maximum}.",
            microversion=wanted,
        )
    return minor


def _find_wanted(request: Request) -> str | None:
    for part in reversed(request.headers.get(_HEADER, "").split(",")):
        service, _, version = part.strip().partition(" ")
        if service.lower() == "compute" and version.strip():
            return version.strip()
    legacy = request.headers.get(_LEGACY_HEADER, "").split(",")[-1].strip()
    return legacy or None


def version_headers(version: str) -> list[tuple[str, str]]:
    """Return the headers Nova puts on what it served with a microversion."""
    return [
        ("openstack-api-version", f"compute {version}"),
        ("x-openstack-nova-api-version", version),
        ("vary", "OpenStack-API-Version"),
        ("vary", "X-OpenStack-Nova-API-Version"),
    ]


def list_documents(base: str, maximum: int) -> Document:
    """Return the answer to GET /."""
    return {
        "versions": [
            _listed(base, "v2.0", "DEPRECATED", "", "", "2025-07-04T12:00:00Z"),
            _listed(base, "v2.1", "CURRENT", f"2.{maximum}", "2.1", "2013-07-23T11:33:21Z"),
        ]
    }


def _listed(
    base: str, name: str, status: str, version: str, minimum: str, updated: str
) -> Document:
    number = "v2.1" if name == "v2.1" else "v2"
    return {
        "id": name,
        "status": status,
        "version": version,
        "min_version": minimum,
        "updated": updated,
        "links": [{"rel": "self", "href": f"{base}/{number}/"}],
    }


def list_choices(base: str, path: str) -> Document:
    """Return the 300 answer to a path without a version."""
    choices = []
    for name, number, media in (("v2.0", "v2", "2"), ("v2.1", "v2.1", "2.1")):
        choices.append(
            {
                "id": name,
                "status": "CURRENT" if name == "v2.1" else "DEPRECATED",
                "links": [{"rel": "self", "href": f"{base}/{number}/{path.strip('/')}"}],
                "media-types": [_media_type(media)],
            }
        )
    return {"choices": choices}


def show_document(base: str, maximum: int) -> Document:
    """Return the answer to GET /v2.1/."""
    numbers = {"version": f"2.{maximum}", "min_version": "2.1"}
    return _shown(f"{base}/v2.1/", "v2.1", "CURRENT", numbers, "2013-07-23T11:33:21Z")


def show_legacy(base: str, maximum: int) -> Document:
    """Return the answer to GET /v2/, the same API without microversions."""
    numbers = {"version": "", "min_version": ""}
    return _shown(f"{base}/v2/", "v2.0", "DEPRECATED", numbers, "2025-07-04T12:00:00Z")


def _shown(url: str, name: str, status: str, numbers: Document, updated: str) -> Document:
    return {
        "version": {
            "id": name,
            "status": status,
            **numbers,
            "updated": updated,
            "links": [
                {"rel": "self", "href": url},
                {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
            ],
            "media-types": [_media_type("2" if name == "v2.0" else "2.1")],
        }
    }


def _media_type(version: str) -> Document:
    return {
        "base": "application/json",
        "type": f"application/vnd.openstack.compute+json;version={version}",
    }
