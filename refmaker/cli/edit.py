"""``refmaker edit``: a reference set with other arrays, names, bounds or attributes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.completion import arrays, dimensions, files, groups
from refmaker.cli.options import SIZE, Pair, as_json, overwrite, storage_options, verbosity
from refmaker.cli.output import counted, print_json, say
from refmaker.cli.targets import check_folder, check_free
from refmaker.io.files import STANDARD
from refmaker.storage.formats import FORMATS, format_of_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refmaker import ReferenceSet

__all__ = ["command"]

_LIST: dict[str, Any] = {"multiple": True, "metavar": "NAME,..."}
_ARRAYS: dict[str, Any] = {**_LIST, "shell_complete": arrays}


class _Dimension(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A dimension, with the value of its coordinate if there is a ``=``."""

    name = "name[=value]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not name or (equals and not text):
            self.fail(f"{value!r} is not of the form NAME or NAME=VALUE", param, ctx)
        return name, _value(text) if equals else None


_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--merge", "others", multiple=True, metavar="FILE", shell_complete=files,
        help="Add the variables of another reference set.",
    ),
    click.option(
        "--load", **_ARRAYS, help="Keep the chunks of small arrays in the set itself.",
    ),
    click.option(
        "--inline-budget", type=SIZE, default=16 * 1024**2, metavar="SIZE",
        help="Most that --load fetches.  [default: 16MiB]",
    ),
    click.option("--select", **_ARRAYS, help="Keep these, and what belongs to them."),
    click.option("--drop", **_ARRAYS, help="Leave these out."),
    click.option(
        "--isel", type=Pair("DIM=..."), multiple=True, metavar="DIM=START:STOP",
        shell_complete=dimensions,
        help="Take a part by positions, which start at a chunk; or one of them, DIM=3.",
    ),
    click.option(
        "--squeeze", **_LIST, shell_complete=dimensions, help="Remove dimensions of one element.",
    ),
    click.option(
        "--rename", type=Pair("OLD=NEW"), multiple=True, metavar="OLD=NEW", shell_complete=arrays,
        help="Rename a variable, group or dimension, and what names it.",
    ),
    click.option(
        "--expand-dims", type=_Dimension(), multiple=True, metavar="DIM[=VALUE]",
        help="Add a dimension of one element, with a number, date or text as its coordinate.",
    ),
    click.option(
        "--assign-coords", type=Pair("NAME=VALUES"), multiple=True, metavar="NAME=A,B,...",
        help="Give a coordinate: one value, or one for each element of the dimension.",
    ),
    click.option(
        "--set", "assigned", type=Pair("PATH:NAME=VALUE", empty=True), multiple=True,
        metavar="[PATH]:NAME=VALUE",
        help="Set an attribute of an array or group, or of the root; JSON where it can be.",
    ),
    click.option(
        "--unset", multiple=True, metavar="[PATH]:NAME", help="Remove an attribute.",
    ),
    click.option(
        "--group", default="", metavar="PATH", shell_complete=groups,
        help="Where dimensions and variables are meant, for isel, squeeze, rename, expand-dims and"
        " assign-coords.  [default: the root]",
    ),
)  # fmt: skip


def _editing(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("edit")
@click.argument("source", metavar="FROM", shell_complete=files)
@click.argument("out", metavar="TO", shell_complete=files)
@_editing
@click.option(
    "--out-format",
    type=click.Choice(FORMATS),
    help="Form of TO.  [default: by its ending, .parquet or .icechunk, else json]",
)
@overwrite
@storage_options
@as_json
@verbosity
def command(*, source: str, out: str, **options: Any) -> None:
    """Write the reference set FROM to TO with other arrays, names, bounds or attributes.

    Nothing is read but FROM (and with --load small arrays): chunks stay the byte ranges that they
    are. Edits are made in the order of the options below, whatever the order on the command line;
    each may be repeated, and names are those that the edits before have left. 'refmaker verify'
    compares the result with the files that FROM was made of.

    \b
    Example:
      refmaker edit cube.json part.json --select tas,pr --isel time=0:365
      refmaker edit run.json named.json --rename t2m=tas --set tas:units=K
      refmaker edit run.json one.json --expand-dims run=2020-01-01T06:00
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import refmaker

    if options["as_json"] and out == STANDARD:
        raise click.UsageError("--json and the references cannot both go to standard output")
    storage = options["storage_options"]
    same = source.partition("://")[0] == out.partition("://")[0]
    out_options = storage if same else None
    check_folder(out)
    check_free(out, overwrite=options["overwrite"], storage_options=out_options)
    refs = refmaker.read(source, storage)
    others = [refmaker.read(name, storage) for name in options["others"]]
    refs = _edited(refs.merge(*others) if others else refs, options)
    form = options["out_format"] or format_of_name(out)
    # What has come to stand there while the set was read is not ours either.
    check_free(out, overwrite=options["overwrite"], storage_options=out_options)
    refs.write(out, out_options, format=form)
    _tell(source, out, form, refs, options)


def _edited(refs: ReferenceSet, options: Mapping[str, Any]) -> ReferenceSet:
    """Make the edits, in the order of the options."""
    import refmaker

    group = options["group"]
    lists = {name: _names(options[name]) for name in ("load", "select", "drop", "squeeze")}
    positions = {dim: _index(text) for dim, text in options["isel"]}
    names = dict(options["rename"])
    if lists["load"]:
        refs = refmaker.load(
            refs, lists["load"],
            storage_options=options["storage_options"], inline_budget=options["inline_budget"],
        )  # fmt: skip
    refs = refs.select(lists["select"]) if lists["select"] else refs
    refs = refs.drop(lists["drop"]) if lists["drop"] else refs
    refs = refs.isel(positions, group=group) if positions else refs
    refs = refs.squeeze(lists["squeeze"], group=group) if lists["squeeze"] else refs
    refs = refs.rename(names, group=group) if names else refs
    for name, value in options["expand_dims"]:
        refs = refs.expand_dims(name, value, group=group)
    for name, text in options["assign_coords"]:
        refs = refs.assign_coords({name: _values(text)}, group=group)
    for path, attributes in _attributes(options).items():
        refs = refs.assign_attrs(path, attributes)
    return refs


def _attributes(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return attributes to set, and None for those to remove, by path."""
    found: dict[str, dict[str, Any]] = {}
    for place, text in options["assigned"]:
        path, name = _place(place, "--set")
        found.setdefault(path, {})[name] = _json(text)
    for place in options["unset"]:
        path, name = _place(place, "--unset")
        found.setdefault(path, {})[name] = None
    return found


def _names(given: Sequence[str]) -> list[str]:
    return [name for text in given for name in text.split(",") if name]


def _index(text: str) -> slice | int:
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] is not None:
        return numbers[0]
    if len(numbers) not in (2, 3):
        raise click.BadParameter(
            f"{text!r} is neither a position nor START:STOP", param_hint="--isel"
        )
    return slice(*numbers)


def _place(text: str, option: str) -> tuple[str, str]:
    path, colon, name = text.partition(":")
    if not colon or not name:
        raise click.BadParameter(
            f"{text!r} is not of the form PATH:NAME; of the root, :NAME", param_hint=option
        )
    return path, name


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _value(text: str) -> Any:
    """Return a number, a date, or a text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    if found.tzinfo is not None:
        raise click.BadParameter(f"{text!r} has a time zone: give it in UTC, without one")
    import numpy as np

    return np.datetime64(found)


def _values(text: str) -> Any:
    found = [_value(part) for part in text.split(",")]
    return found[0] if len(found) == 1 else found


def _tell(source: str, out: str, form: str, refs: ReferenceSet, options: Mapping[str, Any]) -> None:
    arrays = [array for _, array in refs.group.arrays()]
    chunks = sum(array.chunks.present for array in arrays)
    if options["as_json"]:
        counts = {"arrays": len(arrays), "chunks": chunks}
        print_json({"input": source, "output": out, "format": form, "status": "ok", **counts})
    elif not options["quiet"]:
        what = f"{counted(len(arrays), 'array')}, {counted(chunks, 'chunk')}"
        say(f"{source}: {what} -> {out} ({form})", err=out == STANDARD)
