"""The steps that flavors, volume types and group types take alike: specs, and who may use them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.model import Version
from tricircle.core.replica_plans import Admit, Expel, SetSpecs, UnsetSpec
from tricircle.usecases.replicas.pod_service import PodService

SpecStep = SetSpecs | UnsetSpec | Admit | Expel


@dataclass(frozen=True, slots=True)
class SpecWords:
    """What a service calls them: the last part of the path, the key in a body, the actions."""

    path: str
    key: str
    admit: str = ""
    expel: str = ""
    project: str = ""


class SpecSteps:
    """Takes such steps in one pod."""

    def __init__(self, service: PodService, version: Version, words: SpecWords) -> None:
        self._service, self._version, self._words = service, version, words

    async def take(self, path: str, step: SpecStep) -> str:
        """Take a step with what is at a path; return '' or what the pod says."""
        service, version, words = self._service, self._version, self._words
        match step:
            case SetSpecs(specs):
                body = {words.key: specs}
                return await service.attempt("POST", f"{path}/{words.path}", version, body)
            case UnsetSpec(name):
                there = f"{path}/{words.path}/{quote(name, safe='')}"
                return await service.attempt("DELETE", there, version)
            case Admit(project):
                return await self._act(path, words.admit, project)
            case Expel(project):
                return await self._act(path, words.expel, project)

    async def _act(self, path: str, action: str, project: str) -> str:
        body = {action: {self._words.project: project}}
        return await self._service.attempt("POST", f"{path}/action", self._version, body)
