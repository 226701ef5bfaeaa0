"""The tool for people: look at snapshots, prove them, open them, take and restore them from anywhere.

Exit codes: 0 done, or good; 1 damaged, or refused; 2 wrong usage; 3 could not be done or told (no access, no answer).
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

from continuity import aws, commands, outside, unsealed
from continuity.errors import AccessRefused, BadInput, ContinuityError, DatabaseUnreachable, KeyRefused
from continuity.settings import (
    DEFAULT_PARSE_DEADLINE,
    FULL,
    IN_FLIGHT,
    LONGEST_HISTORY_DAYS,
    MODES,
    TABLE_VERDICTS,
    parse_snapshot_id,
)

DONE, REFUSED, WRONG_USAGE, COULD_NOT = 0, 1, 2, 3

DECRYPT_HELP = """\
Write the connections, variables or trigger arguments of a snapshot to a file IN CLEAR TEXT, for a restore by hand.

Whoever reads the file has every secret in it. It is made new with mode 0600, never overwritten, and never printed.
Put it on an encrypted disk, delete it when you are done, and rotate what may have been seen. The key service logs
who opened the snapshot's key.

connection, variable: as `airflow connections import` and `airflow variables import` take them. trigger: an array of
rows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = parser().parse_args(arguments)
    aws.keep_quiet()
    logging.basicConfig(
        level=logging.INFO if given.verbose else logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s"
    )
    try:
        code: int = given.run(given)
    except (ContinuityError, ClientError, BotoCoreError, psycopg2.Error) as error:
        code, message = told(error)
        if given.json:
            print(json.dumps({"error": message, "exit_code": code}))
        print(f"continuity {given.command}: {message}", file=sys.stderr)
    return code


def told(error: Exception) -> tuple[int, str]:
    """Exit code and words for an error. No word of the database about a row, which may hold a secret."""
    if isinstance(error, ClientError):
        code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code == "NoSuchBucket":
            return WRONG_USAGE, "--bucket: there is no such bucket; accepted: the snapshot bucket of the environment"
        return COULD_NOT, f"AWS refuses {error.operation_name} ({code}): {said}"
    if isinstance(error, BotoCoreError):
        return COULD_NOT, f"AWS cannot be asked ({type(error).__name__}): {error}"
    if isinstance(error, psycopg2.Error):
        return COULD_NOT, f"the database failed ({type(error).__name__}, SQLSTATE {error.pgcode})"
    not_told = isinstance(error, AccessRefused | KeyRefused | DatabaseUnreachable)
    return WRONG_USAGE if isinstance(error, BadInput) else COULD_NOT if not_told else REFUSED, str(error)


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(prog="python -m continuity", description=__doc__, formatter_class=Plain)
    found = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    verify = _command(found, "verify", "read a snapshot back: objects, hashes, rows, seals", commands.verify)
    _snapshot(verify, default=commands.NEWEST)
    verify.add_argument(
        "--record", action="store_true", help="write the outcome beside the snapshot, where restores go by it"
    )

    inspect = _command(found, "inspect", "what is in a snapshot, or which there are", commands.inspect)
    _snapshot(inspect, default=None)
    inspect.add_argument("--limit", type=_whole, default=20, help="how many snapshots to list (default: %(default)s)")

    decrypt = _command(found, "decrypt", "write secrets of a snapshot to a file, in clear text", commands.decrypt)
    decrypt.description = DECRYPT_HELP
    _snapshot(decrypt, default=commands.NEWEST)
    decrypt.add_argument("--table", required=True, choices=unsealed.TABLES)
    decrypt.add_argument("--to", required=True, type=Path, metavar="FILE", help="a file that does not exist yet")

    snapshot = _command(found, "snapshot", "take a snapshot of any Airflow, and read it back", commands.snapshot)
    _database(snapshot)
    snapshot.add_argument("--snapshot", type=_snapshot_id, metavar="ID", help="its id (default: made of the time)")
    snapshot.add_argument(
        "--table", action=Tables, dest="tables", default={}, metavar="NAME=VERDICT", help="carry or skip; repeatable"
    )
    snapshot.add_argument(
        "--airflow-version", metavar="X.Y.Z", help="the Airflow (default: the first that has the database's schema)"
    )

    restore = _command(found, "restore", "restore a snapshot into any Airflow: state, then history", commands.restore)
    _database(restore)
    _snapshot(restore, default=commands.NEWEST)
    restore.add_argument(
        "--mode",
        choices=MODES,
        default=FULL,
        help="portable: what any Airflow version can take up (default: %(default)s)",
    )
    restore.add_argument("--in-flight", choices=IN_FLIGHT, default="rerun", help="(default: %(default)s)")
    restore.add_argument("--state-only", action="store_true", help="leave the history out; do it again without later")
    restore.add_argument(
        "--history-days", type=_days, metavar="N", help="history of so many days before the cut only (default: all)"
    )
    restore.add_argument(
        "--replace", action="store_true", help="delete what the Airflow holds first, also where it ran; all is paused"
    )
    for kind in ("variable", "connection"):
        restore.add_argument(
            f"--local-{kind}", action="append", default=[], metavar="PATTERN", help="belongs to a Region; repeatable"
        )

    live = _command(found, "go-live", "unpause what was unpaused, once the DAGs are parsed", commands.go_live)
    _database(live)
    _snapshot(live, default=commands.NEWEST)
    live.add_argument(
        "--parse-deadline-seconds", type=_whole, default=DEFAULT_PARSE_DEADLINE, help="(default: %(default)s)"
    )
    return top


class Plain(argparse.RawDescriptionHelpFormatter):
    """Descriptions as they are written."""


class Tables(argparse.Action):
    """Collects NAME=VERDICT."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, _option: Any = None) -> None:
        name, _, verdict = str(values).partition("=")
        if not name or verdict not in TABLE_VERDICTS:
            raise argparse.ArgumentError(self, f"{values!r}; accepted: NAME=carry or NAME=skip")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), name: verdict})


def _command(found: Any, name: str, says: str, run: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = found.add_parser(
        name, help=says, description=says[0].upper() + says[1:] + ".", formatter_class=Plain
    )
    command.set_defaults(run=run)
    command.add_argument("--bucket", required=True, help="the snapshot bucket")
    command.add_argument("--environment", required=True, help="the environment's name, as in the keys of the bucket")
    command.add_argument("--region", help="Region of bucket and key (default: AWS_REGION, or the profile's)")
    command.add_argument(
        "--kms-key",
        required=name == "snapshot",
        metavar="ARN",
        help="the key that data keys are under"
        + ("" if name == "snapshot" else " (default: whichever opens it in this Region)"),
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_argument("--verbose", action="store_true", help="say more on standard error")
    return command


def _snapshot(command: argparse.ArgumentParser, default: str | None) -> None:
    command.add_argument(
        "--snapshot",
        type=lambda value: value if value == commands.NEWEST else _snapshot_id(value),
        default=default,
        metavar="ID",
        help=f"its id, or {commands.NEWEST}" + (" (default: newest)" if default else " (default: list them)"),
    )


def _database(command: argparse.ArgumentParser) -> None:
    for option, variable in (("database-url", outside.URL_VARIABLE), ("fernet-key", outside.KEY_VARIABLE)):
        command.add_argument(
            f"--{option}-variable",
            default=variable,
            metavar="NAME",
            help="environment variable that holds it (default: %(default)s)",
        )
        command.add_argument(f"--{option}-file", type=Path, metavar="FILE", help="file that holds it instead")


def _snapshot_id(value: str) -> str:
    try:
        return parse_snapshot_id(value, "snapshot")
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _days(value: str) -> int:
    days = _whole(value)
    if not 1 <= days <= LONGEST_HISTORY_DAYS:
        raise argparse.ArgumentTypeError(f"{value!r} is no number of days from 1 to {LONGEST_HISTORY_DAYS}")
    return days


def _whole(value: str) -> int:
    if not value.isdecimal() or not 0 <= int(value) <= 86_400:
        raise argparse.ArgumentTypeError(f"{value!r} is no whole number from 0 to 86400")
    return int(value)
