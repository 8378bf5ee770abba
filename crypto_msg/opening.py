"""Opening an envelope at an officer's terminal: every check, in one order (docs/protocol/cable.md §8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from crypto_msg.cable import Draft, Inner, Kind, posts_of
from crypto_msg.content import split_files, split_signatures, split_stream
from crypto_msg.envelope import check_envelope_signature, check_form, check_network, verify_body
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.rewrap import Content
from crypto_msg.rules import Signers, View, check_expansions, check_release, check_signers, is_reader
from crypto_msg.segments import Buffer, ContentKeys, open_body
from crypto_msg.signatures import DraftSignature, expected_signatures, released_bytes, verify_signatures
from crypto_msg.wire import Head, Outer, Wrap, decode_inner
from crypto_msg.wraps import WrapContext, open_wrap
from keys.prekey import Prekey
from keys.signing import Verifier
from ledger.records import Officer, Terminal
from protos.errors import Refused, VerificationFailed


@dataclass(frozen=True, slots=True)
class Reader:
    """The terminal that opens: its prekeys by bundle hash, newest first, and the state at the envelope's S.

    `added_at`: the state at which it was added to a cable that held no key for it; else None.
    """

    network_id: bytes
    terminal_id: bytes
    prekeys: Mapping[bytes, Prekey]
    view: View
    verifier: Verifier
    added_at: View | None = None


@dataclass(frozen=True, slots=True, repr=False)
class OpenedCable:
    """A cable, draft or countersignature of which every check held.

    `n` numbers the wraps for this terminal of the one that wrapped the key. `signers` are the officers as the view
    showed them: if one was revoked at an index after S, the cable stands only if its anchor is below that index.
    """

    envelope_id: bytes
    outer: Outer
    inner: Inner
    draft: Draft
    attachments: tuple[bytes, ...]
    posts: tuple[str, ...]
    signers: Signers
    draft_signatures: tuple[DraftSignature, ...]
    body_root: bytes
    inner_hash: bytes
    cek: bytes
    n: int


def open_cable(head: Head, body: Buffer, reader: Reader, rewrap: Content | None = None) -> OpenedCable:
    """Open and check an envelope of any kind. `rewrap`: an opened re-wrap or added wrap, which step 4 then takes.

    1. sizes and canonical form of head and outer, every wrap under the wraps root
    2. the envelope is for this network
    3. the envelope signature is by the originating terminal, as enrolled at S
    4. there is a wrap for this terminal, and a prekey opens it
    5. the content key is the one committed to
    6. the body has the signed root, and every segment opens
    7. inner and draft are canonical, within bounds, and agree with outer; signatures and padding are of the right size
    8. every attachment has its signed size and hash
    9. addressees, and roles and clearances of all signers, at S
    10. every signature holds
    11. this terminal's officer is active and cleared at S, or when it was added, at an addressed post

    Raises `NotForYou` in step 4 for a wrap of zeros; else `VerificationFailed`, `Malformed` or `Refused`.
    """
    outer = check_form(head)  # 1
    check_network(outer, reader.network_id)  # 2
    origin = reader.view.terminal(outer.terminal_id)
    check_envelope_signature(head, outer, origin, reader.verifier)  # 3
    envelope_id = head.envelope_id
    cek, n = _content_key(head, outer, reader, rewrap)  # 4
    keys = ContentKeys.from_cek(cek)
    if keys.commitment != outer.cek_commit:  # 5
        raise VerificationFailed(
            "key-not-committed", "the content key is not the one that the envelope commits to", hint=DO_NOT_RELY
        )
    verify_body(head, body)
    content = split_stream(open_body(keys.body_key, envelope_id, body))  # 6
    inner, draft = decode_inner(content.inner, Kind(outer.kind))
    _check_agreement(outer, draft)
    block = split_signatures(content, len(expected_signatures(inner)))  # 7
    files = split_files(content.files, draft.attachments if outer.kind != Kind.COUNTERSIGNATURE else ())  # 8
    signers = _check_rules(outer, inner, draft, origin, reader.view)  # 9
    inner_hash = sha256(content.inner).digest()
    posts = posts_of(draft, inner.expansions)
    released = released_bytes(envelope_id, inner_hash, posts)
    signatures = verify_signatures(block, inner, signers, reader.network_id, released, reader.verifier)  # 10
    _check_reader(outer, draft, posts, reader)  # 11
    return OpenedCable(
        envelope_id=envelope_id,
        outer=outer,
        inner=inner,
        draft=draft,
        attachments=files,
        posts=posts,
        signers=signers,
        draft_signatures=signatures,
        body_root=head.body_root,
        inner_hash=inner_hash,
        cek=cek,
        n=n,
    )


def _content_key(head: Head, outer: Outer, reader: Reader, rewrap: Content | None) -> tuple[bytes, int]:
    if rewrap is not None and reader.added_at is not None:
        return rewrap.cek, rewrap.n
    wrap, context = _own_wrap(head, reader.terminal_id), WrapContext(head.envelope_id, outer.terminal_id)
    return (rewrap.cek, rewrap.n) if rewrap else open_wrap(wrap, reader.prekeys, context)


def _own_wrap(head: Head, terminal_id: bytes) -> Wrap:
    for placed in head.wraps:
        if placed.wrap.terminal_id == terminal_id:
            return placed.wrap
    raise VerificationFailed("no-wrap", "the envelope holds no wrap for this terminal", hint=DO_NOT_RELY)


def _check_agreement(outer: Outer, draft: Draft) -> None:
    if (outer.cable_id, outer.precedence) != (draft.cable_id, draft.precedence):
        raise VerificationFailed(
            "outer-disagrees", "outside and inside name another cable id or precedence", hint=DO_NOT_RELY
        )
    if outer.kind != Kind.COUNTERSIGNATURE and outer.post != draft.post:
        raise VerificationFailed(
            "outer-disagrees", f"sealed at {outer.post}, but drafted for {draft.post}", hint=DO_NOT_RELY
        )


def _check_rules(outer: Outer, inner: Inner, draft: Draft, origin: Terminal | None, view: View) -> Signers:
    if outer.kind == Kind.CABLE:
        check_expansions(draft, inner.expansions, view)
        signers = check_release(draft, inner, view)
    else:
        signers = check_signers(draft, inner, view)
    officer = _sealing_officer(signers)
    if origin is None or origin.officer_id != officer.officer_id:
        raise Refused(
            "not-his-terminal",
            "the envelope was not sealed at the terminal of the officer who signed last",
            hint=DO_NOT_RELY,
        )
    return signers


def _sealing_officer(signers: Signers) -> Officer:
    """The releaser of a cable, the drafter of a draft, the one who countersigned."""
    return next(one for one in (signers.releaser, signers.drafter, *signers.clearers, *signers.co_releasers) if one)


def _check_reader(outer: Outer, draft: Draft, posts: tuple[str, ...], reader: Reader) -> None:
    view = reader.added_at or reader.view
    terminal = view.terminal(reader.terminal_id)
    if terminal is None or not is_reader(view, terminal, draft.classification):
        raise Refused(
            "not-cleared", "this terminal's officer was not active and cleared for this at S", hint=SYNCHRONISE
        )
    if outer.kind == Kind.CABLE and terminal.post not in posts:
        raise Refused("not-addressed", f"post {terminal.post} is not among the cable's addressees", hint=SYNCHRONISE)
