"""Errors with a name: every refusal in the product is one of these."""

from __future__ import annotations


class DutabartaError(Exception):
    """A refusal a person can act on.

    `code` is stable and never translated; `hint` says what to do next; `params` fill the translated
    sentence. Only cli/ and tui/ turn an error into words for a person.
    """

    def __init__(self, code: str, text: str, *, hint: str = "", **params: object) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.hint = hint
        self.params = params


class Malformed(DutabartaError):
    """Bytes or text that are not in the one form their format allows."""


class Refused(DutabartaError):
    """Well-formed, but a rule says no. `code` is the named result of the ledger machine or of a post."""


class VerificationFailed(DutabartaError):
    """A signature, hash or proof does not hold: do not rely on what it covers."""


class Unavailable(DutabartaError):
    """Could not be checked or reached now; nothing was changed, and trying again later may help."""
