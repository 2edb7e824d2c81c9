"""Pods over HTTP: ``interfaces.cloud.Cloud`` on aiohttp's client."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp

from tricircle.adapters.clock import SystemClock
from tricircle.adapters.cloud.exchange import Exchange, SentRequest, Wire
from tricircle.adapters.cloud.health import Counters, PodService, PodWatch, Rhythm
from tricircle.adapters.config import GatewaySettings
from tricircle.core.model import Endpoint, Pod, PodId, Service
from tricircle.interfaces.cloud import PodRequest

# Shorter than the shortest idle timeout of common API servers (5 s), so that we
# close an idle connection before the pod does, in the middle of our next request.
_KEEPALIVE_S = 4.0


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What bounds a pod: connections, time to connect, size of what it sends."""

    connections_per_pod: int = 64
    connect_timeout_s: float = 2.0
    max_answer_bytes: int = 64 * 1024 * 1024
    max_headers: int = 128
    max_header_bytes: int = 32768


@dataclass(frozen=True, slots=True)
class PodTrust:
    """PEM files of the authorities that signed the pods' certificates.

    ``ca_file`` is None for those the system trusts; ``ca_files`` replaces it for
    single pods, by region.
    """

    ca_file: str | None = None
    ca_files: Mapping[str, str] = field(default_factory=dict)


class HttpCloud:
    """Sends requests to pods over pooled connections, never to one that is dead.

    Made and closed inside a running event loop; ``start`` begins to probe.
    """

    def __init__(
        self,
        probed: Service,
        rhythm: Rhythm,
        limits: HttpLimits = HttpLimits(),
        trust: PodTrust = PodTrust(),
    ) -> None:
        """``probed`` is the service whose life is the pod's, e.g. Cinder's for its gateway."""
        self._trust = trust
        self._probed = probed
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._pods: dict[PodId, Pod] = {}
        self._strangers: dict[tuple[PodId, str], PodService] = {}
        self._watch = PodWatch(self._probe, rhythm, SystemClock())
        # Probes never wait for a pooled connection, and prove that new ones are taken.
        probing = aiohttp.TCPConnector(limit=0, force_close=True)
        self._probe_session = _make_session(limits, probing, aiohttp.ClientRequest)
        pool = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=limits.connections_per_pod,
            keepalive_timeout=_KEEPALIVE_S,
        )
        session = _make_session(limits, pool, SentRequest)
        self._wire = Wire(session, self._watch, limits.max_answer_bytes)

    def start(self) -> None:
        """Begin to probe the pods."""
        self._watch.start()

    async def close(self) -> None:
        """End all probes and connections."""
        await self._watch.stop()
        await self._wire.session.close()
        await self._probe_session.close()

    def update_pods(self, pods: Iterable[Pod]) -> None:
        """Know these pods from now on; those that stay keep their health and connections."""
        self._pods = {pod.id: pod for pod in pods}
        self._strangers = {}
        self._watch.replace_services(
            self._make_service(pod.id, endpoint)
            for pod in self._pods.values()
            for endpoint in pod.endpoints.values()
        )

    def send(
        self, pod_id: PodId, endpoint: Endpoint, request: PodRequest, timeout_s: float
    ) -> Exchange:
        """Send one request; see ``interfaces.cloud.Cloud``."""
        service = self._watch.find_service(pod_id, endpoint.service)
        if service is None or service.url != endpoint.url:
            service = self._get_stranger(pod_id, endpoint)
        return Exchange(self._wire, service, request, timeout_s)

    def is_dead(self, pod_id: PodId) -> bool:
        """Tell whether the pod is known dead now (refused, or failed its probe)."""
        service = self._watch.find_service(pod_id, self._probed)
        return service is not None and service.dead

    def get_counters(self) -> Mapping[tuple[PodId, Service], Counters]:
        """Return what happened so far, by pod and service."""
        return {
            (service.pod_id, service.service): service.counters
            for service in self._watch.list_services()
        }

    def _get_stranger(self, pod_id: PodId, endpoint: Endpoint) -> PodService:
        """Return a service that is not watched, e.g. of a pod that is being added."""
        key = (pod_id, endpoint.url)
        if key not in self._strangers:
            self._strangers[key] = self._make_service(pod_id, endpoint)
        service = self._strangers[key]
        service.dead = False  # nothing probes it: ask again each time
        return service

    def _make_service(self, pod_id: PodId, endpoint: Endpoint) -> PodService:
        pod = self._pods.get(pod_id)
        ca_file = self._trust.ca_files.get(pod.region if pod else "", self._trust.ca_file)
        return PodService(
            pod_id=pod_id,
            pod_name=pod.name if pod else pod_id,
            service=endpoint.service,
            url=endpoint.url,
            tls=self._get_context(ca_file) if endpoint.url.startswith("https:") else True,
            always_probed=endpoint.service is self._probed,
        )

    def _get_context(self, ca_file: str | None) -> ssl.SSLContext:
        if ca_file not in self._contexts:
            self._contexts[ca_file] = ssl.create_default_context(cafile=ca_file)
        return self._contexts[ca_file]

    async def _probe(self, service: PodService) -> bool:
        """Ask for the version document; anything but a server error is a sign of life."""
        try:
            async with self._probe_session.get(
                f"{service.url}/", allow_redirects=False, ssl=service.tls
            ) as response:
                return response.status < 500
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False


def make_cloud(settings: GatewaySettings, probed: Service) -> HttpCloud:
    """Return the cloud a program talks to, as its options say."""
    return HttpCloud(
        probed,
        Rhythm(settings.probe_deadline_s, settings.probe_interval_s),
        HttpLimits(
            connections_per_pod=settings.connections_per_pod,
            connect_timeout_s=settings.connect_timeout_s,
            max_answer_bytes=settings.max_answer_bytes,
            max_headers=settings.max_headers,
            max_header_bytes=settings.max_header_bytes,
        ),
        PodTrust(settings.pod_ca_file, settings.pod_ca_files),
    )


def _make_session(
    limits: HttpLimits, connector: aiohttp.TCPConnector, request: type[aiohttp.ClientRequest]
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        request_class=request,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_timeout_s),
        max_line_size=limits.max_header_bytes,
        max_field_size=limits.max_header_bytes,
        max_headers=limits.max_headers,
    )
