"""The house rules that no single package can hold: names, words, locks, generated files, README."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import click
import pytest

from cli import words
from cli.main import cli

ROOT = Path(__file__).parents[1]
TOOL = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
PACKAGES = tuple(TOOL["hatch"]["build"]["targets"]["wheel"]["packages"])
OTHER_NAMES = ("tests", "benchmarks", "tui", "portal", "services", "archive", "consular_attest", "engine", "deploy")
ERRORS = {"DutabartaError", "Malformed", "Refused", "VerificationFailed", "Unavailable"}


def tracked() -> list[Path]:
    """Every file git knows here, or every file at all where this is no clone."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True)
    if listed.returncode == 0:
        return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


# Names


def test_no_installed_distribution_ships_a_top_level_name_of_ours() -> None:
    ours = {*PACKAGES, *OTHER_NAMES}
    clashes = {
        (distribution.metadata["Name"], first)
        for distribution in metadata.distributions()
        if distribution.metadata["Name"] != "dutabarta"
        for file in distribution.files or ()
        if (first := file.parts[0].removesuffix(".py")) in ours
    }
    assert not clashes


def test_every_folder_with_code_is_a_package_that_the_project_file_names() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == {*PACKAGES, "benchmarks"}
    assert TOOL["importlinter"]["root_packages"] == list(PACKAGES)
    assert set(TOOL["mypy"]["packages"]) == folders


def test_tests_are_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


# Words


def test_both_languages_have_the_same_keys() -> None:
    assert words.table("en").keys() == words.table("bn").keys()


def test_a_text_has_the_same_blanks_in_both_languages() -> None:
    bengali = words.table("bn")
    assert not {key for key, text in words.table("en").items() if blanks(text) != blanks(bengali[key])}


def test_every_text_that_the_command_line_asks_for_exists() -> None:
    english = words.table("en")
    assert not [(path, call) for path, call, key in asked_texts() if key not in english]


def asked_texts() -> Iterator[tuple[str, str, str]]:
    """Every `t("key")` and `say("key")` of cli: its file, the call, the key."""
    for path in (ROOT / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and is_named(node.func, {"t", "say"}) and node.args:
                yield from ((path.name, ast.unparse(node), key) for key in codes_of(node.args[0]))


def blanks(text: str) -> set[str]:
    """The {names} in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@dataclass(frozen=True)
class Raised:
    """One place where an error with a literal code is made. `open_ended` if it passes **params on."""

    code: str
    where: str
    params: frozenset[str]
    has_hint: bool
    open_ended: bool


@cache
def raised() -> tuple[Raised, ...]:
    """Every error made in the packages, found by reading their syntax trees."""
    trees = {path: ast.parse(path.read_text("utf-8")) for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    names = error_classes(trees.values())
    return tuple(found for path, tree in trees.items() for found in raised_in(tree, path.relative_to(ROOT), names))


def error_classes(trees: object) -> set[str]:
    """The names of all error classes: the five of protos/errors.py and their subclasses that keep the constructor."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]  # type: ignore[attr-defined]
    names = set(ERRORS)
    while grown := {
        node.name for node in classes if node.name not in names and any(is_named(base, names) for base in node.bases)
    }:
        names |= grown
    return names


def is_named(node: ast.expr, names: set[str]) -> bool:
    """True for `Name` and `module.Name`."""
    return (isinstance(node, ast.Name) and node.id in names) or (isinstance(node, ast.Attribute) and node.attr in names)


def raised_in(tree: ast.Module, path: Path, names: set[str]) -> Iterator[Raised]:
    """The errors of one file."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and is_named(node.func, names) and node.args):
            continue
        for code in codes_of(node.args[0]):
            given = {keyword.arg for keyword in node.keywords}
            params = frozenset(name for name in given if name and name != "hint")
            yield Raised(code, f"{path}:{node.lineno}", params, "hint" in given, None in given)


def codes_of(node: ast.expr) -> Iterator[str]:
    """The literal codes an expression may be: a string, or either arm of a conditional."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from codes_of(node.body)
        yield from codes_of(node.orelse)


def test_error_codes_are_kebab_case_and_every_one_speaks_bengali() -> None:
    bengali = words.table("bn_errors")
    bad = [one for one in raised() if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.code)]
    assert not bad
    missing = sorted({(one.code, one.where) for one in raised() if f"{one.code}.text" not in bengali})
    assert not missing
    no_hint = sorted({one.code for one in raised() if one.has_hint and f"{one.code}.hint" not in bengali})
    assert not no_hint


def test_a_translated_error_asks_only_for_what_every_raise_gives() -> None:
    given: dict[str, list[frozenset[str]]] = defaultdict(list)
    for one in raised():
        given[one.code].append(one.params)
    wrong = [
        (key, blanks(text) - params)
        for key, text in words.table("bn_errors").items()
        for params in given.get(key.split(".")[0], [])
        if blanks(text) - params
    ]
    assert not wrong


def test_no_translation_is_left_over() -> None:
    codes = {one.code for one in raised()} | named_codes()
    left = {key.split(".")[0] for key in words.table("bn_errors")} - codes
    assert not left


@cache
def named_codes() -> set[str]:
    """Every kebab-case string constant in the packages: codes that reach a raise through a name."""
    return {
        node.value
        for name in PACKAGES
        for path in (ROOT / name).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z0-9-]+", node.value)
    }


# Help


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """All commands below `command` with their words."""
    if path:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every_command(below, (*path, name))


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_command_has_help_and_every_verb_an_example(language: str) -> None:
    words.use(language)
    try:
        for path, command in every_command(cli):
            shown = command.get_help(click.Context(command, info_name=f"dutabarta {path}"))
            assert words.t("screen.usage") in shown
            if not isinstance(command, click.Group):
                assert words.t("screen.example") in shown, path
    finally:
        words.use("en")


def test_the_readme_and_the_pages_show_only_commands_that_exist() -> None:
    known = dict(every_command(cli))
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    unknown = [
        (page.relative_to(ROOT).as_posix(), line)
        for page in pages
        for line in shown_commands(page.read_text("utf-8"))
        if not is_known(line, known)
    ]
    assert not unknown


def shown_commands(text: str) -> Iterator[str]:
    """Lines that begin with the command's name inside code blocks."""
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if (line := line.strip().removeprefix("$ ")).startswith("dutabarta "):
                yield line


def is_known(line: str, known: dict[str, click.Command]) -> bool:
    """True if a shown line names a command we have and only options it has."""
    parts = shlex.split(line, comments=True)[1:]
    parts = [part for part in parts if part not in (">", "|")]
    named = (known.get(" ".join(parts[:count])) for count in (3, 2, 1))
    command = next(filter(None, named), None) if parts[0] not in ("--lang", "--help") else cli
    if command is None or (isinstance(command, click.Group) and command is not cli and parts[1:2] != ["--help"]):
        return False
    options = {name for one in [*command.params, *cli.params] for name in one.opts} | {"--help"}
    return all(part.partition("=")[0] in options for part in parts if part.startswith("--"))


# Locks, generated files, manners


@pytest.mark.parametrize("name", ["run", "postgresql", "token", "dev"])
def test_a_lock_pins_every_line_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text("utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[a-z0-9.-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text and "--index" not in text


@pytest.mark.parametrize("name", ["run", "postgresql", "token"])
def test_the_dev_lock_contains_every_other(name: str) -> None:
    own, dev = (
        set(re.findall(r"^[a-z0-9.-]+==\S+", (ROOT / "requirements" / f"{one}.lock").read_text(), re.M))
        for one in (name, "dev")
    )
    assert own <= dev


def test_generated_protobuf_files_are_current(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc", reason="needs grpcio-tools")
    sources = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("protos/*.proto"))
    services = [name for name in sources if re.search(r"^service ", (ROOT / name).read_text("utf-8"), re.M)]
    plugins = Path(sys.executable).parent
    assert run_protoc(plugins, f"--python_out={tmp_path}", f"--mypy_out=quiet:{tmp_path}", *sources) == 0
    assert run_protoc(plugins, f"--grpc_python_out={tmp_path}", f"--mypy_grpc_out=quiet:{tmp_path}", *services) == 0
    assert protoc
    made = {path.name: path.read_text("utf-8") for path in (tmp_path / "protos").iterdir()}
    kept = {path.name: path.read_text("utf-8") for path in ROOT.glob("protos/*_pb2*.py*")}
    assert made.keys() == kept.keys(), "run: make protos"
    assert not [name for name in made if made[name] != kept[name]], "run: make protos"


def run_protoc(plugins: Path, *arguments: str) -> int:
    """protoc with the mypy plugins found beside the interpreter."""
    environment = {"PATH": f"{plugins}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


REGISTRY = re.compile(r"--(extra-)?[i]ndex-url|--[f]ind-links|GOPROX[Y]=|[r]egistry=")
"""What would name one: where packages come from is the machine's to say."""
WORKPLACE = re.compile(r"(?<![\w./-])/(work|root)/")


def test_no_file_chooses_a_package_registry_or_names_a_path_of_the_workplace() -> None:
    found = [
        (path.relative_to(ROOT).as_posix(), number)
        for path in tracked()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "ignore").splitlines(), 1)
        if REGISTRY.search(line) or WORKPLACE.search(line)
    ]
    assert not found


def test_every_format_page_is_listed() -> None:
    index = (ROOT / "docs" / "protocol" / "README.md").read_text("utf-8")
    assert not [
        page.name
        for page in ROOT.glob("docs/protocol/*.md")
        if page.name != "README.md" and f"({page.name})" not in index
    ]


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        (page.relative_to(ROOT).as_posix(), link)
        for page in tracked()
        if page.suffix == ".md"
        for link in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not broken


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_what_a_machine_lacks_is_listed_and_fails_only_in_ci(ci: str, code: int, tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_x.py").write_text("import pytest\ndef test_y(): pytest.skip('needs a token')\n")
    environment = {**os.environ, "CI": ci}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout
    assert "not run here: 1 test(s), needs a token" in done.stdout
