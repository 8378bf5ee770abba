"""Terminals: enrolled by their officer and another supervisor, retired by either or by HQ (docs/protocol/ledger.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keys.public import SUITE_ED25519
from ledger import bodies
from ledger.certificates import check_certificate, enter_certificate
from ledger.module import Authority, Context, Entering
from ledger.records import Terminal
from ledger.state import State, roster_key, terminal_key, there
from ledger.supervision import enrolment, one_of_post_or_headquarters, one_supervisor, signed_by
from protos.errors import Refused

MAX_TERMINALS = 512
RETIRE_REASONS = ("replaced", "lost", "zeroized")


def _check_enrolled(context: Context) -> Authority:
    body: bodies.TerminalEnrolled = context.body
    officer = context.state.active_officer(body.officer_id)
    check_certificate(context.state, body.certificate)
    if len(context.state.roster(officer.post).terminal_ids) >= MAX_TERMINALS:
        raise Refused("roster-full", f"a post has at most {MAX_TERMINALS} terminals", hint="Retire what is not used.")
    supervisor = one_supervisor(context, officer.post, besides=officer.officer_id)
    owner = f"terminal/{body.key.key.key_id.hex()}"
    entering = Entering(body.key, "terminal", SUITE_ED25519, owner)
    return Authority(enrolment(officer), (enrolment(supervisor),), (entering,))


def _apply_enrolled(context: Context) -> None:
    body: bodies.TerminalEnrolled = context.body
    officer = context.state.active_officer(body.officer_id)
    terminal_id = body.key.key.key_id
    terminal = Terminal(
        terminal_id=terminal_id,
        key=body.key.key.key,
        officer_id=officer.officer_id,
        post=officer.post,
        certificate=body.certificate,
        enrolled_at=context.index,
        retired_at=0,
        reason="",
    )
    context.state.write(terminal_key(terminal_id), terminal)
    enter_certificate(context.state, body.certificate, f"terminal/{terminal_id.hex()}")
    _set_roster(context.state, officer.post, {*context.state.roster(officer.post).terminal_ids, terminal_id})


def _check_retired(context: Context) -> Authority:
    body: bodies.TerminalRetired = context.body
    if body.reason not in RETIRE_REASONS:
        raise Refused("unknown-reason", f"{body.reason!r} is no reason to retire a terminal")
    terminal = context.state.terminal(body.terminal_id)
    if terminal is None:
        raise Refused("unknown-terminal", f"terminal {body.terminal_id.hex()} is not on the ledger")
    if not terminal.is_active:
        raise Refused("retired-terminal", "the terminal has been retired already")
    own = there(context.state.officer(terminal.officer_id))
    if own.key.key_id in context.signers and context.state.may_act(own.officer_id):
        return signed_by(own)
    return signed_by(one_of_post_or_headquarters(context, terminal.post))


def _apply_retired(context: Context) -> None:
    body: bodies.TerminalRetired = context.body
    terminal = there(context.state.terminal(body.terminal_id))
    retired = replace(terminal, retired_at=context.index, reason=body.reason)
    context.state.write(terminal_key(body.terminal_id), retired)
    remaining = {*context.state.roster(terminal.post).terminal_ids} - {body.terminal_id}
    _set_roster(context.state, terminal.post, remaining)


def _set_roster(state: State, code: str, terminal_ids: set[bytes]) -> None:
    state.write(roster_key(code), replace(state.roster(code), terminal_ids=tuple(sorted(terminal_ids))))


TERMINAL_RULES: dict[str, tuple[Callable[[Context], Authority], Callable[[Context], None]]] = {
    "terminal-enrolled": (_check_enrolled, _apply_enrolled),
    "terminal-retired": (_check_retired, _apply_retired),
}
