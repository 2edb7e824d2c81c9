"""The part all simulated services share: mounts, tokens and request ids."""

from dataclasses import dataclass
from typing import Protocol

from tricircle.testing.cloud.callers import Caller
from tricircle.testing.cloud.http import Answer, Request, answer_json
from tricircle.testing.cloud.sources import Clock, Ids


class Tokens(Protocol):
    """Whoever can say to whom a token belongs."""

    def find_caller(self, token: str) -> Caller | None:
        """Return the owner of a valid token."""

    def has_project(self, project_id: str) -> bool:
        """Tell whether there is a project of this id."""


@dataclass(frozen=True, slots=True)
class World:
    """What all services of one simulation share: who is known, the time, new ids."""

    tokens: Tokens
    clock: Clock
    ids: Ids


class Service:
    """One API of a pod, or of all pods, under one mount."""

    def __init__(self, name: str, service_type: str, world: World) -> None:
        self.name = name
        self.service_type = service_type
        self.tokens = world.tokens
        self.ids = world.ids

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        raise NotImplementedError

    def authenticate(self, request: Request) -> Caller | None:
        """Return the caller if the token is good and may do this request."""
        token = request.headers.get("x-auth-token")
        caller = self.tokens.find_caller(token) if token else None
        if caller is None or caller.access_rules is None:
            return caller
        allowed = any(
            rule.allows(self.service_type, request.method, request.path)
            for rule in caller.access_rules
        )
        return caller if allowed else None

    def request_id(self) -> str:
        """Return a new request id."""
        return "req-" + self.ids()


def unauthorized(identity_url: str) -> Answer:
    """Return keystonemiddleware's answer to a missing or bad token."""
    error = {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
    answer = answer_json({"error": error}, 401)
    answer.headers.append(("www-authenticate", f'Keystone uri="{identity_url}/v3"'))
    return answer
