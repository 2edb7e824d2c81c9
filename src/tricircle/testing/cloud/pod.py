"""One pod: a Nova, a Cinder and a Neutron, with its faults and its log."""

from tricircle.testing.cloud.compute import Compute
from tricircle.testing.cloud.faults import Faults
from tricircle.testing.cloud.image import Images
from tricircle.testing.cloud.network import Network
from tricircle.testing.cloud.received import RequestLog
from tricircle.testing.cloud.service import Service, Tokens
from tricircle.testing.cloud.sources import Clock, Ids
from tricircle.testing.cloud.volume import Volume


class Pod:
    """One bottom OpenStack of the simulation; its name is its region."""

    def __init__(
        self,
        name: str,
        tokens: Tokens,
        images: Images,
        clock: Clock,
        ids: Ids,
        zone: str = "nova",
        compute_minor: int = 104,
        volume_minor: int = 71,
    ) -> None:
        self.name = name
        self.zone = zone
        self.faults = Faults()
        self.requests = RequestLog()
        host = f"{name}-compute1"
        self.network = Network(tokens, clock, ids, zone)
        self.volume = Volume(tokens, clock, ids, zone, f"{name}-volume1", volume_minor)
        self.compute = Compute(
            tokens, clock, ids, self.network, self.volume, images, zone, host, compute_minor
        )

    @property
    def services(self) -> tuple[Service, ...]:
        """All its services."""
        return (self.compute, self.volume, self.network)
