"""`dutabarta testnet`: a whole network of real processes on this machine, whose links can be cut and shaped."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.commands import group, option
from cli.missions import find_missions, missions
from cli.options import FOLDER, json_option
from cli.output import emit, say
from cli.progress import Progress
from cli.words import t
from protos.errors import Refused

if TYPE_CHECKING:
    from testnet.network import Testnet
    from testnet.state import PostStatus

MOST_POSTS = 82
COUNCIL = range(4, 14)
CROWDED = 20
"""From so many posts on, engines get the long rounds of a busy machine."""

dir_option = option("--dir", "folder", type=FOLDER, required=True, words="option.testnet-dir")


@group("testnet")
def testnet() -> None:
    """Help stands in the string tables."""


@testnet.command("up")
@option("--posts", "count", type=click.IntRange(2, MOST_POSTS), required=True, words="option.testnet-posts")
@option("--validators", type=int, words="option.testnet-validators")
@option("--profile", type=click.Choice(("lan", "busy", "satellite")), words="option.testnet-profile")
@option("--seed", type=int, default=0, words="option.testnet-seed")
@dir_option
@json_option
def up(count: int, validators: int | None, profile: str | None, seed: int, folder: Path, as_json: bool) -> None:
    """Found a network, start it, wait until all are ready, and leave it running."""
    chosen = _validators(count, validators)
    began = time.monotonic()
    net = _found(folder, list(missions())[:count], chosen, profile or _profile(count), seed)
    net.start(progress=_tell)
    seconds = round(time.monotonic() - began, 1)
    say("testnet.up", posts=count, seconds=seconds, folder=folder)
    answer = {"posts": list(net.codes), "validators": list(net.codes[:chosen]), "seconds": seconds}
    emit({"dir": str(net.folder), **answer, "passphrase_file": str(net.passphrase_file)}, as_json)


@testnet.command("status")
@dir_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Every process: whether it runs, what it takes, what it says."""
    found = _open(folder).status()
    relay = t("testnet.relay-up" if found.links else "testnet.relay-down")
    totals = t("testnet.totals", relay=relay, roots=len(found.roots), memory=_mib(found.memory_bytes))
    emit(found.to_json(), as_json, "\n".join([*map(_line, found.posts), totals]))


@testnet.command("start")
@click.argument("codes", required=False, default="")
@dir_option
@json_option
def start(codes: str, folder: Path, as_json: bool) -> None:
    """Bring posts back that do not run, and the relay."""
    net = _open(folder)
    net.start(*_split(codes), progress=_tell)
    emit({"running": [code for code in net.codes if net.is_alive(code)]}, as_json)


@testnet.command("kill")
@click.argument("codes")
@dir_option
@json_option
def kill(codes: str, folder: Path, as_json: bool) -> None:
    """End nodes and their engines as a power cut would."""
    _open(folder).kill(*_split(codes))
    emit({"killed": _split(codes)}, as_json)


@testnet.command("partition")
@click.argument("groups", nargs=-1, required=True)
@option("--one-way", type=click.Choice(("out", "in")), words="option.testnet-one-way")
@dir_option
@json_option
def partition(groups: tuple[str, ...], one_way: str | None, folder: Path, as_json: bool) -> None:
    """Cut the links between groups of posts; those not named are one more group."""
    net, parts = _open(folder), [_split(group) for group in groups]
    if one_way is None:
        net.partition(*parts)
    else:
        if len(parts) > 1:
            raise click.UsageError(t("testnet.one-group"))
        rest = [code for code in net.codes if code not in parts[0]]
        net.cut(*((parts[0], rest) if one_way == "out" else (rest, parts[0])))
    _emit_links(net, as_json)


@testnet.command("heal")
@dir_option
@json_option
def heal(folder: Path, as_json: bool) -> None:
    """Undo all cuts."""
    net = _open(folder)
    net.heal()
    _emit_links(net, as_json)


@testnet.command("link")
@click.argument("code")
@option("--kbit", type=click.IntRange(1, 10_000_000), words="option.testnet-kbit")
@option("--delay", type=click.IntRange(1, 60_000), words="option.testnet-delay")
@option("--loss", type=click.FloatRange(0, 90), words="option.testnet-loss")
@dir_option
@json_option
def link(code: str, kbit: int | None, delay: int | None, loss: float | None, folder: Path, as_json: bool) -> None:
    """Give the line of a post a bandwidth, a delay, a loss; without any, make it plain again."""
    from testnet.lines import Shape

    net = _open(folder)
    net.link(code.strip().upper(), Shape(kbit or 0, delay or 0, loss or 0.0))
    _emit_links(net, as_json)


@testnet.command("down")
@dir_option
@json_option
def down(folder: Path, as_json: bool) -> None:
    """Stop everything."""
    net = _open(folder)
    net.down()
    emit({"stopped": list(net.codes)}, as_json)


def _found(folder: Path, codes: list[str], validators: int, profile: str, seed: int) -> Testnet:
    """A new network in `folder`, nothing of it running yet."""
    from cli import founding
    from cli.exercise import found_here
    from cli.plan import parse_plan, template
    from node.comet.program import find_program
    from testnet.layout import PASSPHRASE_FILE, POSTS_FOLDER
    from testnet.wiring import Settings, check_room, make_testnet

    if validators > 1:
        find_program()
    folder = folder.absolute()
    _check_free(folder)
    check_room(codes, codes[:validators])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passphrase = folder / PASSPHRASE_FILE
    passphrase.touch(mode=0o600)
    passphrase.write_text("exercise only\n")
    say("testnet.found", posts=len(codes), validators=validators)
    plan = parse_plan(template(find_missions(codes), int(time.time())))
    plan = replace(plan, validators=tuple(sorted(codes[:validators])))
    with Progress("testnet.founding") as progress:
        founded = found_here(plan, folder / POSTS_FOLDER, b"exercise only", progress)
    port = int(founding.free_addresses(1)[0].rpartition(":")[2])
    say("testnet.founded", network_id=founded.network_id.hex()[:16])
    return make_testnet(folder, codes, codes[:validators], port, Settings(profile, seed))


def _check_free(folder: Path) -> None:
    """Raises `Refused` ("testnet-up", "folder-not-empty")."""
    from testnet.layout import FILE

    if (folder / FILE).exists() and _open(folder).is_up:
        hint = "`dutabarta testnet down` stops it"
        raise Refused("testnet-up", f"the test network in {folder} is up already", hint=hint, path=folder)
    if folder.exists() and any(folder.iterdir()):
        raise Refused("folder-not-empty", f"{folder} is not empty", hint="name a new folder", path=folder)


def _open(folder: Path) -> Testnet:
    from testnet.network import Testnet

    return Testnet(folder)


def _validators(count: int, wanted: int | None) -> int:
    """How many: 4 where there are enough posts, else the one solo sequencer. Raises click.UsageError."""
    chosen = wanted if wanted is not None else COUNCIL.start if count >= COUNCIL.start else 1
    if chosen > count or (chosen != 1 and chosen not in COUNCIL):
        raise click.UsageError(t("testnet.bad-validators", most=count))
    return chosen


def _profile(count: int) -> str:
    return "busy" if count >= CROWDED else "lan"


def _split(codes: str) -> list[str]:
    return [code.strip().upper() for code in codes.split(",") if code.strip()]


def _line(one: PostStatus) -> str:
    """A post in one line."""
    said = one.said
    if said is None:
        return f"{one.post}  {t('testnet.silent' if one.node.is_alive else 'testnet.dead')}"
    memory = " + ".join(str(_mib(part.memory_bytes)) for part in (one.node, one.engine) if part.is_alive)
    cpu = round(one.node.cpu_seconds + one.engine.cpu_seconds, 1)
    state = "" if said.ready else t("testnet.not-ready")
    root, alarms = said.root.hex()[:16], " ".join(sorted({alarm.code for alarm in said.alarms}))
    line = f"{one.post}  {said.role:<9}  {said.log_size:>7}  {root}  {memory:>9} MiB  {cpu:>7} s  {state}  {alarms}"
    return line.rstrip()


def _mib(size: int) -> int:
    return round(size / (1024 * 1024))


def _tell(what: str, done: int, total: int) -> None:
    say(f"testnet.{what}", done=done, total=total)


def _emit_links(net: Testnet, as_json: bool) -> None:
    """The cuts and shapes that hold now."""
    state = net.relay.state()
    cuts, shapes = state["cuts"], state["shapes"]
    emit({"cuts": cuts, "shapes": shapes}, as_json, t("testnet.links", cuts=len(cuts), shapes=len(shapes)))
