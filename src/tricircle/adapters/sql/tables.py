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
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

from tricircle.adapters.sql.columns import ExactText, UtcTime, now
from tricircle.core.quotas import MAX_USER
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
# SQLite numbers rows by itself only in a column of this very type
_number = BigInteger().with_variant(Integer(), "sqlite")
_digest = ExactText(64)
_user = ExactText(MAX_USER)
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
    # as JSON; null where an earlier release made the pod
    Column("tags", _long_text),
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

past_binding = Table(
    "past_binding",
    metadata,
    Column("project_id", _id, primary_key=True),
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE"), primary_key=True),
    Column("ended_at", UtcTime(), server_default=now(), nullable=False),
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

# Not taken while boot_id is null; the column is also the lock.
spare_port = Table(
    "spare_port",
    metadata,
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE"), primary_key=True),
    # the pod's own id of the port
    Column("port_id", _id, primary_key=True),
    Column("network_id", _id, nullable=False),
    Column("project_id", _id, nullable=False),
    Column("mac_address", _id, nullable=False),
    # pairs of subnet_id and ip_address, as JSON
    Column("addresses", _long_text, nullable=False),
    Column("boot_id", _id),
    # as JSON
    Column("group_ids", _long_text, nullable=False),
    Column("created_at", UtcTime(), server_default=now(), nullable=False),
    Column("updated_at", UtcTime(), server_default=now(), nullable=False),
    Index(None, "network_id", "project_id"),
    Index(None, "updated_at"),
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

# The row is the job and, by its unique live_key, the lock: live_key is job_key while
# the job is new, running or failed, and null once it has ended.
job = Table(
    "job",
    metadata,
    Column("id", _id, primary_key=True),
    Column("kind", _word, nullable=False),
    # core.jobs.job_key and the fields it was made of, as JSON
    Column("job_key", _digest, nullable=False),
    Column("live_key", _digest),
    Column("fields", _long_text, nullable=False),
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE")),
    Column("project_id", _id),
    Column("state", _word, nullable=False),
    Column("request_id", _id, nullable=False),
    # how often it was asked for, and how often when its present run began
    Column("asked", BigInteger(), nullable=False),
    Column("asked_at_start", BigInteger(), nullable=False),
    Column("attempts", BigInteger(), nullable=False),
    Column("error", _long_text, nullable=False),
    Column("worker", _id, nullable=False),
    Column("lease_token", _id),
    Column("lease_until", UtcTime()),
    Column("due_at", UtcTime(), nullable=False),
    Column("started_at", UtcTime()),
    Column("finished_at", UtcTime()),
    Column("created_at", UtcTime(), server_default=now(), nullable=False),
    Column("updated_at", UtcTime(), server_default=now(), nullable=False),
    UniqueConstraint("live_key"),
    # for claims: those of one state in the order in which they are due
    Index(None, "state", "due_at", "pod_id"),
    Index(None, "lease_token"),
    Index(None, "job_key"),
    # pages, newest first: of all, of a pod (the foreign key too), of a project
    Index(None, "created_at", "id"),
    Index(None, "pod_id", "state", "due_at"),
    Index(None, "project_id", "created_at"),
    mysql_engine="InnoDB",
)

job_event = Table(
    "job_event",
    metadata,
    Column("number", _number, primary_key=True, autoincrement=True),
    Column("job_id", _id, ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    Column("state", _word, nullable=False),
    Column("at", UtcTime(), server_default=now(), nullable=False),
    Column("who", _id, nullable=False),
    Column("why", _long_text, nullable=False),
    Index(None, "job_id"),
    Index(None, "at"),
    mysql_engine="InnoDB",
)

# A pod that does not answer: jobs of it wait until then, when one is tried.
pod_pause = Table(
    "pod_pause",
    metadata,
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE"), primary_key=True),
    Column("failures", BigInteger(), nullable=False),
    Column("until", UtcTime(), nullable=False),
    Column("reason", _long_text, nullable=False),
    mysql_engine="InnoDB",
)

# What the top wants every pod to have; a wish that is not wanted any more stays as a
# tombstone until no pod has it.
wish = Table(
    "wish",
    metadata,
    Column("id", _id, primary_key=True),
    Column("resource", _word, nullable=False),
    # the user of a key pair, else ''
    Column("owner", _id, nullable=False),
    Column("name", _id, nullable=False),
    Column("document", _long_text, nullable=False),
    Column("wanted", Boolean(), nullable=False),
    Column("generation", BigInteger(), nullable=False),
    Column("created_at", UtcTime(), server_default=now(), nullable=False),
    Column("updated_at", UtcTime(), server_default=now(), nullable=False),
    UniqueConstraint("resource", "owner", "name"),
    mysql_engine="InnoDB",
)

# Which generation of a wish a pod was made to have, and the pod's own id of it.
wish_pod = Table(
    "wish_pod",
    metadata,
    Column("wish_id", _id, ForeignKey("wish.id", ondelete="CASCADE"), primary_key=True),
    Column("pod_id", _id, ForeignKey("pod.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", BigInteger(), nullable=False),
    Column("bottom_id", _id),
    Index(None, "pod_id"),
    mysql_engine="InnoDB",
)

# Limits of projects and, where user_id is not '', of users in them.
quota_limit = Table(
    "quota_limit",
    metadata,
    Column("service", _word, primary_key=True),
    Column("project_id", _id, primary_key=True),
    Column("user_id", _user, primary_key=True),
    Column("resource", _id, primary_key=True),
    Column("amount", BigInteger(), nullable=False),
    mysql_engine="InnoDB",
)

quota_class = Table(
    "quota_class",
    metadata,
    Column("service", _word, primary_key=True),
    Column("name", _id, primary_key=True),
    Column("resource", _id, primary_key=True),
    Column("amount", BigInteger(), nullable=False),
    mysql_engine="InnoDB",
)

# What is used, claims under way included; each row is its own lock. taken and given
# only ever grow: what was claimed, and what was given back by resources that went.
quota_usage = Table(
    "quota_usage",
    metadata,
    Column("service", _word, primary_key=True),
    Column("project_id", _id, primary_key=True),
    Column("user_id", _user, primary_key=True),
    Column("resource", _id, primary_key=True),
    Column("used", BigInteger(), nullable=False),
    Column("taken", BigInteger(), nullable=False),
    Column("given", BigInteger(), nullable=False),
    # when the pods were last asked
    Column("counted_at", UtcTime(), nullable=False),
    Index(None, "counted_at"),
    mysql_engine="InnoDB",
)

# What one creation took. While its outcome is open it has a time after which no
# request can be behind it, and then the id of what it became.
quota_claim = Table(
    "quota_claim",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service", _word, nullable=False),
    Column("project_id", _id, nullable=False),
    Column("user_id", _user, nullable=False),
    # by resource, as JSON
    Column("amounts", _long_text, nullable=False),
    Column("resource_id", _id),
    Column("expires_at", UtcTime()),
    Column("created_at", UtcTime(), server_default=now(), nullable=False),
    Index(None, "resource_id"),
    Index(None, "expires_at"),
    Index(None, "project_id", "expires_at"),
    mysql_engine="InnoDB",
)
