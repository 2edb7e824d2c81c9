"""One of several processes that want the last units of a quota at the same time.

Run as ``python -m tests.contract.reserving <url> <name>``: says ``ready``, waits for a
line, and prints how many of its reservations were granted as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import ProjectId, Service
from tricircle.core.quotas import WHOLE, Claim, ClaimId, Demand, Holder

PROJECT = Holder(Service.COMPUTE, ProjectId("p"))
ATTEMPTS = 25
LIMITS = {"instances": 1000, "cores": 20, "ram": 51200}
TAKEN = {"instances": 1, "cores": 2, "ram": 512}


def demands(limits: dict[str, int] | None = None) -> list[Demand]:
    """Return what one server of two cores asks for."""
    allowed = LIMITS if limits is None else limits
    return [Demand(WHOLE, name, amount, allowed[name]) for name, amount in TAKEN.items()]


async def compete(url: str, name: str) -> int:
    """Return how many reservations were granted here."""
    database = open_database(url)
    stores = SqlStores(database)
    await stores.pods.list_pods()
    print("ready", flush=True)
    sys.stdin.readline()

    async def reserve(number: int) -> bool:
        claim = Claim(ClaimId(f"{name}-{number}"), PROJECT, TAKEN)
        return await stores.quota_ledger.reserve([claim], demands(), 60)

    granted = await asyncio.gather(*(reserve(number) for number in range(ATTEMPTS)))
    await database.close()
    return sum(granted)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(compete(sys.argv[1], sys.argv[2]))))
