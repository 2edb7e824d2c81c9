"""The simulated Nova."""

from tricircle.testing.cloud.compute.service import Compute

__all__ = ["Compute"]
