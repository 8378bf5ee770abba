"""Options that many commands share, and what their values mean."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

import click

from cli.commands import Function, option
from cli.output import say
from cli.words import t
from protos.errors import Malformed, Refused, Unavailable

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
PASSPHRASE_LIMIT = 4096
_NAME = re.compile(r"[\w][\w.-]{0,63}", re.UNICODE)

json_option = option("--json", "as_json", is_flag=True, words="option.json")
home_option = option("--home", type=FOLDER, required=True)
passphrase_option = option("--passphrase-file", "passphrase_file", type=FILE)
token_option = option("--token", metavar="MODULE[:LABEL]")


def terminal_options(function: Function) -> Function:
    """`--home H --officer NAME` or `--terminal T`, and the passphrase; see `terminal_folder`."""
    function = passphrase_option(function)
    function = option("--terminal", type=FOLDER)(function)
    function = option("--officer")(function)
    return option("--home", type=FOLDER, words="option.post-home")(function)


def terminal_folder(home: Path | None, officer: str | None, terminal: Path | None) -> Path:
    """The folder of the terminal that the three options name. Raises click.UsageError if they name none or two."""
    if terminal is not None:
        if home is not None or officer is not None:
            raise click.UsageError(t("usage.one-terminal"))
        return terminal
    if home is None or officer is None:
        raise click.UsageError(t("usage.which-terminal"))
    return home / "terminals" / folder_name(officer)


def folder_name(name: str) -> str:
    """`name` if it can name a folder (letters, digits, `_`, `.`, `-`; at most 64). Raises click.BadParameter."""
    if not _NAME.fullmatch(name):
        raise click.BadParameter(t("usage.bad-name", name=name), param_hint="NAME")
    return name


def read_passphrase(file: Path | None, *, confirm: bool = False, token: str = "") -> bytes:
    """The passphrase from `file`, else from the file named by DUTABARTA_PASSPHRASE_FILE, else from a prompt.

    `token` names the token whose PIN is asked for instead: it exists already, so nothing is confirmed. One trailing
    line end is not part of it. Raises Refused if it is empty, Unavailable if nobody can be asked.
    """
    named = file or (Path(found) if (found := os.environ.get("DUTABARTA_PASSPHRASE_FILE")) else None)
    question = t("talk.token-pin", token=token) if token else t("talk.passphrase")
    return _checked(_from_file(named) if named else _from_prompt(question, confirm and not token))


def read_new_passphrase(file: Path | None, *, pin: bool) -> bytes:
    """A passphrase to come, or a PIN: from `file`, else typed twice. Raises as `read_passphrase`."""
    return _checked(
        _from_file(file) if file else _from_prompt(t("talk.new-pin" if pin else "talk.new-passphrase"), True)
    )


def _checked(passphrase: bytes) -> bytes:
    if not passphrase:
        raise Refused("passphrase-empty", "the passphrase is empty", hint="give a passphrase of at least one character")
    return passphrase


def _from_file(path: Path) -> bytes:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            say("talk.passphrase-file-open", path=path)
        data = file.read(PASSPHRASE_LIMIT + 1)
    if len(data) > PASSPHRASE_LIMIT:
        raise Malformed(
            "passphrase-too-long",
            f"{path} holds more than {PASSPHRASE_LIMIT} bytes",
            hint="a passphrase file holds one line: the passphrase",
            path=path,
            limit=PASSPHRASE_LIMIT,
        )
    return data.removesuffix(b"\n").removesuffix(b"\r")


def _from_prompt(question: str, confirm: bool) -> bytes:
    if not sys.stdin.isatty():
        raise Unavailable(
            "passphrase-missing",
            "no passphrase: there is no one to ask",
            hint="use --passphrase-file F, or name a file in DUTABARTA_PASSPHRASE_FILE",
        )
    again = t("talk.again") if confirm else False
    answer: str = click.prompt(question, hide_input=True, confirmation_prompt=again, err=True)
    return answer.encode()
