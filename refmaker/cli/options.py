"""Options that several verbs share, and the types of their values."""

from __future__ import annotations

import json
import logging
import os
import re
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.completion import codecs
from refmaker.cli.logs import FORMS, logging_to_stderr, use_form
from refmaker.storage.formats import FORMATS, TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "SIZE",
    "STORAGE_OPTION",
    "More",
    "Option",
    "Pair",
    "allowing",
    "as_json",
    "help_all",
    "opening",
    "out_format",
    "overwrite",
    "readable",
    "readable_rarely",
    "storage_options",
    "verbosity",
    "zarr_format",
    "zarr_format_of",
    "zarr_format_rarely",
]

_UNITS = {"": 1, "b": 1}
_UNITS.update(
    {
        f"{letter}{rest}": 1024**power
        for power, letter in enumerate("kmgt", 1)
        for rest in ("", "ib")
    }
)
_UNITS.update({f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)})


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A number of bytes: 4096, 64k, 1MiB, 4MB."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return the bytes; None for ``none``."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if value.lower() == "none":
            return None
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", value.strip().lower())
        if match is None or match[2] not in _UNITS:
            self.fail(f"{value!r} is not a size such as 4096, 64k, 1MiB or 4MB", param, ctx)
        return int(float(match[1]) * _UNITS[match[2]])


class StorageOption(click.ParamType):  # type: ignore[type-arg]  # as above
    """One ``key=value``; the value is JSON where it can be, else text."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return key and value."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not of the form key=value", param, ctx)
        try:
            return key, json.loads(text)
        except ValueError:
            return key, text


class Pair(click.ParamType):  # type: ignore[type-arg]  # as above
    """One pair of texts; the first ``=`` separates, and neither half is read as a number.

    Parameters
    ----------
    form : str
        How it is written, such as ``NAME=VALUE``.
    empty : bool
        Whether nothing may stand behind the ``=``.
    """

    def __init__(self, form: str, *, empty: bool = False) -> None:
        self.name = form.lower()
        self._form = form
        self._empty = empty

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return both texts."""
        if isinstance(value, tuple):
            return value
        left, equals, right = str(value).partition("=")
        if not (equals and left and (right or self._empty)):
            self.fail(f"{value!r} is not of the form {self._form}", param, ctx)
        return left, right


class Option(click.Option):
    """An option that is understood by former names, too, which no help shows.

    Parameters
    ----------
    *arguments, **fields
        As for `click.Option`.
    former : sequence of str
        Flags of earlier versions.
    """

    def __init__(self, *arguments: Any, former: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(*arguments, **fields)
        self.former = list(former)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Add all names to a parser."""
        shown = self.opts
        self.opts = [*shown, *self.former]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = shown

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return what the environment says, under any name."""
        found = super().resolve_envvar_value(ctx)
        for flag in self.former if ctx.auto_envvar_prefix else ():
            name = flag.lstrip("-").replace("-", "_").upper()
            found = found or os.environ.get(f"{ctx.auto_envvar_prefix}_{name}") or None
        return found


_ALL = "refmaker.help_all"


class More(Option):
    """An option that is shown by ``--help-all`` only, so that the help fits a screen."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return name and help, or None where it is not shown."""
        return super().get_help_record(ctx) if ctx.meta.get(_ALL) else None


def help_all(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--help-all``, which shows the options of class `More` as well."""

    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        del param
        if value and not ctx.resilient_parsing:
            ctx.meta[_ALL] = True
            click.echo(ctx.get_help())
            ctx.exit()

    return click.option(
        "--help-all",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show options that are rarely needed, too.",
    )(command)


SIZE = Size()
STORAGE_OPTION = StorageOption()

_storage = click.option(
    "-S",
    "--storage-option",
    type=STORAGE_OPTION,
    multiple=True,
    metavar="KEY=VALUE",
    help="Option for fsspec, such as anon=true.",
)


overwrite = click.option(
    "--overwrite/--no-overwrite",
    default=False,
    help="Replace existing sets, nothing else.",
)


def out_format(text: str) -> Callable[..., Any]:
    """Add ``--out-format`` with a text for the help."""
    return click.option(
        "--out-format", type=click.Choice(FORMATS), help=text, cls=Option, former=["--to"]
    )


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``, and hand it to the command as the bool `as_json`."""

    @wraps(command)
    def wrapped(*args: Any, json: bool, **kwargs: Any) -> Any:
        return command(*args, as_json=json, **kwargs)

    return click.option("--json", is_flag=True, help="Print one JSON record per line.")(wrapped)


def storage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``-S``, and hand its pairs to the command as the dict `storage_options`."""

    @wraps(command)
    def wrapped(*args: Any, storage_option: Sequence[tuple[str, Any]], **kwargs: Any) -> Any:
        return command(*args, storage_options=dict(storage_option) or None, **kwargs)

    return _storage(wrapped)


_ALLOW = click.option(
    "--allow",
    multiple=True,
    metavar="PREFIX",
    cls=More,
    help="What a set from afar may name besides its own protocol: protocols, or beginnings of URLs;"
    " may be repeated.",
)


def allowing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--allow``, and hand it to the command as the tuple `allow`, or None."""

    @wraps(command)
    def wrapped(*args: Any, allow: tuple[str, ...], **kwargs: Any) -> Any:
        return command(*args, allow=allow or None, **kwargs)

    return help_all(_ALLOW(wrapped))


def opening(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what is needed rarely to open a set, handed to the command as keywords, `opening`."""

    @wraps(command)
    def wrapped(
        *args: Any,
        allow: tuple[str, ...],
        allow_codec: tuple[str, ...],
        verify_sources: str,
        **kwargs: Any,
    ) -> Any:
        chosen = {"allow": allow or None, "codecs": allow_codec, "verify_sources": verify_sources}
        return command(*args, opening=chosen, **kwargs)

    wrapped = click.option(
        "--verify-sources",
        type=click.Choice(["size", "full", "off"]),
        default="size",
        show_default=True,
        cls=More,
        help="What of a file has to be as it was when it was scanned.",
    )(wrapped)
    wrapped = click.option(
        "--allow-codec",
        multiple=True,
        metavar="ID",
        shell_complete=codecs,
        cls=More,
        help="A codec to trust that is not known to decode and do nothing else; may be repeated.",
    )(wrapped)
    return help_all(_ALLOW(wrapped))


def readable_rarely(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `readable`, shown by ``--help-all`` only."""
    return readable(command, cls=More)


def readable(
    command: Callable[..., Any], cls: type[click.Option] = click.Option
) -> Callable[..., Any]:
    """Add ``--plain`` and ``--for``, handed to the command as keywords of writing, `readable`."""

    @wraps(command)
    def wrapped(*args: Any, plain: bool, for_reader: str | None, **kwargs: Any) -> Any:
        compact = kwargs.get("compact") or kwargs.get("out_format") == "compact"
        if plain and compact:
            raise click.UsageError("a compact set is made of templates: it cannot be --plain")
        templates = "never" if plain else "auto"
        return command(*args, readable={"templates": templates, "for_reader": for_reader}, **kwargs)

    wrapped = click.option(
        "--for",
        "for_reader",
        type=click.Choice(TARGETS),
        cls=cls,
        help="Write it --plain if this reader understands all of it, and else refuse.",
    )(wrapped)
    return click.option(
        "--plain",
        is_flag=True,
        cls=cls,
        help="Write URLs in full, as GDAL and VirtualiZarr read them.",
    )(wrapped)


def _log_format(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    del param
    if value is not None:
        use_form(ctx, value)


def verbosity(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``-q``, ``-v`` and ``--log-format``, and log to standard error from there on.

    The command gets `quiet`, a bool.
    """

    @wraps(command)
    def wrapped(*args: Any, verbose: int, quiet: bool, **kwargs: Any) -> Any:
        level = logging.ERROR if quiet else logging.WARNING
        level = {0: level, 1: logging.INFO}.get(verbose, logging.DEBUG)
        # Until the whole command ends, so that its last errors are logged, too.
        click.get_current_context().find_root().with_resource(logging_to_stderr(level))
        return command(*args, quiet=quiet, **kwargs)

    wrapped = click.option(
        "--log-format",
        type=click.Choice(FORMS),
        envvar="REFMAKER_LOG_FORMAT",
        is_eager=True,
        expose_value=False,
        callback=_log_format,
        help="Form of messages on standard error.",
    )(wrapped)
    wrapped = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")(wrapped)
    return click.option(
        "-v", "--verbose", count=True, help="Say more: -v tracebacks, -vv everything."
    )(wrapped)


_ZARR_FORMAT: dict[str, Any] = {
    "type": click.Choice(["auto", "2", "3"]),
    "default": "auto",
    "show_default": True,
    "help": "Version of Zarr to write; auto is 2 where that can say what is there. Only 3 has"
    " chunks of different lengths, such as months.",
}


def zarr_format(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option for the version of Zarr of what is written."""
    return click.option("--zarr-format", **_ZARR_FORMAT)(command)


def zarr_format_rarely(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add this option, shown by ``--help-all`` only."""
    return click.option("--zarr-format", cls=More, **_ZARR_FORMAT)(command)


def zarr_format_of(value: str, form: str) -> str | int:
    """Return the version of Zarr that a command line asks for.

    Parameters
    ----------
    value : str
        What was given.
    form : str
        Form of what is written.

    Raises
    ------
    click.UsageError
        If the form is of another version.
    """
    if form == "icechunk" and value == "2":
        raise click.UsageError("an Icechunk repository is Zarr version 3: leave --zarr-format out")
    if form in ("compact", "parquet") and value == "3":
        raise click.UsageError(
            f"{form} is a form of Zarr version 2: write json or icechunk, or no --zarr-format"
        )
    return value if value == "auto" else int(value)
