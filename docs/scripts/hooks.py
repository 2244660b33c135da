"""What pages are made of besides their text, whenever the site is built.

Of commands: all options, plain prose, examples as code. The first page has what a notebook shows,
and a report page beside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import refmaker
from refmaker.cli import main
from refmaker.cli.options import More

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TREE, SHOWN = "<!-- tree -->", "examples/wind.grb"
REPORT = "figures/wind-report.html"
_MARKS = re.compile(r"[*_<`\[\]]")
"""What Markdown would not leave as it is."""


def on_startup(**_: Any) -> None:
    """Prepare the commands; mkdocs calls this before it reads its configuration."""
    for command in commands(main, click.Context(main)):
        prose, mark, example = (command.help or "").partition("\b\nExample:\n")
        command.help = _MARKS.sub(r"\\\g<0>", prose) + (_as_code(example) if mark else "")
    # Pages have room for what `--help` leaves to `--help-all`.
    More.get_help_record = click.Option.get_help_record  # type: ignore[method-assign]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what a notebook shows of a set into the page that asks for it."""
    return markdown.replace(TREE, tree()) if TREE in markdown else markdown


def on_post_build(config: Any, **_: Any) -> None:
    """Write the report page that the first page leads to, with names as a reader has them."""
    page = Path(config["site_dir"], REPORT)
    refmaker.report(refmaker.scan(ROOT / SHOWN), page, title="wind.grb")
    page.write_text(page.read_text().replace(f"{ROOT}/", ""))


def tree() -> str:
    """Return the HTML of a reference set, with groups open, and names as a reader has them."""
    shown = refmaker.scan(ROOT / SHOWN)._repr_html_().replace(f"{ROOT}/", "")
    return f'<div class="notebook">{shown}</div>'


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
