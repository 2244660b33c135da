"""``refmaker serve``: a reference set as a Zarr store over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.completion import files
from refmaker.cli.options import opening, storage_options, verbosity, zarr_format
from refmaker.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command"]


@click.command("serve")
@click.argument("refs", shell_complete=files)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen at; 0 takes any.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="SITE",
    help="Let pages of this site read it, such as https://example.org; * lets all; may be "
    "repeated.  [default: pages of this machine]",
)
@zarr_format
@click.option(
    "--decoded",
    is_flag=True,
    help="Answer chunks raw, with no filter and no compressor, for readers that have not the "
    "codecs of the files: TensorStore, neuroglancer, GDAL.",
)
@storage_options
@verbosity
@opening
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    refs: str,
    host: str,
    port: int,
    origins: Sequence[str],
    zarr_format: str,
    decoded: bool,
    opening: dict[str, Any],
    storage_options: dict[str, Any] | None,
    quiet: bool,
) -> None:
    """Serve the reference set REFS over HTTP as a Zarr store, to read only.

    Answers GET and HEAD with byte ranges, for viewers in a browser and for other languages. By
    default only this machine can ask. Needs the extra "serve".

    \b
    Example:
      refmaker serve cube.json --port 8080
      refmaker serve cube.json --zarr-format 3 --decoded
      refmaker serve slide.json --allow-origin https://hms-dbmi.github.io
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    def tell(url: str) -> None:
        if not quiet:
            say(f"{refs}: {url} (stop with Ctrl-C)", err=True)

    refmaker.serve(
        refs,
        storage_options,
        host=host,
        port=port,
        origins=origins,
        zarr_format=zarr_format if zarr_format == "auto" else int(zarr_format),
        decoded=decoded,
        **opening,
        on_start=tell,
    )
