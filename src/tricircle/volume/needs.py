"""How large the volume of a request is."""

from __future__ import annotations

from tricircle.core.bodies import read_value
from tricircle.core.weighing import Needs
from tricircle.gateway.request import Inbound


async def volume_needs(inbound: Inbound) -> Needs:
    """Return the size that ``POST /volumes`` names; nothing when it leaves it to its source."""
    size = read_value(inbound.body, "volume.size")
    text = str(size) if isinstance(size, str | int) and not isinstance(size, bool) else ""
    is_number = text.isascii() and text.isdecimal() and len(text) < 12
    return Needs(volume_gib=int(text)) if is_number else Needs()
