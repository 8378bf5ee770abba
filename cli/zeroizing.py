"""What `officer zeroize` does: asks once more, destroys, and says how far the statement has come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.desk import Place
from cli.output import emit
from cli.words import t
from node.config import INTAKE_FOLDER, node_folder
from protos.errors import Refused
from terminal import zeroize
from terminal.folder import Folder
from terminal.zeroize import Told, Zeroized

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS: Mapping[Told, str] = {
    Told.ENTERED: "zeroize.entered",
    Told.HANDED_IN: "zeroize.handed-in",
    Told.LEFT_FOR_NODE: "zeroize.left",
    Told.TO_CARRY: "zeroize.carry",
    Told.REFUSED: "zeroize.refused",
    Told.NOT_NEEDED: "zeroize.not-needed",
    Told.NONE: "zeroize.none",
}


def run(place: Place, yes: bool, without_statement: bool, as_json: bool) -> None:
    """Destroy the terminal that `place` names. Raises `Refused("not-confirmed")` unless the officer agrees."""
    folder = Folder.existing(place.folder)
    post = folder.load_config().post
    if not yes:
        _confirm(post, place.folder.name)
    intake = _intake(place.folder)
    if without_statement or zeroize.is_under_way(folder):
        done = zeroize.resume(folder, intake)
    else:
        with place.open() as terminal:
            done = zeroize.zeroize(terminal.session, intake)
    emit(_data(place.folder, post, done), as_json, _text(place.folder, done))


def _confirm(post: str, name: str) -> None:
    asked = sys.stdin.isatty() and click.prompt(t("talk.zeroize", name=name, post=post), err=True)
    if asked != post:
        raise Refused("not-confirmed", "nothing was destroyed", hint="type the post's code when asked, or give --yes")


def _intake(folder: Path) -> Path | None:
    """Where the node of this machine looks for entries, if the terminal stands in its post's folder."""
    intake = node_folder(folder.absolute().parent.parent) / INTAKE_FOLDER
    return intake if folder.absolute().parent.name == "terminals" and intake.is_dir() else None


def _data(folder: Path, post: str, done: Zeroized) -> dict[str, object]:
    return {
        "terminal": str(folder),
        "post": post,
        "state": zeroize.ZEROIZED,
        "statement": str(done.told),
        "file": str(done.statement) if done.statement else None,
        "code": done.code or None,
    }


def _text(folder: Path, done: Zeroized) -> str:
    said = t(WORDS[done.told], file=done.statement or "", code=done.code)
    return f"{t('zeroize.done', terminal=folder)}\n{said}"
