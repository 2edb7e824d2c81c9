"""All stores on one database."""

from __future__ import annotations

from tricircle.adapters.sql.bindings import SqlBindings
from tricircle.adapters.sql.database import Database
from tricircle.adapters.sql.job_records import SqlJobRecords
from tricircle.adapters.sql.jobs import SqlJobDesk, SqlJobQueue
from tricircle.adapters.sql.nodes import SqlNodes
from tricircle.adapters.sql.pods import SqlPods
from tricircle.adapters.sql.positions import SqlPositions
from tricircle.adapters.sql.quotas import SqlQuotaCounts, SqlQuotaLedger, SqlQuotaLimits
from tricircle.adapters.sql.routings import SqlRoutings
from tricircle.adapters.sql.spares import SqlSpares
from tricircle.adapters.sql.upkeep import SqlUpkeep
from tricircle.adapters.sql.wishes import SqlWishes
from tricircle.adapters.sql.zones import SqlZones


class SqlStores:
    """All of ``interfaces.store``, ``.jobs``, ``.wishes`` and ``.quotas``, on one ``Database``."""

    def __init__(self, database: Database) -> None:
        self.pods = SqlPods(database)
        self.zones = SqlZones(database)
        self.routings = SqlRoutings(database)
        self.upkeep = SqlUpkeep(database)
        self.spares = SqlSpares(database)
        self.bindings = SqlBindings(database)
        self.positions = SqlPositions(database)
        self.nodes = SqlNodes(database)
        self.desk = SqlJobDesk(database)
        self.queue = SqlJobQueue(database)
        self.records = SqlJobRecords(database, self.desk)
        self.wishes = SqlWishes(database, self.desk)
        self.quota_limits = SqlQuotaLimits(database)
        self.quota_ledger = SqlQuotaLedger(database)
        self.quota_counts = SqlQuotaCounts(database)
