"""The string tables: every word a person reads, by key, in English and Bengali.

`en.toml` and `bn.toml` have the same keys. `bn_errors.toml` has the sentence and hint of every named error by its
code, and is read only when there is an error; in English these stand where the error is raised.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from protos.errors import DutabartaError

LANGUAGES = ("en", "bn")
_language = "en"


def use(language: str) -> None:
    """Speak `language` ("en" or "bn") from now on in this process."""
    global _language
    if language not in LANGUAGES:
        raise ValueError(f"no string table for {language!r}")
    _language = language


def language() -> str:
    """The language in use."""
    return _language


def choose(environ: Mapping[str, str]) -> str:
    """The language of DUTABARTA_LANG, else LANG; English where neither names one we speak."""
    for name in ("DUTABARTA_LANG", "LANG"):
        wanted = environ.get(name, "")[:2].lower()
        if wanted in LANGUAGES:
            return wanted
    return "en"


def t(key: str, **params: object) -> str:
    """The text of `key` with {name} filled from `params`. An unknown key is a KeyError: a bug, found by tests."""
    return table(_language)[key].format_map(params) if params else table(_language)[key]


def has(key: str) -> bool:
    """True if the table in use has `key`."""
    return key in table(_language)


def error_words(error: DutabartaError) -> tuple[str, str]:
    """The sentence and the hint for `error`; what its raise says where the table has no fitting translation."""
    if _language == "en":
        return error.text, error.hint
    return _translated(error, "text", error.text), _translated(error, "hint", error.hint)


def _translated(error: DutabartaError, part: str, otherwise: str) -> str:
    try:
        return table(f"{_language}_errors")[f"{error.code}.{part}"].format_map(error.params)
    except KeyError:
        return otherwise


@cache
def table(name: str) -> dict[str, str]:
    """The texts of one file, keys joined by dots."""
    text = (Path(__file__).parent / f"{name}.toml").read_text("utf-8")
    return dict(_flatten(tomllib.loads(text), ""))


def _flatten(tree: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
