"""Whose server a call is about."""

from __future__ import annotations

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
