"""A circular to 81 posts with three terminals each, five of them dead: the others are served (cables.md §5, 11)."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from crypto_msg.cable import Addressee, Precedence
from crypto_msg.envelope import decode_head, encode_head
from crypto_msg.opening import open_cable
from crypto_msg.wraps import split_head
from protos.errors import DutabartaError
from support.cables import World, plain_draft

POSTS, TERMINALS, DEAD = 81, 3, 5


@pytest.fixture(scope="module")
def ministry() -> World:
    world = World()
    world.add_post("DHA", headquarters=True)
    world.add("writer", "DHA")
    for number in range(POSTS):
        code = f"M{chr(65 + number // 26)}{chr(65 + number % 26)}"
        world.add_post(code)
        for terminal in range(TERMINALS):
            world.add(f"{code}{terminal}", code)
    return world


def test_the_living_open_it_and_the_dead_cost_nobody_anything(ministry: World) -> None:
    posts = sorted(set(ministry.codes) - {"DHA"})
    readers = sorted(set(ministry.seats) - {"writer"})
    dead = set(Random(11).sample(readers, DEAD))
    silent = {ministry.seats[name].terminal.terminal_id for name in dead}
    recipients = [
        replace(one, bundle=None, n=0) if one.terminal_id in silent else one
        for one in ministry.recipients(["DHA", *posts], 2)
    ]
    draft = plain_draft(action=tuple(Addressee(code, Precedence.ROUTINE) for code in posts))
    sealed = ministry.seal(draft, "writer", recipients=recipients)
    assert len(sealed.head.wraps) == POSTS * TERMINALS + 1
    assert len({len(one.wrap.sealed) for one in sealed.head.wraps}) == 1, "nobody sees who is dead"
    for name in readers:
        own = ministry.seats[name].terminal.terminal_id
        head = decode_head(encode_head(split_head(sealed.head, {own})))
        if name not in dead:
            assert open_cable(head, sealed.envelope.body, ministry.reader(name)).draft == draft
            continue
        with pytest.raises(DutabartaError):
            open_cable(head, sealed.envelope.body, ministry.reader(name))
