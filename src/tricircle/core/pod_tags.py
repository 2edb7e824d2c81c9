"""Tags of pods, and which of them a flavor or volume type demands.

An extra spec ``pod_tag:disk`` = ``ssd`` demands pods with the tag ``disk=ssd``. Schedulers
within pods pass over it: to Nova's AggregateInstanceExtraSpecsFilter and
ComputeCapabilitiesFilter and to Cinder's CapabilitiesFilter every key with a scope they do
not know is somebody else's, and so it is to Nova's validation of extra specs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tricircle.core.errors import BadInput

PREFIX = "pod_tag:"
Tag = tuple[str, str]
"""Name and value."""

MAX_TAGS = 50
"""Tags of one pod. All of them are one text in the database."""


def change_tags(tags: Mapping[str, str], change: Mapping[str, str | None]) -> Mapping[str, str]:
    """Return tags with some set, and those removed that are to be None. Raises BadInput."""
    changed = {**tags, **change}
    left = {name: value for name, value in sorted(changed.items()) if value is not None}
    if len(left) > MAX_TAGS:
        raise BadInput(f"a pod has at most {MAX_TAGS} tags; {len(left)} would be too many")
    return left


def demanded_tags(extra_specs: Mapping[str, object]) -> frozenset[Tag]:
    """Return the tags that extra specs demand of a pod."""
    return frozenset(
        (key.removeprefix(PREFIX), str(value))
        for key, value in extra_specs.items()
        if key.startswith(PREFIX)
    )


def list_lacking(demanded: Collection[Tag], tags: Mapping[str, str]) -> list[str]:
    """Return the tags a pod lacks, as ``name=value``, ordered."""
    return [f"{name}={value}" for name, value in sorted(demanded) if tags.get(name) != value]
