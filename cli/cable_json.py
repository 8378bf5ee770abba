"""Cables as JSON documents and as text for a person. Keys are the contract's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.desk import CLASSIFICATIONS, PRECEDENCES, name_of
from cli.words import t
from crypto_msg.cable import Addressee, Draft, Inner, Kind
from crypto_msg.display import safe_file_name, safe_line, safe_text
from crypto_msg.receipt import ReceiptKind
from crypto_msg.wire import decode_draft, decode_inner
from protos.errors import Unavailable
from terminal.files import make_private_folder, write_private
from terminal.records import Aside, CableRecord
from terminal.standing import Standing
from terminal.terminal import Terminal
from terminal.track import Tracked

Json = dict[str, Any]
Doubts = Mapping[bytes, Sequence[str]] | None


def sent_json(terminal: Terminal, record: CableRecord) -> Json:
    """What `send`, `draft` and `release` answer. A draft has no serial yet."""
    inner, _ = _inner(record)
    return {
        "cable_id": record.cable_id.hex(),
        "envelope_id": record.envelope_id.hex(),
        "serial": inner.serial or None,
        "year": inner.year or None,
        "state": record.state,
        "carried": not terminal.is_waiting(record),
        "posts": list(record.posts),
    }


def list_json(records: Iterable[CableRecord], alarms: Iterable[Aside], doubts: Doubts = None) -> Json:
    """The list, oldest first, and what was kept aside. `doubts` is null where they could not be looked for."""
    return {
        "cables": [{**_summary(one), "doubts": _doubts_of(one, doubts)} for one in records],
        "alarms": [{"code": a.code, "text": a.text, "from": a.origin, "at": a.at} for a in alarms],
    }


def read_json(terminal: Terminal, record: CableRecord, saved: Mapping[int, Path]) -> Json:
    """A whole cable. `saved`: where attachments were written, by their number from 0."""
    draft = decode_draft(record.draft)
    names, standing = _names(terminal, record), _standing(terminal, record)
    return {
        **_summary(record),
        "anchored": standing is not None and standing.anchored_at is not None,
        "doubts": ["could not be checked against the ledger now"] if standing is None else list(standing.doubts),
        "action": [_addressee(one) for one in draft.action],
        "info": [_addressee(one) for one in draft.info],
        "caveats": list(draft.caveats),
        "references": list(draft.references),
        "tags": list(draft.tags),
        "paragraphs": list(draft.paragraphs),
        "attachments": [
            {"name": a.name, "type": a.type, "size": a.size, "hash": a.hash.hex(), "saved": str(saved.get(n, ""))}
            for n, a in enumerate(draft.attachments)
        ],
        "drafter": names.get(record.drafter, ""),
        "releasers": [names.get(one, "") for one in record.releasers],
        "receipts": [
            {"kind": ReceiptKind(one.kind).name, "post": one.post, "terminal": one.terminal_id.hex(), "at": one.at}
            for one in terminal.receipts(record)
        ],
    }


def _names(terminal: Terminal, record: CableRecord) -> dict[bytes, str]:
    """Officers' names; what is here is read without the node."""
    officers = [one for one in (record.drafter, *record.releasers) if one]
    try:
        return terminal.names(officers)
    except Unavailable:
        return {one: one.hex()[:8] for one in officers}


def _standing(terminal: Terminal, record: CableRecord) -> Standing | None:
    try:
        return terminal.standing(record)
    except Unavailable:
        return None


def track_json(record: CableRecord, tracked: Tracked, doubts: Doubts = None) -> Json:
    """The state per addressee; the three booleans say what is proved by signed receipts."""
    order = ("delivered", "read", "acknowledged")
    return {
        "cable_id": record.cable_id.hex(),
        "envelope_id": record.envelope_id.hex(),
        "addressees": [
            {
                "post": one.post,
                "state": one.state,
                "at": one.at,
                **{name: one.state in order[place:] for place, name in enumerate(order)},
            }
            for one in tracked.progress
        ],
        "anchored": tracked.anchored,
        "entry_index": tracked.entry_index if tracked.anchored else None,
        "alarms": list(tracked.alarms),
        "doubts": _doubts_of(record, doubts),
        "sent_bytes": tracked.sent_bytes,
        "received_bytes": tracked.received_bytes,
    }


def list_text(records: Sequence[CableRecord], alarms: Sequence[Aside], doubts: Doubts = None) -> str:
    """One line a cable, and one for each doubt about it."""
    lines = []
    for one in records:
        lines += [_line(_summary(one)), *(f"   !  {doubt}" for doubt in _doubts_of(one, doubts) or ())]
    return "\n".join([*lines, *(f"!  {one.code}: {safe_line(one.text)}" for one in alarms)]) or "-"


def _line(one: Json) -> str:
    return (
        f"{one['cable_id']}  {one['box']:6}  {one['state']:16}  {one['dtg'] or '-':14}  {one['from']}  "
        f"{one['precedence']:9}  {one['classification']:12}  {safe_line(one['subject'])}"
    )


def doubts_about(terminal: Terminal, records: Sequence[CableRecord]) -> Doubts:
    """Why not to rely on some of these cables; None if the ledger cannot be asked now."""
    try:
        return terminal.doubts(records)
    except Unavailable:
        return None


def _doubts_of(record: CableRecord, doubts: Doubts) -> list[str] | None:
    return None if doubts is None else list(doubts.get(record.envelope_id, ()))


def cable_text(data: Json) -> str:
    """A cable as an officer reads it."""
    head = [
        f"{data['classification']}  {data['precedence']}  {data['dtg']}",
        f"FROM    {data['from']} {data['serial'] or '-'}/{data['year'] or '-'}",
        f"ACTION  {' '.join(one['name'] for one in data['action'])}",
        *([f"INFO    {' '.join(one['name'] for one in data['info'])}"] if data["info"] else []),
        f"SUBJECT {safe_line(data['subject'])}",
        *(f"REF     {safe_line(one)}" for one in data["references"]),
        *(f"CAVEAT  {safe_line(one)}" for one in data["caveats"]),
        *([] if data["anchored"] else ["not yet anchored"]),
        *(f"!  {one}" for one in data["doubts"]),
    ]
    body = [f"{number}. {safe_text(text)}" for number, text in enumerate(data["paragraphs"], start=1)]
    tail = [f"[{safe_line(one['name'])}  {one['size']}  {one['saved']}]" for one in data["attachments"]]
    return "\n".join([*head, "", "\n\n".join(body), *tail])


def track_text(data: Json) -> str:
    """One line an addressee."""
    lines = [f"{one['post']}  {one['state']:12}  {_when(one['at'])}" for one in data["addressees"]]
    anchored = f"anchored: {data['entry_index'] if data['anchored'] else '-'}"
    cost = t("cost.cable", sent=data["sent_bytes"], received=data["received_bytes"])
    return "\n".join([*lines, anchored, cost, *data["alarms"], *(f"!  {one}" for one in data["doubts"] or ())])


def save_attachments(record: CableRecord, folder: Path) -> dict[int, Path]:
    """Write the attachments into `folder` under safe names; nothing that is there is overwritten."""
    make_private_folder(folder)
    saved = {}
    for number, (attachment, content) in enumerate(
        zip(decode_draft(record.draft).attachments, record.attachments, strict=True)
    ):
        path = folder / safe_file_name(attachment.name, number + 1)
        if path.exists():
            path = folder / f"{number + 1}-{path.name}"
        write_private(path, content)
        saved[number] = path
    return saved


def _summary(record: CableRecord) -> Json:
    inner, draft = _inner(record)
    return {
        "cable_id": record.cable_id.hex(),
        "envelope_id": record.envelope_id.hex(),
        "box": record.box,
        "state": record.state,
        "serial": inner.serial or None,
        "year": inner.year or None,
        "from": draft.post,
        "precedence": name_of(draft.precedence, PRECEDENCES),
        "classification": name_of(draft.classification, CLASSIFICATIONS),
        "subject": draft.subject,
        "dtg": inner.dtg,
    }


def _inner(record: CableRecord) -> tuple[Inner, Draft]:
    return decode_inner(record.inner, Kind(record.kind))


def _addressee(one: Addressee) -> Json:
    return {"name": one.name, "precedence": name_of(one.precedence, PRECEDENCES)}


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
