"""What is known of each pod's Neutron, asked now and then."""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.model import PodId
from tricircle.core.network.objects import Extension
from tricircle.interfaces.clock import Clock
from tricircle.usecases.networking.neutron import Neutron

_GOOD_FOR_S = 600.0


@dataclass(frozen=True, slots=True)
class _Fact:
    aliases: frozenset[str]
    until_s: float


class PodFacts:
    """Remembers the extensions of each pod for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._facts: dict[PodId, _Fact] = {}

    async def extensions(self, neutron: Neutron) -> frozenset[str]:
        """Return the aliases of the extensions that a Neutron has loaded."""
        fact = self._facts.get(neutron.pod_id)
        if fact is None or fact.until_s <= self._clock.now_s():
            found = await neutron.list_all(Extension)
            aliases = frozenset(extension.alias for extension in found)
            fact = _Fact(aliases, self._clock.now_s() + _GOOD_FOR_S)
            self._facts[neutron.pod_id] = fact
        return fact.aliases
