"""`dutabarta cable lists`: the officer's distribution lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.commands import group
from cli.desk import Place, at_terminal
from cli.options import json_option
from cli.output import emit

if TYPE_CHECKING:
    from terminal.records import DistributionList


@group("lists")
def lists() -> None:
    """Help stands in the string tables."""


@lists.command("show")
@click.argument("name", default="")
@at_terminal
@json_option
def show(place: Place, name: str, as_json: bool) -> None:
    """All lists, or one."""
    from crypto_msg.display import safe_line
    from terminal.lists import show as found

    with place.open() as terminal:
        known = found(terminal.session, name)
    text = "\n".join(f"@{safe_line(one.name)}  {','.join(one.addressees)}" for one in known)
    emit({"lists": [_json(one) for one in known]}, as_json, text or "-")


@lists.command("add")
@click.argument("name")
@click.argument("codes")
@at_terminal
@json_option
def add(place: Place, name: str, codes: str, as_json: bool) -> None:
    """Add addressees to a list, or begin it."""
    from terminal.compose import names
    from terminal.lists import add as change

    with place.open() as terminal:
        emit(_json(change(terminal.session, name, names(codes))), as_json)


@lists.command("remove")
@click.argument("name")
@click.argument("codes", default="")
@at_terminal
@json_option
def remove(place: Place, name: str, codes: str, as_json: bool) -> None:
    """Take addressees off a list, or drop it."""
    from terminal.compose import names
    from terminal.lists import remove as change

    with place.open() as terminal:
        emit(_json(change(terminal.session, name, names(codes))), as_json)


def _json(one: DistributionList) -> dict[str, object]:
    return {"name": one.name, "addressees": list(one.addressees)}
