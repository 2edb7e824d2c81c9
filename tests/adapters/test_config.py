"""Options are read once, into frozen values, with errors that say what to do."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tricircle.adapters.config import ConfigError, Settings, list_opts, load_settings


def load(folder: Path, text: str = "") -> Settings:
    file = folder / "tricircle.conf"
    file.write_text(text)
    return load_settings("tricircle-compute", ["--config-file", str(file)])


def test_without_a_file_everything_has_a_default() -> None:
    settings = load_settings("tricircle-compute", files=[])
    assert settings.top.region_name == "RegionOne"
    assert (settings.api.bind_port, settings.compute.bind_port) == (19999, 8774)
    assert settings.volume.bind_port == 8776
    assert settings.gateway.partial_lists
    assert settings.gateway.list_timeout_s == 60
    assert settings.gateway.probe_deadline_s == 2


def test_the_database_is_sqlite_in_state_path_unless_told_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, "[DEFAULT]\nstate_path = /srv/t\n").database.connection == (
        "sqlite:////srv/t/tricircle.sqlite"
    )
    text = "[database]\nconnection = mysql://u:p@h/tricircle\n"
    assert load(tmp_path, text).database.connection == "mysql://u:p@h/tricircle"


def test_there_is_no_bus_unless_it_is_configured(tmp_path: Path) -> None:
    assert load(tmp_path).transport_url is None
    assert load(tmp_path, "[DEFAULT]\ntransport_url =\n").transport_url is None
    url = "rabbit://u:p@h:5672/"
    assert load(tmp_path, f"[DEFAULT]\ntransport_url = {url}\n").transport_url == url


def test_a_file_overrides_the_defaults(tmp_path: Path) -> None:
    settings = load(
        tmp_path, "[gateway]\npartial_lists = no\n[compute]\npublic_url = https://c.example.org/\n"
    )
    assert not settings.gateway.partial_lists
    assert settings.compute.public_url == "https://c.example.org"


def test_two_programs_in_one_process_have_settings_of_their_own(tmp_path: Path) -> None:
    one = load(tmp_path, "[top]\nregion_name = One\n")
    two = load(tmp_path, "[top]\nregion_name = Two\n")
    assert (one.top.region_name, two.top.region_name) == ("One", "Two")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(tmp_path)
    with pytest.raises(FrozenInstanceError):
        settings.top.region_name = "other"  # type: ignore[misc]


def test_no_password_shows_when_settings_are_printed(tmp_path: Path) -> None:
    urls = (
        "[DEFAULT]\ntransport_url = rabbit://u:canary@h/\n"
        "[database]\nconnection = mysql://u:canary@h/tricircle\n"
    )
    assert "canary" not in repr(load(tmp_path, urls))


@pytest.mark.parametrize(
    ("group", "line", "reason"),
    [
        ("gateway", "list_timeout_s = soon", "could not convert"),
        ("gateway", "list_timeout_s = 0", "greater than or equal to 1"),
        ("gateway", "pod_ca_file = /no/such/file.pem", "no file '/no/such/file.pem'"),
        ("gateway", "pod_ca_files = RegionTwo:/no/such.pem", "no file '/no/such.pem'"),
        ("gateway", "probe_interval_s = 0.1", "less than a tenth of probe_deadline_s"),
        ("compute", "bind_port = 70000", "65535"),
        ("compute", "public_url = ftp://x", "scheme"),
        ("api", "workers = 0", "greater than or equal to 1"),
        ("database", "max_pool_size = many", "invalid literal"),
    ],
)
def test_a_bad_value_is_reported_with_option_group_and_next_step(
    tmp_path: Path, group: str, line: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"[{group}]\n{line}\n")
    message = str(caught.value)
    option = line.split(" ", 1)[0]
    assert f"option {option}" in message
    assert f"[{group}]" in message
    assert reason.lower() in message.lower()
    assert ";" in message or ", " in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.conf"):
        load_settings("tricircle-api", ["--config-file", str(tmp_path / "absent.conf")])


def test_a_file_that_is_not_ini_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tricircle\.conf:2") as caught:
        load(tmp_path, "[database]\npassword canary\n")
    assert "canary" not in str(caught.value)


def test_every_option_says_in_its_help_what_it_is_for() -> None:
    for group, options in list_opts():
        for option in options:
            assert option.help, f"[{group}] {option.name}"
            assert option.help.endswith(".")
