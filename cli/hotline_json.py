"""Hotline calls as JSON documents and as text for a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cli.desk import CLASSIFICATIONS, name_of
from cli.words import t
from crypto_msg.display import safe_line
from terminal.callrecords import CallRecord
from terminal.terminal import Terminal


def clock(at: int) -> str:
    """A POSIX time as people read it: YYYY-MM-DD HH:MM:SSZ; anybody may have stated it."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "?"


def call_json(terminal: Terminal, call: CallRecord) -> dict[str, Any]:
    """A call without its lines."""
    return {
        "call_id": call.call_id.hex(),
        "direction": "out" if call.is_caller else "in",
        "post": call.post,
        "officer": safe_line(terminal.names([call.officer_id]).get(call.officer_id, "")),
        "officer_id": call.officer_id.hex(),
        "terminal_id": call.terminal_id.hex(),
        "classification": name_of(call.classification, CLASSIFICATIONS),
        "at": call.at,
        "ended_at": call.ended_at,
        "state": call.state,
        "item_hash": call.item_hash.hex(),
    }


def calls_json(terminal: Terminal) -> dict[str, Any]:
    """All calls."""
    calls = [{**call_json(terminal, one), "anchored": _is_anchored(terminal, one)} for one in terminal.calls()]
    return {"calls": calls}


def read_json(terminal: Terminal, call_id: bytes) -> dict[str, Any]:
    """A call with its lines, as they were said, and its checked anchor."""
    kept = terminal.call(call_id)
    lines = [
        {
            "from": terminal.session.config.post if one.is_own else kept.call.post,
            "number": one.number,
            "at": one.at,
            "text": one.text,
            "confirmed": kept.is_confirmed(one),
        }
        for one in kept.lines
    ]
    anchored = {"anchored": kept.anchored_at is not None, "anchored_at": kept.anchored_at}
    return {**call_json(terminal, kept.call), "lines": lines, **anchored}


def present_json(terminal: Terminal, post: str) -> dict[str, Any]:
    """Who is at a hotline."""
    found = terminal.present(post)
    names = terminal.names([one.officer_id for one in found])
    return {
        "post": post,
        "present": [
            {
                "officer": safe_line(names[one.officer_id]),
                "officer_id": one.officer_id.hex(),
                "terminal_id": one.terminal_id.hex(),
                "since": one.since,
                "on_duty": one.on_duty,
            }
            for one in found
        ],
    }


def present_text(data: Mapping[str, Any]) -> str:
    """One line an officer."""
    rows = [_present_row(data["post"], one) for one in data["present"]]
    return "\n".join(rows) or t("hotline.nobody", post=data["post"])


def _present_row(post: str, one: Mapping[str, Any]) -> str:
    duty = f"  {t('handover.on-duty')}" if one["on_duty"] else ""
    return f"{post}  {one['officer']}  {clock(one['since'])}{duty}"


def calls_text(data: Mapping[str, Any]) -> str:
    """One line a call."""
    rows = [_row(one) + (f", {t('hotline.is-anchored')}" if one["anchored"] else "") for one in data["calls"]]
    return "\n".join(rows) or t("hotline.no-calls")


def call_text(data: Mapping[str, Any]) -> str:
    """The whole call."""
    lines = [
        f"{clock(one['at'])} {one['from']}: {safe_line(one['text'])}"
        + ("" if one["confirmed"] else f"  [{t('hotline.unconfirmed')}]")
        for one in data["lines"]
    ]
    anchored = t("hotline.anchored", index=data["anchored_at"]) if data["anchored"] else t("hotline.not-anchored")
    return "\n".join([_row(data), *lines, anchored])


def _row(one: Mapping[str, Any]) -> str:
    arrow = "->" if one["direction"] == "out" else "<-"
    state = t(f"call-state.{one['state'].replace(' ', '-')}")
    who = f"{arrow} {one['post']}  {one['officer']}"
    return f"{one['call_id']}  {clock(one['at'])}  {who}  {one['classification']}  {state}"


def _is_anchored(terminal: Terminal, call: CallRecord) -> bool:
    return bool(call.item_hash) and terminal.call(call.call_id).anchored_at is not None
