"""``refmaker scan``: files to reference sets."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from refmaker.cli.boundary import FAILED
from refmaker.cli.combine import COMBINING, combine_options, combining_rarely
from refmaker.cli.completion import files, formats
from refmaker.cli.options import (
    SIZE,
    More,
    as_json,
    help_all,
    overwrite,
    readable,
    storage_options,
    verbosity,
    zarr_format_of,
    zarr_format_rarely,
)
from refmaker.cli.output import FAILED as INPUT_FAILED
from refmaker.cli.output import IGNORED, Account
from refmaker.cli.scan_runs import Job, collector, looked_at, scan_collection, scan_cube, scan_each
from refmaker.cli.settings import SettingsCommand, take_settings
from refmaker.cli.targets import DEFAULT_NAME, check_name, is_single, outputs
from refmaker.errors import RefmakerError
from refmaker.io.files import STANDARD
from refmaker.io.inputs import Inputs, expand_inputs
from refmaker.io.local_file import local_path
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import JoiningScanner
from refmaker.storage.formats import format_of_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["command"]

_GIVEN = ParameterSource.COMMANDLINE


@click.command("scan", cls=SettingsCommand)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", shell_complete=files)
@click.option(
    "-o",
    "--out",
    metavar="OUT",
    shell_complete=files,
    help="The reference file, or - for standard output; for several inputs a folder, or one"
    " file (.json, .parquet) for what is one object together."
    "  [default: named by --name-template, in the current folder]",
)
@click.option(
    "--name-template",
    default=DEFAULT_NAME,
    show_default=True,
    help="Name of each file in a folder; {stem}, {name}, {parent} (its folder) and {n} (its number)"
    " are replaced.",
    cls=More,
    former=["--name"],
)
@click.option(
    "-f",
    "--format",
    metavar="NAME",
    shell_complete=formats,
    help="Take this scanner, whatever the content.",
)
@click.option(
    "--chunk-bytes",
    type=SIZE,
    default="4MiB",
    show_default=True,
    help="Split or join uncompressed contiguous data near this size; 'none' leaves them.",
)
@click.option(
    "--inline-threshold",
    type=SIZE,
    default="1KiB",
    show_default=True,
    help="Keep arrays of one chunk up to this size in the reference file.",
    cls=More,
    former=["--inline"],
)
@click.option(
    "--inline-budget",
    type=SIZE,
    default="16MiB",
    show_default=True,
    help="Most bytes of one array to keep where it cannot be referenced, as texts.",
    cls=More,
)
@click.option(
    "--follow-external", is_flag=True, help="Follow links out of the file's own folder.", cls=More
)
@click.option(
    "--verify-index",
    is_flag=True,
    help="Check every chunk's place with the format's library.",
    cls=More,
)
@click.option(
    "--isolate",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Scan in a process of its own; 'auto' does for several inputs and odd files.",
    cls=More,
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up on an input after this time.  [default: 1800, in a process of its own]",
    cls=More,
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that scan.  [default: the cores; twice as many for many remote files]",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Scan on the workers of this Dask scheduler, such as tcp://host:8786.",
    cls=More,
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Try an input again so often after an error that may pass; not for a single input.",
    cls=More,
)
@click.option(
    "--cache/--no-cache",
    default=True,
    show_default=True,
    help="Of several inputs, scan only those that have changed since they were scanned.",
    cls=More,
)
@click.option(
    "--concat",
    metavar="DIM",
    multiple=True,
    help="Join all inputs to one cube along this dimension; may be repeated.",
)
@click.option("--combine", is_flag=True, help="Join all inputs to one cube by their coordinates.")
@combining_rarely
@click.option(
    "--compact",
    is_flag=True,
    help="Write rules where chunks follow any; read by refmaker only.",
    cls=More,
)
@zarr_format_rarely
@readable
@click.option("--strict", is_flag=True, help="Exit with 1 if any object was skipped.")
@overwrite
@click.option(
    "--stats", is_flag=True, help="Add time, requests and bytes read to each line.", cls=More
)
@storage_options
@as_json
@verbosity
@help_all
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Scan files, and write a reference file for each, or one for all.

    INPUT is a path or any URL that fsspec knows, a folder, a pattern such as 'a/**/*.nc' or
    s3://bucket/*.nc, a prefix such as s3://bucket/folder/, an archive (x.zip, x.tar); @list.txt
    and - (standard input) name files, one a line. What cannot be referenced is skipped and named on
    standard error; an input that fails does not stop the others. A run of many inputs that was
    interrupted goes on where it was when it is given again with --overwrite.

    \b
    Example:
      refmaker scan data.nc -o data.refs.json
      refmaker scan archive/ -o refs/ --jobs 8
      refmaker scan 'daily/*.nc' -o year.json --concat time
      refmaker scan series/ -o volume.json
      refmaker scan s3://bucket/data.nc -S anon=true -o -
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    _refuse_output_among_inputs(values["inputs"], values["out"])
    inputs = _inputs(values["inputs"], values["storage_options"])
    joined = _joined(ctx, values, alone=len(inputs.urls) == 1)
    job = _job(values)
    account = job.account
    if joined:
        out = _single(values["out"])
        _check(inputs.urls, [out], job)
        inputs = looked_at(inputs, job)
        scanner = collector(inputs, job)
        alone = len(inputs.urls) == 1
        if isinstance(scanner, JoiningScanner) and not alone:
            _refuse_combining(ctx, scanner.name)
        lessened = alone and values["drop"]
        if scanner is not None and not (values["concat"] or values["coords"] or lessened):
            # Its scanner knows better than coordinates do how the parts belong together.
            try:
                scan_collection(inputs, out, job)
            except LookupError as error:
                raise click.UsageError(str(error)) from error
        else:
            form = "compact" if job.compact else format_of_name(out)
            scan_cube(inputs, out, job, combine_options(values, form))
    elif is_single(inputs, values["out"]) and values["out"] is not None:
        _check(inputs.urls, [values["out"]], job)
        inputs = looked_at(inputs, job)
        try:
            scan_collection(inputs, values["out"], job)
        except LookupError as error:
            if len(inputs.urls) > 1:
                raise click.UsageError(str(error)) from error
            scan_each(inputs, [values["out"]], job)
    else:
        targets = outputs(inputs.urls, values["out"], values["name_template"])
        _check(inputs.urls, targets, job)
        scan_each(inputs, targets, job)
    account.finish()
    if (
        INPUT_FAILED in account.statuses
        or account.statuses.keys() == {IGNORED}
        or (job.strict and account.statuses.keys() & {"partial", IGNORED})
    ):
        ctx.exit(FAILED)


def _refuse_combining(ctx: click.Context, name: str) -> None:
    """Refuse what only says how finished sets are joined, where files are joined before that."""
    told = [name for name in COMBINING if ctx.get_parameter_source(name) is _GIVEN]
    for parameter in ctx.command.get_params(ctx):
        if parameter.name in told and parameter.name != "inline_budget":
            raise click.UsageError(
                f"{parameter.opts[0]} does not go with files of {name}, which are joined by what"
                f" their fields say of themselves: leave it away, or scan into a folder (-o"
                " refs/) and join the sets with 'refmaker combine'"
            )


def _joined(ctx: click.Context, values: dict[str, Any], *, alone: bool) -> bool:
    """Tell whether all inputs are to be joined; refuse what only joining understands otherwise.

    One input alone is joined with nothing where variables are to be left out of it.
    """
    with suppress(click.BadParameter):  # sizes were given so until 0.1
        values["chunk_bytes"], values["chunks"] = (
            (
                SIZE.convert(values["chunks"], None, ctx)
                if values["chunks"]
                else values["chunk_bytes"]
            ),
            None,
        )
    joined = bool(values["combine"] or values["concat"] or values["coords"])
    told = [
        name
        for name in COMBINING
        if name not in ("concat", "inline_budget", "chunks", "coords")
        and ctx.get_parameter_source(name) is _GIVEN
    ]
    if told == ["drop"] and alone and not values["chunks"]:
        return True
    if (told or values["chunks"]) and not joined:
        flag = f"--{(told or ['chunks'])[0].replace('_', '-')}"
        raise click.UsageError(f"{flag} says how inputs are joined: add --combine or --concat DIM")
    return joined


def _refuse_output_among_inputs(names: Sequence[str], out: str | None) -> None:
    """Refuse ``scan data.nc data.json``, as other tools want it."""
    *others, last = names
    set_like = last.endswith(".json") or format_of_name(last) != "json"
    path = local_path(last)
    if out is None and others and set_like and path is not None and not os.path.lexists(path):
        raise click.UsageError(f"{last}: no such file; to write to it: -o {last}")


def _inputs(names: Sequence[str], storage_options: Mapping[str, Any] | None) -> Inputs:
    lines: list[str] = []
    if STANDARD in names:
        lines = [line for line in sys.stdin if line.strip()]
        if not lines:
            raise click.UsageError("no input: standard input is empty")
    return expand_inputs(names, storage_options, stdin=lines)


def _single(out: str | None) -> str:
    if out is None:
        raise click.UsageError("one reference set of many files needs a name: add -o OUT")
    return out


def _check(inputs: Sequence[str], targets: Sequence[str], job: Job) -> None:
    """Refuse what cannot be written before hours are spent on scanning."""
    if job.account.as_json and STANDARD in targets:
        raise click.UsageError("--json and the references cannot both go to standard output")
    for out in targets:
        check_name(out)
        if job.compact and format_of_name(out) != "json":
            raise click.UsageError(f"--compact is a form of JSON, and {out} is to be another")
        zarr_format_of(str(job.zarr_format), "compact" if job.compact else format_of_name(out))
    try:
        job.prepare(inputs, targets)
    except RefmakerError as error:
        raise click.UsageError(str(error)) from error


def _job(values: Mapping[str, Any]) -> Job:
    if values["chunk_bytes"] == 0:
        raise click.BadParameter(
            "0 bytes are no chunk; 'none' leaves data whole", param_hint="--chunk-bytes"
        )
    for name in ("inline_threshold", "inline_budget"):
        if values[name] is None:
            raise click.BadParameter("a size is needed", param_hint=f"--{name.replace('_', '-')}")
    if values["timeout"] is not None and values["isolate"] == "never":
        raise click.UsageError(
            "--timeout needs a process of its own, which --isolate never forbids"
        )
    options = ScanOptions(
        inline_threshold=values["inline_threshold"],
        inline_budget=values["inline_budget"],
        chunk_bytes=values["chunk_bytes"],
        follow_external=values["follow_external"],
        verify_index=values["verify_index"],
        settings=take_settings(values),
    )
    if values["jobs"] is not None and values["dask"] is not None:
        raise click.UsageError("--jobs and --dask exclude one another")
    if values["isolate"] == "never" and (values["jobs"] or values["dask"]):
        raise click.UsageError("--jobs and --dask scan in processes, which --isolate never forbids")
    same = (
        "format",
        "storage_options",
        "isolate",
        "timeout",
        "overwrite",
        "strict",
        "compact",
        "readable",
    )
    many = ("jobs", "dask", "retries", "cache", "quiet")
    return Job(
        options=options,
        zarr_format=values["zarr_format"]
        if values["zarr_format"] == "auto"
        else int(values["zarr_format"]),
        account=Account(values["as_json"], values["quiet"], values["stats"]),
        into_folder=(values["out"] or "").endswith(("/", os.sep)),
        **{name: values[name] for name in (*same, *many)},
    )
