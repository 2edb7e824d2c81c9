"""A Cinder driver that keeps each volume in a file, one MiB for each GiB of the volume.

What is written is kept, so that snapshots, clones, images and backups hold
what their source held; being small, they are made in a moment.

The fake drivers of Cinder's own tests keep no data: snapshots, clones, images
and backups made from them are empty. LVM needs loop devices, which a plain
machine may not offer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cinder import exception, interface
from cinder.image import image_utils
from cinder.volume import driver, volume_utils
from oslo_concurrency import processutils
from oslo_config import cfg

CAPACITY_GIB = 100_000
FILE_BYTES_PER_GIB = 1024**2
OPTIONS = [cfg.StrOpt("lab_volume_folder", help="Folder that holds the files of all volumes.")]


@interface.volumedriver
class FileDriver(driver.VolumeDriver):  # type: ignore[misc]
    """One file a volume, one file a snapshot, all in one folder."""

    VERSION = "1.0"
    vendor_name = "Tricircle lab"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    @staticmethod
    def get_driver_options() -> list[Any]:
        return OPTIONS

    def do_setup(self, context: Any) -> None:
        self._folder = Path(self.configuration.lab_volume_folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def check_for_setup_error(self) -> None:
        """Nothing can be wrong: do_setup made the folder."""

    def local_path(self, volume: Any) -> str:
        return str(self._folder / volume["name"])

    def create_volume(self, volume: Any) -> None:
        grow(self.local_path(volume), volume["size"])

    def delete_volume(self, volume: Any) -> None:
        Path(self.local_path(volume)).unlink(missing_ok=True)

    def create_snapshot(self, snapshot: Any) -> None:
        copy(self.local_path(snapshot["volume"]), self.local_path(snapshot))

    def delete_snapshot(self, snapshot: Any) -> None:
        Path(self.local_path(snapshot)).unlink(missing_ok=True)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        copy(self.local_path(snapshot), self.local_path(volume))
        grow(self.local_path(volume), volume["size"])

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        copy(self.local_path(src_vref), self.local_path(volume))
        grow(self.local_path(volume), volume["size"])

    def revert_to_snapshot(self, context: Any, volume: Any, snapshot: Any) -> None:
        copy(self.local_path(snapshot), self.local_path(volume))

    def extend_volume(self, volume: Any, new_size: int) -> None:
        grow(self.local_path(volume), new_size)

    def clone_image(self, *args: Any) -> tuple[None, bool]:
        """Never clones: the image is copied by copy_image_to_volume."""
        return None, False

    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,
    ) -> None:
        path = self.local_path(volume)
        image_utils.fetch_to_raw(context, image_service, image_id, path, "1M", size=volume["size"])
        grow(path, volume["size"])

    def copy_volume_to_image(
        self, context: Any, volume: Any, image_service: Any, image_meta: Any
    ) -> None:
        volume_utils.upload_volume(
            context, image_service, image_meta, self.local_path(volume), volume
        )

    # Groups; what is consistent is copied in one call, and so between two others.

    def create_group(self, context: Any, group: Any) -> dict[str, str]:
        return {"status": "available"}

    def delete_group(self, context: Any, group: Any, volumes: Any) -> tuple[Any, Any]:
        for volume in volumes:
            self.delete_volume(volume)
        return {"status": "deleted"}, statuses(volumes, "deleted")

    def update_group(
        self, context: Any, group: Any, add_volumes: Any = None, remove_volumes: Any = None
    ) -> tuple[None, None, None]:
        """A group is nothing in the folder."""
        return None, None, None

    def create_group_from_src(
        self,
        context: Any,
        group: Any,
        volumes: Any,
        group_snapshot: Any = None,
        snapshots: Any = None,
        source_group: Any = None,
        source_vols: Any = None,
    ) -> tuple[None, None]:
        for volume, source in zip(volumes, snapshots or source_vols, strict=True):
            copy(self.local_path(source), self.local_path(volume))
            grow(self.local_path(volume), volume["size"])
        return None, None

    def create_group_snapshot(
        self, context: Any, group_snapshot: Any, snapshots: Any
    ) -> tuple[Any, Any]:
        for snapshot in snapshots:
            self.create_snapshot(snapshot)
        return {"status": "available"}, statuses(snapshots, "available")

    def delete_group_snapshot(
        self, context: Any, group_snapshot: Any, snapshots: Any
    ) -> tuple[Any, Any]:
        for snapshot in snapshots:
            self.delete_snapshot(snapshot)
        return {"status": "deleted"}, statuses(snapshots, "deleted")

    def retype(
        self, context: Any, volume: Any, new_type: Any, diff: Any, host: Any
    ) -> tuple[bool, None]:
        """Take it for done: a file is the same for every type."""
        return True, None

    # What is in the folder and not in Cinder.

    def get_manageable_volumes(
        self, cinder_volumes: Any, *order: Any, **named: Any
    ) -> list[dict[str, Any]]:
        """Return the files of volumes, also of those that are Cinder's already."""
        known = {one["name"]: one["id"] for one in cinder_volumes}
        rows = [manageable(path, known.get(path.name)) for path in self._files("volume-*")]
        return list(volume_utils.paginate_entries_list(rows, *order, **named))

    def get_manageable_snapshots(
        self, cinder_snapshots: Any, *order: Any, **named: Any
    ) -> list[dict[str, Any]]:
        """Return the files of snapshots; a file does not tell of what it is a copy."""
        known = {one["name"]: one for one in cinder_snapshots}
        rows = []
        for path in self._files("snapshot-*"):
            found = known.get(path.name)
            source = {"source-name": found["volume_name"]} if found else {}
            row = manageable(path, found["id"] if found else None)
            rows.append({**row, "source_reference": source})
        return list(volume_utils.paginate_entries_list(rows, *order, **named))

    def manage_existing_get_size(self, volume: Any, existing_ref: Any) -> int:
        return size_gib(self._get_file(existing_ref))

    def manage_existing(self, volume: Any, existing_ref: Any) -> None:
        self._get_file(existing_ref).rename(self.local_path(volume))

    def manage_existing_snapshot_get_size(self, snapshot: Any, existing_ref: Any) -> int:
        return size_gib(self._get_file(existing_ref))

    def manage_existing_snapshot(self, snapshot: Any, existing_ref: Any) -> None:
        self._get_file(existing_ref).rename(self.local_path(snapshot))

    def unmanage(self, volume: Any) -> None:
        """The file stays."""

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """The file stays."""

    def _files(self, pattern: str) -> list[Path]:
        return sorted(self._folder.glob(pattern))

    def _get_file(self, reference: Any) -> Path:
        """Return the file that a reference names. Raises Cinder's own error for none."""
        name = reference.get("source-name") if isinstance(reference, dict) else None
        path = self._folder / Path(str(name)).name
        if not name or not path.is_file():
            reason = "its source-name must be that of a file"
            raise exception.ManageExistingInvalidReference(existing_ref=reference, reason=reason)
        return path

    def ensure_export(self, context: Any, volume: Any) -> None:
        """A file needs no export."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """A file needs no export."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """A file needs no export."""

    def create_export_snapshot(self, context: Any, snapshot: Any, connector: Any) -> None:
        """A file needs no export."""

    def remove_export_snapshot(self, context: Any, snapshot: Any) -> None:
        """A file needs no export."""

    def initialize_connection(self, volume: Any, connector: Any, **kwargs: Any) -> dict[str, Any]:
        """The file itself: os-brick's `local` connector hands the path to who asks."""
        return {
            "driver_volume_type": "local",
            "data": {"device_path": self.local_path(volume), "volume_id": volume["id"]},
        }

    def terminate_connection(self, volume: Any, connector: Any, **kwargs: Any) -> None:
        """Nothing was connected."""

    def initialize_connection_snapshot(
        self, snapshot: Any, connector: Any, **kwargs: Any
    ) -> dict[str, Any]:
        return self.initialize_connection(snapshot, connector)

    def terminate_connection_snapshot(self, snapshot: Any, connector: Any, **kwargs: Any) -> None:
        """Nothing was connected."""

    def backup_use_temp_snapshot(self) -> bool:
        return False

    def _update_volume_stats(self) -> None:
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": self.vendor_name,
            "driver_version": self.VERSION,
            "storage_protocol": "file",
            "total_capacity_gb": CAPACITY_GIB,
            "free_capacity_gb": CAPACITY_GIB,
            "reserved_percentage": 0,
            "QoS_support": True,
            "multiattach": True,
            "consistent_group_snapshot_enabled": True,
            "thin_provisioning_support": True,
            "max_over_subscription_ratio": 20,
            "provisioned_capacity_gb": 0,
        }


def run_privileged_calls_in_process() -> None:
    """Let os-brick and Cinder act as the user they run as, without sudo and a second process."""
    from cinder import privsep
    from os_brick import privileged

    privsep.sys_admin_pctxt.set_client_mode(False)
    privileged.default.set_client_mode(False)


def statuses(things: Any, status: str) -> list[dict[str, str]]:
    """Return what Cinder is told of each volume or snapshot of a group."""
    return [{"id": one["id"], "status": status} for one in things]


def manageable(path: Path, known_id: str | None) -> dict[str, Any]:
    """Return what Cinder shows of a file; ``known_id`` is what it calls it, if it does."""
    return {
        "reference": {"source-name": path.name},
        "size": size_gib(path),
        "safe_to_manage": known_id is None,
        "reason_not_safe": None if known_id is None else "already managed",
        "cinder_id": known_id,
        "extra_info": None,
    }


def size_gib(path: Path) -> int:
    """Return the size of the volume or snapshot in a file, in whole GiB of it."""
    return -(-path.stat().st_size // FILE_BYTES_PER_GIB)


def grow(path: str, size_gib: int) -> None:
    """Make the file as long as a volume of this size has it; one that is longer stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        wanted = size_gib * FILE_BYTES_PER_GIB
        os.ftruncate(descriptor, max(wanted, os.fstat(descriptor).st_size))
    finally:
        os.close(descriptor)


def copy(source: str, target: str) -> None:
    """Copy a file and keep its holes; outside Python, which would read them."""
    processutils.execute("cp", "--sparse=always", "--reflink=auto", source, target)
