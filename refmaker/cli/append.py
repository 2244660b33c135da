"""``refmaker append``: more files to a reference set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.combine import amounts, combine_options, combining, expanded
from refmaker.cli.completion import files
from refmaker.cli.options import as_json, help_all, readable_rarely, storage_options, verbosity
from refmaker.cli.output import counted, print_json, say, tell_losses
from refmaker.storage.detect import detect

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command"]


@click.command("append")
@click.argument("target", metavar="SET", shell_complete=files)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", shell_complete=files)
@click.option(
    "--scan/--no-scan",
    "scanning",
    default=True,
    help="Scan inputs that are no reference sets.",
)
@readable_rarely
@combining
@storage_options
@as_json
@verbosity
@help_all
def command(*, target: str, inputs: Sequence[str], scanning: bool, **values: Any) -> None:
    """Add files, or reference sets of files, to the reference set SET.

    SET is JSON, Parquet or an Icechunk repository; it changes as a whole or not at all. A file
    that is in it already is passed over; one that has changed since is an error. Everything is
    compared with what is there, as `refmaker combine` does. Give the options that SET was made
    with; a set without templates stays so.

    \b
    Example:
      refmaker append year.json 2024-07-01.nc --concat time
      refmaker append runs.parquet new/*.json --coord 'run={run:%Y%m%d}.nc'
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    options = combine_options(values)
    names = expanded(inputs, values["storage_options"])
    sets = [_opened(name, values["storage_options"], scanning=scanning) for name in names]
    done = refmaker.append(
        target, sets, values["storage_options"], options=options, **values["readable"]
    )
    quiet = values["quiet"] or values["as_json"]
    report = done.report if done.refs is None else done.refs.report
    if report is not None and not quiet:
        tell_losses(report)
    if values["as_json"]:
        whole = done.refs
        if whole is None and done.report is not None:
            # Only what is new was read; who asks for counts wants all of it.
            whole = refmaker.read(target, values["storage_options"])
        counts = {} if whole is None else amounts(whole)
        told = {"added": len(done.added), "known": len(done.known)}
        print_json({"inputs": len(names), "output": target, "status": "ok"} | told | counts)
    elif not quiet:
        were = "was" if len(done.known) == 1 else "were"
        known = f", {len(done.known)} {were} there already" if done.known else ""
        added = f"{counted(len(done.added), 'file')} added"
        say(f"{counted(len(names), 'input')}: {added}{known} -> {target}")


def _opened(name: str, storage_options: Any, *, scanning: bool) -> Any:
    """Return an input: the set that it is, or what a scan of it gives."""
    import refmaker

    if not scanning or _is_set(name, storage_options):
        return refmaker.read(name, storage_options)
    return refmaker.scan(name, storage_options)


def _is_set(name: str, storage_options: Any) -> bool:
    """Whether an input is a reference set, and not to be scanned."""
    return detect(name, storage_options).kind == "references"
