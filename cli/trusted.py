"""What a verifier trusts: his own policy file, or a trust file from which the policy at each size follows."""

from __future__ import annotations

from pathlib import Path

import click

from cli.words import t
from ledger.genesis import network_id_of
from ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy
from ledger.trust import MAX_TRUST_BYTES, Trust, verify_trust
from ledger.wire import CODEC, TrustFile
from protos.errors import Unavailable


def read_file(path: Path, limit: int) -> bytes:
    """A whole file of at most `limit` bytes. Raises `Unavailable` if it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as problem:
        text = f"{path} cannot be read: {problem.strerror}"
        raise Unavailable("file-unreadable", text, hint="look at the path and its permissions", path=path) from problem
    if len(data) > limit:
        raise Unavailable("file-too-large", f"{path} has more than {limit} bytes", path=path, limit=limit)
    return data


def load_policy(path: Path) -> Policy:
    """The verifier's own policy file. Raises `Malformed`, `Unavailable`."""
    return parse_policy(read_file(path, MAX_POLICY_BYTES))


def load_trust(path: Path, network_id: str | None) -> Trust:
    """A verified trust file. Without an id of his own the verifier must compare the one that is shown.

    Raises as `verify_trust`, `Unavailable`, click.BadParameter.
    """
    data = read_file(path, MAX_TRUST_BYTES)
    claimed = network_id_of(CODEC.decode(TrustFile, data, limit=MAX_TRUST_BYTES).genesis)
    return verify_trust(data, _network_id(network_id) if network_id else claimed)


def _network_id(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise click.BadParameter(t("usage.bad-network-id"), param_hint="--network-id")
    return found
