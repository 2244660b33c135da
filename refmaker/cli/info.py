"""``refmaker info``: what is in a reference file, or would be in that of a data file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.options import as_json, storage_options, verbosity
from refmaker.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker import ReferenceSet

__all__ = ["command"]


@click.command("info")
@click.argument("file")
@click.option("-a", "--attributes", is_flag=True, help="Show attributes, as ncdump -h does.")
@storage_options
@as_json
@verbosity
def command(
    *,
    file: str,
    attributes: bool,
    storage_options: dict[str, Any] | None,
    as_json: bool,
    quiet: bool,  # noqa: ARG001 - the option is everywhere; what was asked for is still printed
) -> None:
    """Show arrays, chunks, codecs and target files of a reference file or a data file.

    FILE is a reference file (- for standard input), or a file that can be scanned, which is
    scanned and shown the same way.

    \b
    Example:
      refmaker info data.refs.json
      refmaker info data.nc -a
      refmaker info data.nc --json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker
    from refmaker.cli.tree import show

    refs = _load(file, storage_options)
    content = refmaker.describe(refs, file)
    if as_json:
        print_json(content)
    else:
        show(content, refs.group, attributes=attributes)


def _load(file: str, storage_options: Mapping[str, Any] | None) -> ReferenceSet:
    import refmaker
    from refmaker.storage.detect import detect

    if detect(file, storage_options).kind in ("file", "folder", "zarr"):
        return refmaker.scan(file, storage_options)
    return refmaker.read(file, storage_options)
