"""What the machine must have: Debian packages, uv, and one virtualenv a release.

Everything installed here is looked for first, so that a prepared machine is
left as it is and needs no network.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from lab.progress import step
from lab.settings import LAB_FOLDER, REPOSITORY, LabError, Settings

REQUIREMENTS = LAB_FOLDER / "requirements"
CLIENT = "client"
PROJECT_TOOLS = REPOSITORY / ".venv-tools" / "bin"
MACHINE_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
POLICY = Path("/usr/sbin/policy-rc.d")
RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# What tells that a package is there: its command, not dpkg, so that another way
# of installing it is as good.
PACKAGES = {
    "mariadb-server": ("mariadbd", "mariadb-install-db"),
    "mariadb-client": ("mariadb", "mariadb-dump"),
    "rabbitmq-server": (str(RABBITMQ_SERVER), "epmd"),
    "qemu-utils": ("qemu-img",),
}
POSTGRESQL_PACKAGES = {"postgresql": ("/usr/lib/postgresql/*/bin/initdb",)}
_uv_lock = threading.Lock()
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def lock_file(venv: str) -> Path:
    """The committed list of exact versions of a virtualenv."""
    return REQUIREMENTS / f"{venv}.txt"


def missing_packages(settings: Settings) -> list[str]:
    """The Debian packages whose commands are not on this machine."""
    wanted = PACKAGES | (POSTGRESQL_PACKAGES if settings.top_database == "postgresql" else {})
    return [name for name, commands in wanted.items() if not all(map(has_command, commands))]


def has_command(command: str) -> bool:
    """Whether a command name, a path or a pattern of paths is there."""
    if "/" in command:
        return any(Path("/").glob(command.lstrip("/")))
    return shutil.which(command, path=SYSTEM_PATH) is not None


def require_python() -> None:
    """Raise LabError unless this is Python 3.11, which the releases' libraries are listed for."""
    if sys.version_info[:2] != (3, 11):
        version = ".".join(map(str, sys.version_info[:2]))
        raise LabError(f"the lab runs on Python 3.11, this is {version}: use python3.11 -m lab")


def prepare(settings: Settings) -> None:
    """Install what is missing: packages and virtualenvs, side by side."""
    with ThreadPoolExecutor() as pool:
        works = [pool.submit(install_packages, settings)]
        works.append(pool.submit(install_venvs, settings))
        for work in works:
            work.result()


def install_packages(settings: Settings) -> None:
    """Install the missing Debian packages without starting their services."""
    missing = missing_packages(settings)
    if not missing:
        return
    require_root(" ".join(missing))
    with step(f"installing Debian packages: {' '.join(missing)}"), no_service_starts():
        run_apt(["update"])
        run_apt(["install", "--yes", "--no-install-recommends", *missing])
    still = missing_packages(settings)
    if still:
        raise LabError(f"still missing after apt-get install: {', '.join(still)}")


def run_apt(arguments: Sequence[str]) -> None:
    """Run apt-get quietly; raises LabError with the end of what it printed."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        ending = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise LabError(f"apt-get {arguments[0]} failed:\n{ending}")


@contextlib.contextmanager
def no_service_starts() -> Iterator[None]:
    """Keep Debian from starting what it installs; puts back the policy that was there."""
    kept = POLICY.with_name("policy-rc.d.before-lab")
    if POLICY.exists() and not kept.exists():
        POLICY.rename(kept)
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if kept.exists():
            kept.rename(POLICY)


def install_venvs(settings: Settings) -> None:
    """Make the virtualenvs that are missing or older than their lists of versions."""
    with ThreadPoolExecutor() as pool:
        names = [*settings.releases, CLIENT]
        for work in [pool.submit(install_venv_if_needed, settings, name) for name in names]:
            work.result()


def install_venv_if_needed(settings: Settings, name: str) -> None:
    """Make one virtualenv unless it is there and current."""
    if not is_current(settings, name):
        install_venv(settings, ensure_uv(settings), name)


def stamp_file(settings: Settings, name: str) -> Path:
    return settings.venv(name) / "lab-versions"


def wanted_stamp(name: str) -> str:
    """What identifies the contents of a virtualenv."""
    return sha256(lock_file(name).read_bytes() + sys.version.encode()).hexdigest()


def is_current(settings: Settings, name: str) -> bool:
    """Whether the virtualenv holds exactly what its list says."""
    stamp = stamp_file(settings, name)
    return stamp.exists() and stamp.read_text() == wanted_stamp(name)


def ensure_uv(settings: Settings) -> str:
    """The path of uv: the machine's, the project's, or one installed here."""
    own = settings.prepared / "venvs" / "uv" / "bin" / "uv"
    with _uv_lock:
        found = shutil.which("uv", path=f"{os.environ.get('PATH', '')}:{PROJECT_TOOLS}")
        if found or own.exists():
            return found or str(own)
        with step("installing uv"):
            ensure_venv_module()
            run_tool([sys.executable, "-m", "venv", str(own.parents[1])])
            run_tool([str(own.with_name("pip")), "install", "--quiet", "uv"])
        return str(own)


def ensure_venv_module() -> None:
    """Install Debian's package with what `python -m venv` needs, if it is missing."""
    if importlib.util.find_spec("ensurepip"):
        return
    require_root("python3.11-venv")
    with no_service_starts():
        run_apt(["update"])
        run_apt(["install", "--yes", "--no-install-recommends", "python3.11-venv"])


def require_root(packages: str) -> None:
    """Raise LabError, saying what to install, when this user may not install packages."""
    if os.geteuid() != 0:
        raise LabError(
            f"missing Debian packages: {packages}. Install them "
            "(apt-get install --no-install-recommends ...), or run this command once as root."
        )


def install_venv(settings: Settings, uv: str, name: str) -> None:
    """Fill one virtualenv and compile it: services start several times faster compiled."""
    folder = settings.venv(name)
    stamp_file(settings, name).unlink(missing_ok=True)
    with step(f"installing virtualenv {name}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not (folder / "bin" / "python").exists():
            run_tool([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        options = ["--compile-bytecode", "--require-hashes", "--quiet"]
        python = ["--python", str(folder / "bin" / "python")]
        run_tool([uv, "pip", "sync", *options, *python, str(lock_file(name))])
    stamp_file(settings, name).write_text(wanted_stamp(name))


def run_tool(command: Sequence[str]) -> None:
    """Run an installer; raises LabError with the end of what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if MACHINE_CERTIFICATES.exists():
        # A machine behind a mirror has told its system, not uv, whom to trust.
        environment.setdefault("UV_SYSTEM_CERTS", "1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        ending = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise LabError(f"{' '.join(command[:4])} failed:\n{ending}")
