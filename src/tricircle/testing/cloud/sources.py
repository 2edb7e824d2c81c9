"""Where a simulation takes time and ids from, so that a test can decide both."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

Clock = Callable[[], datetime]
Ids = Callable[[], str]


def wall_clock() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def random_ids() -> str:
    """Return a new random UUID."""
    return str(uuid4())


class CountedIds:
    """UUIDs that count from one, so that two runs give the same ids."""

    def __init__(self, prefix: int = 0) -> None:
        self._number = prefix << 64

    def __call__(self) -> str:
        """Return the next UUID."""
        self._number += 1
        return str(UUID(int=self._number, version=4))


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = start

    def __call__(self) -> datetime:
        """Return the time it was set to."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += timedelta(seconds=seconds)


def zulu(moment: datetime | None) -> str | None:
    """Return `2026-01-01T00:00:00Z`, the form of Nova, Neutron and Glance."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None


def micro(moment: datetime | None) -> str | None:
    """Return `2026-01-01T00:00:00.000000`, the form of Cinder."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") if moment is not None else None
