"""``refmaker convert``: a reference set in another form, or with other URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.completion import files
from refmaker.cli.options import (
    Pair,
    as_json,
    help_all,
    out_format,
    overwrite,
    readable,
    storage_options,
    verbosity,
    zarr_format_of,
    zarr_format_rarely,
)
from refmaker.cli.output import counted, print_json, say
from refmaker.cli.targets import check_folder, check_free
from refmaker.io.files import STANDARD
from refmaker.storage.formats import format_of_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker import ReferenceSet

__all__ = ["command"]


@click.command("convert")
@click.argument("source", metavar="FROM", shell_complete=files)
@click.argument("out", metavar="TO", shell_complete=files)
@out_format("Form of TO.  [default: by its ending, .parquet or .icechunk, else json]")
@zarr_format_rarely
@click.option(
    "--rewrite",
    type=Pair("PREFIX=NEW", empty=True),
    multiple=True,
    metavar="PREFIX=NEW",
    help="Replace the beginning of files' names; may be repeated, the first that fits counts.",
)
@click.option(
    "--relative", is_flag=True, help="Name files relative to TO, so that they move together."
)
@click.option(
    "--view",
    type=click.Choice(["best"]),
    help="Of forecasts, only the chunks of a view: the latest run of each valid time.",
)
@click.option(
    "--min-step",
    metavar="PERIOD",
    help="Shortest forecast period that counts for a view, such as 3h.",
)
@click.option(
    "--as-of",
    metavar="TIME",
    help="Latest run that counts for a view, such as 2024-01-15T06.",
)
@overwrite
@readable
@storage_options
@as_json
@verbosity
@help_all
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    source: str,
    out: str,
    out_format: str | None,
    zarr_format: str,
    rewrite: Sequence[tuple[str, str]],
    relative: bool,
    view: str | None,
    min_step: str | None,
    as_of: str | None,
    overwrite: bool,
    readable: Mapping[str, Any],
    storage_options: Mapping[str, Any] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the reference set FROM in another form to TO, exactly, or a view of it.

    FROM is a reference set as JSON, compact JSON or Parquet (- for standard input), TO a file,
    a folder for Parquet, an Icechunk repository, or - for standard output. json is kerchunk's;
    compact takes a few bytes for each array whose chunks follow a rule, and is read by refmaker
    only; parquet is a folder that fsspec reads lazily.

    A set stays in its version of Zarr unless --zarr-format says otherwise.

    Storage options are used for FROM, and for TO behind the same protocol. A PREFIX fits whole
    names of folders only.

    \b
    Example:
      refmaker convert cube.json cube.parquet
      refmaker convert cube.json small.json --out-format compact
      refmaker convert cube.json gdal.json --plain
      refmaker convert cube.json out.json --rewrite /archive=s3://bucket/archive
      refmaker convert runs.json best.json --view best --min-step 3h
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    if as_json and out == STANDARD:
        raise click.UsageError("--json and the references cannot both go to standard output")
    same = source.partition("://")[0] == out.partition("://")[0]
    options = storage_options if same else None
    check_folder(out)
    check_free(out, overwrite=overwrite, storage_options=options)
    form = out_format or format_of_name(out)
    version = zarr_format_of(zarr_format, form)
    refs = refmaker.read(source, storage_options)
    if view is not None:
        refs = _view(refs, storage_options, min_step, as_of)
    elif min_step or as_of:
        raise click.UsageError("--min-step and --as-of say what a view has: add --view best")
    if rewrite:
        refs = refs.rewrite(dict(rewrite))
    # What has come to stand there while the set was read is not ours either.
    check_free(out, overwrite=overwrite, storage_options=options)
    refs.write(out, options, format=form, zarr_format=version, relative=relative, **readable)
    arrays = [array for _, array in refs.group.arrays()]
    chunks = sum(array.chunks.present for array in arrays)
    if as_json:
        counts = {"arrays": len(arrays), "chunks": chunks}
        print_json({"input": source, "output": out, "format": form, "status": "ok", **counts})
    elif not quiet:
        what = f"{counted(len(arrays), 'array')}, {counted(chunks, 'chunk')}"
        say(f"{source}: {what} -> {out} ({form})", err=out == STANDARD)


def _view(
    refs: ReferenceSet, storage_options: Mapping[str, Any] | None, *limits: str | None
) -> ReferenceSet:
    """Return the best estimate of a set, of limits as they were given."""
    import refmaker

    try:
        return refmaker.best_estimate(refs, storage_options, min_step=limits[0], as_of=limits[1])
    except ValueError as error:
        if isinstance(error, refmaker.RefmakerError):
            raise
        raise click.UsageError(str(error)) from error
