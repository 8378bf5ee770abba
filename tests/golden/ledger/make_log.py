"""Makes network.log, network.root and network.trust: once for each version of the format, never again.

Run as `PYTHONPATH=.:tests python tests/golden/ledger/make_log.py`.
"""

from __future__ import annotations

from pathlib import Path

from ledger.replay import replay
from support.history import council, eventful

HERE = Path(__file__).parent


def main() -> None:
    history = eventful(council())
    report = replay(history.items, ())
    (HERE / "network.log").write_bytes(history.file())
    (HERE / "network.root").write_text(f"{report.size} {report.root.hex()} {report.entries}\n")
    (HERE / "network.trust").write_bytes(history.trust())


if __name__ == "__main__":
    main()
