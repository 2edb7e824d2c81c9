"""Every error of the project.

A class exists because someone catches it or answers it differently. Its
message names the thing, its id and the next step; ``gateway.faults`` and
``admin.faults`` alone turn it into HTTP.
"""

from __future__ import annotations

from tricircle.core.model import Kind, PodId


class TricircleError(Exception):
    """An error whose message may be shown to whoever sent the request."""


class BadInput(TricircleError):
    """The request itself is wrong: 400."""


class MalformedBody(BadInput):
    """The body is not JSON, or not the JSON object it must be: 400."""


class BodyTooLarge(TricircleError):
    """The body exceeds what this gateway accepts: 413."""


class Unauthorized(TricircleError):
    """No token, or one that Keystone does not accept: 401."""


class Forbidden(TricircleError):
    """The token is good but does not allow this: 403."""


class OverLimit(TricircleError):
    """A quota of Cinder's is used up: 413; may be tried again when something was given back."""


class NotFound(TricircleError):
    """The thing named in the request does not exist for this caller: 404."""


class Conflict(TricircleError):
    """The request contradicts what is there: 409."""


class Duplicate(Conflict):
    """Something with this name, region or key exists already: 409."""


class PodInUse(Conflict):
    """The pod still holds resources or serves zones: 409."""


class StillInUse(Conflict):
    """What is to be removed is in use; it can be removed once it is not: 409."""


class Gone(TricircleError):
    """The service itself has removed this API: 410."""


class NotBuiltYet(TricircleError):
    """The service has this API and the gateway does not forward it yet: 501."""


class NotAcceptable(TricircleError):
    """The microversion asked for is malformed (400 in ``BadInput``) or out of range: 406."""


class NoPodInZone(TricircleError):
    """No enabled pod serves the zone asked for."""

    def __init__(self, zone: str) -> None:
        super().__init__(
            f"no enabled pod serves availability zone '{zone}'; see GET /v1/pods of the Admin API"
        )
        self.zone = zone


class TagsLacking(TricircleError):
    """Pods serve the zone, and none has the tags that a flavor or volume type demands: 503."""

    def __init__(self, zone: str | None, tags: str) -> None:
        place = f" of availability zone '{zone}'" if zone else ""
        super().__init__(
            f"no enabled pod{place} has the tags that the flavor or volume type demands ({tags}); "
            "see GET /v1/placement of the Admin API"
        )
        self.tags = tags


class DifferentPods(BadInput):
    """Two resources that must be in one pod are in two: 400."""


class PodError(TricircleError):
    """A pod could not be asked; what it would have said is unknown."""

    def __init__(self, pod_id: PodId, message: str) -> None:
        super().__init__(message)
        self.pod_id = pod_id


class PodDead(PodError):
    """The pod refuses connections or failed its probe; nothing was sent: 503."""


class PodTimeout(PodError):
    """The pod did not answer in time; whether it acted is unknown: 504."""


class PodMisbehaved(PodError):
    """The pod's answer is not usable HTTP, or not the JSON it should be: 502."""


class TwinRefused(PodError):
    """A pod said no to a twin: 503 where nobody knows what is wrong, another pod may take it.

    ``status`` is the pod's.
    """

    def __init__(self, pod_id: PodId, status: int, message: str) -> None:
        super().__init__(pod_id, message)
        self.status = status


class NeutronRefused(TwinRefused):
    """A Neutron said no. Where nobody knows what the caller did wrong: 503, another pod may do it.

    ``status``, ``reason`` (Neutron's name of the error), ``detail`` and ``request_id`` are its
    answer.
    """

    def __init__(
        self, pod_id: PodId, status: int, reason: str, detail: str, request_id: str = ""
    ) -> None:
        answer = f"Neutron of pod {pod_id} answered {status} {reason}: {detail}"
        super().__init__(pod_id, status, answer)
        self.reason = reason
        self.detail = detail
        self.request_id = request_id


class ServiceFault(TricircleError):
    """Something that the service itself does not expect, in its own words: 500.

    ``cause`` is the name of the class of the error.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"Unexpected API Error. Please contact the administrator\n<class '{cause}'>"
        )


class TwinBusy(TricircleError):
    """Another process is making this twin and has not finished in time: 503, may be repeated."""

    def __init__(self, kind: Kind, top_id: str) -> None:
        super().__init__(f"{kind} {top_id} is being prepared in its pod; please retry")


class ServiceUnavailable(TricircleError):
    """Something the gateway itself needs (Keystone, the database, every pod) is away: 503."""
