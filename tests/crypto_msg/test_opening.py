"""What one post seals another opens, whole, and nobody else does."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.cable import Addressee, Classification, Draft, Precedence
from crypto_msg.envelope import decode_head, encode_head
from crypto_msg.opening import open_cable
from crypto_msg.wire import encode_draft
from crypto_msg.wraps import NotForYou, split_head
from keys.purpose import Purpose
from protos.errors import Refused
from support.cable_strategies import drafts, words
from support.cables import World, attach, plain_draft, small_world


def test_a_cable_is_read_at_its_addressee_and_at_its_own_post(world: World) -> None:
    data = bytes(range(256)) * 1000
    draft = plain_draft(attachments=(attach("map.bin", data), attach("empty", b"")))
    sealed = world.seal(draft, "dha1", attachments=(data, b""))
    for name in ("dha1", "dha2", "del1", "del2"):
        opened = open_cable(decode_head(sealed.envelope.head), sealed.envelope.body, world.reader(name))
        assert opened.draft == draft
        assert opened.attachments == (data, b"")
        assert (opened.inner, opened.inner_hash) == (sealed.inner, sealed.inner_hash)
        assert (opened.cek, opened.n, opened.posts) == (sealed.cek, 1, ("DEL", "DHA"))
        assert opened.signers.releaser == world.seats["dha1"].officer
        assert not opened.draft_signatures


def test_a_post_needs_only_its_own_wraps(world: World) -> None:
    sealed = world.seal(plain_draft(), "dha1")
    own = split_head(sealed.head, [world.seats["del1"].terminal.terminal_id])
    again = decode_head(encode_head(own))
    assert [one.wrap.terminal_id for one in again.wraps] == [world.seats["del1"].terminal.terminal_id]
    assert open_cable(again, sealed.envelope.body, world.reader("del1")).draft == plain_draft()


def test_a_drafter_and_a_releaser_sign_a_secret_flash(world: World) -> None:
    flash = (Addressee("DHA", Precedence.FLASH), Addressee("LON", Precedence.ROUTINE))
    draft = plain_draft(post="DEL", action=flash, precedence=Precedence.FLASH, classification=Classification.SECRET)
    signature = world.seats["del2"].sign(draft)
    sealed = world.seal(draft, "del1", [signature])
    opened = open_cable(sealed.head, sealed.envelope.body, world.reader("dha1"))
    assert opened.draft_signatures == (signature,)
    assert opened.signers.drafter == world.seats["del2"].officer
    with pytest.raises(NotForYou):
        open_cable(sealed.head, sealed.envelope.body, world.reader("lon1"))


def test_a_wrap_of_zeros_looks_like_any_other(world: World) -> None:
    draft = plain_draft(classification=Classification.CONFIDENTIAL, action=(Addressee("LON", 1),))
    sealed = world.seal(draft, "dha1")
    assert len({len(one.wrap.sealed) for one in sealed.head.wraps}) == 1
    without = [replace(one, bundle=None, n=0) for one in world.recipients(["DHA", "LON"], draft.classification)]
    assert len(world.seal(draft, "dha1", recipients=without).envelope.head) == len(sealed.envelope.head)


@given(drafts(), st.lists(st.tuples(words, st.binary(max_size=2000)), max_size=3), st.sampled_from(["dha1", "dha2"]))
def test_everything_a_cable_may_say_arrives(said: Draft, files: list[tuple[str, bytes]], drafter: str) -> None:
    world = small_world()
    action = (replace(said.action[0], name="ALL-MISSIONS", precedence=said.precedence), Addressee("DHA", 1))
    attachments = tuple(attach(name, data) for name, data in files)
    draft = replace(said, post="DHA", action=action, info=(), attachments=attachments)
    signatures = [world.seats[drafter].sign(draft), world.seats["del1"].sign(draft, Purpose.CO_RELEASE)]
    world.seats["del1"].officer = replace(world.seats["del1"].officer, post="DHA")
    lone_secret = drafter == "dha1" and draft.classification >= Classification.SECRET
    sealed = world.seal(draft, "dha1", signatures, tuple(data for _, data in files))
    reader = world.reader("del2")
    if lone_secret and draft.precedence != Precedence.FLASH:
        with pytest.raises(Refused):
            open_cable(sealed.head, sealed.envelope.body, reader)
        return
    opened = open_cable(sealed.head, sealed.envelope.body, reader)
    assert opened.draft == draft and opened.inner.draft == encode_draft(draft)
    assert opened.attachments == tuple(data for _, data in files)
    assert opened.posts == ("DEL", "DHA", "LON")


def test_bengali_arrives_byte_for_byte(world: World) -> None:
    """Joiners, decomposed and precomposed letters: a normal form would change them."""
    texts = ("আইনের দৃষ্টিতে সমতা\u200c, র\u200d্যাব", "\u09af\u09bc\u09be\u09b9\u09be \u09dc \u09dd \u09df")
    draft = plain_draft(paragraphs=texts)
    sealed = world.seal(draft, "dha1")
    opened = open_cable(sealed.head, sealed.envelope.body, world.reader("del1"))
    assert [one.encode() for one in opened.draft.paragraphs] == [one.encode() for one in texts]
    assert any(unicodedata.normalize(form, text) != text for text in texts for form in ("NFC", "NFD"))
