"""`dutabarta officer`: enrol, approve, submit, list, suspend, reinstate, revoke, rotate, zeroize, handover."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.commands import group, option
from cli.desk import CLASSIFICATIONS, ROLES, Place, Since, at_terminal, name_of, number_of
from cli.options import (
    FILE,
    folder_name,
    home_option,
    json_option,
    passphrase_option,
    read_passphrase,
    token_option,
)
from cli.output import emit
from cli.words import t

if TYPE_CHECKING:
    from ledger.records import Shift
    from terminal.roster import Listed


@group("officer")
def officer() -> None:
    """Help stands in the string tables."""


def parse_roles(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Role numbers from `drafter,releaser`; none if the option is absent. Raises click.BadParameter."""
    if value is None:
        return ()
    names = {name.strip().lower() for name in value.split(",")}
    if not names <= set(ROLES):
        raise click.BadParameter(t("usage.bad-role", roles=", ".join(ROLES)))
    return tuple(sorted(number_of(name, ROLES) for name in names))


@officer.command("enrol")
@click.argument("name")
@home_option
@option("--role", "roles", required=True, callback=parse_roles)
@option("--clearance", type=click.Choice(CLASSIFICATIONS), required=True)
@token_option
@passphrase_option
@option("--supervisors-passphrase-file", "supervisors_file", type=FILE)
@json_option
def enrol(
    name: str,
    home: Path,
    roles: tuple[int, ...],
    clearance: str,
    token: str | None,
    passphrase_file: Path | None,
    supervisors_file: Path | None,
    as_json: bool,
) -> None:
    """Make a new officer's terminal and request; in an exercise also approve and enter it."""
    from cli import enrolment

    place = enrolment.parse_token(token)
    newcomer = enrolment.Newcomer(folder_name(name), roles, number_of(clearance, CLASSIFICATIONS), place)
    passphrase = read_passphrase(passphrase_file, confirm=True, token=token or "")
    made = enrolment.prepare(home, newcomer, passphrase)
    enrolment.say_what_is_lost(made)
    complete = made.config.exercise and (supervisors_file is not None or not made.config.token)
    if complete:
        theirs = read_passphrase(supervisors_file) if supervisors_file else passphrase
        enrolment.complete_exercise(home, made, passphrase, theirs)
    emit(
        {
            "officer": name,
            "officer_id": made.config.officer_id,
            "terminal": str(made.folder.path),
            "request": str(made.request_path),
            "state": "enrolled" if complete else "awaiting approval",
        },
        as_json,
    )


@officer.command("approve")
@click.argument("request", type=FILE)
@at_terminal
@json_option
def approve(place: Place, request: Path, as_json: bool) -> None:
    """Add a supervisor's signature to a request; enter it when it was the last."""
    from cli.enrolment import read_request
    from terminal.files import write_private
    from terminal.roster import approve_as, missing_for, submit_request

    with place.open() as terminal:
        signed = approve_as(terminal.session, read_request(request))
        write_private(request, signed.format().encode())
        missing = missing_for(terminal.session, signed)
        if not missing:
            submit_request(terminal.session, signed)
    emit({"request": str(request), "state": "awaiting approval" if missing else "entered", "missing": missing}, as_json)


@officer.command("submit")
@click.argument("request", type=FILE)
@at_terminal
@json_option
def submit(place: Place, request: Path, as_json: bool) -> None:
    """Hand in what is signed already: a complete request, or the statement of a zeroized terminal."""
    from cli.enrolment import read_request
    from terminal.roster import submit_request

    with place.open() as terminal:
        submit_request(terminal.session, read_request(request))
    emit({"request": str(request), "state": "entered"}, as_json)


@officer.command("list")
@option("--post")
@at_terminal
@json_option
def list_officers(place: Place, post: str | None, as_json: bool) -> None:
    """The officers of a post as the ledger proves them."""
    from terminal.handover import on_duty
    from terminal.roster import roster_of

    with place.open() as terminal:
        terminal.open_own_name()
        code = post or terminal.session.config.post
        shift = on_duty(terminal.session, code)
        found = [_listed(one, shift) for one in roster_of(terminal.session, code)]
    emit({"post": code, "officers": found}, as_json, "\n".join(map(_line, found)))


@officer.command("suspend")
@click.argument("who")
@option("--post")
@at_terminal
@json_option
def suspend(place: Place, who: str, post: str | None, as_json: bool) -> None:
    """He signs nothing until he is reinstated."""
    from terminal import roster

    with place.open() as terminal:
        found = roster.find_officer(terminal.session, post or terminal.session.config.post, who)
        roster.suspend(terminal.session, found)
    emit({"officer_id": found.officer_id.hex(), "state": "suspended"}, as_json)


@officer.command("reinstate")
@click.argument("who")
@option("--out", type=FILE, required=True)
@at_terminal
@json_option
def reinstate(place: Place, who: str, out: Path, as_json: bool) -> None:
    """A suspended officer of this post signs again: writes the request that a supervisor of HQ approves."""
    from terminal import roster
    from terminal.files import write_private

    with place.open() as terminal:
        found = roster.find_officer(terminal.session, terminal.session.config.post, who)
        request = roster.reinstatement_request(terminal.session, found)
    write_private(out, request.format().encode())
    emit({"officer_id": found.officer_id.hex(), "request": str(out), "state": "awaiting approval"}, as_json)


@officer.command("revoke")
@click.argument("who")
@option("--post")
@option("--compromised-since", type=Since(), default=0)
@at_terminal
@json_option
def revoke(place: Place, who: str, post: str | None, compromised_since: int | datetime, as_json: bool) -> None:
    """He leaves for ever; what was anchored since a size or date is doubtful."""
    from terminal import roster

    with place.open() as terminal:
        found = roster.find_officer(terminal.session, post or terminal.session.config.post, who)
        since = compromised_since
        if isinstance(since, datetime):
            since = terminal.session.view.size_before(int(since.timestamp()))
        roster.revoke(terminal.session, found, since)
    emit({"officer_id": found.officer_id.hex(), "state": "revoked", "compromised_since": since or None}, as_json)


@officer.command("rotate")
@option("--out", type=FILE, required=True)
@at_terminal
@json_option
def rotate(place: Place, out: Path, as_json: bool) -> None:
    """A new key for this officer: writes the request that a supervisor approves; run again once it is entered."""
    from terminal.files import write_private
    from terminal.roster import adopt_rotation, rotation_request

    with place.open() as terminal:
        if adopt_rotation(terminal.session):
            emit({"officer_id": terminal.session.officer_id.hex(), "state": "rotated"}, as_json)
            return
        request = rotation_request(terminal.session)
        officer_id = terminal.session.officer_id.hex()
    write_private(out, request.format().encode())
    emit({"officer_id": officer_id, "request": str(out), "state": "awaiting approval"}, as_json)


@officer.command("zeroize")
@option("--yes", is_flag=True)
@option("--without-statement", is_flag=True)
@at_terminal
@json_option
def zeroize(place: Place, yes: bool, without_statement: bool, as_json: bool) -> None:
    """Destroy a terminal's keys and plaintext, and state it on the ledger."""
    from cli import zeroizing

    zeroizing.run(place, yes, without_statement, as_json)


@officer.command("handover")
@option("--to", words="option.to_officer")
@option("--take", is_flag=True)
@option("--accept", type=FILE)
@option("--show", type=FILE)
@option("--out", type=FILE)
@at_terminal
@json_option
def handover(place: Place, as_json: bool, **given: Any) -> None:
    """Hand a shift over, accept it, take it; without options show what is pending."""
    from cli import handing_over

    match handing_over.chosen(given):
        case "to":
            handing_over.offer(place, given["to"], given["out"], as_json)
        case "take":
            handing_over.take(place, given["out"], as_json)
        case "accept":
            handing_over.accept(place, given["accept"], as_json)
        case "show":
            handing_over.show_file(place, given["show"], as_json)
        case _:
            handing_over.show(place, as_json)


def _listed(one: Listed, shift: Shift | None) -> dict[str, Any]:
    record = one.officer
    return {
        "officer_id": record.officer_id.hex(),
        "name": one.name,
        "roles": [name_of(role, ROLES) for role in record.roles],
        "clearance": name_of(record.clearance, CLASSIFICATIONS),
        "state": "revoked" if record.revoked_at else "suspended" if record.suspended else "active",
        "on_duty": shift is not None and shift.officer_id == record.officer_id,
        "terminals": [terminal.terminal_id.hex() for terminal in one.terminals],
    }


def _line(one: dict[str, Any]) -> str:
    notes = [t("handover.on-duty")] if one["on_duty"] else []
    notes += [] if one["terminals"] else [t("handover.no-terminal")]
    name = "  ".join([one["name"], *notes])
    return f"{one['officer_id']}  {one['state']:9}  {one['clearance']:12}  {','.join(one['roles'])}  {name}"
