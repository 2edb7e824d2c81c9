"""The ids of what a pod has just made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from tricircle.core.bodies import read_texts, read_value, set_value
from tricircle.core.errors import PodError
from tricircle.core.model import Pod
from tricircle.core.table import Create
from tricircle.gateway.answers import Answer
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.request import Inbound

log = logging.getLogger(__name__)


async def find_made(
    forwarder: Forwarder, inbound: Inbound, strategy: Create, pod: Pod, answer: Answer
) -> Sequence[str]:
    """Return the ids of what an answer says was made, which is asked for when it says none.

    As of servers that a client is given a reservation of. None at all when the pod
    does not tell: who asks for them later finds them.
    """
    made = read_value(answer.body, strategy.created)
    if isinstance(made, str):
        return (made,)
    receipt = strategy.receipt
    number = read_value(answer.body, receipt.place) if receipt is not None else None
    if receipt is None or not isinstance(number, str):
        return ()
    query = urlencode({receipt.filter: number})
    asking = Outbound(replace(inbound, method="GET"), inbound.target.path, query, b"")
    try:
        listed = await forwarder.send(pod, asking)
    except PodError as error:
        log.warning("made and not found yet", extra={"pod": pod.name, "reason": str(error)})
        return ()
    return read_texts(listed.body, receipt.rows) if listed.status == 200 else ()


def join_receipts(strategy: Create, answers: Sequence[Answer]) -> Answer:
    """Return the first of several answers, with one receipt for what all of them made.

    The filter that takes it is a regular expression in Nova (``_regex_instance_filter`` in
    nova/db/main/api.py), so one that fits each of them stands for all. It has no
    alternatives, as Nova escapes the bar for MySQL (``safe_regex_mysql``).
    """
    first, receipt = answers[0], strategy.receipt
    if receipt is None or len(answers) == 1:
        return first
    numbers = [read_value(answer.body, receipt.place) for answer in answers]
    texts = [number for number in numbers if isinstance(number, str)]
    if not texts:
        return first
    pattern = "".join(f"({text})?" for text in texts)
    return replace(first, body=set_value(first.body, receipt.place, f"^{pattern}$"))
