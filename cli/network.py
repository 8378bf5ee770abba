"""`dutabarta network`: plan a network, found it from public cards, or set a whole exercise up on this machine."""

from __future__ import annotations

import time
from pathlib import Path

import click

from cli.commands import group, option
from cli.options import FILE, FOLDER, json_option, passphrase_option, read_passphrase
from cli.output import emit
from cli.plan import Plan, parse_plan, template
from cli.words import t
from protos.errors import Refused


@group("network")
def network() -> None:
    """Help stands in the string tables."""


@network.command("template")
@option("--posts", required=True)
@json_option
def make_template(posts: str, as_json: bool) -> None:
    """Print network.toml for some posts of the mission list."""
    from cli.missions import find_missions

    codes = [code.strip().upper() for code in posts.split(",") if code.strip()]
    text = template(find_missions(codes), int(time.time()))
    emit({"template": text, "posts": codes}, as_json, text.rstrip())


@network.command("init")
@click.argument("plan", type=FILE)
@click.argument("more_cards", nargs=-1, type=FILE)
@option("--cards", multiple=True, type=FILE)
@option("--out", type=FILE)
@option("--all-here", type=FOLDER)
@passphrase_option
@json_option
def init(
    plan: Path,
    more_cards: tuple[Path, ...],
    cards: tuple[Path, ...],
    out: Path | None,
    all_here: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Found the network that `plan` describes."""
    planned = parse_plan(plan.read_text("utf-8"))
    if all_here is not None:
        if cards or more_cards or out:
            raise click.UsageError(t("usage.cards-or-here"))
        from cli.exercise import found_here

        emit(found_here(planned, all_here, read_passphrase(passphrase_file, confirm=True)).to_json(), as_json)
        return
    if out is None or not (cards or more_cards):
        raise click.UsageError(t("usage.cards-or-here"))
    emit(_from_cards(planned, (*cards, *more_cards), out), as_json)


def _from_cards(plan: Plan, cards: tuple[Path, ...], out: Path) -> dict[str, object]:
    from cli import founding
    from ledger.genesis import network_id_of

    if out.exists():
        raise Refused("file-exists", f"{out} exists already", hint="name a new file", path=out)
    leaves = founding.found(plan, [path.read_text("ascii") for path in cards], exercise=False)
    founding.save_genesis(out, leaves)
    network_id = network_id_of(leaves[0]).hex()
    aloud = " ".join(network_id[at : at + 4] for at in range(0, 64, 4))
    return {"network_id": network_id, "digest": aloud, "genesis": str(out), "posts": sorted(plan.codes)}
