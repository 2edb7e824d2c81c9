"""Files the lab writes and the lists of versions it reads."""

import base64
import hashlib
from pathlib import Path

import pytest

from lab import golden, schema
from lab.configuration import ini_text, write_private
from lab.engines import rabbitmq_password
from lab.machine import REQUIREMENTS, lock_file
from lab.settings import POD_RELEASES, settings_of


def test_configuration_is_written_as_oslo_config_reads_it() -> None:
    text = ini_text({"DEFAULT": {"debug": False, "workers": 1}, "api": {"host": "a"}})
    assert text == "[DEFAULT]\ndebug = false\nworkers = 1\n\n[api]\nhost = a\n"


def test_a_private_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "deep" / "secret", "x")
    assert (tmp_path / "deep" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_broker_password_is_stored_salted_and_hashed() -> None:
    stored = base64.b64decode(rabbitmq_password("secret")["password_hash"])
    assert stored[4:] == hashlib.sha256(stored[:4] + b"secret").digest()


@pytest.mark.parametrize("name", [*POD_RELEASES, "client"])
def test_a_list_of_versions_is_exact_and_names_no_host(name: str) -> None:
    lines = lock_file(name).read_text().splitlines()
    assert not [line for line in lines if "://" in line or "index" in line.split("==")[0]]
    assert all("==" in line for line in lines if line and not line.startswith((" ", "#")))


def test_each_list_has_the_wishes_it_was_made_from() -> None:
    assert {path.stem for path in REQUIREMENTS.glob("*.in")} == {
        path.stem for path in REQUIREMENTS.glob("*.txt")
    }


def test_golden_data_differ_by_pods_and_net() -> None:
    folders = {
        golden.folder(settings_of(pods, True, {"LAB_NET": net}))
        for pods in (2, 3)
        for net in ("127.77.0", "127.78.0")
    }
    assert len(folders) == 4


def test_every_database_of_the_lab_is_filled_once() -> None:
    names = [name for name, _dump in golden.loads(settings_of(2, True, {}))]
    assert len(names) == len(set(names)) == 3 + 2 * (len(schema.POD_SCHEMAS) + 1)
