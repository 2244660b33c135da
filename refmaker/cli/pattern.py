"""``refmaker pattern``: a cube of many files from their names and one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.completion import files, formats
from refmaker.cli.options import (
    Option,
    Pair,
    as_json,
    help_all,
    out_format,
    overwrite,
    readable_rarely,
    storage_options,
    verbosity,
)
from refmaker.cli.output import counted, print_json, say, tell_losses
from refmaker.cli.targets import check_folder, check_free
from refmaker.io.files import STANDARD
from refmaker.storage.formats import format_of_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["command"]

_KEYWORDS = (
    "scanned_file", "chunk_source", "check_files", "allow_missing", "identical_variables",
    "concat_variables", "format",
)  # fmt: skip


@click.command("pattern")
@click.argument("pattern")
@click.option(
    "--scanned-file",
    required=True,
    metavar="FILE",
    shell_complete=files,
    help="The one file that is scanned.",
    cls=Option,
    former=["--like"],
)
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="OUT",
    shell_complete=files,
    help="The reference set, or -.",
)
@click.option(
    "--range",
    "ranges",
    type=Pair("NAME=..."),
    multiple=True,
    metavar="NAME=START:STOP[:STEP]",
    help="Values of a field, STOP among them; steps of dates: 30min, 6h, 1D, 1M, 1Y.",
)
@click.option(
    "--values",
    "lists",
    type=Pair("NAME=..."),
    multiple=True,
    metavar="NAME=A,B,C",
    help="Values of a field, one by one.",
)
@click.option(
    "--chunk-source",
    type=click.Choice(["auto", "ranges", "file"]),
    default="auto",
    show_default=True,
    cls=Option,
    former=["--layout"],
    help="'ranges': chunks lie where they lie in FILE; 'file': each file is one chunk.",
)
@click.option(
    "--check-files",
    type=click.IntRange(min=0),
    cls=Option,
    former=["--check"],
    default=2,
    show_default=True,
    metavar="N",
    help="Files to compare with FILE.",
)
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Look which files are there; the rest is absent.",
    cls=Option,
    former=["--existing"],
)
@click.option(
    "--identical-variables",
    multiple=True,
    metavar="NAME",
    help="A variable to take from FILE.",
    cls=Option,
    former=["--shared"],
)
@click.option(
    "--concat-variables",
    multiple=True,
    metavar="NAME",
    help="A coordinate of each file's own.",
    cls=Option,
    former=["--varying"],
)
@click.option(
    "-f",
    "--format",
    metavar="NAME",
    shell_complete=formats,
    help="Take this scanner, whatever the content.",
)
@out_format("Form of OUT.  [default: by its ending]")
@overwrite
@readable_rarely
@storage_options
@as_json
@verbosity
@help_all
def command(*, pattern: str, **options: Any) -> None:
    """Write one reference set for all files that PATTERN names, scanning none but one.

    PATTERN is a URL with fields: {name:03d} for integers, {name:%Y%m%d} for dates, {name} for
    texts. Each field becomes a dimension with the given values as its coordinate, before those
    that the variables have in FILE (or in the place of one of size 1 and the same name).
    Coordinates of FILE's own dimensions are the same in all files, unless
    --concat-variables says otherwise.

    Where FILE is not compressed, every file's chunks are taken to lie at the same places; else
    each file is one chunk, decoded as a whole by refmaker's codec refmaker.file, which raises
    for files of another type, shape or packing. A file that is missing is a missing chunk with
    --allow-missing, and an error when it is read without.

    \b
    Example:
      refmaker pattern 's3://b/{run:%Y%m%d}/{level:d}.nc' \\
        --scanned-file one.nc --range run=2020-01-01:2020-01-31:1D \\
        --values level=1000,850 -o cube.json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    out, storage = options["out"], options["storage_options"]
    if options["as_json"] and out == STANDARD:
        raise click.UsageError("--json and the references cannot both go to standard output")
    same = pattern.partition("://")[0] == out.partition("://")[0]
    out_options = storage if same else None
    check_folder(out)
    check_free(out, overwrite=options["overwrite"], storage_options=out_options)
    values = _values(pattern, options["ranges"], options["lists"])
    chosen = {name: options[name] for name in _KEYWORDS}
    refs = refmaker.pattern(pattern, values=values, storage_options=storage, **chosen)
    form = options["out_format"] or format_of_name(out)
    check_free(out, overwrite=options["overwrite"], storage_options=out_options)
    refs.write(out, out_options, format=form, **options["readable"])
    _tell(pattern, out, refs, options)


def _values(
    pattern: str, ranges: Sequence[tuple[str, str]], lists: Sequence[tuple[str, str]]
) -> Mapping[str, Any]:
    from refmaker.patterns.url_pattern import parse_pattern
    from refmaker.patterns.values import parse_list, parse_range

    kinds = parse_pattern(pattern).kinds
    found: dict[str, Any] = {}
    for given, parse in ((ranges, parse_range), (lists, parse_list)):
        for name, text in given:
            if name in found:
                raise click.UsageError(f"the values of {name!r} are given twice")
            if name not in kinds:
                raise click.UsageError(f"the pattern has no field {name!r}")
            found[name] = parse(name, kinds[name], text)
    return found


def _tell(pattern: str, out: str, refs: Any, options: Mapping[str, Any]) -> None:
    report = refs.report
    arrays = [array for _, array in refs.group.arrays()]
    files = {url for array in arrays for url in array.chunks.urls}
    if options["as_json"]:
        counts = {"arrays": len(arrays), "files": len(files)}
        told = report.as_dict()
        print_json({"pattern": pattern, "output": out, "status": "ok", **counts, **told})
        return
    if options["quiet"]:
        return
    tell_losses(report)
    what = f"{counted(len(arrays), 'array')}, {counted(len(files), 'file')}"
    say(f"{pattern}: {what} -> {out}", err=out == STANDARD)
