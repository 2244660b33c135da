"""What the page of commands needs of them: all options, plain prose, examples as code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli import main
from refmaker.cli.options import More

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = re.compile(r"[*_<`\[\]]")
"""What Markdown would not leave as it is."""


def on_startup(**_: Any) -> None:
    """Prepare the commands; mkdocs calls this before it reads its configuration."""
    for command in commands(main, click.Context(main)):
        prose, mark, example = (command.help or "").partition("\b\nExample:\n")
        command.help = _MARKS.sub(r"\\\g<0>", prose) + (_as_code(example) if mark else "")
    # Pages have room for what `--help` leaves to `--help-all`.
    More.get_help_record = click.Option.get_help_record  # type: ignore[method-assign]


def commands(group: click.Group, context: click.Context) -> Iterator[click.Command]:
    """Yield a group and all commands in it."""
    yield group
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, context)
        elif command is not None:
            yield command


def _as_code(example: str) -> str:
    lines = [line.strip() for line in example.splitlines()]
    # Lines that go on stay below those that they belong to.
    shown = [f"$ {line}" if line.startswith("refmaker") else f"    {line}" for line in lines]
    return "\n".join(["Example:", "", "```text", *shown, "```", ""])
