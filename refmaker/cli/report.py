"""``refmaker report``: a reference set as a page."""

from __future__ import annotations

from typing import Any

import click

from refmaker.cli.completion import files
from refmaker.cli.options import as_json, opening, storage_options, verbosity
from refmaker.cli.output import print_json, say
from refmaker.io.files import STANDARD

__all__ = ["command"]


@click.command("report")
@click.argument("refs", shell_complete=files)
@click.option(
    "-o",
    "--out",
    shell_complete=files,
    default="report.html",
    show_default=True,
    help="The page, or - for standard output.",
)
@click.option("--title", default="", help="Its title.  [default: the name of REFS]")
@click.option("--looks/--no-looks", default=True, show_default=True, help="Draw some values.")
@opening
@storage_options
@as_json
@verbosity
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    refs: str,
    out: str,
    title: str,
    looks: bool,
    opening: dict[str, Any],
    storage_options: dict[str, Any] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write one HTML page that shows the reference set REFS.

    The tree, a map of the bytes of each file, the sizes of chunks, what typical reads cost, and a
    quick look at each array from a few of its chunks. The page needs no other file and sends no
    request. Needs the extra "report".

    \b
    Example:
      refmaker report cube.json -o cube.html
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    if as_json and out == STANDARD:
        raise click.UsageError("--json and the page cannot both go to standard output")
    refmaker.report(refs, out, storage_options, title=title, looks=looks, **opening)
    if as_json:
        print_json({"input": refs, "output": out, "status": "ok"})
    elif not quiet:
        say(f"{refs} -> {out}", err=out == STANDARD)
