"""The life of a volume for plain members, through the top, with an unmodified SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openstack.utils import iterate_timeout

from tests.lab.conftest import WAIT_S, Site

pytestmark = pytest.mark.lab

EXTENDS_IN_USE = "3.42"


def wait(storage: Any, thing: Any, status: str = "available") -> Any:
    """Return a volume, snapshot or backup that has a status."""
    return storage.wait_for_status(thing, status, wait=WAIT_S, interval=1)


def wait_for_size(storage: Any, volume: Any, size_gib: int) -> None:
    """Return when a volume that is in use has grown."""
    for _ in iterate_timeout(WAIT_S, f"volume {volume.id} does not grow", wait=0.5):
        shown = storage.get_volume(volume.id)
        if (shown.status, shown.size) == ("in-use", size_gib):
            return


def remove(storage: Any, kind: str, thing: Any) -> None:
    """Delete something and wait until it is gone."""
    getattr(storage, f"delete_{kind}")(thing)
    storage.wait_for_delete(thing, wait=WAIT_S, interval=1)


def holder(connect: Callable[[str], Any], volume_id: str, who: str = "demo") -> str:
    """Return the pod in which a volume really is, asked of the pods themselves."""
    found = [
        pod
        for pod in ("pod1", "pod2")
        if connect(f"{pod}-{who}").block_storage.find_volume(volume_id) is not None
    ]
    assert len(found) == 1, f"volume {volume_id} is in {found}"
    return found[0]


def test_a_server_boots_from_a_volume_and_has_another_that_grows(
    member: Site, connect: Callable[[str], Any]
) -> None:
    compute, storage = member.cloud.compute, member.cloud.block_storage
    image = member.cloud.image.find_image("tiny-image", ignore_missing=False)
    root = storage.create_volume(
        name=member.mark, size=1, image_id=image.id, availability_zone="az2"
    )
    member.undo.callback(member._remove_volume, root.id)
    assert wait(storage, root).is_bootable
    device = {"uuid": root.id, "source_type": "volume", "destination_type": "volume"}
    server = member.server(
        "az2",
        member.network(),
        image_id="",
        block_device_mapping=[{**device, "boot_index": 0}],
    )
    assert holder(connect, root.id) == "pod2"
    assert [one.volume_id for one in compute.volume_attachments(server)] == [root.id]

    data = member.volume("az2")
    compute.create_volume_attachment(server, volume=data)
    wait(storage, data, "in-use")
    [attachment] = storage.attachments(volume_id=data.id)
    assert attachment.instance == server.id
    answer = storage.post(
        f"/volumes/{data.id}/action",
        json={"os-extend": {"new_size": 2}},
        microversion=EXTENDS_IN_USE,
    )
    assert answer.status_code == 202
    wait_for_size(storage, data, 2)
    compute.delete_volume_attachment(server, data.id)
    wait(storage, data)


def test_a_volume_is_copied_backed_up_and_restored_where_it_is(
    member: Site, connect: Callable[[str], Any]
) -> None:
    storage = member.cloud.block_storage
    volume = member.volume("az2")
    snapshot = wait(storage, storage.create_snapshot(volume_id=volume.id, name=member.mark))
    backup = wait(storage, storage.create_backup(volume_id=volume.id, name=member.mark))
    assert backup.availability_zone == "az2"
    made = [
        wait(storage, storage.create_volume(name=member.mark, size=1, **of))
        for of in ({"source_volume_id": volume.id}, {"snapshot_id": snapshot.id})
    ]
    assert [(one.source_volume_id, one.snapshot_id) for one in made] == [
        (volume.id, None),
        (None, snapshot.id),
    ]
    restored = storage.restore_backup(backup, name=member.mark)
    made.append(wait(storage, storage.get_volume(restored.volume_id)))
    assert {holder(connect, one.id) for one in made} == {"pod2"}
    assert {one.id for one in storage.backups(volume_id=volume.id)} == {backup.id}
    for one in made:
        remove(storage, "volume", one)
    remove(storage, "backup", backup)
    remove(storage, "snapshot", snapshot)


def test_a_volume_is_given_to_another_project(member: Site, connect: Callable[[str], Any]) -> None:
    storage, other = member.cloud.block_storage, connect("top-other").block_storage
    volume = member.volume("az1")
    transfer = storage.create_transfer(volume_id=volume.id, name=member.mark)
    assert other.find_transfer(transfer.id) is None
    other.accept_transfer(transfer.id, transfer.auth_key)
    assert storage.find_volume(volume.id) is None
    taken = wait(other, other.get_volume(volume.id))
    assert taken.availability_zone == "az1"
    assert holder(connect, volume.id, "other") == "pod1"
    remove(other, "volume", taken)
