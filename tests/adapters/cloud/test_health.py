"""When a pod is dead, when it is only slow, and who has to wait."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from tricircle.adapters.cloud.health import PodService, PodWatch, Rhythm
from tricircle.adapters.cloud.http import HttpCloud
from tricircle.core.errors import PodDead, PodError, PodTimeout
from tricircle.core.model import Endpoint, Pod, PodId, Service
from tricircle.interfaces.cloud import PodRequest
from tricircle.testing.clock import FakeClock
from tricircle.testing.raw_pod import OK, POD, Answerer, RawPod

StartPod = Callable[[Answerer], Awaitable[RawPod]]
StartPodThatSays = Callable[..., Awaitable[RawPod]]

DEADLINE_S = 0.4  # as the fixture `cloud` has it
LATE_S = 0.25  # what a busy machine may add
SLOW = PodRequest("GET", "/slow")
QUICK = PodRequest("GET", "/quick")
RHYTHM = Rhythm(deadline_s=2, interval_s=5)


async def ask(cloud: HttpCloud, pod: RawPod, request: PodRequest, timeout_s: float = 30) -> bytes:
    async with cloud.send(POD, pod.endpoint, request, timeout_s) as answer:
        return await answer.read()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.fixture
async def mute_pod(start_pod: StartPod) -> RawPod:
    """A pod that takes connections and requests and never says a word, as when stopped."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pod.read_head(reader)
        await reader.read()

    pod = await start_pod(answer)
    return pod


@pytest.fixture
async def slow_pod(start_pod: StartPod) -> RawPod:
    """A pod that needs 1.5 s for /slow and no time for anything else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if b"/slow " in await pod.read_head(reader):
                await asyncio.sleep(1.5)
            writer.write(OK)

    pod = await start_pod(answer)
    return pod


# Over real connections


async def test_a_pod_that_dies_in_mid_request_costs_the_deadline_at_most(
    cloud: HttpCloud, mute_pod: RawPod
) -> None:
    cloud.update_pods([mute_pod.pod])
    cloud.start()
    with at_most(DEADLINE_S + LATE_S), pytest.raises(PodTimeout, match="'west' died; whether"):
        await ask(cloud, mute_pod, QUICK)
    assert cloud.is_dead(POD)


async def test_all_who_wait_for_a_pod_are_released_when_it_dies(
    cloud: HttpCloud, mute_pod: RawPod
) -> None:
    cloud.update_pods([mute_pod.pod])
    cloud.start()
    with at_most(DEADLINE_S + LATE_S):
        outcomes = await asyncio.gather(
            *(ask(cloud, mute_pod, QUICK) for _ in range(5)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [PodTimeout] * 5


async def test_a_pod_that_dies_in_the_middle_of_a_body_releases_the_reader(
    cloud: HttpCloud, start_pod: StartPod
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/quick " in await pod.read_head(reader):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await reader.read()

    pod = await start_pod(answer)
    cloud.update_pods([pod.pod])
    cloud.start()
    with at_most(DEADLINE_S + LATE_S), pytest.raises(PodTimeout):
        await ask(cloud, pod, QUICK)


async def test_a_slow_pod_that_lives_is_waited_for(cloud: HttpCloud, slow_pod: RawPod) -> None:
    cloud.update_pods([slow_pod.pod])
    cloud.start()
    assert await ask(cloud, slow_pod, SLOW) == b"ok"
    assert not cloud.is_dead(POD)
    assert cloud.get_counters()[POD, Service.COMPUTE].deaths == 0


async def test_a_pod_known_to_be_dead_is_not_asked(cloud: HttpCloud, mute_pod: RawPod) -> None:
    cloud.update_pods([mute_pod.pod])
    cloud.start()
    with pytest.raises(PodTimeout):
        await ask(cloud, mute_pod, QUICK)
    with at_most(0.05), pytest.raises(PodDead, match="known to be dead, nothing was sent"):
        await ask(cloud, mute_pod, QUICK)
    assert [head for head in mute_pod.heads if b"/quick " in head] == mute_pod.heads[:1]


async def test_a_pod_nobody_uses_is_found_dead_too(cloud: HttpCloud, mute_pod: RawPod) -> None:
    cloud.update_pods([mute_pod.pod])
    cloud.start()
    await asyncio.sleep(0.5 + DEADLINE_S + LATE_S)
    assert cloud.is_dead(POD)


async def test_a_refused_connection_makes_a_pod_dead_and_its_return_makes_it_live(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(OK)
    cloud.update_pods([pod.pod])
    cloud.start()
    assert await ask(cloud, pod, QUICK) == b"ok"
    await pod.stop()
    with pytest.raises(PodError):
        await ask(cloud, pod, QUICK)
    with pytest.raises(PodDead):
        await ask(cloud, pod, QUICK)
    assert cloud.is_dead(POD)
    await pod.start(pod.port)
    await asyncio.sleep(0.5 * 1.2 + LATE_S)
    assert not cloud.is_dead(POD)
    assert await ask(cloud, pod, QUICK) == b"ok"
    await pod.stop()


@pytest.mark.parametrize(
    ("status", "dead"), [(200, False), (300, False), (401, False), (404, False), (503, True)]
)
async def test_any_answer_but_a_server_error_is_a_sign_of_life(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays, status: int, dead: bool
) -> None:
    pod = await start_pod_that_says(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    cloud.update_pods([pod.pod])
    cloud.start()
    await asyncio.sleep(LATE_S)
    assert cloud.is_dead(POD) is dead
    assert pod.heads[0].startswith(b"GET /v2.1/ HTTP/1.1\r\n")
    assert b"oken" not in pod.heads[0]


async def test_one_service_of_a_pod_may_be_dead_while_the_pod_lives(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    nova = await start_pod_that_says(OK)
    neutron = await start_pod_that_says(OK)
    network = Endpoint(Service.NETWORK, neutron.url)
    pod = Pod(POD, "west", "west", endpoints={s.service: s for s in (nova.endpoint, network)})
    cloud.update_pods([pod])
    cloud.start()
    await neutron.stop()
    for _ in range(2):
        with pytest.raises(PodDead):
            async with cloud.send(POD, network, QUICK, 1):
                pass
    assert not cloud.is_dead(POD)
    assert await ask(cloud, nova, QUICK) == b"ok"
    await neutron.start(neutron.port)
    await asyncio.sleep(0.5 * 1.2 + LATE_S)
    async with cloud.send(POD, network, QUICK, 1) as answer:
        assert answer.status == 200
    await neutron.stop()


async def test_a_dead_pod_does_not_hold_up_another(
    cloud: HttpCloud, mute_pod: RawPod, start_pod_that_says: StartPodThatSays
) -> None:
    living = await start_pod_that_says(OK)
    other = PodId("other")
    cloud.update_pods(
        [mute_pod.pod, Pod(other, "other", "other", endpoints={Service.COMPUTE: living.endpoint})]
    )
    cloud.start()
    waiting = asyncio.create_task(ask(cloud, mute_pod, QUICK))
    await asyncio.sleep(0.05)
    with at_most(LATE_S):
        async with cloud.send(other, living.endpoint, QUICK, 1) as answer:
            assert await answer.read() == b"ok"
    with pytest.raises(PodTimeout):
        await waiting
    assert not cloud.is_dead(other)


async def test_a_pod_that_is_unknown_is_asked_each_time(
    cloud: HttpCloud, start_pod_that_says: StartPodThatSays
) -> None:
    pod = await start_pod_that_says(OK)
    await pod.stop()
    for _ in range(2):
        with pytest.raises(PodDead, match="does not accept connections"):
            await ask(cloud, pod, QUICK)
    assert not cloud.is_dead(POD)
    await pod.start(pod.port)
    assert await ask(cloud, pod, QUICK) == b"ok"
    await pod.stop()


async def test_pods_can_be_changed_while_requests_run(cloud: HttpCloud, slow_pod: RawPod) -> None:
    cloud.update_pods([slow_pod.pod])
    cloud.start()
    waiting = asyncio.create_task(ask(cloud, slow_pod, SLOW))
    await asyncio.sleep(0.05)
    cloud.update_pods([])
    assert cloud.get_counters() == {}
    cloud.update_pods([slow_pod.pod])
    assert await waiting == b"ok"


# On a clock of our own


class Probed:
    """What a watch asks: counts, and answers as it is told."""

    def __init__(self) -> None:
        self.count = 0
        self.answer: bool | None = True
        self.refuses = False
        self.errno: int | None = None

    async def __call__(self, service: PodService) -> bool:
        self.count += 1
        if self.refuses:
            raise OSError(self.errno, "no connection")
        if self.answer is None:
            await asyncio.Event().wait()
        return bool(self.answer)


class Waiting:
    """Somebody who waits."""

    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        self.released = True


class Stage:
    """A watch of one service, its clock, and what it probes."""

    def __init__(self) -> None:
        self.clock = FakeClock(1000)
        self.probed = Probed()
        self.watch = PodWatch(self.probed, RHYTHM, self.clock)
        self.service = self.make_service()
        self.watch.replace_services([self.service])
        self.watch.start()

    def make_service(self, url: str = "http://west") -> PodService:
        return PodService(POD, "west", Service.COMPUTE, url, always_probed=True)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.clock.advance(0)
    yield stage
    await stage.watch.stop()


async def test_an_idle_pod_is_probed_now_and_then(stage: Stage) -> None:
    assert stage.probed.count == 1
    await stage.clock.advance(60)
    assert 60 / 6.2 <= stage.probed.count <= 1 + 60 / 4


async def test_a_pod_that_answers_traffic_is_not_probed(stage: Stage) -> None:
    for _ in range(60):
        stage.service.note_answer(stage.clock.now_s())
        await stage.clock.advance(1)
    assert stage.probed.count <= 2


async def test_the_first_probe_of_an_idle_pod_has_the_whole_deadline(stage: Stage) -> None:
    stage.probed.answer = None
    while stage.probed.count < 2:
        await stage.clock.advance(0.1)
    await stage.clock.advance(1.8)
    assert not stage.service.dead
    await stage.clock.advance(0.2)
    assert stage.service.dead
    assert stage.service.counters.deaths == 1


async def test_one_who_waits_is_released_within_the_deadline_of_the_last_sign_of_life(
    stage: Stage,
) -> None:
    stage.probed.answer = None
    await stage.clock.advance(0.3)
    waiter = Waiting()
    stage.service.note_answer(stage.clock.now_s())
    stage.service.start_waiting(waiter, stage.clock.now_s())
    await stage.clock.advance(1.9)
    assert not waiter.released
    await stage.clock.advance(0.1)
    assert waiter.released


async def test_one_who_waits_long_for_a_pod_that_answers_probes_is_not_released(
    stage: Stage,
) -> None:
    waiter = Waiting()
    stage.service.start_waiting(waiter, stage.clock.now_s())
    await stage.clock.advance(30)
    assert not waiter.released
    assert not stage.service.dead


async def test_a_pod_too_busy_for_the_probe_that_answers_others_is_not_dead(stage: Stage) -> None:
    stage.probed.answer = None
    stage.service.start_waiting(Waiting(), stage.clock.now_s())
    for _ in range(40):
        await stage.clock.advance(0.5)
        stage.service.note_answer(stage.clock.now_s())
    assert not stage.service.dead


async def test_a_dead_pod_is_tried_soon_and_then_less_and_less_often(stage: Stage) -> None:
    stage.watch.note_refused(stage.service)
    stage.probed.refuses = True
    before = stage.probed.count
    await stage.clock.advance(4)
    soon = stage.probed.count - before
    assert 2 <= soon <= 4
    await stage.clock.advance(60)
    assert stage.probed.count - before - soon <= 60 / 4
    stage.probed.refuses = False
    await stage.clock.advance(6.2)
    assert not stage.service.dead
    assert stage.service.failures_in_a_row == 0


async def test_a_service_that_stays_keeps_its_state_and_one_that_moves_begins_anew(
    stage: Stage,
) -> None:
    stage.watch.note_refused(stage.service)
    stage.watch.replace_services([stage.make_service()])
    assert stage.watch.find_service(POD, Service.COMPUTE) is stage.service
    stage.watch.replace_services([stage.make_service("http://elsewhere")])
    moved = stage.watch.find_service(POD, Service.COMPUTE)
    assert moved is not None
    assert not moved.dead


async def test_a_service_that_is_gone_is_probed_no_more(stage: Stage) -> None:
    stage.watch.replace_services([])
    await stage.clock.advance(20)
    assert stage.probed.count == 1


@pytest.mark.parametrize(("number", "dead"), [(errno.ECONNREFUSED, True), (errno.EMFILE, False)])
async def test_want_of_sockets_here_does_not_make_a_pod_dead(
    stage: Stage, number: int, dead: bool
) -> None:
    stage.probed.refuses, stage.probed.errno = True, number
    await stage.clock.advance(7)
    assert stage.service.dead is dead
