"""Availability zones as Nova and Cinder show them: the top's own, from the zone map."""

from __future__ import annotations

from collections.abc import Callable

from tricircle.core.errors import Forbidden
from tricircle.core.model import PodId
from tricircle.core.placing import Topology, ZoneState, zone_states
from tricircle.core.table import Match
from tricircle.gateway.answers import Answer, json_answer
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound


class ZoneAnswers:
    """Answers ``GET /os-availability-zone`` and its detailed form."""

    def __init__(
        self,
        profile: Profile,
        topology: Callable[[], Topology],
        is_dead: Callable[[PodId], bool],
    ) -> None:
        self._profile, self._topology, self._is_dead = profile, topology, is_dead

    def compute(self, inbound: Inbound, match: Match) -> Answer:
        """Return Nova's form; hosts are for the detailed one only."""
        zones = [{**_zone(state), "hosts": None} for state in self._states()]
        return self._answer(inbound, zones)

    def compute_detail(self, inbound: Inbound, match: Match) -> Answer:
        """Return Nova's detailed form for administrators: each pod is shown as one host."""
        if "admin" not in inbound.caller.roles:
            raise Forbidden(
                "Policy doesn't allow os_compute_api:os-availability-zone:detail to be performed."
            )
        zones = [{**_zone(state), "hosts": _hosts(state)} for state in self._states()]
        return self._answer(inbound, zones)

    def volume(self, inbound: Inbound, match: Match) -> Answer:
        """Return Cinder's form."""
        return self._answer(inbound, [_zone(state) for state in self._states()])

    def _states(self) -> list[ZoneState]:
        return zone_states(self._topology(), self._is_dead)

    def _answer(self, inbound: Inbound, zones: list[dict[str, object]]) -> Answer:
        headers = self._profile.version_headers(inbound.version)
        return json_answer({"availabilityZoneInfo": zones}, headers=headers)


def _zone(state: ZoneState) -> dict[str, object]:
    return {"zoneName": state.name, "zoneState": {"available": state.available}}


def _hosts(state: ZoneState) -> dict[str, object]:
    return {
        pod.name: {
            "nova-compute": {
                "available": pod.enabled and answers,
                "active": pod.enabled,
                "updated_at": None,
            }
        }
        for pod, answers in state.pods
    }
