"""`dutabarta ledger`: the log as a file."""

from __future__ import annotations

from pathlib import Path

from cli.commands import group, option
from cli.options import FILE, home_option, json_option
from cli.output import emit
from cli.progress import Progress
from cli.words import t
from node.config import load_config, node_folder
from node.store.export import export_log, open_existing


@group("ledger")
def ledger() -> None:
    """Help stands in the string tables."""


@ledger.command("export")
@home_option
@option("--out", type=FILE, required=True)
@json_option
def export(home: Path, out: Path, as_json: bool) -> None:
    """Help stands in the string tables."""
    folder = node_folder(home)
    database = open_existing(folder, load_config(folder))
    try:
        with Progress("progress.export") as progress:
            entries = export_log(database, out, progress)
    finally:
        database.close()
    emit({"entries": entries, "out": str(out)}, as_json, t("ledger.exported", entries=entries, out=out))
