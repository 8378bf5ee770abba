"""click with our words: groups, commands and options whose help stands in the string tables.

`[help.<group>.<command>]` holds `short` (one line), an optional `more` and an `example`; `[option]` holds one line
per option name. Nothing is looked up before --help asks, so the language may be chosen last.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from cli import words
from cli.words import t

Function = Callable[..., Any]


class Option(click.Option):
    """An option whose help line stands under `option.<name>`, or under the key given as `words`."""

    def __init__(self, *args: Any, words: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._words = words or f"option.{self.name}"

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its line in the language in use."""
        self.help = t(self._words)
        return super().get_help_record(ctx)


def option(*declarations: str, **attributes: Any) -> Callable[[Function], Function]:
    """click.option whose help comes from the string tables."""
    return click.option(*declarations, cls=Option, **attributes)


class Command(click.Command):
    """A command whose help stands under `help.<path>`, `path` being its words after `dutabarta`, joined by dots."""

    path = ""

    def key(self, *words: str) -> str:
        """The string table's key of one of this command's texts."""
        return ".".join(part for part in ("help", self.path, *words) if part)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The one line shown in the list of commands."""
        return t(self.key("short"))

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """--help, described in the language in use."""
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = t("option.help")
        return found

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The usage line."""
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), t("screen.usage") + " ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the command does, and an example."""
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(t(self.key("short")))
            if words.has(self.key("more")):
                formatter.write_paragraph()
                formatter.write_text(t(self.key("more")))
        if words.has(self.key("example")):
            with formatter.section(t("screen.example")):
                for line in t(self.key("example")).strip().splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options and their lines."""
        records = [found for one in self.get_params(ctx) if (found := one.get_help_record(ctx)) and found[1]]
        if records:
            with formatter.section(t("screen.options")):
                formatter.write_dl(records)


class Group(Command, click.Group):
    """A noun; its commands are made with `@noun.command("verb")` and find their words by themselves."""

    command_class = Command

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command and tell it its place."""
        if isinstance(cmd, Command):
            cmd.path = ".".join(part for part in (self.path, name or cmd.name) if part)
        super().add_command(cmd, name)
        if isinstance(cmd, Group):
            for inner, command in cmd.commands.items():
                cmd.add_command(command, inner)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then the commands."""
        Command.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line per command."""
        with formatter.section(t("screen.commands")):
            formatter.write_dl([(name, self.short_help_of(name)) for name in self.list_commands(ctx)])

    def short_help_of(self, name: str) -> str:
        """The line of one command, without importing it."""
        return t(self.key(name, "short"))


def group(name: str) -> Callable[[Function], Group]:
    """Make a top-level noun: `@group("cable") def cable() -> None: ...`."""

    def made(function: Function) -> Group:
        result = click.group(name, cls=Group)(function)
        result.path = name
        return result

    return made


def command(name: str) -> Callable[[Function], Command]:
    """Make a top-level command that is no noun: `@command("verify")`."""

    def made(function: Function) -> Command:
        result: Command = click.command(name, cls=Command)(function)
        result.path = name
        return result

    return made


class LazyGroup(Group):
    """A group that imports a command's module only when that command runs."""

    def __init__(self, *args: Any, modules: dict[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the map."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None if there is none of that name."""
        if cmd_name not in self._modules:
            return None
        module, _, attribute = self._modules[cmd_name].partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, click.Command):
            raise TypeError(f"{self._modules[cmd_name]} is no command")
        return found
