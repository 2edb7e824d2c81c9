"""The virtual environment of the project: .venv holds exactly what requirements/dev.txt says."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from lab.machine import no_service_starts, run_apt
from lab.progress import step

REPOSITORY = Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"
TOOLS = REPOSITORY / ".venv-tools"
REQUIREMENTS = REPOSITORY / "requirements"
DEVELOPMENT_LOCK = REQUIREMENTS / "dev.txt"
RUNTIME_LOCK = REQUIREMENTS / "runtime.txt"
PROJECT = REPOSITORY / "pyproject.toml"
STAMP = VENV / "made-from"
WANTED_PYTHON = (3, 11)
LEAST_UV = (0, 9)
MACHINE_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class HouseError(Exception):
    """A problem the user can act on; the message says what to do next."""


def require_python() -> None:
    """Raise HouseError unless this is the Python the locks and the lab are made for."""
    if sys.version_info[:2] != WANTED_PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        raise HouseError(f"this is Python {found}, Python 3.11 is needed: make PYTHON=python3.11")


def ensure_venv() -> None:
    """Make .venv what the lock says; does nothing when it already is."""
    require_python()
    with _one_at_a_time():
        if _is_current():
            return
        with step("making .venv from requirements/dev.txt"):
            _install(ensure_uv())
        STAMP.write_text(_wanted_stamp())


def resolve(upgrade: bool) -> None:
    """Write the locks anew; versions stay as they are where they still fit, unless ``upgrade``."""
    require_python()
    uv = ensure_uv()
    newest = ["--upgrade"] if upgrade else []
    with step("resolving requirements/dev.txt"):
        _compile(uv, DEVELOPMENT_LOCK, ["--group", "dev", *newest])
    with step("resolving requirements/runtime.txt"):
        _compile(uv, RUNTIME_LOCK, ["--constraint", str(DEVELOPMENT_LOCK.relative_to(REPOSITORY))])


def ensure_uv() -> str:
    """Return the path of uv: the machine's own if it is new enough, else one in .venv-tools."""
    found = shutil.which("uv")
    if found and uv_version(found) >= LEAST_UV:
        return found
    own = TOOLS / "bin" / "uv"
    if not own.exists() or uv_version(str(own)) < LEAST_UV:
        _install_uv()
    return str(own)


def uv_version(uv: str) -> tuple[int, ...]:
    """Return the version of a uv; () when it cannot say."""
    done = subprocess.run([uv, "--version"], capture_output=True, text=True)
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else ()


def _install_uv() -> None:
    _ensure_venv_module()
    with step("installing uv into .venv-tools"):
        run_quietly([sys.executable, "-m", "venv", "--clear", str(TOOLS)])
        pip = [str(TOOLS / "bin" / "python"), "-m", "pip"]
        least = ".".join(map(str, LEAST_UV))
        run_quietly([*pip, "install", "--quiet", f"uv>={least}"])


def _ensure_venv_module() -> None:
    """Install Debian's package with what ``python -m venv`` needs, if it is missing."""
    if subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True).returncode:
        if os.geteuid() != 0:
            raise HouseError("python3.11-venv is missing: apt-get install python3.11-venv as root")
        with step("installing python3.11-venv"), no_service_starts():
            run_apt(["update"])
            run_apt(["install", "--yes", "--no-install-recommends", "python3.11-venv"])


def _install(uv: str) -> None:
    """Fill .venv with the locked versions and with the project itself, as it lies here."""
    STAMP.unlink(missing_ok=True)
    if not PYTHON.exists():
        run_quietly([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)])
    into = ["--quiet", "--python", str(PYTHON)]
    locked = ["--require-hashes", "--compile-bytecode", str(DEVELOPMENT_LOCK)]
    run_quietly([uv, "pip", "sync", *into, *locked])
    # The build tools are in the lock too, so nothing is fetched without a hash.
    itself = ["--no-build-isolation", "--no-deps", "--editable", str(REPOSITORY)]
    run_quietly([uv, "pip", "install", *into, *itself])


def _compile(uv: str, lock: Path, options: Sequence[str]) -> None:
    settled = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
    hosts = ["--no-emit-index-url", "--no-emit-find-links"]
    files = ["--output-file", str(lock.relative_to(REPOSITORY)), PROJECT.name]
    command = [uv, "pip", "compile", "--quiet", "--all-extras"]
    run_quietly([*command, *settled, *hosts, *options, *files])


def _wanted_stamp() -> str:
    """Return what identifies the contents of .venv."""
    made_of = DEVELOPMENT_LOCK.read_bytes() + PROJECT.read_bytes()
    return sha256(made_of).hexdigest()


def _is_current() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == _wanted_stamp()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep two commands from making .venv at the same time."""
    with (REPOSITORY / ".venv.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_quietly(command: Sequence[str]) -> None:
    """Run an installer from the repository; raises HouseError with the end of what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if MACHINE_CERTIFICATES.exists():
        # Who mirrors packages has told the machine, not uv, which authority to trust.
        environment.setdefault("UV_SYSTEM_CERTS", "1")
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        ending = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise HouseError(f"{' '.join(command[:4])} failed:\n{ending}")
