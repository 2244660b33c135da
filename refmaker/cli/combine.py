"""``refmaker combine``: many reference sets to one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.completion import arrays, dimensions, files
from refmaker.cli.options import (
    SIZE,
    More,
    Option,
    Pair,
    as_json,
    help_all,
    out_format,
    overwrite,
    readable_rarely,
    storage_options,
    verbosity,
    zarr_format_of,
    zarr_format_rarely,
)
from refmaker.cli.output import counted, print_json, say, tell_losses
from refmaker.cli.targets import check_folder, check_free
from refmaker.io.files import STANDARD
from refmaker.storage.formats import format_of_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refmaker import ReferenceSet

__all__ = [
    "COMBINING",
    "amounts",
    "combine_options",
    "combining",
    "combining_rarely",
    "command",
    "expanded",
]


_ASSIGNMENT = Pair("NAME=...")
_MANY: dict[str, Any] = {"multiple": True, "metavar": "NAME"}


def _declared(*names: str, **fields: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, fields


_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    _declared(
        "--concat", **_MANY, shell_complete=dimensions,
        help="Join along this dimension; may be repeated."
        "  [default: those whose coordinates differ]",
    ),
    _declared(
        "--coord", "coords", type=_ASSIGNMENT, multiple=True, metavar="NAME=WHERE",
        help="Join along NAME, with a coordinate from WHERE: '{date:%Y%m%d}.nc', index, attr:x,"
        " vattr:variable:x, data:variable, cf:variable, or values as a JSON list.",
    ),
    _declared(
        "--squeeze", cls=More, **_MANY, shell_complete=dimensions,
        help="Leave out a dimension that has one element in every input.",
    ),
    _declared(
        "--identical-variables", cls=More, former=["--shared"], **_MANY,
        shell_complete=arrays,
        help="A variable that is the same in all inputs.",
    ),
    _declared(
        "--concat-variables", cls=More, former=["--varying"], **_MANY,
        shell_complete=arrays,
        help="A coordinate that gets a new dimension, too.",
    ),
    _declared("--drop", **_MANY, shell_complete=arrays, help="Leave a variable or group out."),
    _declared(
        "--order", type=click.Choice(["coordinate", "given"]), default="coordinate",
        show_default=True, help="Sort by coordinate, or keep the order of the inputs.",
    ),
    _declared(
        "--no-monotonic", cls=More, former=["--any-order"], is_flag=True,
        help="Allow coordinates that rise and fall.",
    ),
    _declared(
        "--duplicates", type=click.Choice(["error", "first", "last"]), default="error",
        show_default=True, help="Where several inputs have one place.",
    ),
    _declared(
        "--join", type=click.Choice(["exact", "outer"]), default="exact", show_default=True,
        help="Refuse holes, or leave them empty; union of grids.",
    ),
    _declared("--regular", cls=More, **_MANY, help="Complete a coordinate to equal distances."),
    _declared(
        "--combine-attrs", cls=Option, former=["--attributes"], multiple=True,
        metavar="[NAME=]drop|error|first",
        help="What to do with attributes that differ and change no value, or with NAME."
        "  [default: drop]",
    ),
    _declared(
        "--compat", cls=More, former=["--static"],
        type=click.Choice(["compare", "first", "vary"]), default="compare", show_default=True,
        help="Compare what lacks the dimension, take the first, or give the dimension to what"
        " differs.",
    ),
    _declared(
        "--tolerance", cls=More, multiple=True, metavar="[NAME=]X",
        help="Coordinates that differ by up to X are the same: all but times, or NAME.",
    ),
    _declared(
        "--fill", cls=More, type=_ASSIGNMENT, multiple=True, metavar="NAME=VALUE",
        help="VALUE stands for what is missing of the variable NAME, which declares none.",
    ),
    _declared(
        "--times", cls=More, type=click.Choice(["reencode", "keep"]), default="reencode",
        show_default=True,
        help="Write times that are counted from different dates in the same units, or refuse them.",
    ),
    _declared("--reencode-times", is_flag=True, hidden=True,
        help="The default, said by an earlier version."),
    _declared(
        "--split-incompatible", cls=Option, former=["--split-eras"], is_flag=True,
        help="Make a group of each kind of inputs.",
    ),
    _declared(
        "--chunks", metavar="common|NAME=N,...",
        help="Cut chunks of uncompressed data to a common size, or to N along dimensions.",
    ),
    _declared(
        "--inline-mismatched", cls=More, former=["--inline-odd"], is_flag=True,
        help="Keep the values of inputs that are encoded otherwise in the set.",
    ),
    _declared(
        "--batch", cls=More, type=click.IntRange(min=1), metavar="N",
        help="Join N inputs at a time, to save memory.",
    ),
    _declared(
        "--inline-budget", cls=More, type=SIZE, default="16MiB", show_default=True,
        help="Most bytes of a variable kept in the set.",
    ),
    _declared(
        "--compare-budget", cls=More, type=SIZE, default="256MiB", show_default=True,
        help="Most bytes of a variable of one input that are read to compare it.",
    ),
)  # fmt: skip


COMBINING = tuple(
    next(name for name in names[::-1] if not name.startswith("--") or len(names) == 1)
    .removeprefix("--")
    .replace("-", "_")
    for names, _ in _OPTIONS
)
"""Names of the values that the options give."""


def combining(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to combine; `combine_options` reads them."""
    for names, fields in reversed(_OPTIONS):
        command = click.option(*names, **fields)(command)
    return command


def combining_rarely(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add those of these options that scanning has not, shown by ``--help-all`` only."""
    for names, fields in reversed(_OPTIONS):
        if names[0] not in ("--concat", "--inline-budget"):
            command = click.option(*names, **{**fields, "cls": More})(command)
    return command


def combine_options(values: Mapping[str, Any], form: str = "json") -> Any:
    """Return the `CombineOptions` that a command line asks for.

    Parameters
    ----------
    values : mapping
        The values of all options.
    form : str
        Form of what is written.

    Raises
    ------
    click.BadParameter
        If a value cannot be understood.
    """
    from refmaker import CombineOptions

    for name in ("inline_budget", "compare_budget"):
        if values[name] is None:
            raise click.BadParameter("a size is needed", param_hint=f"--{name.replace('_', '-')}")
    version = zarr_format_of(values.get("zarr_format", "auto"), form)
    return CombineOptions(
        concat=values["concat"] or None,
        coords={name: _selector(text) for name, text in values["coords"]},
        identical_variables=values["identical_variables"],
        concat_variables=values["concat_variables"],
        squeeze=values["squeeze"],
        drop=values["drop"],
        order=values["order"],
        monotonic=not values["no_monotonic"],
        duplicates=values["duplicates"],
        join=values["join"],
        regular=values["regular"],
        combine_attrs=_attributes(values["combine_attrs"]),
        compat=values["compat"],
        tolerance=_tolerance(values["tolerance"]),
        fill={name: _value(text) for name, text in values["fill"]},
        times="reencode" if values["reencode_times"] else values["times"],
        incompatible="split" if values["split_incompatible"] else "error",
        chunks=_chunks(values["chunks"]),
        mismatched="inline" if values["inline_mismatched"] else "error",
        inline_budget=values["inline_budget"],
        compare_budget=values["compare_budget"],
        batch=values["batch"],
        zarr_format=version,
    )


def _asked(options: Any, form: str) -> str | int:
    return "auto" if form in ("compact", "parquet", "icechunk") else options.zarr_format


def _attributes(given: Sequence[str]) -> dict[str, str]:
    """Return what is to be done with differing attributes, by name."""
    from refmaker.combine.options import UNSETTLED, unsettled

    chosen: dict[str, str] = {}
    for text in given:
        name, equals, word = text.rpartition("=")
        if word not in ("drop", "error", "first") or (equals and not name):
            raise click.BadParameter(
                f"{text!r} is neither drop, error or first, nor NAME= and one of them",
                param_hint="--combine-attrs",
            )
        if name in UNSETTLED:
            raise click.BadParameter(f"{name}: {unsettled(name)}", param_hint="--combine-attrs")
        chosen[name or "*"] = word
    return chosen


def _tolerance(given: Sequence[str]) -> dict[str, float]:
    """Return tolerances by name, that of all coordinates under ``*``."""
    found: dict[str, float] = {}
    for text in given:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise click.BadParameter(
                f"{text!r} is neither a distance such as 1e-6, nor NAME= and one",
                param_hint="--tolerance",
            )
        found[name or "*"] = value
    return found


def _value(text: str) -> Any:
    """Return a value as JSON has it, or the text that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _selector(text: str) -> Any:
    if not text.startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no list in JSON: {error}", param_hint="--coord"
        ) from error


def _chunks(text: str | None) -> Any:
    if text is None or text == "common":
        return text
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if not name.strip() or not number.strip().isdigit() or int(number) < 1:
            raise click.BadParameter(
                f"{part!r} is neither common nor a size such as time=1", param_hint="--chunks"
            )
        sizes[name.strip()] = int(number)
    return sizes


def expanded(inputs: Sequence[str], storage_options: Mapping[str, Any] | None) -> list[str]:
    """Return the names of sets: patterns, folders, lists and standard input resolved."""
    from refmaker.io.inputs import expand_inputs

    found: list[str] = []
    for name in inputs:
        whole = format_of_name(name) != "json" and not any(mark in name for mark in "*?[")
        found += [name] if whole else expand_inputs([name], storage_options).urls
    if not found:
        raise click.UsageError("there is no input")
    return found


def amounts(refs: ReferenceSet) -> dict[str, int]:
    """Return what there is of a set."""
    arrays = [array for _, array in refs.group.arrays()]
    chunks = sum(array.chunks.present for array in arrays)
    return {"arrays": len(arrays), "chunks": chunks, "sources": len(refs.report.sources)}


@click.command("combine")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", shell_complete=files)
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="OUT",
    shell_complete=files,
    help="The combined reference set.",
)
@out_format("Form of OUT.  [default: by its ending]")
@overwrite
@zarr_format_rarely
@readable_rarely
@combining
@storage_options
@as_json
@verbosity
@help_all
def command(**values: Any) -> None:
    """Combine reference sets into one cube, or refuse and say what differs.

    INPUT is a reference set as JSON or Parquet, also of other tools; - reads names from standard
    input, @FILE from a file, one a line. All that decides what values mean has to be
    the same in all inputs: types, codecs, units, and the values of variables without the
    dimension. What differs is named with file, variable and both values. Packing and
    lengths of chunks may differ (Zarr version 3).

    \b
    Example:
      refmaker combine day*.json -o year.json --concat time
      refmaker combine run*.json -o runs.parquet --coord 'run={run:%Y%m%d}.nc'
      refmaker combine *.json -o all.json --concat time --chunks common
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    out = values["out"]
    form = values["out_format"] or format_of_name(out)
    options = combine_options(values, form)
    if values["as_json"] and out == STANDARD:
        raise click.UsageError("--json and the references cannot both go to standard output")
    inputs = expanded(values["inputs"], values["storage_options"])
    overwrite = values["overwrite"]
    check_folder(out)
    check_free(out, overwrite=overwrite, storage_options=values["storage_options"])
    refs = refmaker.combine(inputs, values["storage_options"], options=options)
    # What has come to stand there while the sets were read is not ours either.
    check_free(out, overwrite=overwrite, storage_options=values["storage_options"])
    refs.write(
        out,
        values["storage_options"],
        format=form,
        zarr_format=_asked(options, form),
        **values["readable"],
    )
    if not values["quiet"] and not values["as_json"]:
        tell_losses(refs.report)
    counts = amounts(refs)
    if values["as_json"]:
        told = {"warnings": list(refs.report.warnings), "skipped": len(refs.report.skipped)}
        print_json({"inputs": len(inputs), "output": out, "format": form, "status": "ok"}
               | counts | told)  # fmt: skip
    elif not values["quiet"]:
        what = f"{counted(counts['arrays'], 'array')}, {counted(counts['chunks'], 'chunk')}"
        say(f"{counted(len(inputs), 'set')}: {what} -> {out} ({form})", err=out == STANDARD)
