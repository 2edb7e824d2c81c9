"""What was asked for lately: believed for a while, and never more of it than fits."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from tricircle.interfaces.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by key. The one that was kept longest goes when there are more than ``most``."""

    def __init__(self, clock: Clock, for_s: float, most: int) -> None:
        self._clock, self._for_s, self._most = clock, for_s, most
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def find(self, key: K) -> V | None:
        """Return what was kept of a key not too long ago."""
        kept = self._kept.get(key)
        return kept[1] if kept is not None and self._clock.now_s() < kept[0] else None

    def keep(self, key: K, value: V) -> None:
        """Believe this from now on."""
        self._kept[key] = (self._clock.now_s() + self._for_s, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
