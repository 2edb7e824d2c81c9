"""``tricircle-manage``: the schema of the database and offline repair, for operators."""

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
        match asked.command:
            case "sync":
                return asyncio.run(_sync(url, asked.revision))
            case "sweep":
                # not above: the schema is handled without the libraries for pods and Keystone
                from tricircle.wiring.sweep import run_sweep

                return asyncio.run(run_sweep(settings, asked.older_than))
            case _:
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
    groups = parser.add_subparsers(dest="command", required=True, metavar="db|sweep")
    sweep = groups.add_parser(
        "sweep", help="repair what boots, attachments and deletions left half done"
    )
    sweep.add_argument(
        "--older-than",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="leave alone what is younger and may still be under way (default: 600)",
    )
    commands = groups.add_parser("db", help="the schema of the database").add_subparsers(
        dest="command", required=True, metavar="sync|version"
    )
    sync = commands.add_parser(
        "sync", help="make the schema, or bring it up to date; safe to run at any time, anywhere"
    )
    sync.add_argument("--revision", default="head", help="stop there; default: the newest")
    commands.add_parser("version", help="print the revision of the schema")
    return parser
