"""Statements about limits, usage and claims."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Insert,
    Integer,
    Select,
    Table,
    Update,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.selectable import CompoundSelect

from tricircle.adapters.sql.columns import ExactText, from_now, now
from tricircle.adapters.sql.statements.inserts import insert_missing, insert_or_replace
from tricircle.adapters.sql.tables import quota_claim, quota_class, quota_limit, quota_usage
from tricircle.core.model import ProjectId, Service, TopId
from tricircle.core.quotas import (
    DEFAULT_CLASS,
    WHOLE,
    Amounts,
    Claim,
    ClaimId,
    Demand,
    Holder,
)

Rows = Select[*tuple[object, ...]]

LIMIT, CLASS, USAGE = "limit", "class", "usage"
"""Which table a row of ``find_standing`` is of."""


# Limits.


def find_limits(holder: Holder) -> Rows:
    """Return a read of resources and amounts."""
    columns = (quota_limit.c.resource, quota_limit.c.amount)
    return select(*columns).where(_of_project(quota_limit, holder), _of_user(holder))


def sum_user_limits(service: Service, project_id: ProjectId) -> Rows:
    """Return a read of resources and sums."""
    return (
        select(quota_limit.c.resource, func.sum(quota_limit.c.amount))
        .where(
            quota_limit.c.service == service.value,
            quota_limit.c.project_id == project_id,
            quota_limit.c.user_id != WHOLE,
        )
        .group_by(quota_limit.c.resource)
    )


def put_limit(backend: str, holder: Holder, resource: str, amount: int) -> Insert:
    """Return an insert that overwrites."""
    row = {**_key(holder), "resource": resource, "amount": amount}
    return insert_or_replace(backend, quota_limit, row)


def forget_limits(holder: Holder) -> Delete:
    """Return the delete of a user's limits, or of all of a project's."""
    forgetting = delete(quota_limit).where(_of_project(quota_limit, holder))
    return forgetting if holder.user_id == WHOLE else forgetting.where(_of_user(holder))


def find_class(service: Service, name: str) -> Rows:
    """Return a read of resources and amounts."""
    columns = (quota_class.c.resource, quota_class.c.amount)
    return select(*columns).where(
        quota_class.c.service == service.value, quota_class.c.name == name
    )


def put_class(backend: str, service: Service, name: str, resource: str, amount: int) -> Insert:
    """Return an insert that overwrites."""
    row = {"service": service.value, "name": name, "resource": resource, "amount": amount}
    return insert_or_replace(backend, quota_class, row)


def list_holders(after: Holder | None, limit: int) -> Rows:
    """Return a read of service, project and user of all that have limits, after one of them."""
    columns = (quota_limit.c.service, quota_limit.c.project_id, quota_limit.c.user_id)
    reading = select(*columns).distinct().order_by(*columns).limit(limit)
    return (
        reading if after is None else reading.where(_is_after(columns, tuple(_key(after).values())))
    )


def list_classes(after: tuple[Service, str] | None, limit: int) -> Rows:
    """Return a read of service and name of all classes that have limits, after one of them."""
    columns = (quota_class.c.service, quota_class.c.name)
    reading = select(*columns).distinct().order_by(*columns).limit(limit)
    if after is None:
        return reading
    return reading.where(_is_after(columns, (after[0].value, after[1])))


# Usage.


def find_standing(holder: Holder, fresh_s: float) -> CompoundSelect[*tuple[object, ...]]:
    """Return one read of all that a decision needs.

    Columns: which table, user, resource, amount, and 1 when usage is fresh.
    """
    users = [WHOLE, holder.user_id]
    stale = literal(0, Integer())
    fresh = case((quota_usage.c.counted_at > from_now(-fresh_s), 1), else_=0)
    limit, usage = quota_limit.c, quota_usage.c
    return union_all(
        select(_text(LIMIT), limit.user_id, limit.resource, limit.amount, stale).where(
            _of_project(quota_limit, holder), limit.user_id.in_(users)
        ),
        select(
            _text(CLASS), _text(WHOLE), quota_class.c.resource, quota_class.c.amount, stale
        ).where(quota_class.c.service == holder.service.value, quota_class.c.name == DEFAULT_CLASS),
        select(_text(USAGE), usage.user_id, usage.resource, usage.used, fresh).where(
            _of_project(quota_usage, holder), usage.user_id.in_(users)
        ),
    )


def take(holder: Holder, demands: Sequence[Demand]) -> Update:
    """Return the update of all numbers that stay within their limits.

    It has matched as many rows as there are demands, or must be taken back. The condition
    is of one row each, so that it is judged anew after a wait for another's lock.
    """
    usage = quota_usage.c
    growth = case(*((_is(demand), demand.amount) for demand in demands), else_=0)
    return (
        update(quota_usage)
        .where(_of_project(quota_usage, holder), or_(*(_fits(demand) for demand in demands)))
        .values(used=usage.used + growth, taken=usage.taken + growth)
    )


def give_back(claim: Claim, was_made: bool) -> Update:
    """Return the update of whatever numbers are kept; none falls below 0.

    ``was_made`` tells whether pods may have shown what is given back.
    """
    usage = quota_usage.c
    amount = case(
        *((usage.resource == name, each) for name, each in claim.amounts.items()), else_=0
    )
    less = case((usage.used < amount, 0), else_=usage.used - amount)
    return (
        update(quota_usage)
        .where(
            _of_project(quota_usage, claim.holder),
            usage.user_id.in_([WHOLE, claim.holder.user_id]),
            usage.resource.in_(list(claim.amounts)),
        )
        .values(used=less, given=usage.given + (amount if was_made else 0))
    )


def list_tallies(holder: Holder) -> Rows:
    """Return a read of user, resource, used, taken and given."""
    usage = quota_usage.c
    columns = (usage.user_id, usage.resource, usage.used, usage.taken, usage.given)
    return select(*columns).where(_of_project(quota_usage, holder))


def lock_tallies(holder: Holder) -> Rows:
    """Return the same read, which keeps all that it finds from changing.

    Also those that were put there after ``mark_counted`` had locked what there was.
    """
    return list_tallies(holder).with_for_update()


def mark_counted(holder: Holder) -> Update:
    """Return the update that locks a project's numbers."""
    return update(quota_usage).where(_of_project(quota_usage, holder)).values(counted_at=now())


def set_used(holder: Holder, user_id: str, resource: str, used: int) -> Update:
    """Return the update of one number."""
    usage = quota_usage.c
    return (
        update(quota_usage)
        .where(
            _of_project(quota_usage, holder), usage.user_id == user_id, usage.resource == resource
        )
        .values(used=used)
    )


def add_number(backend: str, holder: Holder, user_id: str, resource: str, used: int) -> Insert:
    """Return the insert of a number that leaves one that is there as it is."""
    return insert_missing(backend, quota_usage).values(
        **{**_key(holder), "user_id": user_id},
        resource=resource,
        used=used,
        taken=0,
        given=0,
        counted_at=now(),
    )


def list_long_uncounted(older_than_s: float, limit: int) -> Rows:
    """Return a read of service and project, those longest not counted first."""
    usage = quota_usage.c
    return (
        select(usage.service, usage.project_id)
        .where(usage.counted_at <= from_now(-older_than_s))
        .group_by(usage.service, usage.project_id)
        .order_by(func.min(usage.counted_at))
        .limit(limit)
    )


# Claims.


def add_claims(claims: Sequence[Claim], ttl_s: float) -> Insert:
    """Return the insert of claims whose outcome is open."""
    return insert(quota_claim).values(
        [
            {
                "id": claim.id,
                **_key(claim.holder),
                "amounts": write_amounts(claim.amounts),
                "expires_at": from_now(ttl_s),
            }
            for claim in claims
        ]
    )


def keep_claim(claim_id: ClaimId, resource_id: TopId) -> Update:
    """Return the update of a claim that has become a resource."""
    return (
        update(quota_claim)
        .where(quota_claim.c.id == claim_id)
        .values(resource_id=resource_id, expires_at=null())
    )


def forget_claim(claim_id: ClaimId) -> Delete:
    """Return the delete of a claim whose outcome is open."""
    return delete(quota_claim).where(
        quota_claim.c.id == claim_id, quota_claim.c.expires_at.is_not(None)
    )


def lock_claims_of(
    service: Service, resource_id: TopId, project_id: ProjectId | None = None
) -> Update:
    """Return the update that locks what a resource took."""
    return (
        update(quota_claim)
        .where(_of_resource(service, resource_id, project_id))
        .values(expires_at=null())
    )


def list_claims_of(
    service: Service, resource_id: TopId, project_id: ProjectId | None = None
) -> Rows:
    """Return a read of what a resource took, oldest first."""
    claims = _read_claims().where(_of_resource(service, resource_id, project_id))
    return claims.order_by(quota_claim.c.created_at, quota_claim.c.id)


def forget_claims_of(
    service: Service, resource_id: TopId, project_id: ProjectId | None = None
) -> Delete:
    """Return the delete of what a resource took."""
    return delete(quota_claim).where(_of_resource(service, resource_id, project_id))


def list_open_claims(holder: Holder) -> Rows:
    """Return a read of a project's claims whose outcome is open; the last column: is it expired."""
    expired = case((quota_claim.c.expires_at <= now(), 1), else_=0)
    return (
        _read_claims()
        .add_columns(expired)
        .where(_of_project(quota_claim, holder), quota_claim.c.expires_at.is_not(None))
    )


def list_expired(limit: int) -> Rows:
    """Return a read of service and project of claims that have expired."""
    claim = quota_claim.c
    return (
        select(claim.service, claim.project_id)
        .where(claim.expires_at <= now())
        .group_by(claim.service, claim.project_id)
        .limit(limit)
    )


def _read_claims() -> Rows:
    claim = quota_claim.c
    return select(claim.id, claim.service, claim.project_id, claim.user_id, claim.amounts)


def write_amounts(amounts: Amounts) -> str:
    """Return amounts as they are kept."""
    return json.dumps(dict(amounts), sort_keys=True, separators=(",", ":"))


def read_amounts(text: str) -> Amounts:
    """Return amounts that were kept."""
    return {str(name): int(value) for name, value in json.loads(text).items()}


def _is(demand: Demand) -> ColumnElement[bool]:
    usage = quota_usage.c
    return and_(usage.user_id == demand.user_id, usage.resource == demand.resource)


def _fits(demand: Demand) -> ColumnElement[bool]:
    if demand.limit is None:
        return _is(demand)
    return and_(_is(demand), quota_usage.c.used <= demand.limit - demand.amount)


def _is_after(columns: Sequence[Column[str]], values: Sequence[str]) -> ColumnElement[bool]:
    """Return whether a row comes later: a comparison of rows that every database has."""
    pairs = list(zip(columns, values, strict=True))
    return or_(
        *(
            and_(*(column == value for column, value in pairs[:at]), pairs[at][0] > pairs[at][1])
            for at in range(len(pairs))
        )
    )


def _of_project(table: Table, holder: Holder) -> ColumnElement[bool]:
    return and_(table.c.service == holder.service.value, table.c.project_id == holder.project_id)


def _of_user(holder: Holder) -> ColumnElement[bool]:
    return quota_limit.c.user_id == holder.user_id


def _of_resource(
    service: Service, resource_id: TopId, project_id: ProjectId | None
) -> ColumnElement[bool]:
    """Return what holds of the claims of a resource: those of all projects, or of one."""
    claims = quota_claim.c
    held = and_(claims.resource_id == resource_id, claims.service == service.value)
    return held if project_id is None else and_(held, claims.project_id == project_id)


def _key(holder: Holder) -> dict[str, str]:
    return {
        "service": holder.service.value,
        "project_id": holder.project_id,
        "user_id": holder.user_id,
    }


def _text(value: str) -> ColumnElement[str]:
    return literal(value, ExactText(32))
