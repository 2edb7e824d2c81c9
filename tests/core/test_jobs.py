"""Jobs as values: their keys, and what becomes of them."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.errors import BadInput
from tricircle.core.jobs import (
    JOB_CLASSES,
    KINDS,
    MAX_REASON,
    Ending,
    HandedBack,
    Job,
    JobId,
    JobState,
    LeaseToken,
    Outcome,
    PodAway,
    Postponed,
    Purge,
    ReleaseServer,
    RetryRules,
    Run,
    Succeeded,
    SweepPod,
    Unsuccessful,
    decide,
    decide_abandoned,
    field_names,
    job_key,
    make_job,
    pod_of,
    pod_pause_s,
    project_of,
    read_fields,
    require_sensible,
    take_within_rooms,
    write_fields,
)
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.wishes import Replica
from tricircle.usecases.repair import TWINS

JOB = ReleaseServer(PodId("east"), TopId("s1"), ProjectId("demo"))
RULES = RetryRules(max_attempts=3, first_s=1, longest_s=8, pod_first_s=1, pod_longest_s=4)


def ending(outcome: Outcome, attempt: int = 1, asked: int = 1, jitter: float = 1.0) -> Ending:
    run = Run(JobId("j"), JOB, LeaseToken("w/1"), attempt, asked, "req-1")
    return Ending(run, outcome, RULES, jitter)


# Kinds and keys.


@pytest.mark.parametrize("job_class", JOB_CLASSES, ids=lambda each: each.kind)
def test_a_kind_is_text_only_and_says_what_it_wants(job_class: type[Job]) -> None:
    assert KINDS[job_class.kind] is job_class
    assert len(job_class.kind) <= 32
    assert job_class.__doc__
    # the database keeps them as text, whatever NewType they are
    values = {name: f"value of {name}" for name in field_names(job_class)}
    job = make_job(job_class.kind, values)
    assert type(job) is job_class
    assert read_fields(job) == values


@pytest.mark.parametrize("job_class", JOB_CLASSES, ids=lambda each: each.kind)
def test_what_is_repeated_for_ever_is_about_a_pod_or_everything(job_class: type[Job]) -> None:
    assert not job_class.quiet or field_names(job_class) in {(), ("pod_id",)}


def test_no_kind_has_a_field_for_a_secret() -> None:
    names = {field.name for each in JOB_CLASSES for field in fields(each)}
    assert not {name for name in names if "token" in name or "password" in name or "key" in name}


@given(st.text(max_size=50), st.text(max_size=50))
def test_keys_are_equal_when_kind_and_fields_are(one: str, other: str) -> None:
    first = ReleaseServer(PodId("p"), TopId(one), ProjectId(other))
    second = ReleaseServer(PodId("p"), TopId(other), ProjectId(one))
    assert (job_key(first) == job_key(second)) == (one == other)
    assert len(job_key(first)) == 64


def test_two_kinds_with_equal_fields_have_different_keys() -> None:
    assert job_key(SweepPod(PodId("p"))) != job_key(make_job("probe_pod", {"pod_id": "p"}))


def test_fields_are_written_in_one_way_only() -> None:
    assert write_fields(JOB) == '{"pod_id":"east","project_id":"demo","server_id":"s1"}'


def test_pod_and_project_are_known_where_a_kind_has_them() -> None:
    assert (pod_of(JOB), project_of(JOB)) == ("east", "demo")
    assert (pod_of(Purge()), project_of(Purge())) == (None, None)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("reboot", {}, "no kind of job 'reboot'.*probe_pod"),
        ("purge", {"pod_id": "p"}, "pod_id is not one of them"),
        ("sweep_pod", {}, "pod_id is missing"),
        ("sweep_pod", {"pod_id": 7}, "field pod_id of sweep_pod must be text"),
        ("sweep_pod", {"pod_id": "p" * 256}, "at most 255"),
        ("sweep_pod", {"pod_id": "a\0b"}, "field pod_id"),
    ],
)
def test_what_is_no_job_is_refused_by_name(
    kind: str, values: dict[str, object], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        make_job(kind, values)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("sweep_pod", {"pod_id": ""}, "pod_id of sweep_pod is empty"),
        (
            "replicate",
            {"pod_id": "p", "resource": "image", "owner": "", "name": "x"},
            "one of flavor, keypair, volume_type",
        ),
        (
            "repair_twin",
            {"pod_id": "p", "resource": "router", "top_id": "x", "project_id": "y"},
            "one of network, security_group, subnet",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_asked_for(
    kind: str, values: dict[str, object], words: str
) -> None:
    job = make_job(kind, values)
    with pytest.raises(BadInput, match=words):
        require_sensible(job)


def test_what_may_be_empty_may_be_asked_for() -> None:
    values = {"pod_id": "p", "resource": "flavor", "owner": "", "name": "m1"}
    require_sensible(make_job("replicate", values))


def test_the_resources_of_kinds_are_those_that_are_carried_out() -> None:
    assert KINDS["replicate"].choices["resource"] == {each.value for each in Replica}
    assert KINDS["repair_twin"].choices["resource"] == {each.value for each in TWINS}


# What becomes of a job.


def test_success_ends_a_job() -> None:
    move = decide(ending(Succeeded("made")), asked=1)
    assert (move.state, move.why, move.failed) == (JobState.DONE, "made", False)


@pytest.mark.parametrize(
    "outcome",
    [Succeeded(), Unsuccessful("no"), Postponed("later", 5), PodAway("dead"), HandedBack("end")],
)
@pytest.mark.parametrize("attempt", [1, 2, 3, 50])
def test_what_was_asked_during_the_run_is_never_forgotten(outcome: Outcome, attempt: int) -> None:
    assert decide(ending(outcome, attempt, asked=1), asked=2).state is JobState.NEW


def test_a_repeated_job_is_due_again_after_its_interval() -> None:
    early = decide(ending(Succeeded(again_in_s=100), jitter=0), asked=1)
    late = decide(ending(Succeeded(again_in_s=100), jitter=1), asked=1)
    assert (early.state, early.attempts) == (JobState.NEW, 0)
    assert early.wait_s == pytest.approx(90)
    assert late.wait_s == pytest.approx(110)


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    waits = [decide(ending(Unsuccessful("no"), attempt=n), asked=1).wait_s for n in (1, 2)]
    assert waits == [1, 2]
    rules = RetryRules(max_attempts=100, first_s=1, longest_s=8)
    run = ending(Unsuccessful("no"), attempt=60).run
    assert decide(Ending(run, Unsuccessful("no"), rules, 1.0), 1).wait_s == 8
    assert decide(Ending(run, Unsuccessful("no"), rules, 0.0), 1).wait_s == 4


def test_after_its_last_attempt_a_job_waits_for_an_operator() -> None:
    move = decide(ending(Unsuccessful("no luck"), attempt=3), asked=1)
    assert (move.state, move.why, move.failed) == (JobState.FAILED, "no luck", True)


def test_a_repeated_job_never_waits_for_an_operator() -> None:
    move = decide(ending(Unsuccessful("no", again_in_s=100), attempt=3), asked=1)
    assert (move.state, move.attempts, move.failed) == (JobState.NEW, 0, True)
    assert move.wait_s >= 90


@pytest.mark.parametrize("outcome", [Postponed("later", 5), PodAway("dead"), HandedBack("end")])
@pytest.mark.parametrize("attempt", [1, 3, 50])
def test_what_is_nobodys_failure_never_uses_up_attempts(outcome: Outcome, attempt: int) -> None:
    move = decide(ending(outcome, attempt), asked=1)
    assert (move.state, move.attempts) == (JobState.NEW, attempt - 1)


def test_a_reason_is_kept_up_to_a_length() -> None:
    assert len(decide(ending(Unsuccessful("x" * 10_000)), asked=1).why) == MAX_REASON


def test_an_abandoned_run_counts() -> None:
    assert decide_abandoned(2, RULES).state is JobState.NEW
    assert decide_abandoned(3, RULES).state is JobState.FAILED


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_pause_of_a_pod_is_bounded_and_never_none(failures: int, jitter: float) -> None:
    assert 0.75 <= pod_pause_s(failures, RULES, jitter) <= 4


# Rooms.

_pods = st.sampled_from([None, PodId("a"), PodId("b"), PodId("c")])


@given(
    st.lists(_pods, max_size=30),
    st.dictionaries(st.sampled_from([PodId("a"), PodId("b")]), st.integers(-1, 5)),
    st.integers(0, 5),
)
def test_no_pod_takes_more_than_its_room_and_order_is_kept(
    pods: list[PodId | None], rooms: dict[PodId, int], room: int
) -> None:
    candidates = [(JobId(str(number)), pod) for number, pod in enumerate(pods)]
    taken = take_within_rooms(candidates, rooms, room)
    assert taken == [job_id for job_id, _ in candidates if job_id in set(taken)]
    for pod in (PodId("a"), PodId("b"), PodId("c")):
        mine = [job_id for job_id, each in candidates if each == pod]
        free = max(0, rooms.get(pod, room))
        assert [job_id for job_id in mine if job_id in taken] == mine[:free]
    assert all(job_id in taken for job_id, pod in candidates if pod is None)
