"""Finding a PKCS #11 token and logging in to it, and its errors by our names (terminal/cryptoki.py does the work)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from pkcs11 import TokenFlag, exceptions

from protos.errors import DutabartaError, Malformed, Refused, Unavailable
from terminal.holder import TokenPlace

T = TypeVar("T")

GONE = (
    exceptions.DeviceRemoved,
    exceptions.TokenNotPresent,
    exceptions.SessionHandleInvalid,
    exceptions.SessionClosed,
    exceptions.ObjectHandleInvalid,
    exceptions.KeyHandleInvalid,
    exceptions.UserNotLoggedIn,
)
"""What modules answer once the token was taken out, also when it is back."""
_WRONG_PIN = (exceptions.PinIncorrect, exceptions.PinInvalid, exceptions.PinLenRange)


def log_in(place: TokenPlace, pin: bytes) -> pkcs11.Session:
    """A session of the token's user. A program logs in to a token once at a time.

    Raises "token-module", "token-missing", "ambiguous-token", "wrong-token-pin" and its kin, "token-busy",
    "token-failed".
    """
    return _log_in(_find(place), pin_text(pin))


def _find(place: TokenPlace) -> pkcs11.Token:
    found: list[pkcs11.Token] = _asked(
        lambda: list(_module(place.module).get_tokens(token_flags=TokenFlag.TOKEN_INITIALIZED))
    )
    fitting = [one for one in found if not place.label or one.label == place.label]
    if not fitting:
        raise missing(place)
    if len(fitting) > 1:
        labels = ", ".join(sorted(one.label for one in fitting))
        raise Refused(
            "ambiguous-token", f"there are several tokens: {labels}", hint="name one: MODULE:LABEL", labels=labels
        )
    (token,) = fitting
    return token


def _module(path: str) -> Any:
    """The loaded module. A path that is not absolute would be looked for where an attacker may have put one."""
    if not Path(path).is_absolute() or not Path(path).is_file():
        raise _no_module(path)
    try:
        return pkcs11.lib(path)
    except exceptions.PKCS11Error as problem:
        initialising = type(problem) is not exceptions.PKCS11Error
        raise (failed(problem) if initialising else _no_module(path)) from problem


def _log_in(token: pkcs11.Token, pin: str) -> pkcs11.Session:
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise refused_pin(token)
    try:
        return token.open(rw=True, user_pin=pin)
    except _WRONG_PIN as problem:
        raise refused_pin(token) from problem
    except exceptions.PinLocked as problem:
        raise _locked() from problem
    except exceptions.UserAlreadyLoggedIn as problem:
        raise Unavailable(
            "token-busy",
            "this program has this token open already",
            hint="close the other terminal first",
        ) from problem
    except GONE as problem:
        raise missing(TokenPlace("", token.label)) from problem
    except exceptions.PKCS11Error as problem:
        raise failed(problem) from problem


def refused_pin(token: pkcs11.Token) -> Refused:
    """By what the token says now: its flags change with every wrong PIN."""
    flags = _asked(lambda: token.slot.get_token().flags)
    if flags & TokenFlag.USER_PIN_LOCKED:
        return _locked()
    if flags & TokenFlag.USER_PIN_FINAL_TRY:
        return Refused(
            "token-pin-last-try",
            "the token refuses this PIN, and locks itself after one more wrong one",
            hint="do not guess: find the PIN, or ask who keeps the token's security officer PIN",
        )
    return Refused(
        "wrong-token-pin",
        "the token refuses this PIN",
        hint="type it again; mind the keyboard layout: after a few wrong PINs a token locks itself",
    )


def _locked() -> Refused:
    return Refused(
        "token-pin-locked",
        "the token has locked its PIN after too many wrong ones",
        hint="who keeps the token's security officer PIN can set a new one; without it the officer is enrolled anew",
    )


def _asked(question: Callable[[], T]) -> T:
    try:
        return question()
    except exceptions.PKCS11Error as problem:
        raise failed(problem) from problem


def missing(place: TokenPlace) -> Unavailable:
    label = place.label
    return Unavailable(
        "token-missing",
        f"the token {label} is not there" if label else "there is no token",
        hint="put it in, and give the command again",
        token=label,
    )


def _no_module(path: str) -> DutabartaError:
    return Unavailable(
        "token-module",
        f"{path} is no PKCS #11 module that loads",
        hint="give the absolute path of the module that came with the token",
        path=path,
    )


def failed(problem: exceptions.PKCS11Error) -> Unavailable:
    name = type(problem).__name__
    return Unavailable(
        "token-failed", f"the token failed: {name}", hint="take it out and put it in again; ask its maker", name=name
    )


def pin_text(pin: bytes) -> str:
    try:
        return pin.decode()
    except UnicodeDecodeError as problem:
        raise Malformed("token-pin-malformed", "a token's PIN is UTF-8 text", hint="type it again") from problem
