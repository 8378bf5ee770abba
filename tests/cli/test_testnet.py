"""`dutabarta testnet`: what is refused before anything runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli.main import run
from testnet.layout import FILE, Layout, Place, load_layout, save_layout
from testnet.processes import Process, kill, start_process


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTABARTA_LANG", "en")


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    """A test network of two posts of which nothing runs."""
    save_layout(tmp_path, Layout(4000, 0, {"DHA": Place("127.0.0.1:4001"), "DEL": Place("127.0.0.1:4003")}))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to stderr; stdout must be empty."""
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--posts", "1"],
        ["--posts", "83"],
        ["--posts", "many"],
        [],
        ["--posts", "5", "--validators", "3"],
        ["--posts", "5", "--validators", "0"],
        ["--posts", "5", "--validators", "6"],
        ["--posts", "82", "--validators", "14"],
        ["--posts", "5", "--profile", "moon"],
    ],
)
def test_a_network_of_an_impossible_size_is_wrong_usage(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "net"
    assert run(["testnet", "up", *arguments, "--dir", str(folder)]) == 2
    assert "error: " in said(capsys) and not folder.exists()


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert run(["testnet", "up", "--posts", "2", "--dir", str(tmp_path)]) == 1
    assert "[folder-not-empty]" in said(capsys)


def test_a_network_that_is_up_is_not_founded_again(quiet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = start_process(["/bin/sleep", "60"], os.environ, quiet / "sleep.log")
    try:
        layout = load_layout(quiet)
        save_layout(quiet, Layout(layout.port, 0, layout.posts, {"DHA": process}))
        assert run(["testnet", "up", "--posts", "2", "--dir", str(quiet)]) == 1
        assert "[testnet-up]" in said(capsys)
    finally:
        kill(process)


def test_without_the_engine_several_validators_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.comet.program._BUILT", tmp_path / "none")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert run(["testnet", "up", "--posts", "5", "--dir", str(tmp_path / "net")]) == 4
    assert "[no-engine]\nhint: run: make engine" in said(capsys)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["kill", "DEL"], "post-not-running"),
        (["kill", "DEL,XXX"], "not-in-testnet"),
        (["start", "XXX"], "not-in-testnet"),
        (["partition", "DEL,XXX"], "not-in-testnet"),
        (["link", "XXX", "--kbit", "64"], "not-in-testnet"),
        (["down"], "testnet-not-up"),
    ],
)
def test_what_cannot_be_done_to_a_network_that_is_down_is_named(
    arguments: list[str], code: str, quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["testnet", *arguments, "--dir", str(quiet)]) == 1
    assert f"[{code}]" in said(capsys)


@pytest.mark.parametrize("arguments", [["heal"], ["partition", "DEL"], ["link", "DEL", "--delay", "300"]])
def test_without_the_relay_no_link_is_changed(
    arguments: list[str], quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["testnet", *arguments, "--dir", str(quiet)]) == 4
    assert "[relay-down]" in said(capsys)


@pytest.mark.parametrize("verb", ["status", "heal", "down", "start"])
def test_a_folder_without_a_network_is_named(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["testnet", verb, "--dir", str(tmp_path)]) == 1
    assert "[no-testnet]" in said(capsys)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "posts": 3}', "\xff"])
def test_a_damaged_layout_is_named(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text(text, "latin-1")
    assert run(["testnet", "status", "--dir", str(tmp_path)]) == 1
    assert "[bad-testnet]" in said(capsys)


def test_the_status_of_a_network_that_is_down(quiet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["testnet", "status", "--dir", str(quiet), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["post"] for one in found["posts"]] == ["DHA", "DEL"]
    assert not any(one["alive"] for one in [*found["posts"], found["relay"]])


def test_a_process_id_that_was_given_again_is_another_process(tmp_path: Path) -> None:
    process = start_process(["/bin/sleep", "60"], os.environ, tmp_path / "log")
    try:
        assert process.is_alive
        assert not Process(process.pid, process.began + 1).is_alive
    finally:
        kill(process)
    assert not process.is_alive
