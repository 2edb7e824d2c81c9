"""One request to one pod, and its answer made right for the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tricircle.core.bodies import replace as replace_value
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.headers import strip_client_headers, strip_pod_headers
from tricircle.core.links import LinkEdit, make_link_edit, strip_version
from tricircle.core.model import Endpoint, Pod, PodId, Service
from tricircle.core.placing import Topology
from tricircle.core.versions import NOVA_HEADER, STANDARD_HEADER
from tricircle.gateway.answers import Answer, Header
from tricircle.gateway.naming import Names
from tricircle.gateway.outbound import Outbound as Outbound
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound
from tricircle.interfaces.cloud import Cloud, PodRequest

_OWN_HEADERS = frozenset({STANDARD_HEADER, NOVA_HEADER, b"x-openstack-request-id", b"accept"})
_LOCATION = b"location"


class Forwarder:
    """Sends requests to pods and edits what must differ between a pod's answer and the top's."""

    def __init__(
        self,
        cloud: Cloud,
        profile: Profile,
        topology: Callable[[], Topology],
        timeout_s: float,
        names: Names,
    ) -> None:
        self._cloud, self._profile, self.names = cloud, profile, names
        self._topology, self._timeout_s = topology, timeout_s
        self._edits: dict[tuple[str, str], LinkEdit] = {}

    @property
    def cloud(self) -> Cloud:
        """Return what requests are sent through."""
        return self._cloud

    @property
    def service(self) -> Service:
        """Return the service of this gateway."""
        return self._profile.service

    async def send(
        self,
        pod: Pod,
        outbound: Outbound,
        zones: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> Answer:
        """Return the pod's answer with links, ids and the zone names at ``zones`` made right.

        Raises PodError.
        """
        inbound = outbound.inbound
        outbound = await self.names.for_pod(pod, outbound)
        endpoint = self.endpoint(pod, inbound)
        request = PodRequest(
            inbound.method,
            inbound.target.prefix + outbound.path,
            outbound.query,
            self.pod_headers(inbound),
            outbound.body or None,
        )
        async with self._cloud.send(
            pod.id, endpoint, request, timeout_s or self._timeout_s
        ) as response:
            body = await response.read()
            answer = Answer(response.status, strip_pod_headers(response.headers), body)
        edited = self._edit(pod, inbound, answer, zones)
        return await self.names.for_client(inbound.naming, edited, inbound.request_id)

    def endpoint(self, pod: Pod, inbound: Inbound) -> Endpoint:
        """Return the pod's endpoint for the API version in the client's URL."""
        endpoint = endpoint_of(pod, self._profile.service)
        if inbound.target.api == self._profile.current_api:
            return endpoint
        return replace(endpoint, url=f"{strip_version(endpoint.url)}/{inbound.target.api}")

    def pod_headers(self, inbound: Inbound) -> list[Header]:
        """Return the headers a pod is sent: the client's, the version decided, our request id."""
        headers = [
            header
            for header in strip_client_headers(inbound.headers)
            if header[0] not in _OWN_HEADERS
        ]
        headers.append((b"accept", b"application/json"))
        headers.append((b"x-openstack-request-id", inbound.request_id.encode()))
        if inbound.target.api == self._profile.current_api:
            value = f"{self._profile.name} {inbound.version}".encode()
            headers.append((STANDARD_HEADER, value))
        return headers

    def edit_item(self, pod: Pod, top_root: str, item: bytes, zones: Sequence[str]) -> bytes:
        """Return a JSON body, or a part of one, with links and zone names of the top."""
        item = self._link_edit(pod, top_root).in_body(item)
        return self._edit_zones(pod.id, item, zones)

    def _edit(self, pod: Pod, inbound: Inbound, answer: Answer, zones: Sequence[str]) -> Answer:
        links = self._link_edit(pod, inbound.top_root)
        headers = [
            (name, links.in_location(value)) if name == _LOCATION else (name, value)
            for name, value in answer.headers
        ]
        if not answer.body or not answer.is_json:
            return Answer(answer.status, headers, answer.body)
        body = links.in_body(answer.body)
        if answer.status < 300:
            body = self._edit_zones(pod.id, body, zones)
        return Answer(answer.status, headers, body)

    def _edit_zones(self, pod_id: PodId, body: bytes, zones: Sequence[str]) -> bytes:
        topology = self._topology()

        def to_top(value: object) -> object:
            return topology.top_zone(pod_id, value) if isinstance(value, str) else value

        for place in zones:
            body = replace_value(body, place, to_top)
        return body

    def _link_edit(self, pod: Pod, top_root: str) -> LinkEdit:
        url = pod.endpoints[self._profile.service].url
        edit = self._edits.get((url, top_root))
        if edit is None:
            if len(self._edits) > 10_000:  # a client chooses its Host header
                self._edits.clear()
            edit = self._edits[(url, top_root)] = make_link_edit(url, top_root)
        return edit


def endpoint_of(pod: Pod, service: Service) -> Endpoint:
    """Return a service of a pod. Raises ServiceUnavailable when it has none."""
    endpoint = pod.endpoints.get(service)
    if endpoint is None:
        raise ServiceUnavailable(
            f"pod {pod.name} has no {service} endpoint; an operator must refresh the pod"
        )
    return endpoint
