"""What a repair did."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Effect(enum.StrEnum):
    """What a repair did.

    ``SETTLED``: a twin whose making had been cut short was found in its pod.
    ``FORGOTTEN``: so was the record of a twin that was never made.
    ``FINISHED``: a port was given to the server that has it.
    ``RELEASED``: a port was released whose server is gone or never came to be.
    ``DELETED``: a port of the top was deleted that no boot knows of any more.
    ``REMOVED``: a twin of what is gone from the top was removed.
    ``CLEARED``: a spare port was removed that is of no use, or the record of one that
    is no spare any more.
    """

    SETTLED = "settled"
    FORGOTTEN = "forgotten"
    FINISHED = "finished"
    RELEASED = "released"
    DELETED = "deleted"
    REMOVED = "removed"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Mended:
    """A repair that is complete: what it did, nothing when all was well."""

    effects: tuple[Effect, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.effects)
