"""The simulated Cinder."""

from tricircle.testing.cloud.volume.service import Volume

__all__ = ["Volume"]
