"""The simulated Nova."""

from tricircle.testing.cloud.compute.service import Compute, Placement

__all__ = ["Compute", "Placement"]
