"""Whose server a call is about, and what follows when the server goes."""

from __future__ import annotations

from tricircle.core.errors import PodDead, PodError
from tricircle.core.jobs import ReleaseServer
from tricircle.core.model import TopId
from tricircle.gateway.hooks import Call
from tricircle.usecases.networking.server_ports_changes import AskedServer


def asked_server(call: Call) -> AskedServer:
    """Return the server that a call is about, and who asks."""
    inbound = call.inbound
    return AskedServer(
        inbound.caller,
        TopId(call.top_id),
        call.place.project_id,
        call.pod,
        inbound.request_id,
    )


def release_of(call: Call) -> ReleaseServer:
    """Return the job that releases the ports of the server once it is gone."""
    return ReleaseServer(call.pod.id, TopId(call.top_id), call.place.project_id)


def may_be_done(call: Call, error: PodError) -> bool:
    """Tell whether a pod may have done what the owner asked for although it gave no answer."""
    return call.is_callers and not isinstance(error, PodDead)
