"""An officer's name on the ledger: a commitment that only the posts' directory opens."""

from __future__ import annotations

from hashlib import sha256

from protos.errors import Malformed

SALT_BYTES = 32


def commit_name(salt: bytes, name: str) -> bytes:
    """SHA-256("dutabarta/v1/name" || 0x00 || salt (32) || UTF-8 name), 32 bytes.

    Raises `Malformed` for a salt of another length, or a name that is no Unicode text.
    """
    if len(salt) != SALT_BYTES:
        raise Malformed("salt-length", f"a name's salt has {SALT_BYTES} bytes, not {len(salt)}")
    try:
        text = name.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise Malformed("name-text", "the name is not Unicode text", hint="type the name in UTF-8") from problem
    return sha256(b"dutabarta/v1/name\x00" + salt + text).digest()
