"""One pod: a Nova with its Placement, a Cinder and a Neutron, with its faults and its log."""

from tricircle.testing.cloud.compute import Compute, Placement
from tricircle.testing.cloud.faults import Faults
from tricircle.testing.cloud.image import Images
from tricircle.testing.cloud.network import Network
from tricircle.testing.cloud.placement import Providers
from tricircle.testing.cloud.received import RequestLog
from tricircle.testing.cloud.service import Service, World
from tricircle.testing.cloud.volume import Volume

# Cinder 29.0.0 and 27.0.0 both end at 3.71.
_VOLUME_MINOR = 71


class Pod:
    """One bottom OpenStack of the simulation; its name is its region."""

    def __init__(self, name: str, world: World, images: Images, zone: str, minor: int) -> None:
        """`minor` is N of the highest Nova microversion 2.N the pod knows."""
        self.name = name
        self.zone = zone
        self.faults = Faults()
        self.requests = RequestLog()
        self.network = Network(world, zone)
        self.volume = Volume(world, zone, f"{name}-volume1", _VOLUME_MINOR)
        placement = Placement(zone, f"{name}-compute1", minor)
        self.compute = Compute(world, placement, self.network, self.volume, images)
        self.providers = Providers(world, self.compute)

    @property
    def services(self) -> tuple[Service, ...]:
        """All its services."""
        return (self.compute, self.volume, self.network, self.providers)
