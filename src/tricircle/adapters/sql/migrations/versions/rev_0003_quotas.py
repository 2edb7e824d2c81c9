"""Limits, usage and claims of projects.

Every step may be repeated, as in revision 0001.

Revision 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from tricircle.adapters.sql.columns import ExactText, UtcTime, now

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = ExactText(255)
_USER = ExactText(64)
_WORD = ExactText(32)
_LONG_TEXT = sa.Text().with_variant(mysql.TEXT(charset="utf8mb4"), "mysql")


def upgrade() -> None:
    """Make the tables."""
    _create(
        "quota_limit",
        *_holder(),
        sa.Column("resource", _ID, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", "project_id", "user_id", "resource"),
    )
    _create(
        "quota_class",
        sa.Column("service", _WORD, nullable=False),
        sa.Column("name", _ID, nullable=False),
        sa.Column("resource", _ID, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", "name", "resource"),
    )
    _create(
        "quota_usage",
        *_holder(),
        sa.Column("resource", _ID, nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("service", "project_id", "user_id", "resource"),
    )
    _create_index("quota_usage", "counted_at")
    _create(
        "quota_claim",
        sa.Column("id", _ID, nullable=False),
        *_holder(),
        sa.Column("amounts", _LONG_TEXT, nullable=False),
        sa.Column("resource_id", _ID, nullable=True),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    _create_index("quota_claim", "resource_id")
    _create_index("quota_claim", "expires_at")
    _create_index("quota_claim", "project_id", "expires_at")


def _holder() -> tuple[sa.Column[str], ...]:
    return (
        sa.Column("service", _WORD, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("user_id", _USER, nullable=False),
    )


def _create(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, if_not_exists=True, mysql_engine="InnoDB")


def _create_index(table: str, *columns: str) -> None:
    # MySQL has no CREATE INDEX IF NOT EXISTS
    name = f"ix_{table}_{columns[0]}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns))
