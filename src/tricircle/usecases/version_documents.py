"""Reads what a service speaks from the version document it answers to anybody."""

from __future__ import annotations

from tricircle.core import endpoints
from tricircle.core.endpoints import CatalogueUrl
from tricircle.core.errors import BadInput, PodDead, PodError, PodTimeout
from tricircle.core.model import Endpoint, PodId, Service
from tricircle.interfaces.cloud import Cloud, PodRequest

_HEADERS = ((b"accept", b"application/json"),)
# Nova and Neutron answer 200 at their roots, Cinder and Glance 300 Multiple Choices.
_STATUSES = frozenset({200, 300})


async def read_endpoint(
    cloud: Cloud, pod_id: PodId, service: Service, url: CatalogueUrl, timeout_s: float
) -> Endpoint:
    """Return the endpoint that a service's version document leads to, asked without any token.

    Raises PodError when it does not answer, BadInput with the reason when what it
    answers cannot be used.
    """
    reasons = []
    # A PodError ends it: the root is on the same host and would only say the same again.
    for place in endpoints.list_document_urls(service, url):
        try:
            body = await _read_document(cloud, pod_id, Endpoint(service, place), timeout_s)
            versions = endpoints.read_version_document(body)
        except BadInput as error:
            reasons.append(str(error))
            continue
        endpoint = endpoints.choose_endpoint(service, url, versions)
        if endpoint is not None:
            return endpoint
        reasons.append("lists no version of the API that can be used")
    raise BadInput(" and its root ".join(reasons))


async def _read_document(
    cloud: Cloud, pod_id: PodId, endpoint: Endpoint, timeout_s: float
) -> bytes:
    """Return the body a service answers at a URL. Raises PodError, BadInput for another status."""
    request = PodRequest("GET", "/", headers=_HEADERS)
    async with cloud.send(pod_id, endpoint, request, timeout_s) as answer:
        if answer.status not in _STATUSES:
            raise BadInput(f"answered with status {answer.status}")
        body = b""
        async for chunk in answer.chunks():
            body += chunk
            if len(body) > endpoints.MAX_DOCUMENT_BYTES:
                raise BadInput("sent more than a version document")
        return body


def explain(error: PodError) -> str:
    """Return why an endpoint did not answer, as words that follow its URL."""
    detail = f" ({error.__cause__})" if error.__cause__ else ""
    match error:
        case PodDead():
            return f"cannot be reached{detail}"
        case PodTimeout():
            return "did not answer in time"
        case _:
            return f"did not answer in usable HTTP{detail}"
