"""The version documents: what every enabled pod can serve, in the service's own form."""

from __future__ import annotations

from tricircle.core.model import VersionRange
from tricircle.core.placing import Topology
from tricircle.core.versions import common_range
from tricircle.gateway.profile import Profile


def served_range(profile: Profile, topology: Topology) -> VersionRange:
    """Return the microversions that every enabled pod can serve."""
    endpoints = (pod.endpoints.get(profile.service) for pod in topology.pods if pod.enabled)
    ranges = [one.versions for one in endpoints if one is not None and one.versions is not None]
    return common_range(ranges, profile.default_range)
