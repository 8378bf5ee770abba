"""The numbers of other terminals' wraps, watched: what is missing, what came twice, and a clone (cables.md §2)."""

from __future__ import annotations

from terminal.askrows import RECEIVED
from terminal.numbers import Numbers
from terminal.records import GAP, Aside, Ask, WrapNumber
from terminal.session import Session
from terminal.store import Transaction

REPEATED, CLONE, MISSING_NUMBER = "wrap-number-repeated", "wrap-clone", "wrap-missing"
MAX_NAMED = 8


def note_number(session: Session, transaction: Transaction, by: bytes, n: int, envelope_id: bytes, post: str) -> None:
    """Wrap `n` of terminal `by` was for this envelope. A re-wrap under the number of its first wrap changes nothing."""
    numbers, before = transaction.numbers(by), transaction.envelope_under(RECEIVED, by, n)
    if before == envelope_id:
        return
    if n < 1 or before is not None or numbers.has(n):
        transaction.add_aside(_repeat(session, by, n, envelope_id, before, post))
        return
    transaction.note_wrap(RECEIVED, WrapNumber(by, n, envelope_id, post))
    changed = numbers.with_number(n)
    transaction.set_numbers(by, changed)
    _watch_gap(session, transaction, by, changed)


def missing_alarm(session: Session, by: bytes, numbers: Numbers, post: str) -> Aside:
    """What an officer is told of numbers that have not come: the first few ranges."""
    ranges = ", ".join(str(first) if first == end else f"{first}-{end}" for first, end in numbers.missing[:MAX_NAMED])
    text = f"of the wraps of terminal {by.hex()[:16]} of {post} these numbers have not come: {ranges}"
    return Aside(by, MISSING_NUMBER, text, post, session.clock())


def _watch_gap(session: Session, transaction: Transaction, by: bytes, numbers: Numbers) -> None:
    """Precedence reorders cables: a gap is remembered, and alarmed and asked for only if it stays."""
    gap = transaction.ask(b"", by)
    if numbers.missing and gap is None:
        transaction.put_ask(Ask(b"", by, GAP, session.clock()))
    elif not numbers.missing and gap is not None:
        transaction.drop_ask(gap)
        transaction.drop_aside(Aside(by, MISSING_NUMBER, "", "", 0))


def _repeat(session: Session, by: bytes, n: int, envelope_id: bytes, before: bytes | None, post: str) -> Aside:
    who = f"terminal {by.hex()[:16]} of {post}"
    if before is None:
        code, text = REPEATED, f"{who} used wrap number {n} again: it was restored or copied"
    else:
        code = CLONE
        text = f"{who} used wrap number {n} for two cables, the earlier is {before.hex()}: it was restored or copied"
    return Aside(envelope_id, code, text, post, session.clock(), envelope_id=envelope_id)
