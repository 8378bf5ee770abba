"""The command line's frame: language, help, usage errors, errors in words, exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli import main, output, words
from cli.commands import LazyGroup, command, option
from cli.exit import Exit
from cli.missions import find_missions, missions
from cli.options import read_passphrase, terminal_folder
from protos.errors import DutabartaError, Malformed, Refused, Unavailable, VerificationFailed

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def english() -> None:
    words.use("en")


@pytest.mark.parametrize(
    ("arguments", "language", "rest"),
    [
        (["cable", "list", "--lang", "bn"], "bn", ["cable", "list"]),
        (["--lang=en", "cable"], "en", ["cable"]),
        (["--lang", "fr", "cable"], None, ["--lang", "fr", "cable"]),
        (["cable", "--lang"], None, ["cable", "--lang"]),
        (["cable", "send", "--", "--lang", "bn"], None, ["cable", "send", "--", "--lang", "bn"]),
    ],
)
def test_language_is_taken_from_anywhere_before_two_dashes(
    arguments: list[str], language: str | None, rest: list[str]
) -> None:
    assert main.split_language(arguments) == (language, rest)


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"DUTABARTA_LANG": "bn", "LANG": "en_GB.UTF-8"}, "bn"),
        ({"LANG": "bn_BD.UTF-8"}, "bn"),
        ({"DUTABARTA_LANG": "xx", "LANG": "bn_BD"}, "bn"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_language_of_the_environment(environ: dict[str, str], language: str) -> None:
    assert words.choose(environ) == language


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("x", "no"), Exit.REFUSED),
        (Malformed("x", "no"), Exit.REFUSED),
        (VerificationFailed("x", "no"), Exit.VERIFICATION),
        (Unavailable("x", "no"), Exit.UNAVAILABLE),
        (KeyboardInterrupt(), Exit.REFUSED),
        (ValueError("a secret"), Exit.REFUSED),
        (click.UsageError("wrong"), Exit.USAGE),
    ],
)
def test_every_error_has_an_exit_code_and_two_words_at_most_twice(
    error: BaseException, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output.fail(error) is code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ") and "Traceback" not in said.err and "a secret" not in said.err


def test_an_error_says_its_sentence_code_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(Refused("unknown-post", "post XYZ is not on the ledger", hint="see `network list`", post="XYZ"))
    assert capsys.readouterr().err == "error: post XYZ is not on the ledger [unknown-post]\nhint: see `network list`\n"


def test_an_error_without_a_fitting_translation_falls_back_to_its_own_words() -> None:
    words.use("bn")
    assert words.error_words(DutabartaError("no-such-code", "text", hint="hint")) == ("text", "hint")
    error = DutabartaError("passphrase-too-long", "text", hint="hint")
    assert words.error_words(error)[0] == "text"


def test_errors_speak_bengali_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    words.use("bn")
    output.fail(Refused("passphrase-empty", "the passphrase is empty"))
    assert "গোপন বাক্য" in capsys.readouterr().err


def test_json_is_one_document_with_bytes_as_hex(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"root": b"\x01\x02", "text": "দূতবার্তা"}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"root": "0102", "text": "দূতবার্তা"}


def test_text_answers_name_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"root": b"\x01\x02", "posts": ["DHA", "DEL"], "state": "released"}, as_json=False)
    assert capsys.readouterr().out == 'root: 0102\nposts: ["DHA", "DEL"]\nstate: released\n'


def test_help_does_not_import_any_command() -> None:
    program = (
        "import sys\nfrom cli.main import run\nrun(['--help'])\n"
        "ours = [m for m in sys.modules if '.' in m and m.split('.')[0] in ('cli', 'terminal', 'node')]\n"
        "print(sorted(ours), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.strip() == str(["cli.commands", "cli.exit", "cli.main", "cli.output", "cli.words"])
    assert "cable" in done.stdout


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_main_help_in_both_languages(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--lang", language, "--help"]) == Exit.DONE
    shown = capsys.readouterr().out
    assert words.t("help.short").split()[0] in shown
    assert all(name in shown for name in main.MODULES)


def test_no_command_shows_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == Exit.USAGE
    assert "Usage:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nosuch"], ["--nosuch"], ["--lang", "fr"]])
def test_wrong_usage_points_to_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(arguments) == Exit.USAGE
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("error: ") and said[1] == "hint: see `dutabarta --help`"


def test_a_lazy_group_refuses_what_is_no_command() -> None:
    group = LazyGroup("x", modules={"bad": "cli.main:MODULES"})
    with pytest.raises(TypeError):
        group.get_command(click.Context(group), "bad")


def test_options_and_commands_find_their_help_late(monkeypatch: pytest.MonkeyPatch) -> None:
    @command("verify")
    @option("--home")
    def verify(home: str) -> None: ...

    words.use("bn")
    shown = verify.get_help(click.Context(verify, info_name="verify"))
    assert words.t("option.home")[:10] in shown and words.t("help.verify.short")[:10] in shown


def test_passphrase_comes_from_the_option_then_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"one two\n")
    second.write_bytes("দুই\r\n".encode())
    first.chmod(0o600)
    second.chmod(0o644)
    monkeypatch.setenv("DUTABARTA_PASSPHRASE_FILE", str(second))
    assert read_passphrase(first) == b"one two"
    assert capsys.readouterr().err == ""
    assert read_passphrase(None) == "দুই".encode()
    assert "chmod 600" in capsys.readouterr().err


@pytest.mark.parametrize(("data", "code"), [(b"\n", "passphrase-empty"), (b"x" * 5000, "passphrase-too-long")])
def test_bad_passphrase_files_are_refused_by_name(data: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    with pytest.raises(DutabartaError) as caught:
        read_passphrase(path)
    assert caught.value.code == code


def test_nobody_to_ask_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUTABARTA_PASSPHRASE_FILE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("typed\n"))
    with pytest.raises(Unavailable):
        read_passphrase(None)


def test_a_terminal_is_named_one_way() -> None:
    assert terminal_folder(Path("H"), "karim", None) == Path("H/terminals/karim")
    assert terminal_folder(None, None, Path("T")) == Path("T")
    for home, officer, terminal in [(Path("H"), None, None), (None, "karim", None), (Path("H"), "karim", Path("T"))]:
        with pytest.raises(click.UsageError):
            terminal_folder(home, officer, terminal)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "x" * 65])
def test_an_officer_name_never_leaves_its_folder(name: str) -> None:
    with pytest.raises(click.UsageError):
        terminal_folder(Path("H"), name, None)


def test_missions_are_data() -> None:
    listed = missions()
    assert listed["DHA"].is_headquarters and sum(one.is_headquarters for one in listed.values()) == 1
    assert sum(one.kind != "headquarters" and one.status != "announced" for one in listed.values()) == 81
    assert [one.city for one in find_missions(["DEL", "DHA"])] == ["New Delhi", "Dhaka"]


@pytest.mark.parametrize(("codes", "code"), [(["XXX"], "unknown-mission"), (["DHA", "DHA"], "mission-twice")])
def test_unknown_or_repeated_missions_are_refused(codes: list[str], code: str) -> None:
    with pytest.raises(Refused) as caught:
        find_missions(codes)
    assert caught.value.code == code
