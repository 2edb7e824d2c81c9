"""What makes a gateway the Nova or the Cinder one: facts, no behaviour of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tricircle.core.model import Kind, Service, Version, VersionRange
from tricircle.core.table import Lookup, Table
from tricircle.gateway.answers import Header
from tricircle.interfaces.cloud import Headers


@dataclass(frozen=True, slots=True)
class Profile:
    """The facts of one service.

    ``apis`` are the versions in URLs that are served, the one with microversions first, each
    with the name that its document has; ``documents`` are by name, given what is served and
    the URL that they are of. ``default_range`` is advertised
    before any pod is known; ``version_headers`` are put on answers of the gateway's
    own; ``open_versions`` are version documents that need no token;
    ``project_in_url`` tells whether Cinder's kind of URL is usual;
    ``absent_zone_status`` and ``absent_zone`` are what the service answers to an
    unknown zone, ``wrong_project`` to a URL with a project that is not the token's.
    """

    name: str
    service: Service
    apis: Mapping[str, str]
    table: Table
    lookups: Mapping[Kind, Lookup]
    read_version: Callable[[Headers], str | None]
    version_headers: Callable[[Version], tuple[Header, ...]]
    default_range: VersionRange
    list_versions: Callable[[VersionRange, str], object]
    documents: Mapping[str, Callable[[VersionRange, str], object]]
    list_status: int
    show_needs_token: bool
    absent_zone: str
    wrong_project: str

    @property
    def current_api(self) -> str:
        """Return the version in URLs that has microversions."""
        return next(iter(self.apis))
