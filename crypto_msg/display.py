"""Names from a cable, made safe to show and to write. The bytes that were signed stay as they are."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_FORBIDDEN = frozenset('/\\:*?"<>|')
_LONGEST_BYTES = 200


def safe_file_name(name: str, number: int) -> str:
    """A file name for attachment `number` (from 1) without path, control or direction-changing characters.

    Zero-width joiners stay: Bengali needs them. What leaves nothing readable becomes `attachment-<number>`.
    """
    clean = "".join("_" if _is_unsafe(char) else char for char in name)
    shown = clean.encode()[:_LONGEST_BYTES].decode(errors="ignore").strip(" .")
    return shown if shown.strip("_") else f"attachment-{number}"


def _is_unsafe(char: str) -> bool:
    return char in _FORBIDDEN or (unicodedata.category(char) in _UNSAFE_CATEGORIES and char not in _JOINERS)
