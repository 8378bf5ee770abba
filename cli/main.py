"""`dutabarta`: choose the language, find the command, turn errors into words and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from cli import output, words
from cli.commands import LazyGroup, option
from cli.exit import Exit

MODULES = {
    "demo": "cli.demo:demo",
    "post": "cli.post:post",
    "network": "cli.network:network",
    "node": "cli.node:node",
    "governance": "cli.governance:governance",
    "officer": "cli.officer:officer",
    "terminal": "cli.terminal:terminal",
    "cable": "cli.cable:cable",
    "hotline": "cli.hotline:hotline",
    "ledger": "cli.ledger:ledger",
    "audit": "cli.audit:audit",
    "verify": "cli.verify:verify",
    "testnet": "cli.testnet:testnet",
}


def _speak(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        words.use(value)


def _show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"dutabarta {version('dutabarta')}")
        context.exit()


@click.group("dutabarta", cls=LazyGroup, modules=MODULES)
@option("--lang", type=click.Choice(words.LANGUAGES), callback=_speak, is_eager=True, expose_value=False)
@option("--version", is_flag=True, callback=_show_version, is_eager=True, expose_value=False)
def cli() -> None:
    """Help stands in the string tables."""


cli.path = ""


def split_language(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take `--lang X` out of the arguments, wherever it stands before `--`; it belongs to every command."""
    rest = list(arguments)
    end = rest.index("--") if "--" in rest else len(rest)
    for place, argument in enumerate(rest[:end]):
        name, equals, value = argument.partition("=")
        if name != "--lang":
            continue
        wanted = value if equals else rest[place + 1] if place + 1 < end else ""
        if wanted in words.LANGUAGES:
            del rest[place : place + (1 if equals else 2)]
            return wanted, rest
    return None, rest


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code is returned and nothing is raised."""
    language, rest = split_language(arguments)
    words.use(language or words.choose(os.environ))
    try:
        result = cli.main(rest, prog_name="dutabarta", standalone_mode=False)
        output.flush()
    except click.exceptions.NoArgsIsHelpError as nothing:
        click.echo(nothing.ctx.get_help() if nothing.ctx else "", err=True)
        return int(Exit.USAGE)
    except BrokenPipeError:
        output.flush()
        return int(Exit.DONE)
    except (Exception, KeyboardInterrupt) as error:
        return int(output.fail(error))
    return result if isinstance(result, int) else int(Exit.DONE)


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
