"""The policy that a network's state stands for: validators' logs and cosigners, and the named missions."""

from __future__ import annotations

from functools import lru_cache

from ledger.checkpoint import LogKey
from ledger.cosignature import CosignerKey, cosigner_name
from ledger.policy import Policy, build_policy, parse_policy
from ledger.records import Post
from ledger.state import State

_REMEMBERED = 64
_policies: dict[tuple[str, bytes], Policy] = {}


def policy_text(state: State, origin: str) -> str:
    """The tlog-policy by which checkpoints at this state's size are judged.

    Missions are the active posts that are neither HQ nor validators; `build_policy` names at most 16 of them.
    """
    posts = tuple(post for post in state.posts() if post.is_active)
    return _text(origin, posts, state.network().validators, state.parameters().mission_quorum)


@lru_cache(maxsize=64)
def _text(origin: str, posts: tuple[Post, ...], codes: tuple[str, ...], mission_quorum: int) -> str:
    active = {post.code: post for post in posts}
    validators = {code: active[code] for code in codes}
    missions = {code: post for code, post in active.items() if not post.headquarters and code not in validators}
    return build_policy(
        [LogKey(origin, post.log_key) for post in validators.values()],
        {code: cosigner_key(origin, post) for code, post in validators.items()},
        {code: cosigner_key(origin, post) for code, post in missions.items()},
        mission_quorum,
    )


def policy_of(state: State, origin: str) -> Policy:
    """`policy_text`, parsed; remembered, for it follows from the founding (the origin) and the trust chain alone."""
    key = origin, state.network().trust_head
    policy = _policies.get(key)
    if policy is None:
        if len(_policies) >= _REMEMBERED:
            _policies.clear()
        policy = _policies[key] = parsed_policy(policy_text(state, origin))
    return policy


def cosigner_key(origin: str, post: Post) -> CosignerKey:
    """The cosigner key of a post, under the name that its cosignatures carry."""
    return CosignerKey(cosigner_name(origin, post.code), post.cosigner_key)


@lru_cache(maxsize=_REMEMBERED)
def parsed_policy(text: str) -> Policy:
    """A policy, parsed once."""
    return parse_policy(text)
