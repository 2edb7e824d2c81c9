"""Tempest as it comes from its makers, at the top and straight at a pod, and what differs.

A test that passes straight at a pod must pass through the top; what does not is listed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import composition, content, machine
from lab.api import Api
from lab.configuration import ini_text, write_private
from lab.progress import say, step
from lab.settings import LAB_FOLDER, TOP_REGION, LabError, Settings

VENV = "tempest"
TOP = "top"
RESULTS_SCRIPT = LAB_FOLDER / "openstack" / "tempest_results.py"
SECOND_IMAGE = "tiny-image-2"
MULTIATTACH = "multiattach"
AREAS = {"compute": r"^tempest\.api\.compute", "volume": r"^tempest\.api\.volume"}
SHARED_MICROVERSIONS = {"compute": "2.100", "volume": "3.71"}
"""The highest ones that both releases of the lab know."""

Outcomes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where tempest is pointed at: the top or one pod."""

    name: str
    region: str
    network: str
    zone: str


def place_of(settings: Settings, name: str) -> Place:
    """The place of this name; raises LabError for an unknown pod."""
    if name == TOP:
        return Place(TOP, TOP_REGION, settings.top_network.url, settings.pods[0].zone)
    pod = settings.pod(name)
    return Place(name, name, pod.network.url, "nova")


def compare(settings: Settings, area: str, pod: str, pattern: str, workers: int) -> int:
    """Run tempest at a pod and at the top; returns 0 when all that pass there pass here."""
    straight = run(settings, place_of(settings, pod), area, pattern, workers)
    through = run(settings, place_of(settings, TOP), area, pattern, workers)
    worse = sorted(
        test
        for test, outcome in straight.items()
        if outcome == "success" and through.get(test) != "success"
    )
    print(f"{area}: straight at {pod} {tell(straight)}; through the top {tell(through)}")
    for test in worse:
        print(f"  only straight: {test} ({through.get(test, 'not run')} through the top)")
    return 1 if worse else 0


def tell(outcomes: Outcomes) -> str:
    """The number of tests by outcome, e.g. "300 success, 20 skip"."""
    counts = Counter(outcomes.values())
    return ", ".join(f"{counts[word]} {word}" for word in sorted(counts, reverse=True))


def run(settings: Settings, place: Place, area: str, pattern: str, workers: int) -> Outcomes:
    """Run an area's tests, or those that match a pattern; returns outcomes by test."""
    machine.install_venv_if_needed(settings, VENV)
    folder = new_workspace(settings, place)
    programs = settings.venv(VENV) / "bin"
    command = [
        str(programs / "tempest"), "run", "--regex", pattern or AREAS[area],
        "--concurrency", str(workers), "--subunit",
    ]  # fmt: skip
    results = folder / "results.subunit"
    with step(f"tempest {area} at {place.name}"), results.open("wb") as output:
        subprocess.run(command, cwd=folder, stdout=output, env=environment(programs))
    shown = subprocess.run(
        [str(programs / "python"), str(RESULTS_SCRIPT), str(results)],
        capture_output=True,
        text=True,
    )
    if shown.returncode:
        raise LabError(f"tempest left no results: {shown.stderr[-1500:]}")
    (folder / "results.json").write_text(shown.stdout)
    outcomes = {one["test"]: one["status"] for one in json.loads(shown.stdout)}
    say(f"{place.name}: {tell(outcomes)}; {folder / 'results.json'}")
    return outcomes


def environment(programs: Path) -> Mapping[str, str]:
    """The environment of tempest, which calls stestr by its name."""
    return os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def new_workspace(settings: Settings, place: Place) -> Path:
    """A new folder in which tempest runs against a place."""
    folder = settings.run / "tempest" / place.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    programs = settings.venv(VENV) / "bin"
    machine.run_tool(
        [
            str(programs / "tempest"), "init", str(folder),
            "--workspace-path", str(folder.parent / f"{place.name}-workspaces.yaml"),
            "--name", f"{place.name}-{os.getpid()}",
        ]
    )  # fmt: skip
    sections = configuration(settings, place, composition.admin_api(settings))
    write_private(folder / "etc" / "tempest.conf", ini_text(sections))
    return folder


def configuration(settings: Settings, place: Place, api: Api) -> Mapping[str, Mapping[str, object]]:
    """tempest.conf: dynamic users and networks, no guest to log in to."""
    passwords = composition.passwords_of(settings)
    networks = api.get(f"{place.network}/v2.0/networks?name={content.PUBLIC}")["networks"]
    lock = settings.run / "tempest" / "locks"
    lock.mkdir(parents=True, exist_ok=True)
    return {
        "DEFAULT": {"log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": lock},
        "auth": {
            "use_dynamic_credentials": True,
            "admin_username": "admin",
            "admin_password": passwords["admin"],
            "admin_project_name": "admin",
            "admin_domain_name": "Default",
        },
        "identity": {
            "uri_v3": f"{settings.keystone.url}/v3",
            "auth_version": "v3",
            "region": place.region,
            "v3_endpoint_type": "public",
        },
        "service_available": {
            "cinder": True, "glance": True, "nova": True, "neutron": True, "swift": False,
            "horizon": False,
        },
        "network": {
            "public_network_id": networks[0]["id"],
            "floating_network_name": content.PUBLIC,
            "project_network_cidr": "10.100.0.0/16",
        },
        "validation": {"run_validation": False, "connect_method": "fixed"},
        **compute_sections(settings, place, api),
        **volume_sections(settings, place, api),
    }  # fmt: skip


def compute_sections(
    settings: Settings, place: Place, api: Api
) -> Mapping[str, Mapping[str, object]]:
    """What Nova can do: everything, as a test that fails straight at a pod is no loss here.

    There is one compute host in each pod, and the hypervisor only pretends.
    """
    images = f"{settings.glance.url}/v2/images"
    content.ensure_image(settings, api)
    content.ensure_image(settings, api, SECOND_IMAGE)
    first, second = (
        api.get(f"{images}?name={name}")["images"][0]["id"]
        for name in (content.IMAGE, SECOND_IMAGE)
    )
    return {
        "compute": {
            "image_ref": first,
            "image_ref_alt": second,
            "flavor_ref": content.FLAVORS[0][0],
            "flavor_ref_alt": content.FLAVORS[1][0],
            "min_microversion": "2.1",
            "max_microversion": SHARED_MICROVERSIONS["compute"],
            "min_compute_nodes": 1,
            "build_timeout": 120,
            "build_interval": 1,
            "fixed_network_name": "",
        },
        "compute-feature-enabled": {
            "resize": True, "pause": True, "suspend": True, "shelve": True, "rescue": True,
            "snapshot": True, "interface_attach": True, "console_output": True,
            "cold_migration": True, "live_migration": True, "vnc_console": True,
            "spice_console": True, "attach_encrypted_volume": True, "config_drive": True,
            "metadata_service": False, "personality": True, "swap_volume": True,
            "volume_multiattach": True, "stable_rescue": True, "change_password": True,
            "hostname_fqdn_sanitization": True, "volume_backed_live_migration": True,
        },
        "image": {"region": place.region},
    }  # fmt: skip


def volume_sections(
    settings: Settings, place: Place, api: Api
) -> Mapping[str, Mapping[str, object]]:
    """What Cinder can do here."""
    ensure_multiattach_type(settings, api)
    return {
        "volume": {
            "catalog_type": "volumev3",
            "min_microversion": "3.0",
            "max_microversion": SHARED_MICROVERSIONS["volume"],
            "build_timeout": 120,
            "build_interval": 1,
            "region": place.region,
            "volume_type_multiattach": MULTIATTACH,
            "vendor_name": "Tricircle lab",
            "storage_protocol": "file",
            "manage_snapshot_ref": "source-name,snapshot-%s",
        },
        "volume-feature-enabled": {
            "backup": True, "snapshot": True, "clone": True, "extend_attached_volume": True,
            "manage_volume": True, "manage_snapshot": True, "extend_volume_with_snapshot": True,
        },
    }  # fmt: skip


def ensure_multiattach_type(settings: Settings, api: Api) -> None:
    """Create, through the top, the type of volumes that several servers may have; in all pods."""
    url = f"{settings.top_volume.url}/v3/types"
    if any(one["name"] == MULTIATTACH for one in api.get(url)["volume_types"]):
        return
    specs = {"multiattach": "<is> True"}
    api.post(url, {"volume_type": {"name": MULTIATTACH, "extra_specs": specs}})
