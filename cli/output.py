"""What a command says: data on stdout, talk on stderr, errors as `error:` and `hint:` with an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import NoReturn

import click

from cli import words
from cli.exit import Exit
from cli.words import t
from protos.errors import DutabartaError, Unavailable, VerificationFailed


def emit(data: Mapping[str, object], as_json: bool, text: str = "") -> None:
    """Answer on stdout: one JSON document, or `text` for a person (`name: value` lines where none is given)."""
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_plain))
    else:
        click.echo(text or lines_of(data))


def lines_of(data: Mapping[str, object]) -> str:
    """One `name: value` line each."""
    return "\n".join(f"{name}: {_line(value)}" for name, value in data.items())


def say(key: str, **params: object) -> None:
    """Talk to the person on stderr, in their language."""
    click.echo(t(key, **params), err=True)


def leave(code: Exit) -> NoReturn:
    """End the command with `code` after its answer was given."""
    click.get_current_context().exit(int(code))


def exit_of(error: DutabartaError) -> Exit:
    """The exit code an error stands for."""
    if isinstance(error, VerificationFailed):
        return Exit.VERIFICATION
    return Exit.UNAVAILABLE if isinstance(error, Unavailable) else Exit.REFUSED


def fail(error: BaseException) -> Exit:
    """Say on stderr what went wrong and what to do next; the exit code is returned. Never a traceback."""
    if os.environ.get("DUTABARTA_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, DutabartaError):
        text, hint = words.error_words(error)
        code = exit_of(error)
        return _complain(f"{text} [{error.code}]", hint or t(f"talk.hint-{code.name.lower()}"), code)
    if isinstance(error, click.UsageError):
        return _complain(_usage(error), _see_help(error), Exit.USAGE)
    if isinstance(error, click.ClickException):
        return _complain(error.format_message(), "", Exit.REFUSED)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _complain(t("talk.interrupted"), t("talk.interrupted-hint"), Exit.REFUSED)
    if isinstance(error, OSError):
        return _complain(_os_sentence(error), t("talk.os-error-hint"), Exit.REFUSED)
    return _complain(t("talk.internal-error", kind=type(error).__name__), t("talk.internal-error-hint"), Exit.REFUSED)


def _complain(text: str, hint: str, code: Exit) -> Exit:
    click.echo(f"{t('talk.error')}: {text}", err=True)
    if hint:
        click.echo(f"{t('talk.hint')}: {hint}", err=True)
    return code


def _usage(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return t("usage.no-such-option", option=error.option_name)
    if isinstance(error, click.NoSuchCommand):
        return t("usage.no-such-command", command=error.command_name)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return t("usage.missing", name=error.param.get_error_hint(error.ctx))
    if isinstance(error, click.BadParameter) and error.param is not None:
        return t("usage.bad-value", name=error.param.get_error_hint(error.ctx), problem=error.message)
    return error.format_message()


def _see_help(error: click.UsageError) -> str:
    return t("usage.see-help", command=error.ctx.command_path if error.ctx else "dutabarta")


def _os_sentence(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _line(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)


def flush() -> None:
    """Hand stdout to its reader now; a reader that has gone away (`| head`) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
