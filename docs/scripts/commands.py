"""Write docs/commands.md, the reference of the command, from what ``--help`` says.

Run ``python docs/scripts/commands.py`` after a change of the command; a test compares the page
with the command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.testing import CliRunner

from refmaker.cli import main as refmaker

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "commands.md"

HEAD = """\
# Commands

What `refmaker COMMAND --help` says of each command, or `--help-all` where
there is more to say. Every command has a [Python twin](python.md).

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
    "scan": "refmaker.scan, refmaker.scanning.many_files",
    "serve": "refmaker.serve, refmaker.serving",
    "verify": "refmaker.verify, refmaker.check_sources",
}
"""Command, and what does the same in Python."""


def commands(
    group: click.Group = refmaker, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Yield name and command of every command, those of groups behind their group.

    Parameters
    ----------
    group : click.Group
        Whose commands.
    above : tuple of str
        How the group itself is called.
    """
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield " ".join((*above, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


def shown(*arguments: str) -> str:
    """Return what the command prints, as a block of the page."""
    ran = CliRunner().invoke(refmaker, arguments, prog_name="refmaker", terminal_width=80)
    return f"```text\n{ran.stdout.strip()}\n```\n"


def page() -> str:
    """Return the page."""
    parts = [HEAD, shown("--help")]
    for name, command in commands():
        parts.append(f"## refmaker {name}\n")
        parts.append("In Python: " + ", ".join(f"`{t}`" for t in TWINS[name].split(", ")) + "\n")
        flags = {flag for parameter in command.params for flag in parameter.opts}
        parts.append(shown(*name.split(), "--help-all" if "--help-all" in flags else "--help"))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
