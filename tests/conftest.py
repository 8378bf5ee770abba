"""How tests run here: bounded hypothesis, and one list of what this machine could not run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from support.softhsm import SoftHsm

NEEDS = "needs "
settings.register_profile("house", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", parent=settings.get_profile("house"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@pytest.fixture
def softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """A folder for SoftHSM's tokens, which this process and those it starts use."""
    from support import softhsm

    try:
        made = softhsm.SoftHsm(tmp_path / "softhsm")
    except softhsm.Missing as problem:
        pytest.skip(str(problem))
    monkeypatch.setenv(softhsm.CONFIGURATION, str(made.configuration))
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The list "not run here": every test skipped because a part of the system is missing."""
    missing = _missing(terminalreporter)
    if missing:
        terminalreporter.section("not run here")
        for reason, count in sorted(missing.items()):
            terminalreporter.line(f"not run here: {count} test(s), {reason}")
        if in_ci():
            terminalreporter.line("failed: in CI every part of the system must be there")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI every part of the system is there, so such a skip is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if in_ci() and exitstatus == 0 and reporter is not None and _missing(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def in_ci() -> bool:
    """True where the environment says CI=true."""
    return os.environ.get("CI") == "true"


def _missing(reporter: pytest.TerminalReporter) -> dict[str, int]:
    counts: dict[str, int] = {}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        if reason.startswith(NEEDS):
            counts[reason] = counts.get(reason, 0) + 1
    return counts
