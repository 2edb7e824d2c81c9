"""One pod of a simulated cloud over HTTP, kept in stores, for jobs that ask it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tricircle.adapters.cloud.health import Rhythm
from tricircle.adapters.cloud.http import HttpCloud
from tricircle.core.model import Endpoint, Pod, PodId, Service, Version, VersionRange
from tricircle.core.runs import Errand
from tricircle.testing.cloud import Pod as SimulatedPod
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.testing.store import MemoryStores

EAST = PodId("pod-east")
ERRAND = Errand("req-measured", 1)


@dataclass
class Credential:
    """``interfaces.cloud.ServiceCredential`` of a simulated cloud."""

    cloud: SimulatedCloud

    async def get_token(self) -> str:
        """Return a new token of the service."""
        return self.cloud.token("tricircle", "service", ("admin", "service"))


@dataclass
class ServedPod:
    """A pod called east, what simulates it, and everything a job needs of it."""

    simulated: SimulatedPod
    http: HttpCloud
    credential: Credential
    root: str
    pod: Pod
    stores: MemoryStores

    async def keep(self, pod: Pod) -> None:
        """Let the stores know the pod like this."""
        self.pod = await self.stores.pods.update_pod(pod.id, lambda _: pod)

    async def without(self, *services: Service) -> None:
        """Let the pod have no such services."""
        left = {key: each for key, each in self.pod.endpoints.items() if key not in services}
        await self.keep(Pod(EAST, "east", "pod1", endpoints=left))


@contextlib.asynccontextmanager
async def open_pod() -> AsyncIterator[ServedPod]:
    """Yield a pod that is served and kept."""
    cloud = SimulatedCloud(pods=("pod1",))
    async with serve(cloud.app) as url:
        http, stores = HttpCloud(Service.COMPUTE, Rhythm()), MemoryStores()
        root = f"{url}/pod1"
        pod = await stores.pods.add_pod(Pod(EAST, "east", "pod1", endpoints=_endpoints(root)))
        yield ServedPod(cloud.pod("pod1"), http, Credential(cloud), root, pod, stores)
        cloud.pod("pod1").faults.clear()
        await http.close()


def _endpoints(root: str) -> dict[Service, Endpoint]:
    def speaks(minimum: Version, maximum: Version) -> VersionRange:
        return VersionRange(minimum, maximum)

    made = (
        Endpoint(Service.COMPUTE, f"{root}/compute/v2.1", speaks(Version(2, 1), Version(2, 104))),
        Endpoint(Service.VOLUME, f"{root}/volume/v3", speaks(Version(3, 0), Version(3, 71))),
        Endpoint(Service.NETWORK, f"{root}/network"),
        Endpoint(Service.PLACEMENT, f"{root}/placement", speaks(Version(1, 0), Version(1, 39))),
    )
    return {endpoint.service: endpoint for endpoint in made}
