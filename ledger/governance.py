"""Governance entries: k of n root approvals, numbered without a gap (docs/protocol/ledger.md).

Every accepted one extends the trust chain: trust_head = SHA-256(trust_head || leaf hash).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from keys.purpose import Purpose
from ledger import admission, bodies, validators
from ledger.merkle import leaf_hash
from ledger.module import Anchor, Authority, Context, Entering, Signatory
from ledger.parameters import check_parameters
from ledger.records import Network
from ledger.state import NETWORK, PARAMETERS, post_key
from ledger.wire import CODEC
from protos.errors import Malformed, Refused

NODE_KEY_SUITES = {"cosigner": SUITE_MLDSA44, "log": SUITE_ED25519, "consensus": SUITE_ED25519}


class GovernanceModule:
    """The rules of the governance kinds."""

    name = "governance"
    kinds: Mapping[str, type[Any]] = {
        "post-admitted": bodies.PostAdmitted,
        "post-retired": bodies.PostRetired,
        "validators-changed": bodies.ValidatorsChanged,
        "root-changed": bodies.RootChanged,
        "node-key-changed": bodies.NodeKeyChanged,
        "parameters": bodies.ParametersChanged,
        "engine-changed": bodies.EngineChanged,
    }
    codec = CODEC

    def check(self, context: Context) -> Authority:
        """Exactly k root approvals (and the new root's own signature), all by key id."""
        network = context.state.network()
        if context.entry.sequence != network.governance_number + 1:
            raise Refused(
                "wrong-sequence",
                f"the next governance entry is number {network.governance_number + 1}, not {context.entry.sequence}",
                hint="Another one was accepted meanwhile: propose again.",
            )
        check, _ = _RULES[context.entry.kind]
        entering = check(context, network)
        own = tuple(one.proven.key for one in entering) if context.entry.kind == "root-changed" else ()
        threshold = context.state.parameters().root_threshold
        approving = tuple(root for root in network.roots if root.key_id in context.signers)
        if len(approving) != threshold:
            raise Refused(
                "wrong-approvals",
                f"{len(approving)} root approvals, where exactly {threshold} are needed",
                hint="Collect exactly as many approvals as the parameters say.",
            )
        signatories = tuple(Signatory(key, Purpose.GOVERNANCE) for key in (*approving, *own))
        return Authority(None, signatories, entering)

    def apply(self, context: Context) -> None:
        """Change the state and extend the trust chain."""
        _, apply = _RULES[context.entry.kind]
        apply(context)
        network = context.state.network()
        head = sha256(network.trust_head + leaf_hash(context.leaf)).digest()
        chained = replace(
            network,
            governance_number=context.entry.sequence,
            trust_head=head,
            trust_count=network.trust_count + 1,
        )
        context.state.write(NETWORK, chained)


def _check_post_admitted(context: Context, network: Network) -> tuple[Entering, ...]:
    body: bodies.PostAdmitted = context.body
    if body.headquarters:
        raise Refused("second-headquarters", "a network has one HQ, and it is founded with it")
    return admission.check_admission(context.state, body)


def _apply_post_admitted(context: Context) -> None:
    admission.admit(context.state, context.body, context.index)


def _check_post_retired(context: Context, network: Network) -> tuple[Entering, ...]:
    body: bodies.PostRetired = context.body
    post = context.state.active_post(body.code)
    if post.headquarters:
        raise Refused("headquarters-stays", "HQ cannot be retired")
    coming = [code for one in network.pending for code in one.validators]
    if body.code in network.validators or body.code in coming:
        hint = "First take it out of the validators."
        raise Refused("validator-stays", f"post {body.code} is a validator", hint=hint, post=body.code)
    return ()


def _apply_post_retired(context: Context) -> None:
    body: bodies.PostRetired = context.body
    post = context.state.active_post(body.code)
    context.state.write(post_key(body.code), replace(post, retired_at=context.index))


def _check_validators_changed(context: Context, network: Network) -> tuple[Entering, ...]:
    body: bodies.ValidatorsChanged = context.body
    validators.check_set(context.state, body.validators, network.engine)
    validators.check_change(network, body.validators)
    return ()


def _apply_validators_changed(context: Context) -> None:
    network = context.state.network()
    context.state.write(NETWORK, validators.schedule(network, context.body.validators, context.block))


def _check_root_changed(context: Context, network: Network) -> tuple[Entering, ...]:
    body: bodies.RootChanged = context.body
    if body.old_key_id not in [root.key_id for root in network.roots]:
        raise Refused("unknown-root", "the key to be replaced is no root key")
    return (Entering(body.new_key, "root", SUITE_DUAL, "root"),)


def _apply_root_changed(context: Context) -> None:
    body: bodies.RootChanged = context.body
    network = context.state.network()
    roots = tuple(body.new_key.key if root.key_id == body.old_key_id else root for root in network.roots)
    context.state.write(NETWORK, replace(network, roots=roots))


def _check_node_key_changed(context: Context, network: Network) -> tuple[Entering, ...]:
    body: bodies.NodeKeyChanged = context.body
    suite = NODE_KEY_SUITES.get(body.role)
    if suite is None:
        raise Malformed("unknown-key-role", f"{body.role!r} is no role of a node key", role=body.role)
    context.state.active_post(body.code)
    return (Entering(body.key, body.role, suite, f"post/{body.code}"),)


def _apply_node_key_changed(context: Context) -> None:
    body: bodies.NodeKeyChanged = context.body
    post, key = context.state.active_post(body.code), body.key.key.key
    changed = {
        "cosigner": lambda: replace(post, cosigner_key=key),
        "log": lambda: replace(post, log_key=key),
        "consensus": lambda: replace(post, consensus_key=key),
    }[body.role]()
    context.state.write(post_key(body.code), changed)


def _check_parameters(context: Context, network: Network) -> tuple[Entering, ...]:
    body: bodies.ParametersChanged = context.body
    check_parameters(body.parameters, len(network.roots))
    if body.parameters == context.state.parameters():
        raise Refused("nothing-changed", "these are the parameters already")
    return ()


def _apply_parameters(context: Context) -> None:
    context.state.write(PARAMETERS, context.body.parameters)


def _check_engine_changed(context: Context, network: Network) -> tuple[Entering, ...]:
    body: bodies.EngineChanged = context.body
    if body.engine not in validators.ENGINES:
        raise Refused("unknown-engine", f"{body.engine!r} is no engine")
    validators.check_set(context.state, body.validators, body.engine)
    named = Anchor(body.size, body.root, body.state_root)
    if context.index != body.size or context.start not in (named, None):
        hint = "It must be the first entry of its block and name the log as it was before."
        raise Refused("wrong-anchor", "the log does not stand where the engine change says", hint=hint)
    return ()


def _apply_engine_changed(context: Context) -> None:
    body: bodies.EngineChanged = context.body
    network = context.state.network()
    context.state.write(NETWORK, replace(network, engine=body.engine, validators=body.validators, pending=()))


_Check = Callable[[Context, Network], tuple[Entering, ...]]
_Apply = Callable[[Context], None]

_RULES: dict[str, tuple[_Check, _Apply]] = {
    "post-admitted": (_check_post_admitted, _apply_post_admitted),
    "post-retired": (_check_post_retired, _apply_post_retired),
    "validators-changed": (_check_validators_changed, _apply_validators_changed),
    "root-changed": (_check_root_changed, _apply_root_changed),
    "node-key-changed": (_check_node_key_changed, _apply_node_key_changed),
    "parameters": (_check_parameters, _apply_parameters),
    "engine-changed": (_check_engine_changed, _apply_engine_changed),
}
