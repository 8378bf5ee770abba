"""Who may draft, clear, co-release and release what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto_msg.cable import Addressee, Classification, Draft, Expansion, Inner, Precedence
from crypto_msg.rules import check_expansions, check_release, expand, is_reader
from crypto_msg.wire import encode_draft
from ledger.roles import Clearance, Role
from protos.errors import Refused
from support.cables import World, plain_draft

SECRET = {"classification": Classification.SECRET}
FLASH = {"action": (Addressee("LON", Precedence.FLASH),), "precedence": Precedence.FLASH}


def signed(world: World, draft: Draft, drafter: str, releaser: str, clear: str = "", co_release: str = "") -> Inner:
    def key(name: str) -> tuple[bytes, ...]:
        return (world.seats[name].key_id,) if name else ()

    return Inner(
        encode_draft(draft),
        1,
        2026,
        "231430ZNOV26",
        (),
        *key(drafter),
        key(clear),
        key(co_release),
        *key(releaser),
        bytes(32),
    )


@pytest.mark.parametrize("changes", [{}, {"classification": Classification.CONFIDENTIAL}])
def test_a_releaser_releases_alone_below_secret_and_flash(world: World, changes: dict[str, object]) -> None:
    draft = plain_draft(**changes)
    assert check_release(draft, signed(world, draft, "dha1", "dha1"), world).releaser == world.seats["dha1"].officer


@pytest.mark.parametrize("changes", [SECRET, {"classification": Classification.TOP_SECRET}, FLASH, SECRET | FLASH])
def test_secret_and_flash_need_two_officers_of_the_post(world: World, changes: dict[str, object]) -> None:
    draft = plain_draft(**changes)
    check_release(draft, signed(world, draft, "dha2", "dha1"), world)
    with pytest.raises(Refused) as caught:
        check_release(draft, signed(world, draft, "dha1", "dha1"), world)
    assert caught.value.code == "two-officers"
    assert "another releaser" in caught.value.hint


@pytest.mark.parametrize("changes", [FLASH, SECRET | FLASH])
def test_a_lone_officer_sends_flash_with_a_co_release_of_headquarters(world: World, changes: dict[str, object]) -> None:
    draft = plain_draft(post="DEL", **changes)
    signers = check_release(draft, signed(world, draft, "del1", "del1", co_release="dha2"), world)
    assert signers.co_releasers == (world.seats["dha2"].officer,)


def test_a_co_release_does_not_stand_for_a_second_officer_below_flash(world: World) -> None:
    draft = plain_draft(post="DEL", action=(Addressee("LON", 1),), **SECRET)
    with pytest.raises(Refused) as caught:
        check_release(draft, signed(world, draft, "del1", "del1", co_release="dha2"), world)
    assert caught.value.code == "two-officers"


@pytest.mark.parametrize(
    ("drafter", "releaser", "clear", "co_release", "code"),
    [
        ("del1", "del2", "", "", "role-missing"),
        ("dha2", "del1", "", "", "wrong-post"),
        ("del2", "dha1", "", "", "wrong-post"),
        ("del2", "del1", "lon1", "", "wrong-post"),
        ("del2", "del1", "dha3", "", "role-missing"),
        ("del2", "del1", "", "lon1", "wrong-post"),
        ("del2", "del1", "", "del2", "role-missing"),
        ("del2", "del1", "", "dha3", "role-missing"),
        ("del2", "del1", "del2", "", "same-signer"),
        ("del2", "del1", "del1", "", "same-signer"),
        ("del2", "del1", "dha1", "dha1", "same-signer"),
    ],
)
def test_acts_of_the_wrong_officer(
    world: World, drafter: str, releaser: str, clear: str, co_release: str, code: str
) -> None:
    draft = plain_draft(post="DEL", action=(Addressee("DHA", 1),), classification=Classification.UNCLASSIFIED)
    with pytest.raises(Refused) as caught:
        check_release(draft, signed(world, draft, drafter, releaser, clear, co_release), world)
    assert caught.value.code == code


def test_a_headquarters_releaser_does_not_co_release_his_own_cable(world: World) -> None:
    draft = plain_draft(**FLASH)
    with pytest.raises(Refused) as caught:
        check_release(draft, signed(world, draft, "dha1", "dha1", co_release="dha1"), world)
    assert caught.value.code == "same-signer"


@pytest.mark.parametrize("who", ["dha1", "dha2", "del1"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"clearance": Clearance.CONFIDENTIAL}, "clearance-too-low"),
        ({"suspended": True}, "unknown-signer"),
        ({"revoked_at": 900}, "unknown-signer"),
        ({"roles": (Role.AUDITOR,)}, "role-missing"),
    ],
)
def test_role_clearance_and_standing_are_judged_for_each_signer(
    world: World, who: str, changes: dict[str, object], code: str
) -> None:
    draft = plain_draft(**SECRET)
    world.seats["del1"].officer = replace(world.seats["del1"].officer, post="DHA")
    inner = signed(world, draft, "dha1", "dha2", clear="del1")
    check_release(draft, inner, world)
    world.change(who, **changes)
    with pytest.raises(Refused) as caught:
        check_release(draft, inner, world)
    assert caught.value.code == code


def test_a_key_that_is_nobodys(world: World) -> None:
    draft = plain_draft()
    inner = replace(signed(world, draft, "dha1", "dha1"), drafter=bytes(32))
    with pytest.raises(Refused) as caught:
        check_release(draft, inner, world)
    assert caught.value.code == "unknown-signer"


def test_collectives_are_expanded_over_the_posts_in_force(world: World) -> None:
    world.add_post("PAR")
    world.codes["PAR"] = replace(world.codes["PAR"], retired_at=5)
    posts = tuple(world.codes.values())
    assert expand(["DEL", "ALL-POSTS", "ALL-MISSIONS"], posts) == (
        Expansion("ALL-MISSIONS", ("DEL", "LON")),
        Expansion("ALL-POSTS", ("DEL", "DHA", "LON")),
    )
    for unknown in ("PAR", "XYZ", "ALL-FRIENDS"):
        with pytest.raises(Refused) as caught:
            expand([unknown], posts)
        assert caught.value.code == "unknown-post"
    with pytest.raises(Refused) as caught:
        expand(["ALL-MISSIONS"], [world.codes["DHA"]])
    assert caught.value.code == "empty-collective"


def test_every_addressee_is_a_post_or_an_expanded_collective(world: World) -> None:
    everybody = plain_draft(action=(Addressee("ALL-MISSIONS", 1),))
    check_expansions(everybody, [Expansion("ALL-MISSIONS", ("DEL", "LON"))], world)
    wrong: list[tuple[Draft, list[Expansion]]] = [
        (everybody, []),
        (plain_draft(action=(Addressee("XYZ", 1),)), []),
        (plain_draft(action=(Addressee("MY-FRIENDS", 1),)), [Expansion("MY-FRIENDS", ("DEL",))]),
    ]
    world.codes["LON"] = replace(world.codes["LON"], retired_at=9)
    wrong.append((plain_draft(action=(Addressee("LON", 1),)), []))
    for draft, expansions in wrong:
        with pytest.raises(Refused):
            check_expansions(draft, expansions, world)


@pytest.mark.parametrize("posts", [("DEL",), ("DEL", "DHA", "LON"), ("DEL", "LON", "XYZ")])
def test_a_collective_means_just_its_posts_at_s(world: World, posts: tuple[str, ...]) -> None:
    everybody = plain_draft(action=(Addressee("ALL-MISSIONS", 1),))
    with pytest.raises(Refused) as caught:
        check_expansions(everybody, [Expansion("ALL-MISSIONS", posts)], world)
    assert caught.value.code == "wrong-expansion"


def test_who_gets_the_content_key(world: World) -> None:
    def readers(classification: int) -> set[str]:
        return {name for name, seat in world.seats.items() if is_reader(world, seat.terminal, classification)}

    assert readers(Classification.RESTRICTED) == set(world.seats)
    assert readers(Classification.CONFIDENTIAL) == set(world.seats) - {"lon1"}
    world.change("dha2", suspended=True)
    world.change("dha3", revoked_at=7)
    world.seats["del2"].terminal = replace(world.seats["del2"].terminal, retired_at=8)
    world.codes["LON"] = replace(world.codes["LON"], retired_at=9)
    assert readers(Classification.UNCLASSIFIED) == {"dha1", "del1"}
