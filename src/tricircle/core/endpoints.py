"""Where a service of a pod is, read from Keystone's catalogue and its version document.

Operators write the same endpoint in many ways: with or without version, with a
project template, behind a path prefix. What is kept is the scheme, host and
prefix of the catalogue, because only they are known to be reachable from here;
the links of a version document often are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from tricircle.core.errors import BadInput
from tricircle.core.model import Endpoint, Service, Version, VersionRange

REQUIRED_SERVICES = (Service.COMPUTE, Service.VOLUME, Service.NETWORK)
"""What a region must have to be a pod."""

OPTIONAL_SERVICES = (Service.PLACEMENT, Service.IMAGE)
"""What a pod may have besides; checked like the others when the catalogue has it."""

MAX_DOCUMENT_BYTES = 256 * 1024
"""No version document comes near this; whatever is larger is something else."""

_MAJOR = {
    Service.COMPUTE: 2,
    Service.VOLUME: 3,
    Service.NETWORK: 2,
    Service.PLACEMENT: 1,
    Service.IMAGE: 2,
}
_WITH_MICROVERSIONS = frozenset({Service.COMPUTE, Service.VOLUME, Service.PLACEMENT})
# Services whose kept URL has no version in it: Neutron's paths carry /v2.0
# themselves, Placement has no version in its paths at all.
_AT_ROOT = frozenset({Service.NETWORK, Service.PLACEMENT})

_VERSION_SEGMENT = re.compile(r"v(\d{1,3})(?:\.(\d{1,4}))?\Z")
_MICROVERSION = re.compile(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,3})\Z")
# Both spellings Keystone substitutes, with either name of the variable.
_TEMPLATE = re.compile(r"[$%]\((?:project_id|tenant_id)\)s")


@dataclass(frozen=True, slots=True)
class CatalogueUrl:
    """An endpoint URL taken apart.

    ``root`` has no trailing slash, version or project; ``version`` is the path
    segment as the operator wrote it (``v2.1``), empty when there is none.
    """

    root: str
    version: str = ""

    @property
    def versioned(self) -> str:
        """The URL with its version, if it has one."""
        return f"{self.root}/{self.version}" if self.version else self.root


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """One entry of a version document.

    ``segment`` is the path segment under which the service serves it, as far as
    the document tells; ``versions`` is None without microversions.
    """

    major: int
    segment: str
    versions: VersionRange | None


class _Link(msgspec.Struct):
    rel: str = ""
    href: str = ""


class _Entry(msgspec.Struct):
    id: str
    links: list[_Link] = []
    version: str | None = ""
    min_version: str | None = ""
    max_version: str | None = ""


class _Document(msgspec.Struct):
    version: _Entry | None = None
    versions: list[_Entry] = []


def parse_catalogue_url(service: Service, url: str) -> CatalogueUrl:
    """Return a catalogue URL without project, trailing slash and version.

    Whatever single segment follows a version is a project: Keystone has put the
    id of the reading project in place of the template.

    Raises BadInput, without showing a URL that has credentials in it.
    """
    template_free = _TEMPLATE.sub("project", url.strip())
    try:
        parts = urlsplit(template_free)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable:
        raise BadInput(f"the {service} endpoint '{_shown(url)}' is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"the {service} endpoint must not contain a user name or password")
    if parts.query or parts.fragment or _has_odd_characters(template_free):
        raise BadInput(f"the {service} endpoint '{_shown(url)}' has a query or odd characters")
    prefix, version = _split_path(service, url, [s for s in parts.path.split("/") if s])
    return CatalogueUrl("/".join([f"{parts.scheme}://{parts.netloc}", *prefix]), version)


def _split_path(service: Service, url: str, segments: list[str]) -> tuple[list[str], str]:
    if "." in segments or ".." in segments:
        raise BadInput(f"the {service} endpoint '{_shown(url)}' has dot segments in its path")
    places = [i for i, segment in enumerate(segments) if _VERSION_SEGMENT.match(segment)]
    if not places:
        if segments and _TEMPLATE.search(url):
            raise BadInput(
                f"the {service} endpoint '{_shown(url)}' has a project but no version in its path"
            )
        return segments, ""
    last = places[-1]
    if len(segments) - last > 2:
        raise BadInput(
            f"the {service} endpoint '{_shown(url)}' has more than a project after its version"
        )
    return segments[:last], segments[last]


def _has_odd_characters(url: str) -> bool:
    return any(c <= " " or c in '\\"<>^`{|}' or ord(c) > 126 for c in url)


def _shown(url: str) -> str:
    """Return a URL that may stand in a message: short, printable, no credentials."""
    printable = "".join(c if c.isprintable() else "?" for c in url[:200])
    return re.sub(r"//[^/@]*@", "//***@", printable)


def list_document_urls(service: Service, url: CatalogueUrl) -> Sequence[str]:
    """Return the URLs that may answer a version document, best first.

    The catalogue's own address comes first, since a load balancer may forward
    nothing else. Neutron asks for a token below /v2.0, so its root is asked.
    """
    if service in _AT_ROOT or not url.version:
        return (url.root,)
    return (url.versioned, url.root)


def read_version_document(body: bytes) -> Sequence[ApiVersion]:
    """Return the versions a document lists, in its order.

    Understands what Nova, Cinder, Neutron, Placement and Glance answer at their
    roots and at their versions. Raises BadInput for anything else.
    """
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadInput("answered something that is not a version document") from None
    entries = [document.version] if document.version is not None else document.versions
    found = [version for entry in entries if (version := _read_entry(entry)) is not None]
    if not found:
        raise BadInput("answered something that is not a version document")
    return found


def _read_entry(entry: _Entry) -> ApiVersion | None:
    match = _VERSION_SEGMENT.match(entry.id)
    if match is None:
        return None
    # Placement calls max_version what Nova and Cinder call version.
    maximum = _read_version(entry.max_version or entry.version or "")
    minimum = _read_version(entry.min_version or "")
    versions = VersionRange(minimum, maximum) if minimum and maximum else None
    return ApiVersion(int(match[1]), _find_segment(entry) or entry.id, versions)


def _read_version(text: str) -> Version | None:
    match = _MICROVERSION.match(text)
    return Version(int(match[1]), int(match[2])) if match else None


def _find_segment(entry: _Entry) -> str | None:
    """Return the last version segment of the entry's own link.

    Cinder's v3.0 is at /v3 and all of Glance's v2.x are at /v2.
    """
    hrefs = [link.href for link in entry.links if link.rel == "self"]
    segments = [segment for href in hrefs for segment in href.split("/")]
    return next((s for s in reversed(segments) if _VERSION_SEGMENT.match(s)), None)


def choose_endpoint(
    service: Service, url: CatalogueUrl, versions: Sequence[ApiVersion]
) -> Endpoint | None:
    """Return the endpoint to keep, or None when no version listed can be used.

    Of several, the one with the highest microversion: a catalogue that names
    Nova's deprecated /v2 is led to /v2.1 beside it.
    """
    fit = [version for version in versions if version.major == _MAJOR[service]]
    if service in _WITH_MICROVERSIONS:
        fit = [version for version in fit if version.versions is not None]
    if not fit:
        return None
    chosen = max(fit, key=_rank)
    kept = url.root if service in _AT_ROOT else f"{url.root}/{chosen.segment}"
    return Endpoint(service, kept, chosen.versions)


def _rank(version: ApiVersion) -> Version:
    return version.versions.maximum if version.versions else Version(version.major, 0)


def renew_versions(
    kept: Mapping[Service, Endpoint],
    asked: Mapping[Service, Endpoint],
    found: Mapping[Service, Endpoint],
) -> Mapping[Service, Endpoint]:
    """Return ``kept`` with the versions ``found`` when its endpoints were ``asked``.

    Only of endpoints that are as they were when they were asked, and that are still
    found where they are: what somebody else has changed meanwhile stays, and where a
    service is remains the operator's to say.
    """
    return {
        service: found[service]
        if asked.get(service) == endpoint
        and service in found
        and found[service].url == endpoint.url
        else endpoint
        for service, endpoint in kept.items()
    }
