"""The choices that only some formats know, as options of a command."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.options import More

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        found: list[click.Parameter] = []
        for name, (setting, formats) in sorted(all_settings().items()):
            if f"--{name}" in taken:
                log.warning("the setting %s of %s is an option already", name, ", ".join(formats))
                continue
            found.append(_option(setting, formats))
        return found


def _option(setting: Setting, formats: tuple[str, ...]) -> click.Option:
    text = f"{', '.join(formats)}: {setting.help}"
    return More(
        [f"--{setting.name}", _PREFIX + setting.name.replace("-", "_")],
        type=click.Choice(setting.choices) if setting.choices else str,
        metavar=None if setting.choices else "TEXT",
        help=f"{text}  [default: {setting.default or 'none'}]",
        former=[f"--{name}" for name in setting.former],
        envvar=f"REFMAKER_SCAN_{setting.name.replace('-', '_').upper()}",
    )


def take_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that were given, by name, from a command's parameters."""
    from refmaker.scanning.protocol import all_settings

    given = {name: values.get(_PREFIX + name.replace("-", "_")) for name in all_settings()}
    return {name: value for name, value in given.items() if value is not None}
