"""Pods that projects were bound to before.

Every step may be repeated, as in revision 0001.

Revision 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tricircle.adapters.sql.columns import ExactText, UtcTime, now

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = ExactText(255)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "past_binding",
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("ended_at", UtcTime(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "pod_id"),
        sa.ForeignKeyConstraint(
            ["pod_id"], ["pod.id"], name="fk_past_binding_pod_id", ondelete="CASCADE"
        ),
        if_not_exists=True,
        mysql_engine="InnoDB",
    )
    # MySQL has no CREATE INDEX IF NOT EXISTS
    name = "ix_past_binding_pod_id"
    indexes = sa.inspect(op.get_bind()).get_indexes("past_binding")
    if name not in {index["name"] for index in indexes}:
        op.create_index(name, "past_binding", ["pod_id"])
