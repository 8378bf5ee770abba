"""Who may draft, clear and release what, judged at S; and what a collective means (docs/protocol/cable.md §6).

SECRET and above, and FLASH, need a drafter and a different releaser of the post. A lone officer may send FLASH if the
duty officer of headquarters co-releases it. Everything else a releaser may release alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crypto_msg.cable import Classification, Draft, Expansion, Inner, Precedence
from crypto_msg.hints import SYNCHRONISE
from ledger.names import is_code
from ledger.records import Officer, Post, Shift, Terminal
from ledger.roles import Role
from protos.errors import Refused


class View(Protocol):
    """The state at S, as the terminal has verified it; `ledger.state.State` is one."""

    def posts(self) -> Sequence[Post]: ...

    def post(self, code: str) -> Post | None: ...

    def terminal(self, terminal_id: bytes) -> Terminal | None: ...

    def officer(self, officer_id: bytes) -> Officer | None: ...

    def officer_of_key(self, key_id: bytes) -> Officer | None: ...

    def shift(self, code: str) -> Shift | None: ...


@dataclass(frozen=True, slots=True)
class Signers:
    """The officers behind a cable's or draft's signatures, as they stood at S; `releaser` None in a draft."""

    drafter: Officer | None
    clearers: tuple[Officer, ...]
    co_releasers: tuple[Officer, ...]
    releaser: Officer | None


def check_signers(draft: Draft, inner: Inner, view: View) -> Signers:
    """Raise `Refused` unless each signer that `inner` names had the role and the clearance for this act at S.

    Codes: "unknown-signer", "wrong-post", "role-missing", "clearance-too-low", "not-on-duty", "same-signer".
    """
    acts = _Acts(draft, view)
    drafter = acts.drafter(inner.drafter) if inner.drafter else None
    clearers = tuple(acts.clearer(key_id) for key_id in inner.clearers)
    co_releasers = tuple(acts.co_releaser(key_id) for key_id in inner.co_releasers)
    releaser = acts.releaser(inner.releaser) if inner.releaser else None
    principals = [one.officer_id for one in (drafter, releaser) if one is not None]
    others = [one.officer_id for one in (*clearers, *co_releasers)]
    if set(others) & set(principals) or len(set(others)) != len(others):
        hint = "Ask another officer."
        raise Refused("same-signer", "an officer cannot clear or co-release what he drafts or releases", hint=hint)
    return Signers(drafter, clearers, co_releasers, releaser)


def check_release(draft: Draft, inner: Inner, view: View) -> Signers:
    """As `check_signers`, and raise `Refused` ("two-officers") unless enough officers stand behind a cable."""
    signers = check_signers(draft, inner, view)
    if signers.drafter is None or signers.releaser is None:
        hint = "Let a releaser of the post release it."
        raise Refused("two-officers", "a cable names its drafter and its releaser", hint=hint)
    alone = signers.drafter.officer_id == signers.releaser.officer_id
    if not is_enough(draft, alone, bool(signers.co_releasers)):
        hint = "Let another releaser of your post release it."
        if draft.precedence == Precedence.FLASH:
            hint = "Let another releaser of your post release it, or the duty officer of headquarters co-release it."
        raise Refused("two-officers", "SECRET and above, and FLASH, need a drafter and a different releaser", hint=hint)
    return signers


def needs_two_officers(draft: Draft) -> bool:
    """SECRET and above, and FLASH."""
    return draft.classification >= Classification.SECRET or draft.precedence == Precedence.FLASH


def is_enough(draft: Draft, alone: bool, co_released: bool) -> bool:
    """Whether as many officers release it as must; `alone`: its drafter and its releaser are one."""
    return not (alone and needs_two_officers(draft)) or (co_released and draft.precedence == Precedence.FLASH)


def is_on_duty(view: View, officer: Officer) -> bool:
    """Whether he holds his post's shift at S, or handed it over last. Where nobody ever took it, everybody does."""
    shift = view.shift(officer.post)
    return shift is None or officer.officer_id in (shift.officer_id, shift.former_id)


def is_cleared(officer: Officer | None, classification: int) -> bool:
    """Whether this officer, as he stood at S, may read what is so classified."""
    return officer is not None and officer.is_active and officer.clearance >= classification


def is_reader(view: View, terminal: Terminal, classification: int) -> bool:
    """Whether a terminal gets the content key: in force, at a post in force, its officer active and cleared at S."""
    post, officer = view.post(terminal.post), view.officer(terminal.officer_id)
    return terminal.is_active and _is_active(post) and is_cleared(officer, classification)


COLLECTIVES: Mapping[str, Callable[[Post], bool]] = {
    "ALL-POSTS": lambda _post: True,
    "ALL-MISSIONS": lambda post: not post.headquarters,
}
"""What each collective means; more may be added, none changes its meaning."""


def expand(names: Iterable[str], posts: Sequence[Post]) -> tuple[Expansion, ...]:
    """The expansion of every collective among `names`, over all posts at S. Raises `Refused` ("unknown-post").

    A collective that means no post at all is refused too ("empty-collective").
    """
    active = {post.code: post for post in posts if post.is_active}
    expansions = []
    for name in sorted(set(names)):
        if is_code(name):
            _require_known(name, name in active)
            continue
        _require_known(name, name in COLLECTIVES)
        meant = tuple(sorted(code for code, post in active.items() if COLLECTIVES[name](post)))
        if not meant:
            hint = "Name the posts one by one."
            raise Refused("empty-collective", f"{name} means no post on this network", hint=hint, name=name)
        expansions.append(Expansion(name, meant))
    return tuple(expansions)


def check_expansions(draft: Draft, expansions: Sequence[Expansion], view: View) -> None:
    """Raise `Refused` unless every addressee was a post at S or is a collective, expanded to just the posts it meant.

    Codes: "unknown-post", "wrong-expansion".
    """
    expanded = {one.collective for one in expansions}
    for name in (one.name for one in (*draft.action, *draft.info)):
        _require_known(name, name in expanded & set(COLLECTIVES) or (is_code(name) and _is_active(view.post(name))))
    if expansions and tuple(expansions) != expand(expanded, view.posts()):
        hint = "Do not rely on it: its originator left posts out, or added some."
        raise Refused("wrong-expansion", "a collective was not expanded to the posts that it meant at S", hint=hint)


_ASK_THERE = "Ask an officer of that post."


@dataclass(frozen=True, slots=True)
class _Acts:
    draft: Draft
    view: View

    def drafter(self, key_id: bytes) -> Officer:
        return self._of_post(key_id, "draft", (Role.DRAFTER, Role.RELEASER))

    def releaser(self, key_id: bytes) -> Officer:
        return self._of_post(key_id, "release", (Role.RELEASER,))

    def clearer(self, key_id: bytes) -> Officer:
        officer = self._officer(key_id, "clear", (Role.DRAFTER, Role.RELEASER))
        if officer.post != self.draft.post and not self._is_headquarters(officer):
            text = "only an officer of the post or of headquarters clears a draft"
            raise Refused("wrong-post", text, hint=_ASK_THERE, act="clear")
        return officer

    def co_releaser(self, key_id: bytes) -> Officer:
        officer = self._officer(key_id, "co-release", (Role.RELEASER,))
        if not self._is_headquarters(officer):
            raise Refused(
                "wrong-post", "only a releaser of headquarters co-releases", hint=_ASK_THERE, act="co-release"
            )
        if not is_on_duty(self.view, officer):
            hint = "Let the duty officer of headquarters co-release it."
            raise Refused("not-on-duty", "he who co-releases does not hold headquarters' shift", hint=hint)
        return officer

    def _of_post(self, key_id: bytes, act: str, roles: Sequence[Role]) -> Officer:
        officer = self._officer(key_id, act, roles)
        if officer.post != self.draft.post:
            text = f"an officer of {officer.post} cannot {act} for {self.draft.post}"
            raise Refused("wrong-post", text, hint=_ASK_THERE, act=act)
        return officer

    def _officer(self, key_id: bytes, act: str, roles: Sequence[Role]) -> Officer:
        officer = self.view.officer_of_key(key_id)
        if officer is None or not officer.is_active or officer.key.key_id != key_id:
            text = f"key {key_id.hex()[:16]} is no active officer's at S"
            raise Refused("unknown-signer", text, hint=SYNCHRONISE, act=act)
        if not any(officer.has_role(role) for role in roles):
            hint = "Ask a supervisor of the post for the role."
            raise Refused("role-missing", f"the officer may not {act}", hint=hint, act=act)
        if not is_cleared(officer, self.draft.classification):
            hint = "Ask an officer with the clearance."
            raise Refused("clearance-too-low", f"the officer is not cleared to {act} this", hint=hint, act=act)
        return officer

    def _is_headquarters(self, officer: Officer) -> bool:
        post = self.view.post(officer.post)
        return post is not None and post.headquarters and post.is_active


def _is_active(post: Post | None) -> bool:
    return post is not None and post.is_active


def _require_known(name: str, known: bool) -> None:
    if not known:
        hint = "Write a post's code, ALL-MISSIONS or ALL-POSTS."
        raise Refused("unknown-post", f"{name} is no post or collective of this network", hint=hint, post=name)
