"""Pods over HTTP: ``interfaces.cloud.Cloud`` on connections of our own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tricircle.adapters.clock import SystemClock
from tricircle.adapters.cloud.connection import AnswerLimits, Closed, Unusable
from tricircle.adapters.cloud.exchange import Exchange, Wire
from tricircle.adapters.cloud.health import Counters, PodService, PodWatch, Rhythm
from tricircle.adapters.cloud.outgoing import make_head
from tricircle.adapters.cloud.pool import ConnectTimeout, Origin, Pool, Route, connect, parse_origin
from tricircle.adapters.config import GatewaySettings
from tricircle.core.model import Endpoint, Pod, PodId, Service
from tricircle.interfaces.cloud import PodRequest

PoolKey = tuple[PodId, Service, Route]

_PROBE = PodRequest("GET", "/")


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
        self._limits = limits
        self._pools: dict[PoolKey, Pool] = {}
        self._wire = Wire(self._watch, asyncio.get_running_loop())

    def start(self) -> None:
        """Begin to probe the pods."""
        self._watch.start()

    async def close(self) -> None:
        """End all probes and connections."""
        await self._watch.stop()
        for pool in self._pools.values():
            pool.close()
        await asyncio.sleep(0)  # the transports close in the next turn of the loop

    def update_pods(self, pods: Iterable[Pod]) -> None:
        """Know these pods from now on; those that stay keep their health and connections."""
        self._pods = {pod.id: pod for pod in pods}
        self._strangers = {}
        self._pools = {
            key: pool
            for key, pool in self._pools.items()
            if key[0] in self._pods or not pool.is_unused
        }
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
        service = PodService(
            pod_id=pod_id,
            pod_name=pod.name if pod else pod_id,
            service=endpoint.service,
            url=endpoint.url,
            tls=self._get_context(ca_file) if endpoint.url.startswith("https:") else None,
            always_probed=endpoint.service is self._probed,
        )
        with contextlib.suppress(ValueError):
            service.origin = parse_origin(endpoint.url)
            service.pool = self._get_pool(service, service.origin)
        return service

    def _get_pool(self, service: PodService, origin: Origin) -> Pool:
        """Return the connections of a service; the versions of its API share them."""
        limits = self._limits
        route = Route(
            origin.host,
            origin.port,
            service.tls,
            limits.connect_timeout_s,
            AnswerLimits(limits.max_answer_bytes, limits.max_headers, limits.max_header_bytes),
        )
        key = (service.pod_id, service.service, route)
        if key not in self._pools:
            self._pools[key] = Pool(route, limits.connections_per_pod)
        return self._pools[key]

    def _get_context(self, ca_file: str | None) -> ssl.SSLContext:
        if ca_file not in self._contexts:
            self._contexts[ca_file] = ssl.create_default_context(cafile=ca_file)
        return self._contexts[ca_file]

    async def _probe(self, service: PodService) -> bool:
        """Ask for the version document; anything but a server error is a sign of life.

        On a connection of its own: a probe never waits for one of the pool, and proves
        that new ones are taken.
        """
        if service.origin is None or service.pool is None:
            return False
        try:
            connection = await connect(service.pool.route)
        except ConnectTimeout:
            return False
        try:
            connection.send(make_head(service.origin, _PROBE), is_head_request=False)
            await connection.wait_for_head()
        except (Closed, Unusable):
            return False
        finally:
            connection.abort()
        return connection.status < 500


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
