"""What one post seals another opens, whole, and nobody else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto_msg.cable import Addressee, Classification, Precedence
from crypto_msg.envelope import decode_head, encode_head
from crypto_msg.opening import open_cable
from crypto_msg.wraps import NotForYou, split_head
from support.cables import World, attach, plain_draft


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
