"""Without a broker there is no bus, and it costs nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

from tricircle.adapters.bus import SilentBell, open_bell, open_listener
from tricircle.adapters.config import load_settings


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


async def test_without_a_transport_url_the_bell_is_silent_and_nobody_listens() -> None:
    settings = load_settings("tricircle-compute", files=[])
    heard: list[str] = []
    async with open_listener(settings, "worker", heard.append), open_bell(settings) as bell:
        assert isinstance(bell, SilentBell)
        bell.ring("job", "req-1")
    assert not heard


def test_programs_do_not_load_the_bus_before_they_need_it() -> None:
    loaded = run(
        """
        import sys
        import tricircle.adapters.bus
        import tricircle.wiring.admin, tricircle.wiring.compute, tricircle.wiring.volume
        print(sorted({"oslo_messaging", "kombu", "eventlet"} & set(sys.modules)))
        """
    )
    assert loaded.strip() == "[]"


def test_a_program_ends_in_time_although_the_broker_is_away() -> None:
    closing_at = run(
        """
        import asyncio, os, time
        from tricircle.adapters.bus import open_bell, open_listener
        from tricircle.adapters.config import load_settings

        async def main():
            os.environ["OS_DEFAULT__TRANSPORT_URL"] = "rabbit://user:pass@127.0.0.1:9/"
            settings = load_settings("tricircle-xjob", files=[])
            async with open_bell(settings) as bell, open_listener(settings, "worker", print):
                for n in range(1000):
                    bell.ring(f"job-{n}", "req-1")
                print(time.time())

        asyncio.run(main())
        """
    )
    assert time.time() - float(closing_at) < 8
