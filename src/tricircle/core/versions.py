"""Microversions: what a client asks for, what all pods can serve, what is decided.

Formats, messages and precedence are those of ``microversion_parse`` and
``nova.api.openstack.wsgi`` (Nova 34), and of ``cinder.api.openstack.wsgi`` (Cinder 29).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tricircle.core.errors import BadInput, NotAcceptable
from tricircle.core.model import Version, VersionRange

Headers = Iterable[tuple[bytes, bytes]]

STANDARD_HEADER = b"openstack-api-version"
NOVA_HEADER = b"x-openstack-nova-api-version"
_LOWEST = Version(2, 1)
"""What every Nova speaks."""
_FORMAT = re.compile(r"^([1-9]\d*)\.([1-9]\d*|0)$")


def parse_version(text: str) -> Version:
    """Return the version written as ``2.79``. Raises BadInput as Nova and Cinder word it."""
    match = _FORMAT.match(text)
    if match is None:
        raise BadInput(
            f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
        )
    return Version(int(match[1]), int(match[2]))


def read_compute_version(headers: Headers) -> str | None:
    """Return what a Nova client asks for, None when it asks for nothing.

    ``OpenStack-API-Version: compute 2.79`` wins over ``X-OpenStack-Nova-API-Version``;
    of several values for compute the last one counts.
    """
    standard, legacy = None, None
    for name, value in headers:
        if name == STANDARD_HEADER:
            standard = _last_for_service(value.decode("latin-1"), "compute") or standard
        elif name == NOVA_HEADER:
            legacy = value.decode("latin-1").rpartition(",")[2].strip()
    return standard or legacy


def read_volume_version(headers: Headers) -> str | None:
    """Return what a Cinder client asks for, None when it sends no version header.

    Raises BadInput when the header is there and names another service only, as
    Cinder does.
    """
    for name, value in headers:
        if name != STANDARD_HEADER:
            continue
        text = value.decode("latin-1")
        for part in text.split(","):
            words = part.split()
            if "volume" in part and len(words) == 2:
                return words[1]
        raise BadInput(
            "The server could not comply with the request since it is either malformed or "
            "otherwise incorrect."
        )
    return None


def decide_version(asked: str | None, served: VersionRange) -> Version:
    """Return the version a request runs with.

    Nothing asked means the minimum, ``latest`` the maximum of what all pods serve.
    Raises BadInput for a malformed version, NotAcceptable for one out of range.
    """
    if asked is None:
        return served.minimum
    if asked == "latest":
        return served.maximum
    version = parse_version(asked)
    if not served.minimum <= version <= served.maximum:
        raise NotAcceptable(
            f"Version {version} is not supported by the API. Minimum is "
            f"{served.minimum} and maximum is {served.maximum}."
        )
    return version


def common_range(ranges: Iterable[VersionRange], default: VersionRange) -> VersionRange:
    """Return the largest range that all of ``ranges`` serve, ``default`` when there is none.

    When two ranges do not meet, the minimum of both is kept as the whole range: a
    version document must not promise what a pod refuses.
    """
    known = list(ranges)
    if not known:
        return default
    minimum = max(one.minimum for one in known)
    maximum = min(one.maximum for one in known)
    return VersionRange(minimum, max(minimum, maximum))


def pick_version(served: VersionRange | None, wanted: Iterable[Version]) -> Version:
    """Return the first version wanted that is served, else the lowest one."""
    if served is None:
        return _LOWEST
    fit = (one for one in wanted if served.minimum <= one <= served.maximum)
    return next(fit, served.minimum)


def _last_for_service(value: str, service: str) -> str | None:
    found = None
    for part in value.split(","):
        words = part.split()
        if len(words) == 2 and words[0] == service:
            found = words[1]
    return found
