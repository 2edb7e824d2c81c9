"""Ports that are ready in pods.

Every step may be repeated, as in revision 0001.

Revision 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from tricircle.adapters.sql.columns import ExactText, UtcTime, now

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = ExactText(255)
_LONG_TEXT = sa.Text().with_variant(mysql.TEXT(charset="utf8mb4"), "mysql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "spare_port",
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("port_id", _ID, nullable=False),
        sa.Column("network_id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("mac_address", _ID, nullable=False),
        sa.Column("addresses", _LONG_TEXT, nullable=False),
        sa.Column("boot_id", _ID, nullable=True),
        sa.Column("group_ids", _LONG_TEXT, nullable=False),
        sa.Column("created_at", UtcTime(), server_default=now(), nullable=False),
        sa.Column("updated_at", UtcTime(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("pod_id", "port_id"),
        sa.ForeignKeyConstraint(
            ["pod_id"], ["pod.id"], name="fk_spare_port_pod_id", ondelete="CASCADE"
        ),
        if_not_exists=True,
        mysql_engine="InnoDB",
    )
    _create_index("network_id", "project_id")
    _create_index("updated_at")


def _create_index(*columns: str) -> None:
    # MySQL has no CREATE INDEX IF NOT EXISTS
    name = f"ix_spare_port_{columns[0]}"
    indexes = sa.inspect(op.get_bind()).get_indexes("spare_port")
    if name not in {index["name"] for index in indexes}:
        op.create_index(name, "spare_port", list(columns))
