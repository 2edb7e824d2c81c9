"""The page of options and the sample file tell what the programs really read."""

from __future__ import annotations

from pathlib import Path

from tricircle.adapters.config import KEYSTONE_GROUP, SERVICE_CREDENTIAL_GROUP, list_opts
from tricircle.adapters.option_page import write_page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert page == write_page(), "run make option-page"


def test_the_sample_has_every_option_with_its_default() -> None:
    groups = read_sample()
    for group, options in list_opts():
        for option in options:
            assert option.name in groups[group], f"[{group}] {option.name}"


def test_the_sample_has_the_groups_of_the_libraries() -> None:
    groups = read_sample()
    assert {"www_authenticate_uri", "memcached_servers"} <= groups[KEYSTONE_GROUP]
    assert {"auth_type", "auth_url", "password"} <= groups[SERVICE_CREDENTIAL_GROUP]
    assert {"debug", "use_json"} <= groups["DEFAULT"]
    assert {"rabbit_quorum_queue", "ssl_ca_file"} <= groups["oslo_messaging_rabbit"]


def read_sample() -> dict[str, set[str]]:
    """Return the names of the options, which are all commented out, by group."""
    groups: dict[str, set[str]] = {}
    names: set[str] = set()
    for line in (ROOT / "etc" / "tricircle.conf.sample").read_text().splitlines():
        if line.startswith("["):
            names = groups.setdefault(line.strip("[]"), set())
        elif line.startswith("#") and " =" in line and not line.startswith("# "):
            names.add(line[1:].split(" =", 1)[0])
    return groups
