"""`dutabarta ledger`: the log as a file, the trust file, and the policy that follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.commands import group, option
from cli.options import FILE, home_option, json_option
from cli.output import emit, say
from cli.progress import Progress
from cli.words import t

if TYPE_CHECKING:
    from node.store.database import Database


@group("ledger")
def ledger() -> None:
    """Help stands in the string tables."""


@ledger.command("export")
@home_option
@option("--out", type=FILE, required=True)
@json_option
def export(home: Path, out: Path, as_json: bool) -> None:
    """Help stands in the string tables."""
    from node.store.export import export_log

    with _store(home) as database, Progress("progress.export") as progress:
        entries = export_log(database, out, progress)
    emit({"entries": entries, "out": str(out)}, as_json, t("ledger.exported", entries=entries, out=out))


@ledger.command("trust")
@home_option
@option("--out", type=FILE, required=True)
@json_option
def trust(home: Path, out: Path, as_json: bool) -> None:
    """Help stands in the string tables."""
    from node.store.export import make_trust_file
    from terminal.files import write_private

    with _store(home) as database:
        data, found = make_trust_file(database)
    write_private(out, data)
    network_id = found.founding.network_id.hex()
    answer = {"network_id": network_id, "size": found.checkpoint.size, "out": str(out)}
    emit(answer, as_json, t("ledger.trust", network_id=network_id, size=found.checkpoint.size, out=out))


@ledger.command("policy")
@option("--trust", "trust_file", type=FILE, required=True, words="option.trust")
@option("--network-id")
@option("--size", type=click.IntRange(1))
@json_option
def policy(trust_file: Path, network_id: str | None, size: int | None, as_json: bool) -> None:
    """Help stands in the string tables."""
    from cli.trusted import load_trust

    found = load_trust(trust_file, network_id)
    at = size or found.checkpoint.size
    text = found.policy_text_at(at)
    if network_id is None:
        say("ledger.compare", network_id=found.founding.network_id.hex())
    emit({"network_id": found.founding.network_id.hex(), "size": at, "policy": text}, as_json, text.rstrip("\n"))


@contextmanager
def _store(home: Path) -> Iterator[Database]:
    """The store of a post's node, whether or not the node runs."""
    from node.config import load_config, node_folder
    from node.store.export import open_existing

    folder = node_folder(home)
    database = open_existing(folder, load_config(folder))
    try:
        yield database
    finally:
        database.close()
