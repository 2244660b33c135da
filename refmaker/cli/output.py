"""Results on standard output: JSON records, and lines for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import printable
from refmaker.publish.html_report.amounts import counted, human_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["counted", "human_size", "print_json", "print_table", "say"]


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON record; ASCII, so that names of any bytes survive every terminal."""
    click.echo(json.dumps(values, allow_nan=False))


def say(text: str, *, err: bool = False) -> None:
    """Print a line for people."""
    click.echo(printable(text), err=err)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
