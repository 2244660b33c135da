"""Options as a command spells them, in texts that spell them as Python does.

Errors, warnings and reasons name what helps by keywords of the functions, between backticks:
```chunks='common'```. A command shows its own flag for each, ``--chunks common``; of another
command, where only that one has it; what only Python has it leaves out.
"""

from __future__ import annotations

import ast
import re
from importlib import import_module
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["as_flags"]

_MARKED = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")
_CALL = re.compile(r"`refmaker\.([a-z]+)\(refs, ('[^`']*')\)`")
"""A function of a set, which a command has as an option."""
_SPECIAL: dict[tuple[str, Any], str] = {
    ("incompatible", "split"): "--split-incompatible",
    ("mismatched", "inline"): "--inline-mismatched",
    ("templates", "never"): "--plain",
}
"""Values that have a flag of their own."""
_NAMES: dict[str, str] = {"for_reader": "--for", "codecs": "--allow-codec"}
"""Keywords whose flags have another name."""
_PAIRS: dict[str, str] = {"coords": "--coord", "parameters": "--param"}
"""Mappings by name, whose members are given one by one."""
_PYTHON_ONLY = ("secrets", "remote_options")
"""Keywords that no command has: what else they would help is left out."""
_CLAUSE = re.compile(rf"(?:,? or )?[^,;()]*`(?:{'|'.join(_PYTHON_ONLY)})(?:=[^`]*)?`[^,;()]*")
_VERBS = ("combine", "scan", "pattern", "serve", "convert", "materialize", "catalog", "edit")
"""Where else an option may be found, the likeliest verb first."""


def as_flags(text: str) -> str:
    """Return a text with each keyword between backticks as the flag that stands for it.

    Parameters
    ----------
    text : str
        What an error, a warning or a reason says.
    """
    if "`" not in text:
        return text
    return _MARKED.sub(_replaced, _CALL.sub(r"`\1=\2`", _CLAUSE.sub("", text)))


def _replaced(found: re.Match[str]) -> str:
    name, given = found[1], found[2]
    flag, value = _spelled(name, given)
    shown = f"{flag} {value}".rstrip()
    context = click.get_current_context(silent=True)
    if context is not None and flag in _flags(_running(context), context):
        return shown
    for verb in _VERBS:
        command = import_module(f"refmaker.cli.{verb}").command
        if flag in _flags(command, click.Context(command)):
            return shown if context is None else f"{shown} of 'refmaker {verb}'"
    return found[0]


def _spelled(name: str, given: str | None) -> tuple[str, str]:
    """Return the flag of a keyword, and what stands behind it."""
    value = _value(given)
    if isinstance(value, str) and (name, value) in _SPECIAL:
        return _SPECIAL[name, value], ""
    if isinstance(value, dict):
        [(key, inner)] = value.items()
        if name == "storage_options":
            return "-S", quote(f'{key}={{"NAME": "VALUE"}}')
        if name in ("settings", "scan"):
            return f"--{key}", _WORD if inner is ... else str(inner)
        if name == "values":
            return "--values", f"{key}=A,B,C or --range {key}=START:STOP"
        shown = f"{key}={_WORD if inner is ... else inner}"
        return _PAIRS.get(name, _flag(name)), shown if inner is ... else quote(shown)
    if value is True or value is False:
        return _flag(name if value else f"no_{name}"), ""
    if isinstance(value, list) and len(value) > 1:
        first, *rest = (quote(str(one)) for one in value)
        return _flag(name), " ".join([first, *(f"{_flag(name)} {one}" for one in rest)])
    if isinstance(value, list):
        value = value[0]
    flag = _NAMES.get(name, _flag(name))
    if value is None or value is ...:
        return flag, "" if value is None else _WORD
    return flag, quote(value) if isinstance(value, str) else str(value)


_WORD = "..."


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _value(given: str | None) -> Any:
    """Return a value as Python reads it; names and ellipses that are no values stay text."""
    if given is None:
        return None
    try:
        return ast.literal_eval(given)
    except (ValueError, SyntaxError):
        return given


def _running(context: click.Context) -> click.Command:
    """Return the command that runs, or has run, in a context of its group, too."""
    command = context.command
    if isinstance(command, click.Group) and context.invoked_subcommand:
        return command.get_command(context, context.invoked_subcommand) or command
    return command


def _flags(command: click.Command, context: click.Context) -> frozenset[str]:
    if isinstance(command, click.Group):
        return frozenset[str]().union(*(_flags(one, context) for one in command.commands.values()))
    return frozenset(
        flag for parameter in command.get_params(context) for flag in _names(parameter)
    )


def _names(parameter: click.Parameter) -> Iterator[str]:
    yield from parameter.opts
    yield from parameter.secondary_opts
