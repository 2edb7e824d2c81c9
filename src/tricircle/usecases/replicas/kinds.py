"""Where the replicas of a pod are had."""

from __future__ import annotations

from typing import assert_never

from tricircle.core.model import Pod
from tricircle.core.wishes import SERVICES, Replica
from tricircle.interfaces.cloud import Cloud, ServiceCredential
from tricircle.usecases.replicas.default_types import DefaultTypes
from tricircle.usecases.replicas.flavors import Flavors
from tricircle.usecases.replicas.group_types import GroupTypes
from tricircle.usecases.replicas.keypairs import KeyPairs
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.qos_specs import QosSpecsOfPod
from tricircle.usecases.replicas.replica_kind import ReplicaKind
from tricircle.usecases.replicas.volume_types import VolumeTypes
from tricircle.usecases.twin_ids import TwinIds


class ReplicaKinds:
    """Where the replicas of pods are had. One for each process."""

    def __init__(
        self, cloud: Cloud, credential: ServiceCredential, timeout_s: float, twins: TwinIds
    ) -> None:
        self._cloud, self._credential, self._timeout_s = cloud, credential, timeout_s
        self._twins = twins

    def find(self, pod: Pod, resource: Replica, request_id: str) -> ReplicaKind | None:
        """Return a kind of replicas of a pod, None for a pod without the service."""
        endpoint = pod.endpoints.get(SERVICES[resource])
        if endpoint is None:
            return None
        service = PodService(
            self._cloud, self._credential, pod, endpoint, request_id, self._timeout_s
        )
        match resource:
            case Replica.FLAVOR:
                return Flavors(service)
            case Replica.KEYPAIR:
                return KeyPairs(service)
            case Replica.VOLUME_TYPE:
                return VolumeTypes(service, self._twins)
            case Replica.QOS_SPECS:
                return QosSpecsOfPod(service)
            case Replica.GROUP_TYPE:
                return GroupTypes(service)
            case Replica.DEFAULT_TYPE:
                return DefaultTypes(service, self._twins)
            case _:
                assert_never(resource)
