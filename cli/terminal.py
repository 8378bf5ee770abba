"""`dutabarta terminal`: set up an officer's terminal away from his post's node; retire one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.commands import group, option
from cli.desk import CLASSIFICATIONS, Place, TerminalId, at_terminal, number_of
from cli.officer import parse_roles
from cli.options import (
    FILE,
    FOLDER,
    folder_name,
    json_option,
    passphrase_option,
    read_new_passphrase,
    read_passphrase,
    token_option,
)
from cli.output import emit
from cli.words import t

RETIRE_REASONS = ("replaced", "lost", "zeroized")


@group("terminal")
def terminal() -> None:
    """Help stands in the string tables."""


@terminal.command("init")
@option("--dir", "folder", type=FOLDER, required=True)
@option("--node", required=True)
@option("--pin", required=True)
@option("--genesis", type=FILE)
@option("--post")
@option("--name")
@option("--role", "roles", callback=parse_roles)
@option("--clearance", type=click.Choice(CLASSIFICATIONS))
@token_option
@passphrase_option
@json_option
def init(
    folder: Path, node: str, pin: str, token: str | None, passphrase_file: Path | None, as_json: bool, **new: Any
) -> None:
    """Point a carried terminal at its node; or make a new officer's terminal and the request for the supervisors."""
    from cli import enrolment

    try:
        wanted = bytes.fromhex(pin)
    except ValueError as problem:
        raise click.BadParameter(t("usage.bad-pin"), param_hint="--pin") from problem
    if not any(new.values()) and token is None:
        config = enrolment.point_at(folder, node, wanted)
        emit({"terminal": str(folder), "officer_id": config.officer_id, "node": node, "state": "ready"}, as_json)
        return
    if missing := [name for name, value in new.items() if not value]:
        raise click.UsageError(t("usage.missing", name=f"--{missing[0].removesuffix('s')}"))
    clearance, place = number_of(new["clearance"], CLASSIFICATIONS), enrolment.parse_token(token)
    who = enrolment.Newcomer(folder_name(new["name"]), new["roles"], clearance, place)
    passphrase = read_passphrase(passphrase_file, confirm=True, token=token or "")
    made = enrolment.prepare_remote(folder, who, node, wanted, new["genesis"], new["post"], passphrase)
    enrolment.say_what_is_lost(made)
    emit(
        {
            "terminal": str(folder),
            "officer_id": made.config.officer_id,
            "request": str(made.request_path),
            "state": "awaiting approval",
        },
        as_json,
    )


@terminal.command("passphrase")
@option("--new-passphrase-file", "new_file", type=FILE)
@at_terminal
@json_option
def passphrase(place: Place, new_file: Path | None, as_json: bool) -> None:
    """Another passphrase for this terminal, or another PIN for its token."""
    from terminal.folder import Folder

    old = place.passphrase()
    folder = Folder.existing(place.folder)
    new = read_new_passphrase(new_file, pin=bool(folder.load_config().token))
    with folder.locked():
        folder.change_passphrase(old, new)
    emit({"terminal": str(place.folder), "state": "changed"}, as_json)


@terminal.command("retire")
@click.argument("which", type=TerminalId())
@option("--reason", type=click.Choice(RETIRE_REASONS), default="lost", show_default=True)
@at_terminal
@json_option
def retire(place: Place, which: bytes, reason: str, as_json: bool) -> None:
    """A terminal leaves for ever: a supervisor says so."""
    from terminal import roster

    with place.open() as opened:
        roster.retire(opened.session, which, reason)
    emit({"terminal_id": which.hex(), "state": "retired", "reason": reason}, as_json)
