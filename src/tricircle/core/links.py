"""Links in a pod's answers, made to point at the top.

Nova and Cinder put absolute links in bodies (``"href": "http://pod:8774/v2.1/…"``)
and in ``Location``. Inside a JSON string a quote is escaped, so the bytes
``"href": "`` occur only where ``href`` is a key: they can be replaced without
decoding the body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERSION_SUFFIX = re.compile(r"/v\d+(\.\d+)?/?$")


@dataclass(frozen=True, slots=True)
class LinkEdit:
    """Replaces the root of one pod's links by the root of the top's."""

    pairs: tuple[tuple[bytes, bytes], ...]
    pod_root: bytes
    top_root: bytes

    def in_body(self, body: bytes) -> bytes:
        """Return ``body`` with each href below the pod's root put below the top's."""
        if self.pod_root not in body:
            return body
        for old, new in self.pairs:
            body = body.replace(old, new)
        return body

    def in_location(self, location: bytes) -> bytes:
        """Return a ``Location`` header's value below the top's root, if it was below the pod's."""
        if location == self.pod_root or location.startswith(self.pod_root + b"/"):
            return self.top_root + location[len(self.pod_root) :]
        return location


def make_link_edit(pod_url: str, top_root: str) -> LinkEdit:
    """Return the edit for a pod's endpoint ``pod_url`` (with version) and the top's root.

    ``top_root`` is scheme, host and prefix of the gateway without a version.
    """
    old, new = strip_version(pod_url).encode(), top_root.rstrip("/").encode()
    pairs = tuple(
        (b'"href":' + space + b'"' + old + b"/", b'"href":' + space + b'"' + new + b"/")
        for space in (b" ", b"")
    )
    return LinkEdit(pairs=pairs, pod_root=old, top_root=new)


def strip_version(url: str) -> str:
    """Return an endpoint's URL without its version: ``http://h/compute/v2.1`` → ``…/compute``."""
    return _VERSION_SUFFIX.sub("", url.rstrip("/"))
