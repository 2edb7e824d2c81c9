"""The tables, and the constraints that act as locks.

Ids are free-form text: what a client may send as one must be comparable here.
Foreign keys to ``pod`` restrict, so that a pod that holds anything cannot be
deleted; only its endpoints and its node, which are part of it, go with it.
The migrations build the same tables; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

from tricircle.adapters.sql.columns import ExactText, UtcTime, now
from tricircle.core.texts import MAX_LENGTH

metadata = MetaData(
    naming_convention={
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

_id = ExactText(MAX_LENGTH)
_word = ExactText(32)
_long_text = Text().with_variant(mysql.TEXT(charset="utf8mb4"), "mysql")
_long_bytes = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")

pod = Table(
    "pod",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", _id, nullable=False),
    Column("region", _id, nullable=False),
    Column("enabled", Boolean(), nullable=False),
    Column("description", _long_text, nullable=False),
    Column("created_at", UtcTime(), server_default=now(), nullable=False),
    Column("updated_at", UtcTime(), server_default=now(), nullable=False),
    UniqueConstraint("name"),
    UniqueConstraint("region"),
    mysql_engine="InnoDB",
)

pod_endpoint = Table(
    "pod_endpoint",
    metadata,
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE"), primary_key=True),
    Column("service", _word, primary_key=True),
    Column("url", _long_text, nullable=False),
    # microversions as '2.104'; null for services without them
    Column("minimum_version", _word),
    Column("maximum_version", _word),
    mysql_engine="InnoDB",
)

# An empty pod_az is kept as null, which a unique constraint lets repeat: a pod
# may serve many zones when it is never told one, but two zones must not be told
# apart by the same zone of the pod.
zone_pod = Table(
    "zone_pod",
    metadata,
    Column("zone", _id, primary_key=True),
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="RESTRICT"), primary_key=True),
    Column("pod_az", _id),
    UniqueConstraint("pod_id", "pod_az"),
    mysql_engine="InnoDB",
)

node = Table(
    "node",
    metadata,
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE"), primary_key=True),
    Column("name", _id, nullable=False),
    Column("vcpus", BigInteger(), nullable=False),
    Column("vcpus_used", BigInteger(), nullable=False),
    Column("memory_mib", BigInteger(), nullable=False),
    Column("memory_mib_used", BigInteger(), nullable=False),
    Column("disk_gib", BigInteger(), nullable=False),
    Column("disk_gib_used", BigInteger(), nullable=False),
    Column("volume_gib", BigInteger(), nullable=False),
    Column("volume_gib_used", BigInteger(), nullable=False),
    Column("running_vms", BigInteger(), nullable=False),
    Column("measured_at", UtcTime(), nullable=False),
    mysql_engine="InnoDB",
)

binding = Table(
    "binding",
    metadata,
    Column("project_id", _id, primary_key=True),
    # '' when no zone was asked for
    Column("zone", _id, primary_key=True),
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE"), nullable=False),
    Index(None, "pod_id"),
    mysql_engine="InnoDB",
)

# Read by (kind, top_id), the beginning of the primary key, on every cache miss.
routing = Table(
    "routing",
    metadata,
    Column("kind", _word, primary_key=True),
    Column("top_id", _id, primary_key=True),
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="RESTRICT"), primary_key=True),
    # null while the resource is being made
    Column("bottom_id", _id),
    Column("project_id", _id, nullable=False),
    Column("state", _word, nullable=False),
    Column("origin", _word, nullable=False),
    Column("owner_id", _id),
    Column("lease_owner", _id),
    Column("lease_until", UtcTime()),
    Column("created_at", UtcTime(), server_default=now(), nullable=False),
    Column("updated_at", UtcTime(), server_default=now(), nullable=False),
    UniqueConstraint("kind", "pod_id", "bottom_id", name="uq_routing_bottom_id"),
    # for the foreign key, the count of what a pod holds, and its pages in order
    Index(None, "pod_id", "kind", "top_id"),
    Index(None, "owner_id"),
    Index(None, "project_id"),
    Index(None, "state", "origin"),
    mysql_engine="InnoDB",
)

list_position = Table(
    "list_position",
    metadata,
    Column("position_key", _id, primary_key=True),
    Column("position", _long_bytes, nullable=False),
    Column("expires_at", UtcTime(), nullable=False),
    Index(None, "expires_at"),
    mysql_engine="InnoDB",
)
