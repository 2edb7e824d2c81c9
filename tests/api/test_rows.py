"""Every row of the API tables is tried: what is served by a case, what is refused by itself."""

from __future__ import annotations

import pytest

from tests.api.cases import TABLES, list_cases
from tests.api.places import Place
from tricircle.core.table import Refuse, Row, fill_path, parameters

ABSENT = "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"
CASES = [(case, case.row) for case in list_cases()]

NEVER_GOOD = {
    "DELETE /os-services/{id}": "would take a host from a pod for good",
    "GET /os-hypervisors/{id}/uptime": "needs a hypervisor that tells it, as libvirt's does",
    "GET /servers/{server_id}/migrations/{id}": "needs a live migration that lasts",
    "DELETE /servers/{server_id}/migrations/{id}": "needs a live migration that lasts",
    "POST /servers/{server_id}/migrations/{id}/action": "needs a live migration that lasts",
    "GET /os-baremetal-nodes": "needs Ironic",
    "GET /os-baremetal-nodes/{id}": "needs Ironic",
    "POST /os-baremetal-nodes": "is refused by Nova itself",
    "DELETE /os-baremetal-nodes/{id}": "is refused by Nova itself",
    "POST /os-baremetal-nodes/{id}/action": "is refused by Nova itself",
    "GET /servers/{server_id}/shares/{id}": "needs Manila",
    "POST /servers/{server_id}/shares": "needs Manila",
    "DELETE /servers/{server_id}/shares/{id}": "needs Manila",
    "DELETE /groups/{id}": "is not carried out by Cinder itself, which has an action for it",
    "PUT /os-services/failover": "needs a backend that replicates",
    "PUT /os-services/failover_host": "needs a backend that replicates",
    "PUT /os-hosts": "is not carried out by Cinder itself",
    "PUT /os-hosts/{host_name}": "is not carried out by Cinder itself",
    "GET /{admin_project_id}/os-hosts": "is below a second project, where Cinder has nothing",
    "PUT /{admin_project_id}/os-hosts": "is below a second project, where Cinder has nothing",
    "GET /{admin_project_id}/os-hosts/{host_name}": "is below a second project, as well",
    "PUT /{admin_project_id}/os-hosts/{host_name}": "is below a second project, as well",
    "GET /{admin_project_id}/os-quota-sets/{project_id}": "is below a second project, as well",
    "PUT /{admin_project_id}/os-quota-sets/{project_id}": "is below a second project, as well",
    "DELETE /{admin_project_id}/os-quota-sets/{project_id}": "is below a second project, as well",
    "GET /{admin_project_id}/os-quota-sets/{project_id}/defaults": "is below one, as well",
    "GET /{admin_project_id}/os-quota-class-sets/{name}": "is below a second project, as well",
    "PUT /{admin_project_id}/os-quota-class-sets/{name}": "is below a second project, as well",
    "GET /clusters/{id}": "needs a cluster of volume services",
    "PUT /clusters/enable": "needs a cluster of volume services",
    "PUT /clusters/disable": "needs a cluster of volume services",
}
"""Rows of which every case ends in an error, and why."""


def rows(refused: bool) -> list[tuple[str, Row]]:
    return [
        (service, row)
        for service, table in TABLES.items()
        for row in table.rows
        if isinstance(row.strategy, Refuse) == refused
    ]


def name_of(row: Row) -> str:
    return f"{row.method} {row.path}"


TRIED = {(case.service_of_row, name_of(row)) for case, row in CASES if row}
SUCCEEDED = {
    (case.service_of_row, name_of(row)) for case, row in CASES if row and case.status[0] in "23"
}


def id_of(value: object) -> str:
    return name_of(value) if isinstance(value, Row) else str(value)


@pytest.mark.parametrize(("service", "row"), rows(refused=False), ids=id_of)
def test_a_row_that_is_served_has_a_case(service: str, row: Row) -> None:
    assert (service, name_of(row)) in TRIED


@pytest.mark.parametrize(("service", "row"), rows(refused=False), ids=id_of)
def test_a_row_that_is_served_has_a_case_that_succeeds(service: str, row: Row) -> None:
    assert ((service, name_of(row)) in SUCCEEDED) != (name_of(row) in NEVER_GOOD)


@pytest.mark.parametrize(("service", "row"), rows(refused=True), ids=id_of)
def test_a_row_that_is_refused_says_so_in_the_services_own_form(
    place: Place, service: str, row: Row
) -> None:
    assert isinstance(row.strategy, Refuse)
    member = place.member
    root = {"compute": "/v2.1", "volume": f"/v3/{member.project_id}"}[service]
    path = fill_path(row.path, dict.fromkeys(parameters(row.path), ABSENT))
    url = place.top({"compute": "compute", "volume": "volumev3"}[service])
    body: dict[str, str] | None = {} if row.method in ("POST", "PUT") else None
    status, answer = member.ask(row.method, f"{url}{root}{path}", body)
    words = {
        410: {"computeFault": {"code": 410, "message": row.strategy.reason}},
        501: {
            "notImplemented": {
                "code": 501,
                "message": f"{name_of(row)} is not served by this gateway yet",
            }
        },
    }
    assert (status, answer) == (row.strategy.status, words[row.strategy.status])
