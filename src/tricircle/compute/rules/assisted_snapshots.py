"""Snapshots of attached volumes that Cinder asks Nova for, made in the pod of the volume."""

from __future__ import annotations

import json

from tricircle.core.bodies import read_value
from tricircle.core.errors import MalformedBody
from tricircle.core.model import Kind
from tricircle.core.query import list_values
from tricircle.core.table import Match
from tricircle.gateway.answers import Answer
from tricircle.gateway.asking import Asker, choose
from tricircle.gateway.forward import Outbound
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Locator


class AssistedSnapshots:
    """Answers ``POST /os-assisted-volume-snapshots`` and ``DELETE`` of one of them.

    A volume that no routing tells of is looked for by asking all pods: those where it is
    attached to nothing refuse, and do nothing.
    """

    def __init__(self, asker: Asker, locator: Locator) -> None:
        self._asker, self._locator = asker, locator

    async def __call__(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer of the pod of the volume."""
        volume_id = _read_volume(inbound)
        outbound = Outbound.of(inbound)
        if volume_id is None:
            return await self._asker.ask_first(outbound)
        place = await self._locator.find_recorded(Kind.VOLUME, volume_id)
        pods = [pod for pod in self._asker.pods() if place is None or pod.id == place.pod_id]
        heard = await self._asker.ask([(pod, outbound) for pod in pods])
        return choose(heard).answer


def _read_volume(inbound: Inbound) -> str | None:
    """Return the volume a request is about; None when it does not say so."""
    try:
        if inbound.method == "POST":
            found = read_value(inbound.body, "snapshot.volume_id")
        else:
            info = json.loads((list_values(inbound.query, "delete_info") or [""])[-1])
            found = info.get("volume_id") if isinstance(info, dict) else None
    except (MalformedBody, ValueError, RecursionError):
        return None
    return found if isinstance(found, str) else None
