"""``refmaker report``: a reference set as a page."""

from __future__ import annotations

import json
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
    metavar="OUT",
    shell_complete=files,
    default="report.html",
    show_default=True,
    help="The page, or - for standard output.",
)
@click.option("--title", default="", help="Its title.  [default: the name of REFS]")
@click.option("--looks/--no-looks", default=True, show_default=True, help="Draw some values.")
@click.option("--verify", is_flag=True, help="Compare some chunks of each array, and tell.")
@click.option("--verified", metavar="FILE", help="Tell what 'verify --json' wrote into FILE.")
@storage_options
@as_json
@verbosity
@opening
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    refs: str,
    out: str,
    title: str,
    looks: bool,
    verify: bool,
    verified: str | None,
    opening: dict[str, Any],
    storage_options: dict[str, Any] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write one HTML page that shows the reference set REFS.

    It begins with pictures: maps, images with their levels, stacks, lines, tables, drawn from a few
    chunks. Then what to know before reading, what typical reads cost, the tree with attributes,
    and who owns the bytes of the files. The page needs no other file and sends no request. Needs
    the extra "report".

    \b
    Example:
      refmaker report cube.json -o cube.html
      refmaker report cube.json -o cube.html --verify
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import os

    import refmaker

    if as_json and out == STANDARD:
        raise click.UsageError("--json and the page cannot both go to standard output")
    found = refmaker.read(refs)
    checks: Any = None
    if verified is not None:
        checks = _records(verified)
    elif verify:
        checks = refmaker.verify(found, storage_options=storage_options)
    title = title or os.path.basename(refs.rstrip("/"))
    refmaker.report(
        found, out, storage_options, title=title, looks=looks, verification=checks, **opening
    )
    if as_json:
        print_json({"input": refs, "output": out, "status": "ok"})
    elif not quiet:
        say(f"{refs} -> {out}", err=out == STANDARD)


def _records(path: str) -> list[dict[str, Any]]:
    """Return the records that ``verify --json`` wrote into a file, one a line."""
    try:
        with open(path, encoding="utf-8") as file:
            found = [json.loads(line) for line in file if line.strip()]
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="--verified") from error
    except ValueError as error:
        raise click.BadParameter(
            f"{path} does not hold what 'refmaker verify --json' prints: {error}",
            param_hint="--verified",
        ) from error
    return [one for one in found if isinstance(one, dict)]
