"""`dutabarta post`: a post's own keys, made at the post itself."""

from __future__ import annotations

from pathlib import Path

import click

from cli.commands import group, option
from cli.options import home_option, json_option, passphrase_option, read_passphrase
from cli.output import emit, say
from cli.plan import SUPERVISORS, PlannedPost
from cli.words import t


@group("post")
def post() -> None:
    """Help stands in the string tables."""


@post.command("keygen")
@option("--post", "code", required=True)
@home_option
@option("--address")
@option("--supervisor", "supervisors", multiple=True)
@option("--satellite", is_flag=True)
@passphrase_option
@json_option
def keygen(
    code: str,
    home: Path,
    address: str | None,
    supervisors: tuple[str, ...],
    satellite: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make the keys of the node and of the first two supervisors; print the public card."""
    from cli import founding
    from cli.missions import find_missions
    from keys.card import card_digest
    from keys.keystore import Cost

    (mission,) = find_missions([code])
    names = supervisors or SUPERVISORS
    if len(set(names)) != 2:
        raise click.BadParameter(t("usage.two-supervisors"), param_hint="--supervisor")
    if address is None:
        (address,) = founding.free_addresses(1)
        say("talk.address-chosen", address=address)
    planned = PlannedPost(code, names, satellite)
    passphrase = read_passphrase(passphrase_file, confirm=True)
    made = founding.make_post(home, planned, address, mission.is_headquarters, passphrase, Cost.FULL)
    emit({"post": code, "card": made.card, "digest": card_digest(made.card)}, as_json, made.card.rstrip())
