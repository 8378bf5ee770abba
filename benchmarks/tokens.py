"""A token against keys in memory: signing, and opening the keystore. SoftHSM 2, where this machine has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Row, compare, rate_row, remark, time_row
from keys.keystore import Cost, open_keystore
from keys.public import SUITE_DUAL, SUITE_ED25519
from keys.purpose import Purpose
from keys.signing import Signer
from terminal.holder import IN_MEMORY, TokenPlace, new_keys, open_keys
from terminal.tokens import TokenKeys

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")
NETWORK, CONTEXT, PAYLOAD = b"N" * 32, b"c" * 48, b"p" * 1024
PIN, LABEL = b"4711-0815", "bench"
KEYRING = b"k" * 2048


def rows() -> Iterator[Row]:
    module = next((one for one in MODULES if Path(one).is_file()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        yield remark("not measured: a token (needs softhsm2)")
        return
    with _token(module) as place:
        with new_keys(place, PIN, CONTEXT) as keys:
            yield _signatures("signatures in SoftHSM, Ed25519", keys, SUITE_ED25519, Purpose.RECEIPT)
            yield _signatures("signatures in SoftHSM, Ed25519 + ML-DSA-65", keys, SUITE_DUAL, Purpose.RELEASE)
            wrapped = keys.seal(KEYRING, PIN, Cost.FULL)
        yield _opening(place, wrapped)


def _signatures(name: str, keys: TokenKeys, suite: int, purpose: Purpose) -> Row:
    """The signer is at hand, as in a terminal's session; what the token has signed is verified each time."""
    token, memory = (holder.signer(suite, holder.generate(suite)) for holder in (keys, IN_MEMORY))
    found = compare(lambda: _sign(token, purpose), lambda: _sign(memory, purpose), seconds=0.05)
    return rate_row(name, "the same key in memory", found, items=1, unit="signatures/s")


def _sign(signer: Signer, purpose: Purpose) -> bytes:
    return signer.sign(purpose, NETWORK, PAYLOAD)


def _opening(place: TokenPlace, wrapped: bytes) -> Row:
    sealed = IN_MEMORY.seal(KEYRING, PIN, Cost.FULL)

    def log_in_and_open() -> None:
        keys, _ = open_keys(place, PIN, wrapped, CONTEXT)
        keys.close()

    found = compare(log_in_and_open, lambda: open_keystore(sealed, PIN), rounds=5, seconds=0.0)
    return time_row("log in to SoftHSM, open the wrapped keystore", "argon2id of a keystore file", found, unit="ms")


@contextmanager
def _token(module: str) -> Iterator[TokenPlace]:
    """A token of SoftHSM in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="token") as folder:
        configuration = Path(folder) / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\n")
        os.environ["SOFTHSM2_CONF"] = str(configuration)
        secrets = ["--pin", PIN.decode(), "--so-pin", "87654321"]
        command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, *secrets]
        subprocess.run(command, check=True, capture_output=True)
        yield TokenPlace(module, LABEL)
