"""`dutabarta governance`: acts of the root holders, from proposal to entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.commands import group, option
from cli.desk import Place, at_terminal
from cli.options import FILE, json_option, passphrase_option, read_passphrase
from cli.output import emit
from cli.words import t

if TYPE_CHECKING:
    from ledger.state import State
    from terminal.view import ProvedState

KINDS = (
    "post-admitted",
    "post-retired",
    "validators-changed",
    "root-changed",
    "node-key-changed",
    "parameters",
    "engine-changed",
)
ENGINES = ("solo", "comet")
NODE_KEYS = ("cosigner", "log", "consensus")


@group("governance")
def governance() -> None:
    """Help stands in the string tables."""


@governance.command("keygen")
@option("--out", type=FILE, required=True)
@passphrase_option
@json_option
def keygen(out: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """A root holder's key in a sealed file; prints the public card."""
    from cli import founding
    from keys.card import card_digest
    from keys.keystore import Cost

    card = founding.make_root(out, read_passphrase(passphrase_file, confirm=True), Cost.FULL)
    emit({"key": str(out), "card": card, "digest": card_digest(card)}, as_json, card.rstrip())


@governance.command("propose")
@click.argument("kind", type=click.Choice(KINDS))
@option("--post", "code")
@option("--posts", "codes")
@option("--card", type=FILE)
@option("--old-key")
@option("--key", type=click.Choice(NODE_KEYS))
@option("--set", "changes", multiple=True)
@option("--engine", type=click.Choice(ENGINES))
@option("--out", type=FILE, required=True)
@at_terminal
@json_option
def propose(place: Place, kind: str, out: Path, as_json: bool, **fields: Any) -> None:
    """Write a proposal for the root holders to sign."""
    from ledger.entry import encode_entry
    from terminal.files import write_private
    from terminal.request import Pending, Request

    with place.open() as terminal:
        view, network_id = terminal.session.view, terminal.session.network_id
        body, number = view.judge(lambda state: (_BODIES[kind](state, fields), state.network().governance_number + 1))
    request = Request(network_id, (Pending(encode_entry(kind, number, body), b"", ()),))
    write_private(out, request.format().encode())
    emit({"kind": kind, "number": number, "proposal": str(out)}, as_json)


@governance.command("sign")
@click.argument("proposal", type=FILE)
@option("--root-key", type=FILE, required=True)
@passphrase_option
@json_option
def sign(proposal: Path, root_key: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Add a root holder's approval; needs no network."""
    from cli import founding
    from cli.enrolment import read_request
    from keys.purpose import Purpose
    from ledger.entry import sign_entry
    from protos.errors import Refused
    from terminal.files import write_private

    request = read_request(proposal)
    signer = founding.load_root(root_key, read_passphrase(passphrase_file))
    (pending,) = request.entries
    if signer.public_key.key_id in pending.signers:
        raise Refused("signed-already", "this root key has signed the proposal", hint="carry it to another root holder")
    signed = pending.with_signature(sign_entry(pending.entry, signer, request.network_id, Purpose.GOVERNANCE))
    write_private(proposal, replace(request, entries=(signed,)).format().encode())
    emit(
        {
            "proposal": str(proposal),
            "kind": pending.content.kind,
            "number": pending.content.sequence,
            "approvals": len(signed.signatures),
        },
        as_json,
    )


@governance.command("submit")
@click.argument("proposal", type=FILE)
@at_terminal
@json_option
def submit(place: Place, proposal: Path, as_json: bool) -> None:
    """Enter a proposal that has its approvals."""
    from cli.enrolment import read_request

    (pending,) = read_request(proposal).entries
    with place.open() as terminal:
        state = terminal.session.submitter.submit(pending.leaf())
    emit({"kind": pending.content.kind, "number": pending.content.sequence, "size": state.size}, as_json)


@governance.command("list")
@at_terminal
@json_option
def list_governance(place: Place, as_json: bool) -> None:
    """Who governs, as the ledger proves it: roots, threshold, validators, parameters, posts."""
    with place.open() as terminal:
        emit(terminal.session.view.judge(_governance), as_json)


def _governance(state: State) -> dict[str, object]:
    from dataclasses import asdict

    network, parameters = state.network(), state.parameters()
    return {
        "number": network.governance_number,
        "engine": network.engine,
        "roots": [root.key_id.hex() for root in network.roots],
        "threshold": parameters.root_threshold,
        "validators": list(network.validators),
        "pending_validators": [list(one.validators) for one in network.pending],
        "parameters": asdict(parameters),
        "posts": [
            {"code": post.code, "address": post.address, "headquarters": post.headquarters, "active": post.is_active}
            for post in state.posts()
        ],
    }


def _post_admitted(_state: State, fields: dict[str, Any]) -> object:
    from keys.card import CardKind
    from ledger.bodies import PostAdmitted

    return _card(fields, CardKind.POST, PostAdmitted)


def _post_retired(state: State, fields: dict[str, Any]) -> object:
    from ledger.bodies import PostRetired

    return PostRetired(state.active_post(_given(fields, "code", "--post")).code)


def _validators_changed(state: State, fields: dict[str, Any]) -> object:
    from ledger.bodies import ValidatorsChanged

    return ValidatorsChanged(_validators(state, fields))


def _validators(state: State, fields: dict[str, Any]) -> tuple[str, ...]:
    codes = _given(fields, "codes", "--posts").split(",")
    return tuple(sorted(state.active_post(code.strip().upper()).code for code in codes))


def _root_changed(_state: State, fields: dict[str, Any]) -> object:
    from keys.card import CardKind
    from keys.possession import ProvenKey
    from ledger.bodies import RootChanged

    try:
        old = bytes.fromhex(_given(fields, "old_key", "--old-key"))
    except ValueError as problem:
        raise click.BadParameter(t("usage.bad-key-id"), param_hint="--old-key") from problem
    return RootChanged(old, _card(fields, CardKind.ROOT, ProvenKey))


def _node_key_changed(state: State, fields: dict[str, Any]) -> object:
    """The card is one that `post keygen` made in a new folder; of its keys only the named one is taken."""
    from keys.card import CardKind
    from ledger.bodies import NodeKeyChanged, PostAdmitted

    role, card = _given(fields, "key", "--key"), _card(fields, CardKind.POST, PostAdmitted)
    post = state.active_post(card.code)
    return NodeKeyChanged(post.code, role, _key_of(card, role))


def _key_of(card: Any, role: str) -> Any:
    from protos.errors import Malformed

    key = getattr(card, f"{role}_key")
    if key is None:
        raise Malformed("not-a-card", f"this card holds no {role} key", hint="make one with `dutabarta post keygen`")
    return key


def _parameters(state: State, fields: dict[str, Any]) -> object:
    from ledger.bodies import ParametersChanged

    changes: dict[str, Any] = {}
    for change in fields["changes"]:
        name, equals, value = change.partition("=")
        numbers = value.split(",")
        is_one = len(numbers) == 1 or name == "answer_seconds"
        if not (equals and is_one and all(one.isdigit() for one in numbers) and hasattr(state.parameters(), name)):
            raise click.BadParameter(t("usage.bad-change", change=change), param_hint="--set")
        values = tuple(map(int, numbers))
        changes[name] = {"filled_slots": bool(values[0]), "answer_seconds": values}.get(name, values[0])
    return ParametersChanged(replace(state.parameters(), **changes))


def _engine_changed(state: ProvedState, fields: dict[str, Any]) -> object:
    """It names where the log stands now: whatever enters before it makes it void, and it is proposed again."""
    from ledger.bodies import EngineChanged
    from protos.errors import Refused

    if state.network().engine != ENGINES[0]:
        hint = "change its validators instead"
        raise Refused("engine-stays", "this version only goes over from solo to comet, not back", hint=hint)
    engine, validators = _given(fields, "engine", "--engine"), _validators(state, fields)
    return EngineChanged(engine, state.size, state.checkpoint.root, state.state_root, validators)


_BODIES: dict[str, Callable[[ProvedState, dict[str, Any]], object]] = {
    "post-admitted": _post_admitted,
    "post-retired": _post_retired,
    "validators-changed": _validators_changed,
    "root-changed": _root_changed,
    "node-key-changed": _node_key_changed,
    "parameters": _parameters,
    "engine-changed": _engine_changed,
}


def _card(fields: dict[str, Any], kind: Any, body: type[Any]) -> Any:
    from keys.card import parse_card
    from ledger.wire import CODEC, MAX_LEAF_BYTES
    from protos.errors import Malformed

    card = parse_card(_given(fields, "card", "--card").read_text("ascii", "replace"))
    if card.kind != kind:
        raise Malformed("not-a-card", "this card is of another kind", hint=f"a {kind.name.lower()} card is needed")
    return CODEC.decode(body, card.content, limit=MAX_LEAF_BYTES)


def _given(fields: dict[str, Any], name: str, option_name: str) -> Any:
    if not fields[name]:
        raise click.UsageError(t("usage.missing", name=option_name))
    return fields[name]
