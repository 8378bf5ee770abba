"""Post codes, network names and addresses: the few texts on the ledger, each in one allowed form."""

from __future__ import annotations

import re

from protos.errors import Refused

_CODE = re.compile(r"[A-Z]{3}")
_NETWORK = re.compile(r"[a-z0-9.-]{1,64}")
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,249}|\[[0-9a-f:.]{2,45}\]):(?P<port>[1-9][0-9]{0,4})")


def is_code(text: str) -> bool:
    """Is this the form of a post code: three capital letters?"""
    return _CODE.fullmatch(text) is not None


def check_code(text: str) -> None:
    """Raises `Refused("bad-code")` unless `text` is three capital letters."""
    if not is_code(text):
        raise Refused("bad-code", f"{text!r} is not a post code", hint="A post code is three capital letters, as DHA.")


def check_network_name(text: str) -> None:
    """Raises `Refused("bad-name")` unless `text` is 1 to 64 of a-z, 0-9, dot and hyphen."""
    if not _NETWORK.fullmatch(text):
        raise Refused("bad-name", f"{text!r} is not a network name", hint="Use 1 to 64 of a-z, 0-9, '.' and '-'.")


def check_address(text: str) -> None:
    """Raises `Refused("bad-address")` unless `text` is host:port in ASCII, at most 255 bytes, port 1 to 65535."""
    match = _ADDRESS.fullmatch(text) if len(text) <= 255 else None
    if match is None or int(match["port"]) > 65535:
        raise Refused("bad-address", f"{text!r} is not an address", hint="Write host:port, as node.example:4443.")
