"""Cables as JSON documents and as text for a person. Keys are the contract's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.desk import CLASSIFICATIONS, PRECEDENCES, name_of
from cli.mark_json import false_claims_text, mark_json, mark_line, replaced_json, replaced_lines, standing_of
from cli.words import t
from crypto_msg.cable import Addressee, Draft, Inner, Kind, RelationKind
from crypto_msg.display import safe_file_name, safe_line, safe_text
from crypto_msg.receipt import ReceiptKind
from crypto_msg.relations import targets
from crypto_msg.wire import decode_draft, decode_inner
from protos.errors import Unavailable
from terminal.files import make_private_folder, write_private
from terminal.marks import withdrawals_of
from terminal.records import Aside, CableRecord
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
        "expires_at": record.expires_at or None,
        "carried": not terminal.is_waiting(record),
        "posts": list(record.posts),
    }


def cancelled_json(terminal: Terminal, earlier: CableRecord, record: CableRecord) -> Json:
    """What `cancel` answers: the cancellation, or the withdrawn draft. `left_out`: posts where nobody could read it."""
    draft = decode_draft(record.draft)
    told = {one.name for one in (*draft.action, *draft.info)} | {earlier.post}
    cancels = targets(draft, RelationKind.CANCELS)
    return {
        **sent_json(terminal, record),
        "cancels": [one.hex() for one in cancels],
        "left_out": [one for one in earlier.posts if cancels and one not in told],
    }


def list_json(terminal: Terminal, records: Sequence[CableRecord], alarms: Iterable[Aside], doubts: Doubts) -> Json:
    """The list, oldest first, and what was kept aside. `doubts` is null where they could not be looked for."""
    marks = terminal.marks(records)
    return {
        "cables": [
            {**_summary(one), **replaced_json(marks[one.envelope_id]), "doubts": _doubts_of(one, doubts)}
            for one in records
        ],
        "alarms": [_alarm(one) for one in alarms],
    }


def read_json(terminal: Terminal, record: CableRecord, saved: Mapping[int, Path]) -> Json:
    """A whole cable. `saved`: where attachments were written, by their number from 0."""
    inner, draft = _inner(record)
    marks = terminal.marks([record])[record.envelope_id]
    names, standing = _names(terminal, record), standing_of(terminal, record)
    return {
        **_summary(record),
        "anchored": standing is not None and standing.anchored_at is not None,
        "doubts": [
            *(["could not be checked against the ledger now"] if standing is None else standing.doubts),
            *false_claims_text(terminal, record),
        ],
        **replaced_json(marks),
        "marks": [mark_json(terminal, one) for one in marks],
        "withdrawn": [
            {"by": names.get(one.drafter, ""), "envelope_id": one.envelope_id.hex(), "paragraphs": _paragraphs(one)}
            for one in withdrawals_of(terminal.session, record)
        ],
        "action": [_addressee(one) for one in draft.action],
        "info": [_addressee(one) for one in draft.info],
        "expansions": {one.collective: list(one.posts) for one in inner.expansions},
        "relations": [
            {"kind": RelationKind(one.kind).name, "envelope_id": one.envelope_id.hex()} for one in draft.relations
        ],
        "caveats": list(draft.caveats),
        "references": list(draft.references),
        "tags": list(draft.tags),
        "paragraphs": _paragraphs(record),
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


def _paragraphs(record: CableRecord) -> list[str]:
    return list(decode_draft(record.draft).paragraphs)


def track_json(terminal: Terminal, record: CableRecord, tracked: Tracked, doubts: Doubts) -> Json:
    """The state per addressee; the three booleans say what is proved by signed receipts."""
    order = ("delivered", "read", "acknowledged")
    return {
        "cable_id": record.cable_id.hex(),
        "envelope_id": record.envelope_id.hex(),
        **replaced_json(terminal.marks([record])[record.envelope_id]),
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


def list_text(data: Json) -> str:
    """One line a cable, one for each that cancels or supersedes it, and one for each doubt about it."""
    lines: list[str] = []
    for one in data["cables"]:
        lines += [_line(one), *(f"  {text}" for text in replaced_lines(one))]
        lines += [f"   !  {doubt}" for doubt in one["doubts"] or ()]
    return "\n".join([*lines, *map(_alarm_line, data["alarms"])]) or "-"


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


def _alarm_line(one: Json) -> str:
    about = f"  [{one['envelope_id']}]" if one["envelope_id"] else ""
    return f"!  {one['code']}: {safe_line(one['text'])}{about}"


def cable_text(data: Json) -> str:
    """A cable as an officer reads it."""
    head = [
        *map(mark_line, data["marks"]),
        *(t("cable.withdrawn", by=one["by"], why=safe_line(" ".join(one["paragraphs"]))) for one in data["withdrawn"]),
        f"{data['classification']}  {data['precedence']}  {data['dtg']}",
        f"FROM    {data['from']} {data['serial'] or '-'}/{data['year'] or '-'}",
        f"ACTION  {' '.join(one['name'] for one in data['action'])}",
        *([f"INFO    {' '.join(one['name'] for one in data['info'])}"] if data["info"] else []),
        *(f"        {name}: {' '.join(posts)}" for name, posts in data["expansions"].items()),
        f"SUBJECT {safe_line(data['subject'])}",
        *(f"REF     {safe_line(one)}" for one in data["references"]),
        *(f"{one['kind']:11}{one['envelope_id']}" for one in data["relations"]),
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
    doubts = (f"!  {one}" for one in data["doubts"] or ())
    return "\n".join([*replaced_lines(data), *lines, anchored, cost, *data["alarms"], *doubts])


def save_attachments(record: CableRecord, contents: tuple[bytes, ...], folder: Path) -> dict[int, Path]:
    """Write the attachments into `folder` under safe names; nothing that is there is overwritten."""
    make_private_folder(folder)
    saved = {}
    for number, (attachment, content) in enumerate(zip(decode_draft(record.draft).attachments, contents, strict=True)):
        path = folder / safe_file_name(attachment.name, number + 1)
        if path.exists():
            path = folder / f"{number + 1}-{path.name}"
        write_private(path, content)
        saved[number] = path
    return saved


def _alarm(one: Aside) -> Json:
    about = one.envelope_id.hex() or None
    return {"code": one.code, "text": one.text, "from": one.origin, "at": one.at, "envelope_id": about}


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
        "expires_at": record.expires_at or None,
    }


def _inner(record: CableRecord) -> tuple[Inner, Draft]:
    return decode_inner(record.inner, Kind(record.kind))


def _addressee(one: Addressee) -> Json:
    return {"name": one.name, "precedence": name_of(one.precedence, PRECEDENCES)}


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
