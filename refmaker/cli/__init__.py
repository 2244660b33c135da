"""The command ``refmaker``: one module per verb, each imported when it is needed."""

from __future__ import annotations

import atexit
import gc
import os
from importlib import import_module
from typing import TYPE_CHECKING

import click

from refmaker._version import __version__
from refmaker.cli.boundary import Boundary

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["main"]

# Before numpy is loaded: its threads take longer to start than a small file to be scanned, and
# nothing in a command multiplies matrices. Whoever imports the package keeps them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before icechunk is loaded: it warns of every local repository that it opens.
os.environ.setdefault("ICECHUNK_LOG", "error")
# Modules and tables stay to the end of a command: looking through all of them again and again for
# what could be freed takes as long as scanning a small file, and so does looking once more at the
# end.
gc.set_threshold(100_000)
atexit.register(gc.freeze)

VERBS = {
    "append": "Add files to a reference set.",
    "cache": "Look at, or clear, what scans have left on disk.",
    "catalog": "Put reference sets into catalogs.",
    "combine": "Make one reference set of many.",
    "convert": "Change the form of a reference set, or its URLs.",
    "edit": "Change names, bounds or attributes of a reference set.",
    "formats": "List formats, codecs and what is missing.",
    "info": "Show what is in a reference or data file.",
    "materialize": "Copy all chunks into a real Zarr store.",
    "pattern": "Write references to many files, by a pattern of their names.",
    "report": "Write a page that shows a reference set.",
    "scan": "Write reference files for files.",
    "serve": "Serve a reference set as Zarr over HTTP.",
    "verify": "Compare a reference file with its source.",
    "view": "Look at a set, or a data file, in a browser.",
}
"""Each verb, and what it does in a few words: the help of all needs no verb's module."""


class Verbs(Boundary):
    """The verbs, found by name in the modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs' names."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"refmaker.cli.{cmd_name}").command
        command.short_help = VERBS[cmd_name]
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the verbs and options that begin so; no verb's module is imported for that."""
        from click.shell_completion import CompletionItem

        verbs = [name for name in VERBS if name.startswith(incomplete)]
        found = [CompletionItem(name, help=VERBS[name]) for name in verbs]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the verb; a verb's own options do not."""
        verb = next((word for word in args if word in VERBS), "COMMAND")
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            there = f"refmaker {verb} {error.option_name}"
            meant = f"{error.format_message()} Options stand behind the command: {there}"
            raise click.UsageError(meant, ctx) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb, or say which one was perhaps meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, 1)
            if not near or "Did you mean" in error.message:
                raise
            meant = f"{error.message} Did you mean {near[0]!r}?"
            raise click.UsageError(meant, ctx) from error


@click.group(
    cls=Verbs,
    context_settings={
        "auto_envvar_prefix": "REFMAKER",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="refmaker")
def main() -> None:
    """Find where the chunks of HDF5, netCDF and other files lie, so that they open as Zarr.

    Results go to standard output, messages to standard error. Exit codes: 0 done; 1 some input
    failed, differs, or was lost under --strict; 2 wrong usage; 130 interrupted. Every option
    can be given by the environment, such as REFMAKER_SCAN_CHUNK_BYTES=1MiB.

    \b
    Example:
      refmaker scan data.nc -o data.refs.json
      refmaker info data.refs.json
      refmaker verify data.refs.json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
