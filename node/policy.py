"""The trust policy that a state puts in force (network.md section 4)."""

from __future__ import annotations

from functools import lru_cache

from ledger.checkpoint import LogKey
from ledger.cosignature import CosignerKey
from ledger.policy import Policy, build_policy, parse_policy
from ledger.state import State
from node.chain import cosigner_of

Keys = tuple[tuple[str, CosignerKey], ...]


def policy_in_force(state: State, origin: str) -> Policy:
    """The default policy over the active posts of `state`."""
    network = state.network()
    keys = tuple((post.code, key) for post in state.posts() if (key := cosigner_of(state, origin, post.code)))
    logs = tuple(LogKey(origin, state.active_post(code).log_key) for code in network.validators)
    headquarters = state.headquarters()
    validators = tuple(one for one in keys if one[0] in network.validators)
    missions = tuple(one for one in keys if one[0] != headquarters)
    return _policy(logs, validators, missions, state.parameters().mission_quorum)


@lru_cache(maxsize=64)
def _policy(logs: tuple[LogKey, ...], validators: Keys, missions: Keys, mission_quorum: int) -> Policy:
    return parse_policy(build_policy(logs, dict(validators), dict(missions), mission_quorum))
