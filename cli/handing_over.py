"""What `officer handover` does: shows what is pending, hands a shift over, accepts it, takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.desk import Place
from cli.enrolment import read_request
from cli.output import emit
from cli.words import t
from crypto_msg.display import safe_line
from crypto_msg.duty import DutyList
from terminal import handover, roster
from terminal.files import write_private
from terminal.terminal import Terminal

Json = dict[str, Any]


def show(place: Place, as_json: bool) -> None:
    """Who is on duty here, and what this officer would hand over."""
    with place.open() as terminal:
        duty = handover.duty_list(terminal.session, terminal.alarms())
        data = {**_post(terminal), "state": "on duty", **_pending(duty)}
        shift = handover.on_duty(terminal.session, terminal.session.config.post)
        if shift is None or shift.officer_id != terminal.session.officer_id:
            data["state"] = "not on duty"
    emit(data, as_json, _text(data))


def show_file(place: Place, file: Path, as_json: bool) -> None:
    """What a hand-over's file offers."""
    with place.open() as terminal:
        offered = handover.read_offer(read_request(file))
        data = {**_post(terminal), "state": "awaiting acceptance", **_pending(offered.duty)}
        data["missing_here"] = [one.hex() for one in handover.missing_here(terminal.session, offered.duty)]
    emit(data, as_json, _text(data))


def offer(place: Place, to: str, out: Path, as_json: bool) -> None:
    """Sign what is pending over to another officer of the post."""
    with place.open() as terminal:
        incoming = roster.find_officer(terminal.session, terminal.session.config.post, to)
        duty = handover.duty_list(terminal.session, terminal.alarms())
        request = handover.offer(terminal.session, incoming, duty)
        data = {**_post(terminal), "state": "awaiting acceptance", "request": str(out), **_pending(duty)}
    write_private(out, request.format().encode())
    emit(data, as_json, _text(data))


def accept(place: Place, file: Path, as_json: bool) -> None:
    """Sign a hand-over and enter it; the file then holds both signatures."""
    with place.open() as terminal:
        request = handover.accept(terminal.session, read_request(file))
        write_private(file, request.format().encode())
        roster.submit_request(terminal.session, request)
        duty = handover.read_offer(request).duty
        data = {**_post(terminal), "state": "handed over", **_pending(duty)}
        data["missing_here"] = [one.hex() for one in handover.missing_here(terminal.session, duty)]
    emit(data, as_json, _text(data))


def take(place: Place, out: Path, as_json: bool) -> None:
    """Write the request by which this officer takes the shift; a supervisor approves it."""
    with place.open() as terminal:
        request = handover.take(terminal.session)
        data = {**_post(terminal), "state": "awaiting approval", "request": str(out)}
    write_private(out, request.format().encode())
    emit(data, as_json)


def chosen(given: dict[str, Any]) -> str:
    """The one way of handing over that the options name; "" if none. Raises click.UsageError for two of them."""
    ways = [name for name in ("to", "take", "accept", "show") if given[name]]
    if len(ways) > 1 or (bool(given["out"]) != (ways in (["to"], ["take"]))):
        raise click.UsageError(t("usage.handover"))
    return ways[0] if ways else ""


def _post(terminal: Terminal) -> Json:
    """The post, and who is on duty there by the newest state."""
    post = terminal.session.config.post
    shift = handover.on_duty(terminal.session, post)
    if shift is None:
        return {"post": post, "on_duty": None}
    name = terminal.names([shift.officer_id])[shift.officer_id]
    return {"post": post, "on_duty": {"officer_id": shift.officer_id.hex(), "name": name, "since": shift.since}}


def _pending(duty: DutyList) -> Json:
    return {
        "unacknowledged": [one.hex() for one in duty.unacknowledged],
        "drafts": [one.hex() for one in duty.drafts],
        "alarms": [{"code": one.code, "envelope_id": one.envelope_id.hex()} for one in duty.alarms],
    }


def _text(data: Json) -> str:
    on_duty = data["on_duty"]
    who = t("handover.nobody") if on_duty is None else safe_line(on_duty["name"])
    missing = set(data.get("missing_here", ()))
    return "\n".join(
        [
            t("handover.state", post=data["post"], state=data["state"], who=who),
            t("handover.unacknowledged", count=len(data["unacknowledged"])),
            *(_line(one, missing) for one in data["unacknowledged"]),
            t("handover.drafts", count=len(data["drafts"])),
            *(_line(one, missing) for one in data["drafts"]),
            t("handover.alarms", count=len(data["alarms"])),
            *(f"  {safe_line(one['code'])}  {one['envelope_id'] or '-'}" for one in data["alarms"]),
        ]
    )


def _line(envelope_id: str, missing: set[str]) -> str:
    return f"  {envelope_id}{'  ' + t('handover.missing') if envelope_id in missing else ''}"
