"""``refmaker materialize``: a virtual store made real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import FAILED, report_error
from refmaker.cli.completion import files, folders
from refmaker.cli.options import (
    STORAGE_OPTION,
    as_json,
    opening,
    storage_options,
    verbosity,
    zarr_format,
)
from refmaker.cli.output import counted, human_size, print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command"]


@click.command("materialize")
@click.argument("refs", shell_complete=files)
@click.argument("out", shell_complete=files)
@zarr_format
@click.option(
    "--recode",
    type=click.Choice(["zstd", "gzip", "raw"]),
    help="Decode every chunk, and encode it by this codec alone, or by none (raw), for readers "
    "that have not the codecs of the files.  [default: as the chunks are encoded]",
)
@click.option(
    "--cache",
    metavar="FOLDER",
    shell_complete=folders,
    help="Take chunks from this folder where they are there already.",
)
@click.option(
    "--out-option",
    "out_options",
    multiple=True,
    type=STORAGE_OPTION,
    help="An option of fsspec's for OUT; may be repeated.",
)
@storage_options
@as_json
@verbosity
@opening
@click.pass_context
def command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    *,
    refs: str,
    out: str,
    zarr_format: str,
    recode: str | None,
    cache: str | None,
    out_options: Sequence[tuple[str, Any]],
    opening: dict[str, Any],
    storage_options: dict[str, Any] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Copy every chunk of the reference set REFS to the Zarr store OUT.

    Chunks stay as they are encoded, unless --recode says otherwise. OUT is a folder, or a URL that
    fsspec can write to. What was interrupted goes on when it is called again. OUT cannot be opened
    before it is complete: metadata are written last. Chunks that cannot be read are named, and are
    tried again by the next call; the exit code is then 1.

    \b
    Example:
      refmaker materialize cube.json cube.zarr
      refmaker materialize cells.json cells.zarr --zarr-format 3 --recode zstd
      refmaker materialize a.json s3://bucket/a.zarr --out-option profile=me
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    done = refmaker.materialize(
        refs,
        out,
        storage_options,
        zarr_format=zarr_format if zarr_format == "auto" else int(zarr_format),
        recode=recode,
        out_options=dict(out_options),
        cache=cache,
        **opening,
    )
    for error in done.failures:
        report_error(error)
    if as_json:
        counts = {"chunks": done.chunks, "copied": done.copied, "kept": done.kept}
        status = "ok" if done.complete else "partial"
        more = {"bytes": done.nbytes, "failed": done.failed}
        print_json({"input": refs, "output": done.url, "status": status, **counts, **more})
    elif not quiet:
        parts = [f"{counted(done.copied, 'chunk')} copied ({human_size(done.nbytes)})"]
        parts += [f"{done.kept} there already"] if done.kept else []
        parts += [f"{done.failed} failed"] if done.failed else []
        end = "" if done.complete else "; not complete, call again to try those once more"
        say(f"{refs}: {', '.join(parts)} -> {done.url}{end}")
    if not done.complete:
        ctx.exit(FAILED)
