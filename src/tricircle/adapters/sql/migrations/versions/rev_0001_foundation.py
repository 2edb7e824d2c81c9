"""Pods, zone map, nodes, bindings, routings and list positions.

Every step may be repeated: MySQL and MariaDB cannot undo half a migration, so the
next run must be able to carry on.

Revision 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from tricircle.adapters.sql.columns import ExactText, UtcTime, now

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = ExactText(255)
_WORD = ExactText(32)
_LONG_TEXT = sa.Text().with_variant(mysql.TEXT(charset="utf8mb4"), "mysql")
_LONG_BYTES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


def upgrade() -> None:
    """Make all tables."""
    _create_pod_tables()
    _create_node()
    _create_binding()
    _create_routing()
    _create_list_position()


def _create_pod_tables() -> None:
    _create(
        "pod",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", _ID, nullable=False),
        sa.Column("region", _ID, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", _LONG_TEXT, nullable=False),
        sa.Column("created_at", UtcTime(), server_default=now(), nullable=False),
        sa.Column("updated_at", UtcTime(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_pod_name"),
        sa.UniqueConstraint("region", name="uq_pod_region"),
    )
    _create(
        "pod_endpoint",
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("service", _WORD, nullable=False),
        sa.Column("url", _LONG_TEXT, nullable=False),
        sa.Column("minimum_version", _WORD, nullable=True),
        sa.Column("maximum_version", _WORD, nullable=True),
        sa.PrimaryKeyConstraint("pod_id", "service"),
        _pod_key("pod_endpoint", "CASCADE"),
    )
    _create(
        "zone_pod",
        sa.Column("zone", _ID, nullable=False),
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("pod_az", _ID, nullable=True),
        sa.PrimaryKeyConstraint("zone", "pod_id"),
        sa.UniqueConstraint("pod_id", "pod_az", name="uq_zone_pod_pod_id"),
        _pod_key("zone_pod", "RESTRICT"),
    )


def _create_node() -> None:
    sums = ("vcpus", "memory_mib", "disk_gib", "volume_gib")
    counts = [name for each in sums for name in (each, f"{each}_used")]
    _create(
        "node",
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("name", _ID, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
        sa.Column("running_vms", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("pod_id"),
        _pod_key("node", "CASCADE"),
    )


def _create_binding() -> None:
    _create(
        "binding",
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("zone", _ID, nullable=False),
        sa.Column("pod_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "zone"),
        _pod_key("binding", "CASCADE"),
    )
    _create_index("binding", "pod_id")


def _create_routing() -> None:
    _create(
        "routing",
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("top_id", _ID, nullable=False),
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("bottom_id", _ID, nullable=True),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("origin", _WORD, nullable=False),
        sa.Column("owner_id", _ID, nullable=True),
        sa.Column("lease_owner", _ID, nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), server_default=now(), nullable=False),
        sa.Column("updated_at", UtcTime(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "top_id", "pod_id"),
        sa.UniqueConstraint("kind", "pod_id", "bottom_id", name="uq_routing_bottom_id"),
        _pod_key("routing", "RESTRICT"),
    )
    _create_index("routing", "pod_id", "kind", "top_id")
    _create_index("routing", "state", "origin")
    for column in ("owner_id", "project_id"):
        _create_index("routing", column)


def _create_list_position() -> None:
    _create(
        "list_position",
        sa.Column("position_key", _ID, nullable=False),
        sa.Column("position", _LONG_BYTES, nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("position_key"),
    )
    _create_index("list_position", "expires_at")


def _pod_key(table: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["pod_id"], ["pod.id"], name=f"fk_{table}_pod_id", ondelete=ondelete
    )


def _create(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, if_not_exists=True, mysql_engine="InnoDB")


def _create_index(table: str, *columns: str) -> None:
    # MySQL has no CREATE INDEX IF NOT EXISTS
    name = f"ix_{table}_{columns[0]}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns))
