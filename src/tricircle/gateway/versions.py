"""The version documents: what every enabled pod can serve, in the service's own form."""

from __future__ import annotations

from collections.abc import Callable

from tricircle.core.errors import NotFound
from tricircle.core.model import VersionRange
from tricircle.core.placing import Topology
from tricircle.core.table import Match
from tricircle.core.versions import common_range
from tricircle.gateway.answers import Answer, json_answer
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound


def served_range(profile: Profile, topology: Topology) -> VersionRange:
    """Return the microversions that every enabled pod can serve."""
    endpoints = (pod.endpoints.get(profile.service) for pod in topology.pods if pod.enabled)
    ranges = [one.versions for one in endpoints if one is not None and one.versions is not None]
    return common_range(ranges, profile.default_range)


class VersionAnswer:
    """Answers ``GET /<version>/`` and ``GET /<version>/versions/{id}`` with a token."""

    def __init__(self, profile: Profile, topology: Callable[[], Topology]) -> None:
        self._profile, self._topology = profile, topology

    def __call__(self, inbound: Inbound, match: Match) -> Answer:
        """Return the version document. Raises NotFound for a version that is not served.

        An older version in the URL shows itself, whichever is asked for, as in Nova.
        """
        profile, api = self._profile, inbound.target.api
        own = profile.apis[api]
        asked = match.params.get("id", own) if api == profile.current_api else own
        if asked not in profile.documents:
            raise NotFound("The resource could not be found.")
        served = served_range(profile, self._topology())
        return json_answer(
            profile.documents[asked](served, f"{inbound.top_root}/{api}/"),
            headers=profile.version_headers(inbound.version),
        )
