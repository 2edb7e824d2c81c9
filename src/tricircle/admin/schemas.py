"""The bodies and queries of the Admin API, as pydantic checks and documents them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tricircle.core.model import Kind, Node, Origin, Pod, Routing, RoutingState, Service
from tricircle.core.pod_tags import MAX_TAGS, PREFIX
from tricircle.core.weighing import Verdict
from tricircle.usecases.zones import Zone, ZoneMember

DEFAULT_LIMIT = 1000

# No colon: a pod is a node, and "az:node" must be told apart. No slash: names
# stand in paths.
_POD_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_ZONE_NAME = r"^[A-Za-z0-9](?:[A-Za-z0-9_. -]*[A-Za-z0-9_.-])?$"
_TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
_LINE = r"^[^\x00-\x1f\x7f]*$"
_TAG_NAME = r"^[A-Za-z0-9_.-]+$"
_ID = r"^[A-Za-z0-9_.-]+$"

PodName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=_POD_NAME,
        description="Unique name of the pod. It is the name of its node too.",
        examples=["east"],
    ),
]
RegionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        pattern=_TEXT,
        description="The pod's region in Keystone's catalogue; it cannot be changed later.",
        examples=["RegionEast"],
    ),
]
ZoneNameText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        pattern=_ZONE_NAME,
        description="Name of the availability zone as users see it.",
        examples=["az1"],
    ),
]
PodAz = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^[^:/\x00-\x1f\x7f]*$",
        description="The availability zone that is sent to the pod; empty = none is sent and "
        "the pod uses its default.",
        examples=["nova"],
    ),
]
PodKey = Annotated[
    str, Field(min_length=1, max_length=64, pattern=_TEXT, description="Id or name of a pod.")
]
Description = Annotated[
    str, Field(max_length=255, pattern=_TEXT, description="Free text for operators.")
]
TagName = Annotated[str, Field(min_length=1, max_length=64, pattern=_TAG_NAME)]
TagValue = Annotated[str, Field(min_length=1, max_length=255, pattern=_LINE)]
_TAGS = (
    "What flavors and volume types may demand of a pod, with the extra spec "
    f"'{PREFIX}<name>' = '<value>'."
)
ResourceId = Annotated[str, Field(min_length=1, max_length=255, pattern=_ID)]


class Input(BaseModel):
    """What a client sends: no field that is not known, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """A query: text, so numbers and booleans are read from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PodCreate(Input):
    """A pod to be added."""

    name: PodName
    region: RegionName
    description: Description = ""
    enabled: bool = Field(default=True, description="Whether the pod gets new resources.")
    tags: dict[TagName, TagValue] = Field(
        default_factory=dict, max_length=MAX_TAGS, description=_TAGS, examples=[{"disk": "ssd"}]
    )


class PodCreateBody(Input):
    """Body of POST /v1/pods."""

    pod: PodCreate


class PodUpdate(Input):
    """What of a pod can be changed; what is left out stays as it is."""

    name: PodName | None = None
    description: Description | None = None
    enabled: bool | None = None
    tags: dict[TagName, TagValue | None] | None = Field(
        default=None,
        max_length=MAX_TAGS,
        description="Tags to be set, and with null those to be removed; others stay.",
        examples=[{"disk": "ssd", "gpu": None}],
    )


class PodUpdateBody(Input):
    """Body of PATCH /v1/pods/{pod}."""

    pod: PodUpdate


class ZoneCreate(Input):
    """A pod that shall serve a zone."""

    name: ZoneNameText
    pod: PodKey
    pod_az: PodAz = ""


class ZoneCreateBody(Input):
    """Body of POST /v1/zones."""

    zone: ZoneCreate


class ZonePodUpdate(Input):
    """What of a pod in a zone can be changed."""

    pod_az: PodAz


class ZonePodUpdateBody(Input):
    """Body of PATCH /v1/zones/{zone}/pods/{pod}."""

    zone_pod: ZonePodUpdate


class Page(Query):
    """What part of a list is asked for."""

    limit: int = Field(
        default=DEFAULT_LIMIT, ge=1, le=DEFAULT_LIMIT, description="Most items in one answer."
    )
    marker: str | None = Field(
        default=None, max_length=600, description="Start after this item, as the next link has it."
    )


class PodQuery(Page):
    """Filters, order and page of GET /v1/pods."""

    name: str | None = None
    region: str | None = None
    enabled: bool | None = None
    sort: str = Field(
        default="name:asc",
        max_length=255,
        description="Keys with direction, e.g. region:desc,name. Keys: name, region, enabled, "
        "id, created_at, updated_at.",
    )


class RoutingQuery(Page):
    """Filters and page of GET /v1/routings."""

    kind: Kind | None = None
    top_id: ResourceId | None = None
    pod: PodKey | None = None
    project_id: ResourceId | None = None
    state: RoutingState | None = None


class VersionRangeView(BaseModel):
    """The microversions a service speaks, both ends included."""

    minimum: str = Field(examples=["2.1"])
    maximum: str = Field(examples=["2.104"])


class EndpointView(BaseModel):
    """One service of a pod as it is used."""

    url: str = Field(examples=["http://east.example.org/compute/v2.1"])
    versions: VersionRangeView | None = Field(
        description="null for a service without microversions"
    )


class PodView(BaseModel):
    """A pod."""

    id: str
    name: str
    region: str
    enabled: bool
    description: str
    tags: dict[str, str] = Field(description=_TAGS, examples=[{"disk": "ssd"}])
    endpoints: dict[Service, EndpointView]
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, pod: Pod) -> PodView:
        """Return how a pod is shown."""
        return cls(
            id=pod.id,
            name=pod.name,
            region=pod.region,
            enabled=pod.enabled,
            description=pod.description,
            tags=dict(pod.tags),
            endpoints={
                service: EndpointView(
                    url=endpoint.url,
                    versions=VersionRangeView(
                        minimum=str(endpoint.versions.minimum),
                        maximum=str(endpoint.versions.maximum),
                    )
                    if endpoint.versions
                    else None,
                )
                for service, endpoint in sorted(pod.endpoints.items())
            },
            created_at=pod.created_at,
            updated_at=pod.updated_at,
        )


class Link(BaseModel):
    """Where a list goes on."""

    rel: str = Field(examples=["next"])
    href: str


class PodBody(BaseModel):
    """One pod."""

    pod: PodView


class PodsBody(BaseModel):
    """A page of pods; ``pods_links`` has a next link unless it is the last page."""

    pods: list[PodView]
    pods_links: list[Link] = Field(default_factory=list)


class ZonePodView(BaseModel):
    """A pod that serves a zone."""

    zone: str
    pod_id: str
    pod_name: str
    pod_az: str
    enabled: bool = Field(description="Whether the pod gets new resources.")

    @classmethod
    def of(cls, zone: str, member: ZoneMember) -> ZonePodView:
        """Return how a pod of a zone is shown."""
        return cls(
            zone=zone,
            pod_id=member.pod.id,
            pod_name=member.pod.name,
            pod_az=member.pod_az,
            enabled=member.pod.enabled,
        )


class ZonePodBody(BaseModel):
    """One pod of a zone."""

    zone_pod: ZonePodView


class ZoneView(BaseModel):
    """An availability zone with the pods that serve it."""

    name: str
    pods: list[ZonePodView]

    @classmethod
    def of(cls, zone: Zone) -> ZoneView:
        """Return how a zone is shown."""
        members = [ZonePodView.of(zone.name, member) for member in zone.members]
        return cls(name=zone.name, pods=members)


class ZoneBody(BaseModel):
    """One zone."""

    zone: ZoneView


class ZonesBody(BaseModel):
    """All zones."""

    zones: list[ZoneView]


class RoutingView(BaseModel):
    """Where a resource lives."""

    kind: Kind
    top_id: str
    pod_id: str
    bottom_id: str | None = Field(description="null while the resource is being made")
    project_id: str
    state: RoutingState
    origin: Origin
    owner_id: str | None
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, routing: Routing) -> RoutingView:
        """Return how a routing is shown."""
        return cls.model_validate(routing, from_attributes=True)


class RoutingsBody(BaseModel):
    """A page of routings; ``routings_links`` has a next link unless it is the last page."""

    routings: list[RoutingView]
    routings_links: list[Link] = Field(default_factory=list)


class NodeView(BaseModel):
    """A pod as a host: what it holds in all and how much of it is used."""

    pod_id: str
    name: str
    vcpus: int
    vcpus_used: int
    memory_mib: int
    memory_mib_used: int
    disk_gib: int
    disk_gib_used: int
    volume_gib: int
    volume_gib_used: int
    running_vms: int
    measured_at: datetime | None

    @classmethod
    def of(cls, node: Node) -> NodeView:
        """Return how a node is shown."""
        return cls.model_validate(node, from_attributes=True)


class NodesBody(BaseModel):
    """All nodes."""

    nodes: list[NodeView]


class PlacementParameters(Query):
    """What would be made, for GET /v1/placement."""

    zone: ZoneNameText | None = None
    project_id: ResourceId | None = None
    flavor: str | None = Field(
        default=None, min_length=1, max_length=255, description="Id of a flavor: for servers."
    )
    count: int = Field(default=1, ge=1, le=1000, description="How many servers at once.")
    size: int = Field(default=0, ge=0, le=2**31 - 1, description="GiB: for a volume.")
    volume_type: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="Name or id of a volume type: for a volume, also one made with a server.",
    )


class WeightView(BaseModel):
    """What one weigher says of a pod."""

    weigher: str = Field(examples=["room"])
    value: float
    reason: str = Field(examples=["has no room: 2 of 8 vCPUs free, 4 needed"])


class VerdictView(BaseModel):
    """What becomes of a pod."""

    pod_id: str
    pod: str
    pod_az: str = Field(description="The zone that is sent to the pod; empty = none.")
    candidate: bool
    reason: str = Field(description="Why the pod is out; empty for a candidate.")
    weight: float = Field(description="The sum; candidates are tried in falling order.")
    weights: list[WeightView]

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictView:
        """Return how a verdict is shown."""
        return cls(
            pod_id=verdict.pod.id,
            pod=verdict.pod.name,
            pod_az=verdict.pod_az,
            candidate=not verdict.refusal,
            reason=verdict.refusal,
            weight=round(verdict.weight, 3),
            weights=[
                WeightView.model_validate(one, from_attributes=True) for one in verdict.weights
            ],
        )


class PlacementBody(BaseModel):
    """All pods, in the order they would be tried."""

    placement: list[VerdictView]


class VersionView(BaseModel):
    """A version of this API."""

    id: str
    status: str
    links: list[Link]
    media_types: list[dict[str, str]] = Field(serialization_alias="media-types")


class VersionBody(BaseModel):
    """The version document of /v1."""

    version: VersionView


class VersionsBody(BaseModel):
    """The version document of the root."""

    versions: list[VersionView]


class ErrorView(BaseModel):
    """What went wrong."""

    code: int = Field(examples=[404])
    title: str = Field(examples=["Not Found"])
    message: str = Field(examples=["pod 'west' could not be found; see GET /v1/pods"])


class ErrorBody(BaseModel):
    """An error, in Keystone's form."""

    error: ErrorView
