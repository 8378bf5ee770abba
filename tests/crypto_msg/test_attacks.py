"""A dishonest terminal or node: each forgery is refused by the name of what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from crypto_msg.cable import Addressee, Classification, Kind, Precedence
from crypto_msg.opening import open_cable
from crypto_msg.seal import Message, seal_draft
from crypto_msg.segments import ContentKeys
from crypto_msg.wire import CODEC, Head
from crypto_msg.wraps import NotForYou, split_head
from keys.purpose import Purpose
from keys.signing import CachingVerifier, DirectVerifier
from protos.errors import DutabartaError, VerificationFailed
from support.cables import SIZE, Seat, World, attach, plain_draft, small_world
from support.forger import Forgery, flip, resign

DRAFT = plain_draft()


def refusal(head: Head, body: bytes, world: World, reader: str = "del1") -> str:
    with pytest.raises(DutabartaError) as caught:
        open_cable(head, body, world.reader(reader))
    assert not isinstance(caught.value, NotForYou)
    return caught.value.code


def test_an_honest_forger_makes_what_the_product_makes(world: World) -> None:
    head, body = Forgery(world, DRAFT).make()
    assert open_cable(head, body, world.reader("del1")).draft == DRAFT


def attachment_forgery(world: World) -> Forgery:
    return Forgery(world, plain_draft(attachments=(attach("a", b"signed"),)), files=(b"forged",))


def without_co_release(world: World) -> Forgery:
    return Forgery(
        world, DRAFT, inner={"co_releasers": (world.seats["dha2"].key_id,)}, signatures=lambda block: block[1:]
    )


FORGERIES: dict[str, tuple[str, Callable[[World], Forgery]]] = {
    "two content keys for one ciphertext": (
        "key-not-committed",
        lambda world: Forgery(world, DRAFT, wrapped_cek=lambda cek: sha256(cek).digest()),
    ),
    "another network": ("wrong-network", lambda world: Forgery(world, DRAFT, outer={"network_id": bytes(32)})),
    "before the terminal was enrolled": (
        "unknown-terminal",
        lambda world: Forgery(world, DRAFT, outer={"size_seen": 11}),
    ),
    "a ghost of an originating terminal": (
        "unknown-terminal",
        lambda world: Forgery(world, DRAFT, outer={"terminal_id": bytes(32)}),
    ),
    "another post's name outside": ("unknown-terminal", lambda world: Forgery(world, DRAFT, outer={"post": "LON"})),
    "another post's draft": ("outer-disagrees", lambda world: Forgery(world, plain_draft(post="LON"))),
    "another precedence outside": ("outer-disagrees", lambda world: Forgery(world, DRAFT, outer={"precedence": 4})),
    "another cable id outside": ("outer-disagrees", lambda world: Forgery(world, DRAFT, outer={"cable_id": bytes(16)})),
    "a cable shown as a draft": ("bad-field", lambda world: Forgery(world, DRAFT, kind=Kind.DRAFT)),
    "inner bytes of another form": (
        "not-canonical",
        lambda world: Forgery(world, DRAFT, inner_bytes=lambda data: data + b"\x58\x01"),
    ),
    "draft bytes of another form": (
        "not-canonical",
        lambda world: Forgery(world, DRAFT, inner={"draft": CODEC.encode(DRAFT) + b"\x58\x01"}),
    ),
    "an attachment that nobody signed": ("attachment-changed", attachment_forgery),
    "content behind the attachments": ("attachment-changed", lambda world: Forgery(world, DRAFT, files=(b"more",))),
    "no compressed content": ("bad-content", lambda world: Forgery(world, DRAFT, compress=lambda inner, files: inner)),
    "padding that says something": (
        "bad-padding",
        lambda world: Forgery(world, DRAFT, stream=lambda data: data[:-5] + b"canary"[:5]),
    ),
    "a signature missing, zeros in its place": (
        "bad-signature",
        lambda world: Forgery(world, DRAFT, signatures=lambda block: []),
    ),
    "a signature too many": ("bad-padding", lambda world: Forgery(world, DRAFT, signatures=lambda block: block * 2)),
    "a co-release that was never signed": ("bad-padding", without_co_release),
    "a signature changed": (
        "bad-signature",
        lambda world: Forgery(world, DRAFT, signatures=lambda block: [flip(block[0], 999)]),
    ),
    "the ML-DSA half changed": (
        "bad-signature",
        lambda world: Forgery(world, DRAFT, signatures=lambda block: [flip(block[0], 20_000)]),
    ),
    "two signatures in another order": (
        "bad-signature",
        lambda world: Forgery(
            world,
            DRAFT,
            inner={"co_releasers": (world.seats["dha2"].key_id,)},
            signatures=lambda block: block[::-1],
        ),
    ),
    "released at a terminal of another officer": (
        "not-his-terminal",
        lambda world: Forgery(
            world,
            DRAFT,
            inner={"releaser": world.seats["dha2"].key_id, "drafter": world.seats["dha2"].key_id},
        ),
    ),
    "released without the role": ("role-missing", lambda world: Forgery(world, DRAFT, by="dha3")),
    "one officer for SECRET": (
        "two-officers",
        lambda world: Forgery(world, plain_draft(classification=Classification.SECRET)),
    ),
    "an addressee that is no post": (
        "unknown-post",
        lambda world: Forgery(world, plain_draft(action=(Addressee("DEL", 1), Addressee("XYZ", 1)))),
    ),
    "a post that is not addressed": (
        "not-addressed",
        lambda world: Forgery(world, plain_draft(action=(Addressee("LON", 1),))),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries(world: World, name: str) -> None:
    code, make = FORGERIES[name]
    head, body = make(world).make()
    assert refusal(head, body, world) == code


def test_a_wrap_with_the_key_for_an_uncleared_reader_does_not_let_him_read(world: World) -> None:
    draft = plain_draft(classification=Classification.CONFIDENTIAL, action=(Addressee("LON", 1),))
    head, body = Forgery(world, draft).make()  # recipients are made as if it were UNCLASSIFIED
    assert refusal(head, body, world, "lon1") == "not-cleared"


def test_a_ghost_terminal_does_not_read(world: World) -> None:
    sealed = world.seal(DRAFT, "dha1")
    reader = world.reader("del1")
    del world.seats["del1"]
    with pytest.raises(DutabartaError) as caught:
        open_cable(sealed.head, sealed.envelope.body, reader)
    assert caught.value.code == "not-cleared"


def test_a_head_of_another_cable_does_not_open_a_body(world: World) -> None:
    one, other = world.seal(DRAFT, "dha1"), world.seal(DRAFT, "dha1")
    assert refusal(one.head, other.envelope.body, world) == "body-changed"
    swapped = replace(one.head, body_root=other.head.body_root)
    assert refusal(swapped, other.envelope.body, world) == "bad-signature"
    assert refusal(resign(world, swapped, "dha1"), other.envelope.body, world) == "body-changed"


def test_a_wrap_of_another_cable_does_not_open(world: World) -> None:
    one, other = world.seal(DRAFT, "dha1"), world.seal(DRAFT, "dha1")
    swapped = replace(one.head, wraps=other.head.wraps, wraps_root=other.head.wraps_root)
    assert refusal(resign(world, swapped, "dha1"), one.envelope.body, world) == "wrap-not-opened"


def test_a_terminal_without_a_wrap_is_told_so(world: World) -> None:
    sealed = world.seal(DRAFT, "dha1")
    part = split_head(sealed.head, [world.seats["del2"].terminal.terminal_id])
    assert refusal(part, sealed.envelope.body, world) == "no-wrap"


@pytest.mark.parametrize("who", ["dha1", "del1"])
@pytest.mark.parametrize("changes", [{"suspended": True}, {"revoked_at": SIZE - 1}])
def test_signer_and_reader_are_judged_at_s(world: World, who: str, changes: dict[str, Any]) -> None:
    sealed = world.seal(DRAFT, "dha1")
    world.change(who, **changes)
    expected = "unknown-signer" if who == "dha1" else "not-cleared"
    assert refusal(sealed.head, sealed.envelope.body, world) == expected


def test_bits_flipped_at_the_reader(world: World) -> None:
    data = world.random(100_000)
    draft = plain_draft(attachments=(attach("a", data),))
    sealed = world.seal(draft, "dha1", attachments=(data,))
    reader = replace(world.reader("del1"), verifier=CachingVerifier(DirectVerifier(), 100))
    for at in range(0, len(sealed.envelope.body), 9973):
        with pytest.raises(VerificationFailed) as caught:
            open_cable(sealed.head, flip(sealed.envelope.body, at * 8 + at % 8), reader)
        assert caught.value.code == "body-changed"


def test_a_stream_changed_inside_the_seal_is_refused_at_every_sampled_bit() -> None:
    """The sealing terminal itself is dishonest: it changes one bit of what officers signed, then seals it well."""
    world = small_world()
    length = len(Forgery(world, DRAFT).make()[1]) - 16
    for bit in range(0, length * 8, 397):
        head, body = Forgery(world, DRAFT, stream=lambda data, bit=bit: flip(data, bit)).make()  # type: ignore[misc]
        refusal(head, body, world)


def test_a_flash_of_a_lone_officer_goes_by_draft_and_countersignature(world: World) -> None:
    flash = (Addressee("LON", Precedence.FLASH),)
    draft = plain_draft(post="DEL", action=flash, precedence=Precedence.FLASH, attachments=(attach("a", b"file"),))
    message = Message(draft, (b"file",))
    lone, duty = world.seats["del1"], world.seats["dha2"]
    sent = seal_draft(
        world.station("del1"), message, lone.sign(draft), world.recipients(["DEL", "DHA"], 2), world.random
    )
    at_hq = open_cable(sent.head, sent.envelope.body, world.reader("dha2"))
    assert (at_hq.outer.kind, at_hq.attachments) == (Kind.DRAFT, (b"file",))
    answer = seal_draft(
        world.station("dha2"),
        Message(at_hq.draft, ()),
        duty.sign(at_hq.draft, Purpose.CO_RELEASE),
        world.recipients(["DEL"], 2),
        world.random,
    )
    back = open_cable(answer.head, answer.envelope.body, world.reader("del1"))
    assert (back.outer.kind, back.outer.post, back.draft) == (Kind.COUNTERSIGNATURE, "DHA", draft)
    signatures = [lone.sign(draft), *back.draft_signatures]
    sealed = world.seal(draft, "del1", signatures, (b"file",))
    opened = open_cable(sealed.head, sealed.envelope.body, world.reader("lon1"))
    assert opened.signers.co_releasers == (duty.officer,)
    assert opened.signers.drafter == opened.signers.releaser == lone.officer


def test_a_signature_over_another_draft_is_refused(world: World) -> None:
    drafter: Seat = world.seats["dha2"]
    other = drafter.sign(plain_draft(subject="Something else"))
    sealed = world.seal(DRAFT, "dha1", [other])
    assert refusal(sealed.head, sealed.envelope.body, world) == "bad-signature"


def test_a_draft_signature_is_not_a_clearance(world: World) -> None:
    signature = world.seats["dha2"].sign(DRAFT)
    sealed = world.seal(DRAFT, "dha1", [replace(signature, purpose=Purpose.CLEAR)])
    assert refusal(sealed.head, sealed.envelope.body, world) == "bad-signature"


def test_the_content_key_opens_the_body_for_a_later_wrap(world: World) -> None:
    sealed = world.seal(DRAFT, "dha1")
    opened = open_cable(sealed.head, sealed.envelope.body, world.reader("dha2"))
    assert ContentKeys.from_cek(opened.cek).commitment == opened.outer.cek_commit
    assert sealed.cek.hex() not in repr(sealed) and opened.cek.hex() not in repr(opened)
