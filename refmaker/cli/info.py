"""``refmaker info``: what is in a reference file, or would be in that of a data file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.completion import files
from refmaker.cli.options import allowing, as_json, storage_options, verbosity
from refmaker.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker import ReferenceSet

__all__ = ["command"]


@click.command("info")
@click.argument("file", shell_complete=files)
@click.option(
    "-a", "--attributes", is_flag=True, help="Show attributes, and every line of long lists."
)
@click.option(
    "-c",
    "--coordinates",
    is_flag=True,
    help="Read coordinates of remote files, too; of a data file they are read anyway.",
)
@storage_options
@as_json
@verbosity
@allowing
def command(
    *,
    file: str,
    attributes: bool,
    coordinates: bool,
    allow: tuple[str, ...] | None,
    storage_options: dict[str, Any] | None,
    as_json: bool,
    quiet: bool,  # noqa: ARG001 - the option is everywhere; what was asked for is still printed
) -> None:
    """Show what is in a reference file or a data file, as ncdump -h and gdalinfo do.

    FILE is a reference file (- for standard input), or a file that can be scanned, which is
    scanned and shown the same way: dimensions, arrays with types, units and packing, times,
    levels, place and reference system, levels of images, voxels, codecs and what decodes them.

    \b
    Example:
      refmaker info data.refs.json
      refmaker info data.nc -a
      refmaker info data.nc --json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker
    from refmaker.cli.tree import show

    refs, scanned = _load(file, storage_options)
    refs = refs if allow is None else replace(refs, allow=allow)
    reading = "all" if scanned or coordinates else "local"
    content = refmaker.describe(refs, file, storage_options, coordinates=reading)
    if as_json:
        print_json(content)
    else:
        show(content, refs.group, attributes=attributes)


def _load(file: str, storage_options: Mapping[str, Any] | None) -> tuple[ReferenceSet, bool]:
    """Return what a file holds, and whether it is the data file itself."""
    import refmaker
    from refmaker.storage.detect import detect

    if detect(file, storage_options).kind in ("file", "folder", "zarr"):
        return refmaker.scan(file, storage_options), True
    return refmaker.read(file, storage_options), False
