"""Refs: resources that a request names and that must live in one pod."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tricircle.core.bodies import read_texts
from tricircle.core.errors import (
    BadInput,
    DifferentPods,
    NotFound,
    PodError,
    ServiceUnavailable,
)
from tricircle.core.model import Caller, Kind, Pod, PodId
from tricircle.core.placing import Topology
from tricircle.core.table import Ref
from tricircle.usecases.locate import Locator, is_id


class SamePod:
    """Finds where the resources are that a body names, and whether that fits together."""

    def __init__(self, locator: Locator, topology: Callable[[], Topology]) -> None:
        self._locator, self._topology = locator, topology

    async def check(self, body: bytes, refs: Sequence[Ref], caller: Caller, pod: Pod) -> None:
        """Return nothing when all that ``refs`` name is in ``pod``.

        Raises DifferentPods, and the service's own error for what is not there.
        """
        for ref, top_id, pod_id in await self._places(body, refs, caller):
            if pod_id != pod.id:
                raise DifferentPods(
                    f"{_words(ref.kind)} {top_id} is in pod {self._name(pod_id)}, but this "
                    f"request is for pod {pod.name}; both must be in the same pod"
                )

    async def demanded(self, body: bytes, refs: Sequence[Ref], caller: Caller) -> PodId | None:
        """Return the pod that everything ``refs`` name is in; None when they name nothing.

        Raises DifferentPods when they are in several.
        """
        places = await self._places(body, refs, caller)
        if not places:
            return None
        (first, first_id, pod_id), *rest = places
        for ref, top_id, other in rest:
            if other != pod_id:
                raise DifferentPods(
                    f"{_words(first.kind)} {first_id} is in pod {self._name(pod_id)} and "
                    f"{_words(ref.kind)} {top_id} in pod {self._name(other)}; both must be in "
                    "the same pod"
                )
        return pod_id

    async def pods_of(self, body: bytes, refs: Sequence[Ref], caller: Caller) -> frozenset[PodId]:
        """Return the pods of all that ``refs`` name."""
        return frozenset(pod_id for _, _, pod_id in await self._places(body, refs, caller))

    async def _places(
        self, body: bytes, refs: Sequence[Ref], caller: Caller
    ) -> list[tuple[Ref, str, PodId]]:
        """Return where all is that ``refs`` name; what is no id is the pod's to refuse."""
        found = []
        for ref in refs:
            texts = read_texts(body, ref.place, ref.beside)
            if ref.separator:
                texts = [part for text in texts for part in text.split(ref.separator)]
            for top_id in filter(is_id, texts):
                pod_id = await self._find_pod(ref, top_id, caller)
                if pod_id is not None:
                    found.append((ref, top_id, pod_id))
        return found

    async def _find_pod(self, ref: Ref, top_id: str, caller: Caller) -> PodId | None:
        try:
            return (await self._locator.locate_visible(ref.kind, top_id, caller)).pod_id
        except NotFound:
            if ref.absent is None:
                return None
            error = NotFound if ref.absent_status == 404 else BadInput
            raise error(ref.absent.format(id=top_id, kind=_words(ref.kind))) from None
        except (PodError, ServiceUnavailable):
            # What need not exist at all must not hang on pods that do not answer.
            if ref.absent is None:
                return None
            raise

    def _name(self, pod_id: PodId) -> str:
        pod = self._topology().find_pod(pod_id)
        return pod.name if pod is not None else str(pod_id)


def _words(kind: Kind) -> str:
    return kind.replace("_", " ")
