"""The steps that flavors, volume types and group types take alike: specs, and who may use them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.model import Version
from tricircle.core.replica_plans import Admit, Expel, SetSpecs, UnsetSpec
from tricircle.core.wishes import Document
from tricircle.usecases.replicas.pod_service import PodService

SpecStep = SetSpecs | UnsetSpec | Admit | Expel


@dataclass(frozen=True, slots=True)
class SpecWords:
    """What a service calls them: the last part of the path, the key in a body, the actions.

    ``guarded`` specs cannot be changed while the thing is in use.
    """

    path: str
    key: str
    admit: str = ""
    expel: str = ""
    project: str = ""
    guarded: bool = False


class SpecSteps:
    """Takes such steps in one pod."""

    def __init__(self, service: PodService, version: Version, words: SpecWords) -> None:
        self._service, self._version, self._words = service, version, words

    async def take(self, path: str, step: SpecStep) -> str:
        """Take a step with what is at a path; return '' or what the pod says."""
        words = self._words
        match step:
            case SetSpecs(specs):
                return await self._change("POST", f"{path}/{words.path}", {words.key: specs})
            case UnsetSpec(name):
                return await self._change("DELETE", f"{path}/{words.path}/{quote(name, safe='')}")
            case Admit(project):
                return await self._act(path, words.admit, project)
            case Expel(project):
                return await self._act(path, words.expel, project)

    async def _change(self, method: str, path: str, body: Document | None = None) -> str:
        if not self._words.guarded:
            return await self._service.attempt(method, path, self._version, body)
        what = f"{method} {path}"
        return await self._service.change_unused(what, method, path, self._version, body)

    async def _act(self, path: str, action: str, project: str) -> str:
        body = {action: {self._words.project: project}}
        return await self._service.attempt("POST", f"{path}/action", self._version, body)
