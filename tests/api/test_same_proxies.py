"""What a pod's Nova says of other services is what the top says, up to 2.35 and above.

Each request is sent to the top and straight to the first pod, with one token. Only the roots of
links may differ, and ids of requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from string import Template

import pytest

from tests.api.places import Place

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Request = tuple[str, str, str, object]
GROUPS, RULES = "/os-security-groups", "/os-security-group-rules"
FLOATING_IPS, VOLUMES, SNAPSHOTS = "/os-floating-ips", "/os-volumes", "/os-snapshots"
IMAGE = "/images/$IMAGE"

READ = [
    "/images",
    "/images?limit=1",
    "/images/detail?limit=1",
    "/images?name=none",
    IMAGE,
    f"{IMAGE}/metadata",
    f"{SNAPSHOTS}/$SNAPSHOT_IN_EAST",
    f"{VOLUMES}?offset=99",
    f"{SNAPSHOTS}?offset=99",
    FLOATING_IPS,
    f"{GROUPS}?offset=99",
]
BAD: list[Request] = [
    ("member", "GET", "/images?limit=0", None),
    ("member", "GET", "/images?limit=many", None),
    ("member", "GET", "/images?marker=none", None),
    ("member", "GET", "/images/$ABSENT", None),
    ("member", "GET", "/images/$ABSENT/metadata", None),
    ("member", "GET", f"{IMAGE}/metadata/none", None),
    ("member", "POST", f"{IMAGE}/metadata", {}),
    ("member", "POST", f"{IMAGE}/metadata", {"metadata": {"a": 1}}),
    ("member", "PUT", f"{IMAGE}/metadata", {"metadata": []}),
    ("member", "PUT", f"{IMAGE}/metadata/a", {"meta": {"b": "1"}}),
    ("member", "DELETE", f"{IMAGE}/metadata/none", None),
    ("member", "DELETE", "/images/$ABSENT", None),
    ("reader", "DELETE", IMAGE, None),
    ("reader", "POST", f"{IMAGE}/metadata", {"metadata": {"a": "1"}}),
    ("member", "GET", f"{VOLUMES}?limit=-1", None),
    ("member", "GET", f"{VOLUMES}/detail?offset=many", None),
    ("member", "GET", f"{VOLUMES}/$ABSENT", None),
    ("member", "GET", f"{VOLUMES}/a-name", None),
    ("member", "GET", f"{VOLUMES}/$OTHER_VOLUME", None),
    ("member", "DELETE", f"{VOLUMES}/$ABSENT", None),
    ("member", "DELETE", f"{VOLUMES}/$VOLUME_IN_EAST", None),
    ("reader", "DELETE", f"{VOLUMES}/$VOLUME_IN_EAST", None),
    ("member", "POST", VOLUMES, {}),
    ("member", "POST", VOLUMES, {"volume": {}}),
    ("member", "POST", VOLUMES, {"volume": {"size": 0}}),
    ("member", "POST", VOLUMES, {"volume": {"size": 1, "none": 1}}),
    ("member", "POST", VOLUMES, {"volume": {"size": 1, "snapshot_id": "none"}}),
    ("member", "POST", VOLUMES, {"volume": {"size": 1, "snapshot_id": "$ABSENT"}}),
    ("member", "POST", VOLUMES, {"volume": {"size": 1, "volume_type": "none"}}),
    ("reader", "POST", VOLUMES, {"volume": {"size": 1}}),
    ("member", "GET", f"{SNAPSHOTS}?limit=many", None),
    ("member", "GET", f"{SNAPSHOTS}/$ABSENT", None),
    ("member", "GET", f"{SNAPSHOTS}/$OTHER_SNAPSHOT", None),
    ("member", "DELETE", f"{SNAPSHOTS}/$ABSENT", None),
    ("reader", "DELETE", f"{SNAPSHOTS}/$SNAPSHOT_IN_EAST", None),
    ("member", "POST", SNAPSHOTS, {}),
    ("member", "POST", SNAPSHOTS, {"snapshot": {}}),
    ("member", "POST", SNAPSHOTS, {"snapshot": {"volume_id": "$ABSENT"}}),
    ("member", "POST", SNAPSHOTS, {"snapshot": {"volume_id": "none"}}),
    ("member", "POST", SNAPSHOTS, {"snapshot": {"volume_id": "$ABSENT", "force": "maybe"}}),
    ("member", "GET", "/os-networks/$ABSENT", None),
    ("member", "GET", "/os-networks/a-name", None),
    ("member", "GET", "/os-tenant-networks/$ABSENT", None),
    ("member", "GET", f"{FLOATING_IPS}/$ABSENT", None),
    ("member", "GET", f"{FLOATING_IPS}/a-name", None),
    ("member", "DELETE", f"{FLOATING_IPS}/$ABSENT", None),
    ("reader", "DELETE", f"{FLOATING_IPS}/$ABSENT", None),
    ("member", "POST", FLOATING_IPS, {"pool": 1}),
    ("member", "POST", FLOATING_IPS, []),
    ("member", "POST", FLOATING_IPS, {"pool": "none"}),
    ("member", "POST", FLOATING_IPS, {"pool": "$ABSENT"}),
    ("reader", "POST", FLOATING_IPS, {}),
    ("member", "GET", f"{GROUPS}?limit=many", None),
    ("member", "GET", f"{GROUPS}?offset=-1", None),
    ("member", "GET", f"{GROUPS}/$ABSENT", None),
    ("member", "GET", f"{GROUPS}/a-name", None),
    ("member", "DELETE", f"{GROUPS}/$ABSENT", None),
    ("reader", "DELETE", f"{GROUPS}/$ABSENT", None),
    ("member", "POST", GROUPS, {}),
    ("member", "POST", GROUPS, []),
    ("member", "POST", GROUPS, {"security_group": {"name": "x"}}),
    ("member", "POST", GROUPS, {"security_group": {"name": 1, "description": None}}),
    ("member", "POST", GROUPS, {"security_group": {"name": "x" * 256, "description": ""}}),
    ("member", "POST", GROUPS, {"security_group": {"name": "default", "description": ""}}),
    ("reader", "POST", GROUPS, {"security_group": {"name": "x", "description": ""}}),
    ("reader", "POST", GROUPS, {}),
    ("member", "PUT", f"{GROUPS}/$ABSENT", {}),
    ("member", "PUT", f"{GROUPS}/$ABSENT", {"security_group": {"name": "x", "description": ""}}),
    ("member", "PUT", f"{GROUPS}/none", {"security_group": {"name": "x", "description": ""}}),
    ("member", "POST", RULES, {}),
    ("member", "POST", RULES, {"security_group_rule": {}}),
    ("member", "POST", RULES, {"security_group_rule": {"parent_group_id": "none"}}),
    ("member", "POST", RULES, {"security_group_rule": {"parent_group_id": "$ABSENT"}}),
    ("reader", "POST", RULES, {"security_group_rule": {"parent_group_id": "$ABSENT"}}),
    ("member", "DELETE", f"{RULES}/$ABSENT", None),
    ("member", "DELETE", f"{RULES}/none", None),
    ("reader", "DELETE", f"{RULES}/$ABSENT", None),
    ("member", "GET", "/os-baremetal-nodes", None),
    ("admin", "GET", "/os-baremetal-nodes/$ABSENT", None),
    ("member", "POST", "/os-baremetal-nodes", {}),
    ("member", "POST", "/os-baremetal-nodes/$ABSENT/action", {"remove_interface": {}}),
    ("member", "POST", "/os-baremetal-nodes/$ABSENT/action", {"none": {}}),
    ("member", "GET", "/os-volumes_boot/$ABSENT", None),
    ("member", "POST", "/os-volumes_boot", {}),
]
GONE = [
    "/images",
    IMAGE,
    "/os-volumes",
    "/os-snapshots/detail",
    "/os-networks",
    "/os-tenant-networks/$ABSENT",
    "/os-floating-ip-pools",
    "/os-floating-ips/$ABSENT",
    "/os-security-groups",
    "/os-baremetal-nodes",
]


def ask(
    place: Place, values: Mapping[str, str], root: str, request: Request, version: str
) -> tuple[int, str]:
    """Return status and body of an answer, made independent of where and when it was given."""
    who, method, path, body = request
    path, body = json.loads(Template(json.dumps([path, body])).substitute(values))
    headers = {"OpenStack-API-Version": f"compute {version}"}
    status, document = place.people[who].ask(method, f"{root}/v2.1{path}", body, headers)
    text = json.dumps(document, sort_keys=True).replace(root, "ROOT")
    return status, REQUEST_ID.sub("REQ", text)


def both(
    place: Place, values: Mapping[str, str], request: Request, version: str = "2.35"
) -> tuple[tuple[int, str], tuple[int, str]]:
    """Return the answer of the top and that of the pod."""
    top = ask(place, values, place.top("compute"), request, version)
    return top, ask(place, values, place.pod("compute", 1), request, version)


def name_of(request: object) -> str:
    if not isinstance(request, tuple):
        return str(request)
    return " ".join(part if isinstance(part, str) else json.dumps(part)[:80] for part in request)


@pytest.mark.parametrize("path", READ)
def test_what_is_read_is_what_the_pod_says(
    place: Place, values: Mapping[str, str], path: str
) -> None:
    top, pod = both(place, values, ("member", "GET", path, None))
    assert top[0] == 200
    assert top == pod


@pytest.mark.parametrize("request_", BAD, ids=name_of)
def test_a_bad_request_is_refused_as_the_pod_refuses_it(
    place: Place, values: Mapping[str, str], request_: Request
) -> None:
    top, pod = both(place, values, request_)
    assert top[0] >= 400
    assert top == pod


@pytest.mark.parametrize("path", GONE)
def test_what_is_gone_is_gone_as_in_the_pod(
    place: Place, values: Mapping[str, str], path: str
) -> None:
    top, pod = both(place, values, ("member", "GET", path, None), "2.39")
    assert top[0] == 404
    assert top == pod
