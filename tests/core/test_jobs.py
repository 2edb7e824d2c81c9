"""Jobs as values: their kinds, fields and keys."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.errors import BadInput
from tricircle.core.jobs import (
    JOB_CLASSES,
    KINDS,
    Job,
    KeepSparePorts,
    Purge,
    ReleaseServer,
    SweepPod,
    field_names,
    job_key,
    make_job,
    pod_of,
    project_of,
    read_fields,
    require_sensible,
    write_fields,
)
from tricircle.core.model import PodId, ProjectId, TopId
from tricircle.core.wishes import Replica
from tricircle.usecases.repair import TWINS

JOB = ReleaseServer(PodId("east"), TopId("s1"), ProjectId("demo"))


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
    # this one is not repeated for ever, but asked for after each boot
    is_repeated = job_class.quiet and job_class is not KeepSparePorts
    assert not is_repeated or field_names(job_class) in {(), ("pod_id",)}


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
            "one of default_type, flavor, group_type, keypair, qos_specs, volume_type",
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
