"""One of several processes that want the same things at the same time.

Run as ``python -m tests.contract.claiming <url> <name>``: says ``ready``, waits for
a line, and prints what it won and what it was told as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.contract.samples import EAST, WEST, make_routing, make_spare
from tricircle.adapters.sql import SqlStores, open_database
from tricircle.core.model import BottomId, PodId, ProjectId, ZoneName

THINGS = 20
TASKS = 3


async def compete(url: str, name: str) -> dict[str, object]:
    """Return what was claimed and settled and what was taken here, and the bindings seen."""
    database = open_database(url)
    stores = SqlStores(database)
    await stores.pods.list_pods()
    print("ready", flush=True)
    sys.stdin.readline()
    won = await asyncio.gather(*(_claim_all(stores, f"{name}-{n}") for n in range(TASKS)))
    taken = await asyncio.gather(*(_take_all(stores, f"{name}-{n}") for n in range(TASKS)))
    preferred = EAST if name.endswith("0") else WEST
    bound = [await _bind(stores, number, preferred) for number in range(THINGS)]
    await database.close()
    return {
        "won": [top_id for each in won for top_id in each],
        "taken": [port_id for each in taken for port_id in each],
        "bound": bound,
    }


async def _claim_all(stores: SqlStores, owner: str) -> list[str]:
    won = []
    for number in range(THINGS):
        routing = make_routing(f"n{number}")
        claim = await stores.routings.claim_routing(routing, owner, 60)
        if claim.mine and claim.fresh:
            bottom_id = BottomId(f"{owner}-{number}")
            assert await stores.routings.settle_routing(routing, owner, bottom_id)
            won.append(routing.top_id)
    return [str(top_id) for top_id in won]


async def _take_all(stores: SqlStores, boot_id: str) -> list[str]:
    spares = [make_spare(f"port-{number}") for number in range(THINGS)]
    return [spare.port_id for spare in spares if await stores.spares.take_spare(spare, boot_id, [])]


async def _bind(stores: SqlStores, number: int, preferred: PodId) -> str:
    project = ProjectId(f"project-{number}")
    return str(await stores.bindings.bind(project, ZoneName("az1"), preferred))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(compete(sys.argv[1], sys.argv[2]))))
