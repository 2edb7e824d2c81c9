"""The simulated Neutron."""

from tricircle.testing.cloud.network.service import Network

__all__ = ["Network"]
