"""The terminal's local store: every content column sealed, one transaction for what belongs together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, true, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import SQLAlchemyError

from ledger.proof import TlogProof
from protos.errors import Unavailable
from terminal.asides import AsideRows
from terminal.askrows import AskRows
from terminal.callrows import CallRows
from terminal.failpoint import reach
from terminal.linkrows import LinkRows
from terminal.noticerows import NoticeRows
from terminal.numbers import Numbers
from terminal.partrows import PartRows
from terminal.records import CableRecord, Job, ReceiptRecord
from terminal.schema import cable, counter, job, open_engine, prepare, proof, receipt, setting
from terminal.sealing import Sealer


class Store:
    """Opens `path` under a 32-byte store key. Raises `Unavailable("disk-failed")` on any storage error."""

    def __init__(self, path: Path, store_key: bytes) -> None:
        self._sealer = Sealer(store_key)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._engine = open_engine(path)
        with self.transaction():
            pass

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Everything inside is durable together or not at all."""
        try:
            with self._engine.begin() as connection:
                prepare(connection)
                yield Transaction(connection, self._sealer)
                reach()
            reach()
        except SQLAlchemyError as problem:
            raise Unavailable(
                "disk-failed",
                f"the terminal's store failed: {getattr(problem, 'orig', None) or problem}",
                hint="free some space or make the folder writable; nothing was half done",
            ) from problem


class Transaction(AsideRows, AskRows, PartRows, LinkRows, NoticeRows, CallRows):
    """Typed reads and writes on the store. Ids go in as they are and are stored as tags."""

    # settings: small durable values by name

    def setting(self, name: str, default: int = 0) -> int:
        found = self._connection.scalar(select(setting.c.content).where(setting.c.name == name))
        return default if found is None else int.from_bytes(self._sealer.open(f"setting/{name}", found))

    def set_setting(self, name: str, value: int) -> None:
        content = self._sealer.seal(f"setting/{name}", value.to_bytes(max(8, (value.bit_length() + 7) // 8)))
        self._put(setting, {"name": name}, {"content": content})

    # cables and drafts: one row each, found by envelope id or cable id; a row's content opens in its own row only

    def add_cable(self, record: CableRecord) -> int:
        """Store a new cable and return its number. An envelope already stored keeps its row and its number."""
        values = self._cable_row(record)
        known = self._connection.scalar(select(cable.c.number).where(cable.c.envelope == values["envelope"]))
        if known is not None:
            return int(known)
        made = self._connection.execute(insert(cable).values(**values))
        return int(made.inserted_primary_key[0])  # type: ignore[index]

    def change_cable(self, number: int, record: CableRecord) -> None:
        """Replace the row `number`."""
        self._connection.execute(update(cable).where(cable.c.number == number).values(**self._cable_row(record)))

    def cables(self, box: str | None = None) -> list[tuple[int, CableRecord]]:
        """(number, record), oldest first."""
        return self._cables(true() if box is None else cable.c.box == box)

    def find_cables(self, any_id: bytes) -> list[tuple[int, CableRecord]]:
        """The cables with this envelope id (32 bytes) or cable id (16), oldest first."""
        matches = (
            cable.c.envelope == self._tag("envelope", any_id)
            if len(any_id) == 32
            else cable.c.cable == self._tag("cable", any_id)
        )
        return self._cables(matches)

    def has_envelope(self, envelope_id: bytes) -> bool:
        tag = self._tag("envelope", envelope_id)
        return self._connection.scalar(select(cable.c.number).where(cable.c.envelope == tag)) is not None

    # receipts: one per (envelope, kind, terminal), the first one stands

    def add_receipt(self, record: ReceiptRecord) -> ReceiptRecord:
        """Store a receipt unless one of its slot is there; the stored one is returned."""
        slot = self._tag("receipt", record.envelope_id, bytes([record.kind]), record.terminal_id)
        found = self._connection.scalar(select(receipt.c.content).where(receipt.c.slot == slot))
        if found is not None:
            return ReceiptRecord.decode(self._sealer.open(f"receipt/{slot.hex()}", found))
        content = self._sealer.seal(f"receipt/{slot.hex()}", record.encode())
        tag = self._tag("envelope", record.envelope_id)
        self._connection.execute(insert(receipt).values(slot=slot, envelope=tag, content=content))
        return record

    def receipts(self, envelope_id: bytes) -> list[ReceiptRecord]:
        tag = self._tag("envelope", envelope_id)
        rows = self._connection.execute(select(receipt.c.slot, receipt.c.content).where(receipt.c.envelope == tag))
        return [ReceiptRecord.decode(self._sealer.open(f"receipt/{slot.hex()}", content)) for slot, content in rows]

    # jobs: what the node must still be given; a job stays until the node has confirmed it

    def add_job(self, one: Job) -> None:
        slot = self._tag("job", one.kind.encode(), one.key)
        content = self._sealer.seal(f"job/{slot.hex()}", one.encode())
        self._connection.execute(upsert(job).values(slot=slot, content=content).on_conflict_do_nothing())

    def jobs(self) -> list[Job]:
        """Oldest first."""
        rows = self._connection.execute(select(job.c.slot, job.c.content).order_by(job.c.number))
        return [Job.decode(self._sealer.open(f"job/{slot.hex()}", content)) for slot, content in rows]

    def end_job(self, one: Job) -> None:
        self._connection.execute(delete(job).where(job.c.slot == self._tag("job", one.kind.encode(), one.key)))

    # counters of wraps, by the other terminal's id

    def counter(self, kind: str, terminal_id: bytes) -> int:
        slot = self._tag("counter", kind.encode(), terminal_id)
        found = self._connection.scalar(select(counter.c.content).where(counter.c.slot == slot))
        return 0 if found is None else int.from_bytes(self._sealer.open(f"counter/{slot.hex()}", found))

    def set_counter(self, kind: str, terminal_id: bytes, value: int) -> None:
        slot = self._tag("counter", kind.encode(), terminal_id)
        content = self._sealer.seal(f"counter/{slot.hex()}", value.to_bytes(8))
        self._put(counter, {"slot": slot}, {"content": content})

    def numbers(self, terminal_id: bytes) -> Numbers:
        """Which wraps of that terminal have come."""
        slot = self._tag("counter", b"received", terminal_id)
        found = self._connection.scalar(select(counter.c.content).where(counter.c.slot == slot))
        return Numbers() if found is None else Numbers.decode(self._sealer.open(f"counter/{slot.hex()}", found))

    def set_numbers(self, terminal_id: bytes, numbers: Numbers) -> None:
        slot = self._tag("counter", b"received", terminal_id)
        self._put(counter, {"slot": slot}, {"content": self._sealer.seal(f"counter/{slot.hex()}", numbers.encode())})

    # anchor proofs that this terminal has checked itself

    def add_proof(self, envelope_id: bytes, text: bytes) -> None:
        """Keep a checked proof; of several the one of the lowest log index, which says since when."""
        tag, known = self._tag("envelope", envelope_id), self.proof(envelope_id)
        if known is not None and TlogProof.decode(known).index <= TlogProof.decode(text).index:
            return
        self._put(proof, {"envelope": tag}, {"content": self._sealer.seal(f"proof/{tag.hex()}", text)})

    def proof(self, envelope_id: bytes) -> bytes | None:
        tag = self._tag("envelope", envelope_id)
        found = self._connection.scalar(select(proof.c.content).where(proof.c.envelope == tag))
        return None if found is None else self._sealer.open(f"proof/{tag.hex()}", found)

    def _cable_row(self, record: CableRecord) -> dict[str, Any]:
        envelope_tag, tag = self._tag("envelope", record.envelope_id), self._tag("cable", record.cable_id)
        content = self._sealer.seal(_cable_place(envelope_tag, tag), record.encode())
        return {"envelope": envelope_tag, "cable": tag, "box": record.box, "content": content}

    def _cables(self, matches: ColumnElement[bool]) -> list[tuple[int, CableRecord]]:
        columns = select(cable.c.number, cable.c.envelope, cable.c.cable, cable.c.content)
        rows = self._connection.execute(columns.where(matches).order_by(cable.c.number))
        return [
            (number, CableRecord.decode(self._sealer.open(_cable_place(envelope_tag, tag), content)))
            for number, envelope_tag, tag, content in rows
        ]


def _cable_place(envelope_tag: bytes, cable_tag: bytes) -> str:
    return f"cable/{envelope_tag.hex()}/{cable_tag.hex()}"
