"""A hypervisor without machines: Nova's fake driver, plus what clients notice is missing.

Loaded as `nova.virt.lab_hypervisor.LabDriver`. Differences from the fake driver:
servers survive a restart of nova-compute, a snapshot becomes an image that can
be read, a port can be attached again after its server is gone, and power
states follow pause, suspend and rescue.
"""

from __future__ import annotations

import io
from typing import Any

from nova import context as nova_context
from nova import objects
from nova.compute import power_state, task_states
from nova.image import glance
from nova.virt import fake

CONSOLE_LINES = 40


class LabDriver(fake.FakeDriverWithoutFakeNodes):
    """The fake driver as the lab needs it."""

    def init_host(self, host: str) -> None:
        """Take over the servers this host had before nova-compute was restarted."""
        super().init_host(host)
        context = nova_context.get_admin_context()
        for instance in objects.InstanceList.get_by_host(context, host):
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, instance.power_state, instance.uuid
            )

    def snapshot(self, context: Any, instance: Any, image_id: str, update_task_state: Any) -> None:
        """Upload a few bytes as the server's disk, so that the image becomes active."""
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        update_task_state(
            task_state=task_states.IMAGE_UPLOADING,
            expected_state=task_states.IMAGE_PENDING_UPLOAD,
        )
        api = glance.API()
        image = api.get(context, image_id)
        described = {
            "name": image["name"],
            "disk_format": image.get("disk_format") or "raw",
            "container_format": image.get("container_format") or "bare",
            "properties": {},
        }
        content = io.BytesIO(f"disk of server {instance.uuid}\n".encode())
        api.update(context, image_id, described, content, purge_props=False)

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        """Remember the interface; a port that was here before may come again."""
        self._interfaces[vif["id"]] = vif

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Forget the interface, also one attached before a restart."""
        self._interfaces.pop(vif["id"], None)

    def pause(self, instance: Any) -> None:
        self._set_state(instance, power_state.PAUSED)

    def unpause(self, instance: Any) -> None:
        self._set_state(instance, power_state.RUNNING)

    def suspend(self, context: Any, instance: Any) -> None:
        self._set_state(instance, power_state.SUSPENDED)

    def resume(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        self._set_state(instance, power_state.RUNNING)

    def get_console_output(self, context: Any, instance: Any) -> str:
        """A boot log long enough to ask for the last lines of."""
        return "\n".join(f"[{line:5d}] {instance.uuid} boots" for line in range(CONSOLE_LINES))

    def _set_state(self, instance: Any, state: int) -> None:
        if instance.uuid in self.instances:
            self.instances[instance.uuid].state = state
