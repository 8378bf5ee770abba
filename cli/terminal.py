"""`dutabarta terminal`: set up an officer's terminal away from his post's node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.commands import group, option
from cli.desk import CLASSIFICATIONS, ROLES, number_of
from cli.officer import parse_roles
from cli.options import FILE, FOLDER, folder_name, json_option, passphrase_option, read_passphrase
from cli.output import emit
from cli.words import t


@group("terminal")
def terminal() -> None:
    """Help stands in the string tables."""


@terminal.command("init")
@option("--dir", "folder", type=FOLDER, required=True)
@option("--node", required=True)
@option("--pin", required=True)
@option("--genesis", type=FILE, required=True)
@option("--post", required=True)
@option("--name", required=True)
@option("--role", "roles", required=True, callback=parse_roles)
@option("--clearance", type=click.Choice(CLASSIFICATIONS), required=True)
@passphrase_option
@json_option
def init(folder: Path, passphrase_file: Path | None, as_json: bool, **fields: Any) -> None:
    """Make the keys, fetch the node's certificate against its pin, write the request for the supervisors."""
    from cli import enrolment

    try:
        pin = bytes.fromhex(fields["pin"])
    except ValueError as problem:
        raise click.BadParameter(t("usage.bad-pin"), param_hint="--pin") from problem
    who = enrolment.Newcomer(
        folder_name(fields["name"]), fields["roles"], number_of(fields["clearance"], CLASSIFICATIONS)
    )
    passphrase = read_passphrase(passphrase_file, confirm=True)
    made = enrolment.prepare_remote(folder, who, fields["node"], pin, fields["genesis"], fields["post"], passphrase)
    emit(
        {"terminal": str(folder), "officer_id": made.config.officer_id, "request": str(made.request_path),
         "state": "awaiting approval", "roles": [ROLES[role - 1] for role in who.roles]},
        as_json,
    )
