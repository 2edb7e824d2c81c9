"""Tags of pods.

Releases before this one neither read nor write them. Every step may be repeated, as in
revision 0001.

Revision 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LONG_TEXT = sa.Text().with_variant(mysql.TEXT(charset="utf8mb4"), "mysql")


def upgrade() -> None:
    """Add the column."""
    if "tags" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("pod")}:
        op.add_column("pod", sa.Column("tags", _LONG_TEXT, nullable=True))
