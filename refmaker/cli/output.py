"""Results on standard output: JSON records, and lines for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["counted", "human_size", "record", "say", "table"]


def record(values: Mapping[str, Any]) -> None:
    """Print one JSON record; ASCII, so that names of any bytes survive every terminal."""
    click.echo(json.dumps(values, allow_nan=False))


def say(text: str, *, err: bool = False) -> None:
    """Print a line for people."""
    click.echo(printable(text), err=err)


def counted(count: int, noun: str) -> str:
    """Return ``1 chunk`` or ``3 chunks``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def human_size(nbytes: float) -> str:
    """Return a number of bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
