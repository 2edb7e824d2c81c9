"""What a pod says of a request is what the top says: the same status, the same bytes.

Each request is sent to the top and straight to the pod that it ends in, with one token. Only the
roots of links may differ, and times and ids that each request makes anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template

import pytest

from tests.api.places import Place

VERSIONS = {"compute": "compute 2.100", "volumev3": "volume 3.71"}
SERVER = "/v2.1/servers/$SERVER_IN_EAST"
VOLUME = "/v3/$PROJECT/volumes/$VOLUME_IN_EAST"
SNAPSHOT = "/v3/$PROJECT/snapshots/$SNAPSHOT_IN_EAST"

READ = [
    ("compute", f"{SERVER}/ips"),
    ("compute", f"{SERVER}/metadata"),
    ("compute", f"{SERVER}/os-instance-actions"),
    ("compute", f"{SERVER}/os-volume_attachments"),
    ("compute", f"{SERVER}/shares"),
    ("compute", f"{SERVER}/tags"),
    ("compute", f"{SERVER}/topology"),
    ("compute", "/v2.1/flavors/detail"),
    ("compute", "/v2.1/flavors?limit=1"),
    ("compute", "/v2.1/os-keypairs"),
    ("compute", "/v2.1/extensions"),
    ("volumev3", SNAPSHOT),
    ("volumev3", f"{VOLUME}/metadata"),
    ("volumev3", f"{VOLUME}/encryption"),
    ("volumev3", "/v3/$PROJECT/resource_filters?resource=backup"),
    ("volumev3", "/v3/$PROJECT/types"),
    ("volumev3", "/v3/$PROJECT/extensions"),
    ("volumev3", "/v3/$PROJECT/resource_filters"),
]
BAD: list[tuple[str, str, str, object]] = [
    ("compute", "GET", f"{SERVER}/metadata/none", None),
    ("compute", "GET", f"{SERVER}/ips/none", None),
    ("compute", "GET", f"{SERVER}/tags/none", None),
    ("compute", "GET", f"{SERVER}/diagnostics", None),
    ("compute", "GET", f"{SERVER}/os-interface/$ABSENT", None),
    ("compute", "GET", f"{SERVER}/os-volume_attachments/$ABSENT", None),
    ("compute", "GET", "/v2.1/servers/$ABSENT", None),
    ("compute", "GET", "/v2.1/servers/a-name", None),
    ("compute", "GET", "/v2.1/servers/$OTHER_SERVER", None),
    ("compute", "GET", "/v2.1/servers?limit=-1", None),
    ("compute", "GET", "/v2.1/servers?limit=many", None),
    ("compute", "GET", "/v2.1/servers?sort_key=none", None),
    ("compute", "GET", "/v2.1/servers?sort_dir=none", None),
    ("compute", "GET", "/v2.1/servers?marker=$ABSENT", None),
    ("compute", "GET", "/v2.1/servers/detail?marker=$ABSENT&limit=1", None),
    ("compute", "GET", "/v2.1/servers?none=1", None),
    ("compute", "GET", "/v2.1/servers?changes-since=none", None),
    ("compute", "GET", "/v2.1/servers?all_tenants=1", None),
    ("compute", "GET", "/v2.1/servers/detail?all_tenants=1", None),
    ("compute", "GET", "/v2.1/flavors/none", None),
    ("compute", "GET", "/v2.1/os-keypairs/none", None),
    ("compute", "GET", "/v2.1/$OTHER_PROJECT/servers", None),
    ("compute", "GET", "/v2.1/limits?tenant_id=$OTHER_PROJECT", None),
    ("compute", "GET", "/v2.1/os-hypervisors", None),
    ("compute", "GET", "/v2.1/os-hypervisors/detail", None),
    ("compute", "GET", "/v2.1/os-hypervisors/$ABSENT", None),
    ("compute", "GET", "/v2.1/os-services", None),
    ("compute", "GET", "/v2.1/os-services?invented=1", None),
    ("compute", "PUT", "/v2.1/os-services/$ABSENT", {"status": "enabled"}),
    ("compute", "PUT", "/v2.1/os-services/$ABSENT", {"status": "none"}),
    ("compute", "PUT", "/v2.1/os-services/none", {"status": "enabled"}),
    ("compute", "DELETE", "/v2.1/os-services/$ABSENT", None),
    ("compute", "GET", "/v2.1/os-hosts", None),
    ("compute", "GET", "/v2.1/os-migrations", None),
    ("compute", "GET", "/v2.1/os-migrations?marker=$ABSENT", None),
    ("compute", "GET", "/v2.1/os-migrations?invented=1", None),
    ("compute", "GET", "/v2.1/os-simple-tenant-usage", None),
    ("compute", "GET", "/v2.1/os-simple-tenant-usage/$OTHER_PROJECT", None),
    ("compute", "GET", "/v2.1/os-simple-tenant-usage/$PROJECT?start=none", None),
    ("compute", "GET", "/v2.1/os-instance_usage_audit_log", None),
    ("compute", "GET", "/v2.1/os-instance_usage_audit_log/none", None),
    ("compute", "GET", "/v2.1/os-console-auth-tokens/$ABSENT", None),
    ("compute", "POST", "/v2.1/os-server-external-events", {"events": []}),
    ("compute", "POST", "/v2.1/os-assisted-volume-snapshots", {"snapshot": {}}),
    ("compute", "DELETE", "/v2.1/os-assisted-volume-snapshots/$ABSENT", None),
    ("compute", "POST", "/v2.1/servers", {}),
    ("compute", "POST", "/v2.1/servers", {"server": {}}),
    ("compute", "POST", "/v2.1/servers", {"server": {"name": "x", "flavorRef": "1"}}),
    (
        "compute",
        "POST",
        "/v2.1/servers",
        {"server": {"name": "", "flavorRef": "1", "networks": "none"}},
    ),
    (
        "compute",
        "POST",
        "/v2.1/servers",
        {"server": {"name": "x", "flavorRef": "1", "networks": "all"}},
    ),
    (
        "compute",
        "POST",
        "/v2.1/servers",
        {"server": {"name": "x", "flavorRef": "none", "imageRef": "$IMAGE", "networks": "none"}},
    ),
    (
        "compute",
        "POST",
        "/v2.1/servers",
        {"server": {"name": "x", "flavorRef": "1", "imageRef": "$ABSENT", "networks": "none"}},
    ),
    (
        "compute",
        "POST",
        "/v2.1/servers",
        {
            "server": {
                "name": "x",
                "flavorRef": "1",
                "imageRef": "$IMAGE",
                "networks": "none",
                "availability_zone": "none",
            }
        },
    ),
    ("compute", "GET", "/v2.1/os-server-groups/$ABSENT", None),
    ("compute", "GET", "/v2.1/os-server-groups/a-name", None),
    ("compute", "GET", "/v2.1/os-server-groups?limit=-1", None),
    ("compute", "GET", "/v2.1/os-server-groups?offset=many", None),
    ("compute", "GET", "/v2.1/os-server-groups?none=1", None),
    ("compute", "DELETE", "/v2.1/os-server-groups/$ABSENT", None),
    ("compute", "POST", "/v2.1/os-server-groups", {}),
    ("compute", "POST", "/v2.1/os-server-groups", {"server_group": {"name": "x"}}),
    (
        "compute",
        "POST",
        "/v2.1/os-server-groups",
        {"server_group": {"name": "x", "policy": "none"}},
    ),
    (
        "compute",
        "POST",
        "/v2.1/os-server-groups",
        {"server_group": {"name": "x", "policy": "affinity", "rules": {"none": 1}}},
    ),
    ("compute", "GET", "/v2.1/os-aggregates", None),
    ("compute", "GET", "/v2.1/os-aggregates/1", None),
    ("compute", "POST", "/v2.1/os-aggregates", {"aggregate": {"name": "x"}}),
    ("compute", "PUT", "/v2.1/os-aggregates/1", {"aggregate": {"name": "x"}}),
    ("compute", "DELETE", "/v2.1/os-aggregates/1", None),
    ("compute", "POST", "/v2.1/os-aggregates/1/action", {"add_host": {"host": "x"}}),
    ("compute", "POST", "/v2.1/os-aggregates/1/images", {"cache": [{"id": "$IMAGE"}]}),
    ("compute", "PUT", SERVER, {}),
    ("compute", "PUT", SERVER, {"server": {"none": 1}}),
    ("compute", "PUT", SERVER, []),
    ("compute", "PUT", f"{SERVER}/metadata/one", {"meta": {"two": "2"}}),
    ("compute", "PUT", f"{SERVER}/tags", {"tags": ["a,b"]}),
    ("compute", "DELETE", f"{SERVER}/metadata/none", None),
    ("compute", "DELETE", "/v2.1/servers/$ABSENT", None),
    ("compute", "POST", f"{SERVER}/action", {"none": None}),
    ("compute", "POST", f"{SERVER}/action", {"unpause": None}),
    ("compute", "POST", f"{SERVER}/action", {"reboot": {"type": "none"}}),
    ("compute", "POST", f"{SERVER}/action", {"os-resetState": {"state": "error"}}),
    ("compute", "POST", f"{SERVER}/action", {}),
    ("compute", "POST", f"{SERVER}/os-volume_attachments", {}),
    (
        "compute",
        "POST",
        f"{SERVER}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": "none"}},
    ),
    (
        "compute",
        "POST",
        f"{SERVER}/os-volume_attachments",
        {"volumeAttachment": {"volumeId": "$ABSENT"}},
    ),
    ("compute", "POST", f"{SERVER}/os-interface", {"interfaceAttachment": {"port_id": "none"}}),
    ("compute", "POST", f"{SERVER}/os-interface", {"interfaceAttachment": {"port_id": "$ABSENT"}}),
    ("compute", "POST", f"{SERVER}/remote-consoles", {"remote_console": {}}),
    ("compute", "POST", "/v2.1/flavors", {}),
    ("compute", "POST", "/v2.1/flavors", []),
    ("compute", "POST", "/v2.1/flavors", {"flavor": {"id": "x"}}),
    ("compute", "POST", "/v2.1/flavors", {"flavor": {"id": 1, "none": 1}}),
    ("compute", "PUT", "/v2.1/flavors/$FLAVOR", {}),
    ("compute", "PUT", "/v2.1/flavors/none", {"flavor": {"description": "x"}}),
    ("compute", "DELETE", "/v2.1/flavors/$FLAVOR", None),
    ("compute", "DELETE", "/v2.1/flavors/none", None),
    ("compute", "POST", "/v2.1/flavors/$FLAVOR/action", {"none": None}),
    ("compute", "POST", "/v2.1/flavors/$FLAVOR/os-extra_specs", {}),
    ("compute", "DELETE", "/v2.1/flavors/$FLAVOR/os-extra_specs/none", None),
    ("compute", "POST", "/v2.1/os-keypairs", {}),
    ("compute", "POST", "/v2.1/os-keypairs", {"keypair": {"name": "x"}}),
    ("compute", "POST", "/v2.1/os-keypairs", {"keypair": {"name": "x/y", "public_key": "x"}}),
    ("compute", "POST", "/v2.1/os-keypairs", {"keypair": {"name": "x", "public_key": "x"}}),
    ("compute", "DELETE", "/v2.1/os-keypairs/none", None),
    ("compute", "DELETE", "/v2.1/os-keypairs/a%20name", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes/a-name", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes/$OTHER_VOLUME", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?limit=many", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?sort=none", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?sort=name:none", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?sort=name&sort_key=size", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?none=1", None),
    ("volumev3", "GET", "/v3/$PROJECT/volumes?offset=none", None),
    ("volumev3", "GET", "/v3/$OTHER_PROJECT/volumes", None),
    ("volumev3", "GET", f"{VOLUME}/metadata/none", None),
    ("volumev3", "GET", "/v3/$PROJECT/snapshots/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/snapshots?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/types/$ABSENT", None),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {"size": 0}}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {"size": 1, "none": 1}}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {"size": 1, "snapshot_id": "none"}}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {"source_volid": "$ABSENT"}}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {"snapshot_id": "$ABSENT"}}),
    ("volumev3", "PUT", VOLUME, {"volume": {}}),
    ("volumev3", "PUT", VOLUME, {}),
    ("volumev3", "PUT", f"{VOLUME}/metadata/one", {"meta": {"two": "2"}}),
    ("volumev3", "POST", f"{VOLUME}/action", {"none": None}),
    ("volumev3", "POST", f"{VOLUME}/action", {"os-extend": {"new_size": 1}}),
    ("volumev3", "POST", f"{VOLUME}/action", {"os-extend": {}}),
    ("volumev3", "POST", f"{VOLUME}/action", {"os-reset_status": {"status": "error"}}),
    ("volumev3", "POST", "/v3/$PROJECT/snapshots", {"snapshot": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/snapshots", {"snapshot": {"volume_id": "$ABSENT"}}),
    ("volumev3", "POST", "/v3/$PROJECT/snapshots", {"snapshot": {"volume_id": "none"}}),
    ("volumev3", "PUT", SNAPSHOT, {"snapshot": {"none": 1}}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {"backup_id": "$ABSENT"}}),
    ("volumev3", "POST", "/v3/$PROJECT/volumes", {"volume": {"size": 1, "backup_id": "none"}}),
    ("volumev3", "POST", f"{VOLUME}/action", {"revert": {"snapshot_id": "$ABSENT"}}),
    ("volumev3", "POST", f"{VOLUME}/action", {"os-retype": {"new_type": "none"}}),
    ("volumev3", "POST", f"{VOLUME}/action", {"os-force_detach": {}}),
    ("volumev3", "POST", f"{VOLUME}/action", {"os-reimage": {"image_id": "none"}}),
    ("volumev3", "GET", "/v3/$PROJECT/snapshots?none=1", None),
    ("volumev3", "GET", "/v3/$PROJECT/backups/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/backups/a-name", None),
    ("volumev3", "GET", "/v3/$PROJECT/backups?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/backups?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/backups?sort=none", None),
    ("volumev3", "GET", "/v3/$PROJECT/backups?none=1", None),
    ("volumev3", "POST", "/v3/$PROJECT/backups", {}),
    ("volumev3", "POST", "/v3/$PROJECT/backups", {"backup": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/backups", {"backup": {"volume_id": "none"}}),
    ("volumev3", "POST", "/v3/$PROJECT/backups", {"backup": {"volume_id": "$ABSENT"}}),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/backups",
        {"backup": {"volume_id": "$VOLUME_IN_EAST", "incremental": True}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/backups",
        {"backup": {"volume_id": "$VOLUME_IN_EAST", "snapshot_id": "$ABSENT"}},
    ),
    ("volumev3", "PUT", "/v3/$PROJECT/backups/$ABSENT", {"backup": {"name": "x"}}),
    ("volumev3", "DELETE", "/v3/$PROJECT/backups/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/backups/$ABSENT/export_record", None),
    ("volumev3", "POST", "/v3/$PROJECT/backups/$ABSENT/restore", {"restore": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/backups/$ABSENT/action", {"none": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/backups/import_record", {}),
    ("volumev3", "POST", "/v3/$PROJECT/backups/import_record", {"backup-record": {}}),
    ("volumev3", "GET", "/v3/$PROJECT/attachments/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/attachments?limit=many", None),
    ("volumev3", "GET", "/v3/$PROJECT/attachments?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/attachments?none=1", None),
    ("volumev3", "POST", "/v3/$PROJECT/attachments", {}),
    ("volumev3", "POST", "/v3/$PROJECT/attachments", {"attachment": {"volume_uuid": "$ABSENT"}}),
    ("volumev3", "POST", "/v3/$PROJECT/attachments", {"attachment": {"volume_uuid": "none"}}),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/attachments",
        {"attachment": {"volume_uuid": "$VOLUME_IN_EAST", "mode": "none"}},
    ),
    (
        "volumev3",
        "PUT",
        "/v3/$PROJECT/attachments/$ABSENT",
        {"attachment": {"connector": {"host": "x"}}},
    ),
    ("volumev3", "DELETE", "/v3/$PROJECT/attachments/$ABSENT", None),
    ("volumev3", "POST", "/v3/$PROJECT/attachments/$ABSENT/action", {"os-complete": {}}),
    ("volumev3", "GET", "/v3/$PROJECT/volume-transfers/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/volume-transfers?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/volume-transfers?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/volume-transfers?sort=name", None),
    ("volumev3", "POST", "/v3/$PROJECT/volume-transfers", {}),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/volume-transfers",
        {"transfer": {"volume_id": "$ABSENT"}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/os-volume-transfer",
        {"transfer": {"volume_id": "$VOLUME_IN_EAST", "no_snapshots": True}},
    ),
    ("volumev3", "DELETE", "/v3/$PROJECT/os-volume-transfer/$ABSENT", None),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/volume-transfers/$ABSENT/accept",
        {"accept": {"auth_key": "x"}},
    ),
    ("volumev3", "POST", "/v3/$PROJECT/volume-transfers/$ABSENT/accept", {"accept": {}}),
    ("volumev3", "GET", "/v3/$PROJECT/messages/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/messages?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/messages?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/messages?none=1", None),
    ("volumev3", "DELETE", "/v3/$PROJECT/messages/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups/a-name", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups?limit=many", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups?sort=none", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups?sort=name&sort_key=id", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/groups?none=1", None),
    ("volumev3", "POST", "/v3/$PROJECT/groups", {}),
    ("volumev3", "POST", "/v3/$PROJECT/groups", {"group": {}}),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/groups",
        {"group": {"group_type": "none", "volume_types": []}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/groups",
        {"group": {"group_type": "none", "volume_types": ["none"]}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/groups",
        {"group": {"group_type": "$ABSENT", "volume_types": ["none"]}},
    ),
    ("volumev3", "PUT", "/v3/$PROJECT/groups/$ABSENT", {"group": {"name": "x"}}),
    ("volumev3", "PUT", "/v3/$PROJECT/groups/$ABSENT", {"group": {}}),
    ("volumev3", "DELETE", "/v3/$PROJECT/groups/$ABSENT", None),
    ("volumev3", "POST", "/v3/$PROJECT/groups/$ABSENT/action", {"delete": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/groups/$ABSENT/action", {"none": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/groups/$ABSENT/action", {"reset_status": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/groups/action", {"none": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/groups/action", {"create-from-src": {}}),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/groups/action",
        {"create-from-src": {"source_group_id": "$ABSENT"}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/groups/action",
        {"create-from-src": {"group_snapshot_id": "$ABSENT"}},
    ),
    ("volumev3", "GET", "/v3/$PROJECT/group_snapshots/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/group_snapshots?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/group_snapshots?marker=$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/group_snapshots?none=1", None),
    ("volumev3", "POST", "/v3/$PROJECT/group_snapshots", {}),
    ("volumev3", "POST", "/v3/$PROJECT/group_snapshots", {"group_snapshot": {}}),
    ("volumev3", "POST", "/v3/$PROJECT/group_snapshots", {"group_snapshot": {"group_id": "none"}}),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/group_snapshots",
        {"group_snapshot": {"group_id": "$ABSENT"}},
    ),
    ("volumev3", "DELETE", "/v3/$PROJECT/group_snapshots/$ABSENT", None),
    ("volumev3", "POST", "/v3/$PROJECT/group_snapshots/$ABSENT/action", {"none": {}}),
    ("volumev3", "GET", "/v3/$PROJECT/consistencygroups/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/consistencygroups?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/consistencygroups?marker=$ABSENT", None),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/consistencygroups",
        {"consistencygroup": {"volume_types": ""}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/consistencygroups/create_from_src",
        {"consistencygroup-from-src": {}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/consistencygroups/create_from_src",
        {"consistencygroup-from-src": {"source_cgid": "$ABSENT", "cgsnapshot_id": "$ABSENT"}},
    ),
    (
        "volumev3",
        "PUT",
        "/v3/$PROJECT/consistencygroups/$ABSENT/update",
        {"consistencygroup": {"name": "x"}},
    ),
    ("volumev3", "POST", "/v3/$PROJECT/consistencygroups/$ABSENT/delete", {"consistencygroup": {}}),
    ("volumev3", "GET", "/v3/$PROJECT/cgsnapshots/$ABSENT", None),
    ("volumev3", "GET", "/v3/$PROJECT/cgsnapshots?limit=-1", None),
    ("volumev3", "GET", "/v3/$PROJECT/cgsnapshots?offset=-1", None),
    ("volumev3", "DELETE", "/v3/$PROJECT/cgsnapshots/$ABSENT", None),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/cgsnapshots",
        {"cgsnapshot": {"consistencygroup_id": "$ABSENT"}},
    ),
    ("volumev3", "GET", "/v3/$PROJECT/os-services", None),
    ("volumev3", "PUT", "/v3/$PROJECT/os-services/enable", {"host": "none", "binary": "none"}),
    ("volumev3", "PUT", "/v3/$PROJECT/os-services/freeze", {"host": "none"}),
    ("volumev3", "PUT", "/v3/$PROJECT/os-services/failover_host", {"host": "none"}),
    ("volumev3", "PUT", "/v3/$PROJECT/os-services/get-log", {}),
    ("volumev3", "PUT", "/v3/$PROJECT/os-services/set-log", {}),
    ("volumev3", "GET", "/v3/$PROJECT/os-hosts", None),
    ("volumev3", "GET", "/v3/$PROJECT/os-hosts/none", None),
    ("volumev3", "PUT", "/v3/$PROJECT/os-hosts/none", {"status": "enable"}),
    ("volumev3", "GET", "/v3/$PROJECT/clusters", None),
    ("volumev3", "GET", "/v3/$PROJECT/clusters/none", None),
    ("volumev3", "PUT", "/v3/$PROJECT/clusters/enable", {"name": "none"}),
    ("volumev3", "POST", "/v3/$PROJECT/workers/cleanup", {}),
    ("volumev3", "GET", "/v3/$PROJECT/scheduler-stats/get_pools", None),
    ("volumev3", "GET", "/v3/$PROJECT/capabilities/none", None),
    ("volumev3", "GET", "/v3/$PROJECT/manageable_volumes?host=none", None),
    ("volumev3", "GET", "/v3/$PROJECT/manageable_snapshots?host=none", None),
    ("volumev3", "GET", "/v3/$PROJECT/os-volume-manage?host=none", None),
    ("volumev3", "GET", "/v3/$PROJECT/os-snapshot-manage/detail?host=none", None),
    ("volumev3", "POST", "/v3/$PROJECT/manageable_volumes", {}),
    ("volumev3", "POST", "/v3/$PROJECT/manageable_volumes", {"volume": {"host": "none"}}),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/manageable_volumes",
        {"volume": {"host": "none", "ref": {}}},
    ),
    (
        "volumev3",
        "POST",
        "/v3/$PROJECT/manageable_snapshots",
        {"snapshot": {"ref": {}, "volume_id": "$ABSENT"}},
    ),
    ("volumev3", "POST", "/v3/$PROJECT/os-snapshot-manage", {"snapshot": {"ref": {}}}),
    ("volumev3", "POST", "/v3/$PROJECT/types", {}),
    ("volumev3", "POST", "/v3/$PROJECT/types", {"volume_type": {"name": "x"}}),
    ("volumev3", "PUT", "/v3/$PROJECT/types/$TYPE", {"volume_type": {"name": "x"}}),
    ("volumev3", "PUT", "/v3/$PROJECT/types/$ABSENT", {"volume_type": {"name": "x"}}),
    ("volumev3", "DELETE", "/v3/$PROJECT/types/$TYPE", None),
    ("volumev3", "DELETE", "/v3/$PROJECT/types/$ABSENT", None),
    ("volumev3", "POST", "/v3/$PROJECT/types/$TYPE/action", {"none": None}),
    ("volumev3", "POST", "/v3/$PROJECT/types/$TYPE/extra_specs", {}),
    ("volumev3", "DELETE", "/v3/$PROJECT/types/$TYPE/extra_specs/none", None),
]


def ask(
    place: Place, values: Mapping[str, str], root: str, request: tuple[str, str, str, object]
) -> tuple[int, str]:
    """Return status and body of an answer, its links made independent of where it came from."""
    service, method, path, body = request
    filled = Template(json.dumps([path, body])).substitute(values)
    path, body = json.loads(filled)
    headers = {"OpenStack-API-Version": VERSIONS[service]}
    status, document = place.member.ask(method, root + path, body, headers)
    return status, json.dumps(document, sort_keys=True).replace(root, "ROOT")


def both(
    place: Place, values: Mapping[str, str], request: tuple[str, str, str, object]
) -> tuple[tuple[int, str], tuple[int, str]]:
    """Return the answer of the top and that of the pod."""
    service = request[0]
    top = ask(place, values, place.top(service), request)
    return top, ask(place, values, place.pod(service, 1), request)


def name_of(request: object) -> str:
    if not isinstance(request, tuple):
        return str(request)
    return " ".join(part if isinstance(part, str) else json.dumps(part) for part in request[1:])


@pytest.mark.parametrize("request_", BAD, ids=name_of)
def test_a_bad_request_is_refused_as_the_pod_refuses_it(
    place: Place, values: Mapping[str, str], request_: tuple[str, str, str, object]
) -> None:
    top, pod = both(place, values, request_)
    assert top[0] >= 400
    assert top == pod


@pytest.mark.parametrize(("service", "path"), READ)
def test_what_is_read_is_what_the_pod_has(
    place: Place, values: Mapping[str, str], service: str, path: str
) -> None:
    top, pod = both(place, values, (service, "GET", path, None))
    assert top[0] == 200
    assert top == pod
