"""Jobs with their history, pauses of pods, and what every pod is to have.

Every step may be repeated, as in revision 0001.

Revision 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from tricircle.adapters.sql.columns import ExactText, UtcTime, now

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = ExactText(255)
_WORD = ExactText(32)
_DIGEST = ExactText(64)
_LONG_TEXT = sa.Text().with_variant(mysql.TEXT(charset="utf8mb4"), "mysql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _create_job()
    _create_job_event()
    _create_pod_pause()
    _create_wish_tables()


def _create_job() -> None:
    _create(
        "job",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("job_key", _DIGEST, nullable=False),
        sa.Column("live_key", _DIGEST, nullable=True),
        sa.Column("fields", _LONG_TEXT, nullable=False),
        sa.Column("pod_id", _ID, nullable=True),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("asked_at_start", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("error", _LONG_TEXT, nullable=False),
        sa.Column("worker", _ID, nullable=False),
        sa.Column("lease_token", _ID, nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("finished_at", UtcTime(), nullable=True),
        *_times(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("live_key", name="uq_job_live_key"),
        _key("job", "pod_id", "pod.id"),
    )
    _create_index("job", "state", "due_at", "pod_id")
    _create_index("job", "lease_token")
    _create_index("job", "job_key")
    _create_index("job", "created_at", "id")
    _create_index("job", "pod_id", "state", "due_at")
    _create_index("job", "project_id", "created_at")


def _create_job_event() -> None:
    _create(
        "job_event",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("at", UtcTime(), server_default=now(), nullable=False),
        sa.Column("who", _ID, nullable=False),
        sa.Column("why", _LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        _key("job_event", "job_id", "job.id"),
    )
    _create_index("job_event", "job_id")
    _create_index("job_event", "at")


def _create_pod_pause() -> None:
    _create(
        "pod_pause",
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("until", UtcTime(), nullable=False),
        sa.Column("reason", _LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pod_id"),
        _key("pod_pause", "pod_id", "pod.id"),
    )


def _create_wish_tables() -> None:
    _create(
        "wish",
        sa.Column("id", _ID, nullable=False),
        sa.Column("resource", _WORD, nullable=False),
        sa.Column("owner", _ID, nullable=False),
        sa.Column("name", _ID, nullable=False),
        sa.Column("document", _LONG_TEXT, nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        *_times(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resource", "owner", "name", name="uq_wish_resource"),
    )
    _create(
        "wish_pod",
        sa.Column("wish_id", _ID, nullable=False),
        sa.Column("pod_id", _ID, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("bottom_id", _ID, nullable=True),
        sa.PrimaryKeyConstraint("wish_id", "pod_id"),
        _key("wish_pod", "wish_id", "wish.id"),
        _key("wish_pod", "pod_id", "pod.id"),
    )
    _create_index("wish_pod", "pod_id")


def _times() -> tuple[sa.Column[object], ...]:
    return tuple(
        sa.Column(name, UtcTime(), server_default=now(), nullable=False)
        for name in ("created_at", "updated_at")
    )


def _key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [target], name=f"fk_{table}_{column}", ondelete="CASCADE"
    )


def _create(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, if_not_exists=True, mysql_engine="InnoDB")


def _create_index(table: str, *columns: str) -> None:
    # MySQL has no CREATE INDEX IF NOT EXISTS
    name = f"ix_{table}_{columns[0]}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns))
