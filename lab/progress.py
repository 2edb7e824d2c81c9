"""What the lab tells its user while it works: one line a step, with the time since the start."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_started = time.monotonic()
_lock = threading.Lock()


def elapsed_s() -> float:
    """The seconds since this command started."""
    return time.monotonic() - _started


def say(text: str) -> None:
    """Print one line of progress; safe to call from several threads."""
    with _lock:
        print(f"[{elapsed_s():6.1f}s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say that a step begins, and when it ends how long it took."""
    say(f"{text} ...")
    begin = time.monotonic()
    yield
    say(f"{text}: done in {time.monotonic() - begin:.1f} s")
