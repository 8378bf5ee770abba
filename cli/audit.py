"""`dutabarta audit`: replay the ledger, trusting nobody.

Loads protos, keys, ledger and the Modules' rules only; for a post's folder, `ledger export` runs as its own process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import click

from cli.commands import group, option
from cli.exit import Exit
from cli.options import FILE, FOLDER, json_option
from cli.output import emit, leave
from cli.progress import Progress
from cli.words import error_words, t
from ledger.logfile import HEADER, LogItem, check_header, read_log
from ledger.replay import Level, Problem, ReplayReport, replay
from node.modules import MODULES
from protos.errors import DutabartaError, Unavailable

LEVELS = [level.name.lower() for level in Level]
PARALLEL_BYTES = 4 << 20
"""A smaller log is replayed sooner than worker processes start."""


@group("audit")
def audit() -> None:
    """Help stands in the string tables."""


@audit.command("replay")
@click.argument("log", type=FILE, required=False)
@option("--home", type=FOLDER, words="option.audit-home")
@option("--level", type=click.Choice(LEVELS), default="full", show_default=True)
@json_option
def replay_log(log: Path | None, home: Path | None, level: str, as_json: bool) -> None:
    """Help stands in the string tables."""
    if (log is None) == (home is None):
        raise click.UsageError(t("usage.log-or-home"))
    with tempfile.TemporaryDirectory() as folder:
        path = log or _exported(home, Path(folder) / "ledger.log")  # type: ignore[arg-type]
        report = _replay_file(path, Level[level.upper()])
    emit(_data(report), as_json, _in_words(report))
    leave(Exit.DONE if report.ok else Exit.VERIFICATION)


def _exported(home: Path, out: Path) -> Path:
    """The log of a post's node. The auditor's own process never opens the node's database."""
    command = [sys.executable, "-m", "cli.main", "ledger", "export", "--home", str(home), "--out", str(out)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Unavailable(
            "no-export", f"the ledger of {home} could not be exported", hint="see the error above", path=home
        )
    return out


def _replay_file(path: Path, level: Level) -> ReplayReport:
    """Raises `Malformed("not-a-log")` for a file of another kind: that is no verdict on a ledger."""
    try:
        with path.open("rb") as stream, Progress("progress.replay") as progress:
            check_header(stream.read(len(HEADER)))
            stream.seek(0)
            items = _counted(stream, path.stat().st_size, progress)
            if path.stat().st_size < PARALLEL_BYTES or (cores := os.cpu_count() or 1) < 2:
                return replay(items, MODULES, level)
            with ProcessPoolExecutor(cores) as workers:
                return replay(items, MODULES, level, workers)
    except OSError as problem:
        text = f"{path} cannot be read: {problem.strerror}"
        raise Unavailable("file-unreadable", text, hint="look at the path and its permissions", path=path) from problem


def _counted(stream: BinaryIO, total: int, progress: Progress) -> Iterator[LogItem]:
    for item in read_log(stream):
        progress(stream.tell(), total)
        yield item


def _data(report: ReplayReport) -> dict[str, object]:
    problems = [{"index": one.index, "code": one.code, "text": _sentence(one)} for one in report.problems]
    return {
        "ok": report.ok,
        "level": report.level.name.lower(),
        "entries": report.entries,
        "size": report.size,
        "root": report.root.hex(),
        "problems": problems,
        "offences": [asdict(one) for one in report.offences],
    }


def _sentence(problem: Problem) -> str:
    return error_words(DutabartaError(problem.code, problem.text, hint="", **problem.params))[0]


def _in_words(report: ReplayReport) -> str:
    key = "audit.whole" if report.ok else "audit.problems"
    head = t(key, entries=report.entries, size=report.size, root=report.root.hex(), count=len(report.problems))
    lines = [t("audit.problem", index=one.index, code=one.code, text=_sentence(one)) for one in report.problems]
    lines += [t("audit.offence", **asdict(one)) for one in report.offences]
    return "\n".join([head, t(f"audit.level.{report.level.name.lower()}"), *lines])
