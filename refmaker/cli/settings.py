"""The choices that only some formats know, as options of a command."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.options import More

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.scanning.protocol import Setting

__all__ = ["SettingsCommand", "take_settings"]

log = logging.getLogger("refmaker.cli")

_PREFIX = "setting_"


class SettingsCommand(click.Command):
    """A command with an option for each setting of every installed scanner.

    They come from the declarations of formats: no scanner is loaded for them.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command, then those of the scanners, then ``--help``."""
        *own, last = super().get_params(ctx)
        return [*own, *self._of_scanners(), last]

    def _of_scanners(self) -> list[click.Parameter]:
        from refmaker.scanning.protocol import all_settings

        taken = {name for parameter in self.params for name in parameter.opts}
        known = sorted(all_settings().items())
        shared = _shared_names()
        found: list[click.Parameter] = [
            click.Option([f"--{name}", _parameter(name)], hidden=True, envvar=_variable(name))
            for name in shared
        ]
        for name, (setting, formats) in known:
            if f"--{name}" in taken:
                log.warning("the setting %s of %s is an option already", name, ", ".join(formats))
                continue
            found.append(_option(setting, formats, shared))
        return found


def _shared_names() -> list[str]:
    """Return former names that several settings of today had."""
    from refmaker.scanning.protocol import all_settings

    counts = Counter(old for setting, _ in all_settings().values() for old in setting.former)
    return [name for name, count in counts.items() if count > 1]


def _parameter(name: str) -> str:
    return _PREFIX + name.replace("-", "_")


def _variable(name: str) -> str:
    return f"REFMAKER_SCAN_{name.replace('-', '_').upper()}"


def _option(setting: Setting, formats: tuple[str, ...], shared: Sequence[str]) -> click.Option:
    text = f"{', '.join(formats)}: {setting.help}"
    return More(
        [f"--{setting.name}", _parameter(setting.name)],
        type=click.Choice(setting.choices) if setting.choices else str,
        metavar=None if setting.choices else "TEXT",
        help=f"{text}  [default: {setting.default or 'none'}]",
        former=[f"--{name}" for name in setting.former if name not in shared],
        envvar=_variable(setting.name),
    )


def take_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that were given, by name, from a command's parameters."""
    from refmaker.scanning.protocol import all_settings

    names = [*_shared_names(), *all_settings()]
    given = {name: values.get(_parameter(name)) for name in names}
    return {name: value for name, value in given.items() if value is not None}
