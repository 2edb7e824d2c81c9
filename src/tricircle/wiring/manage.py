"""``tricircle-manage``: the schema of the database, for operators and installers."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from tricircle.adapters.config import ConfigError, load_settings
from tricircle.adapters.sql.schema import newest_revision, read_schema_version, sync_schema
from tricircle.core.errors import TricircleError

PROGRAM = "tricircle-manage"
NO_SCHEMA = "none"


def main() -> None:
    """Run the program with the arguments of the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what ``arguments`` say and return the exit status: 0, or 1 with a reason on stderr."""
    asked = _parser().parse_args(arguments)
    # MariaDB notes that it has no names for primary keys, which Alembic gives
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    try:
        settings = load_settings(PROGRAM, _config_arguments(asked))
        url = settings.database.connection
        if asked.command == "sync":
            return asyncio.run(_sync(url, asked.revision))
        return asyncio.run(_show_version(url))
    except (ConfigError, TricircleError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1


async def _sync(url: str, revision: str) -> int:
    before = await read_schema_version(url)
    after = await sync_schema(url, revision)
    changed = "is at" if before == after else f"went from {before or NO_SCHEMA} to"
    print(f"the schema {changed} {after}")
    return 0


async def _show_version(url: str) -> int:
    version = await read_schema_version(url)
    print(version or NO_SCHEMA)
    if version != newest_revision():
        print(
            f"this release is made for {newest_revision()}; run '{PROGRAM} db sync'",
            file=sys.stderr,
        )
    return 0


def _config_arguments(asked: argparse.Namespace) -> Sequence[str]:
    files = [text for path in asked.config_file for text in ("--config-file", path)]
    return files + [text for path in asked.config_dir for text in ("--config-dir", path)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description="Keeps the database of Tricircle.")
    parser.add_argument(
        "--config-file", action="append", default=[], metavar="PATH", help="may be repeated"
    )
    parser.add_argument(
        "--config-dir", action="append", default=[], metavar="PATH", help="may be repeated"
    )
    groups = parser.add_subparsers(required=True, metavar="db")
    commands = groups.add_parser("db", help="the schema of the database").add_subparsers(
        dest="command", required=True, metavar="sync|version"
    )
    sync = commands.add_parser(
        "sync", help="make the schema, or bring it up to date; safe to run at any time, anywhere"
    )
    sync.add_argument("--revision", default="head", help="stop there; default: the newest")
    commands.add_parser("version", help="print the revision of the schema")
    return parser
