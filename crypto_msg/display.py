"""Names and text of a cable, made safe to show and to write. The bytes that were signed stay as they are."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_FORBIDDEN = frozenset('/\\:*?"<>|')
_LONGEST_BYTES = 200
_REPLACEMENT = "\ufffd"


def safe_file_name(name: str, number: int) -> str:
    """A file name for attachment `number` (from 1) without path, control or direction-changing characters.

    Zero-width joiners stay: Bengali needs them. What leaves nothing readable becomes `attachment-<number>`.
    """
    clean = "".join("_" if _is_unsafe(char) else char for char in name)
    shown = clean.encode()[:_LONGEST_BYTES].decode(errors="ignore").strip(" .")
    return shown if shown.strip("_") else f"attachment-{number}"


def safe_text(text: str) -> str:
    """Text for a screen: what could move the cursor, recolour, hide or turn it round is shown as U+FFFD.

    Line feeds and tabs stay, and so do zero-width joiners.
    """
    return "".join(_REPLACEMENT if _is_control(char) and char not in "\n\t" else char for char in text)


def safe_line(text: str) -> str:
    """As `safe_text`, on one line."""
    return "".join(_REPLACEMENT if _is_control(char) else char for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE_CATEGORIES and char not in _JOINERS


def _is_unsafe(char: str) -> bool:
    return char in _FORBIDDEN or _is_control(char)
