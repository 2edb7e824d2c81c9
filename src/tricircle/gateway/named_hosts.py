"""Hosts that a body names: they decide about the pod, as resources do that are named by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tricircle.core.bodies import read_value, set_value
from tricircle.core.errors import DifferentPods
from tricircle.core.model import Pod, PodId
from tricircle.core.table import HostRef
from tricircle.gateway.asking import Finders
from tricircle.gateway.request import Inbound


class NamedHosts:
    """Finds the pods of hosts, and takes ``pod:`` out of their names."""

    def __init__(self, finders: Finders) -> None:
        self._finders = finders

    async def check(self, inbound: Inbound, refs: Sequence[HostRef], pod: Pod) -> Inbound:
        """Return the request as ``pod`` is asked, which must have all hosts.

        What no pod has is for the pod to refuse. Raises DifferentPods.
        """
        for ref in refs:
            name = _read_name(inbound, ref)
            if name is None:
                continue
            named, host = self._finders.split_host(name)
            found = [named] if named else await self._finders.find_all(inbound, ref.finder, host)
            if found and all(one.id != pod.id for one in found):
                names = " and ".join(one.name for one in found)
                raise DifferentPods(
                    f"host {host} is in pod {names}, but this request is for pod {pod.name}; "
                    "both must be in the same pod"
                )
            inbound = _with_name(inbound, ref, host)
        return inbound

    async def demanded(
        self, inbound: Inbound, refs: Sequence[HostRef]
    ) -> tuple[Inbound, PodId | None]:
        """Return the request as a pod is asked, and the pod of the hosts; None for no host.

        Raises BadInput for a name that several pods have, DifferentPods, and
        ServiceUnavailable when it may be in a pod that does not answer.
        """
        demanded: tuple[str, Pod] | None = None
        for ref in refs:
            name = _read_name(inbound, ref)
            if name is None:
                continue
            named, host = self._finders.split_host(name)
            found = named or await self._finders.find(inbound, ref.finder, host)
            inbound = _with_name(inbound, ref, host)
            if found is None:
                continue
            if demanded is not None and demanded[1].id != found.id:
                first, pod = demanded
                raise DifferentPods(
                    f"host {first} is in pod {pod.name} and host {host} in pod {found.name}; "
                    "both must be in the same pod"
                )
            demanded = host, found
        return inbound, demanded[1].id if demanded else None


def _read_name(inbound: Inbound, ref: HostRef) -> str | None:
    value = read_value(inbound.body, ref.place)
    return value if isinstance(value, str) and value else None


def _with_name(inbound: Inbound, ref: HostRef, host: str) -> Inbound:
    return replace(inbound, body=set_value(inbound.body, ref.place, host))
