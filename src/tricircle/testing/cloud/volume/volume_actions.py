"""Actions on volumes."""

from typing import Any


def act(cinder: Any, request: Any) -> Any: ...
def delete_volume(cinder: Any, volume: Any, force: bool, cascade: bool) -> None:
    del cinder.volumes[volume.id]
    cinder.index.forget()
