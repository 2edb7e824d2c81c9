"""Numbers that name something in one of many pods.

Nova's oldest ids are numbers that each database gives anew, so two pods have a
service 1 each. The top shows ``number of the pod * 2**31 + number in the pod``. The
second part is all that a database of Nova can hold (a signed 32-bit column), and the
whole is below ``2**53``, the greatest number that every JSON reader reads exactly. The
first part comes from the pod's id alone, so nothing has to be kept or agreed on; for
two pods with the same one (2**22 are possible) it is the next that is free for the one
added later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tricircle.core.model import Pod, PodId

_LOCAL = 2**31
_PODS = 2**22


@dataclass(frozen=True, slots=True)
class PodNumbers:
    """The numbers of all pods."""

    numbers: Mapping[PodId, int]

    def to_top(self, pod_id: PodId, number: int) -> int:
        """Return what the top calls a pod's ``number``; 0 and less stay, they name nothing."""
        return number if number <= 0 else self.numbers[pod_id] * _LOCAL + number

    def from_top(self, text: str) -> tuple[PodId, int] | None:
        """Return pod and number that an id of the top names; None when it names none."""
        if not text.isascii() or not text.isdigit() or len(text) > 16:
            return None
        pod_number, number = divmod(int(text), _LOCAL)
        pod_id = next((key for key, value in self.numbers.items() if value == pod_number), None)
        return None if pod_id is None else (pod_id, number)


def number_pods(pods: Iterable[Pod]) -> PodNumbers:
    """Return the numbers of pods, from 1."""
    taken: dict[int, PodId] = {}
    ordered = sorted(pods, key=lambda pod: (pod.created_at is None, str(pod.created_at), pod.id))
    for pod in ordered:
        number = _wanted(pod.id)
        while number in taken:
            number = number % (_PODS - 1) + 1
        taken[number] = pod.id
    return PodNumbers({pod_id: number for number, pod_id in taken.items()})


def _wanted(pod_id: PodId) -> int:
    digest = hashlib.sha256(pod_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (_PODS - 1) + 1
