"""Write docs/commands.md, the reference of the command, from what ``--help`` says.

Run ``python docs/scripts/commands.py`` after a change of the command; a test compares the page
with the command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from refmaker.cli import main as refmaker

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "commands.md"

HEAD = """\
# Commands

What `refmaker COMMAND --help` says of each command. Every command has a [Python twin](python.md).

Shells complete commands and options after
`eval "$(_REFMAKER_COMPLETE=bash_source refmaker)"`, or `zsh_source`, `fish_source`.
"""

TWINS = {
    "append": "refmaker.append",
    "cache": "refmaker.scan_many(cache=...)",
    "catalog": "refmaker.catalog",
    "catalog add": "refmaker.catalog.add",
    "catalog check": "refmaker.catalog.check",
    "catalog list": "refmaker.catalog.entries",
    "catalog show": "refmaker.catalog.entries",
    "catalog stac": "refmaker.catalog.stac_item",
    "combine": "refmaker.combine",
    "convert": "refmaker.read, refmaker.write",
    "formats": "refmaker.formats",
    "info": "refmaker.describe",
    "materialize": "refmaker.materialize",
    "pattern": "refmaker.pattern",
    "report": "refmaker.report",
    "scan": "refmaker.scan, refmaker.scan_many",
    "serve": "refmaker.serve, refmaker.serving",
    "verify": "refmaker.verify, refmaker.check_sources",
}
"""Command, and what does the same in Python."""


def commands(
    group: click.Group = refmaker, above: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield name, command and context of every command, those of groups behind their group.

    Parameters
    ----------
    group : click.Group
        Whose commands.
    above : click.Context, optional
        The group's own context.
    """
    above = above or _root()
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=above)
        yield context.command_path.removeprefix("refmaker "), command, context
        if isinstance(command, click.Group):
            yield from commands(command, context)


def _root() -> click.Context:
    settings = {**refmaker.context_settings, "terminal_width": 80}
    return click.Context(refmaker, info_name="refmaker", **settings)


def page() -> str:
    """Return the page."""
    parts = [HEAD, f"```text\n{refmaker.get_help(_root()).strip()}\n```\n"]
    for name, command, inner in commands():
        parts.append(f"## refmaker {name}\n")
        parts.append("In Python: " + ", ".join(f"`{t}`" for t in TWINS[name].split(", ")) + "\n")
        parts.append(f"```text\n{command.get_help(inner).strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
