"""``refmaker view``: a page that shows a set."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from refmaker.cli.completion import arrays, files
from refmaker.cli.options import opening, storage_options, verbosity
from refmaker.cli.output import say

__all__ = ["command"]


@click.command("view")
@click.argument("refs", nargs=-1, required=True, shell_complete=files)
@click.option(
    "--variable",
    default="",
    metavar="NAME",
    shell_complete=arrays,
    help="The array that is shown first.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen at.  [default: any that is free]",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open a browser.")
@storage_options
@verbosity
@opening
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    refs: tuple[str, ...],
    variable: str,
    host: str,
    port: int,
    browser: bool,
    opening: dict[str, Any],
    storage_options: dict[str, Any] | None,
    quiet: bool,
) -> None:
    """Look at REFS in a browser: a reference set, a data file, a folder of one object.

    Maps and forecasts with sliders, lines, tables; volumes, pyramids and microscopy by
    neuroglancer. Nothing is asked of other machines but the files' own bytes, and only this
    machine can ask. Needs the extra "view". Ctrl-C ends it.

    \b
    Example:
      refmaker view cube.json
      refmaker view forecast.grib2 --variable t2m
      refmaker view ct/ --no-browser --port 8000
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from refmaker.publish.viewer import view_until_interrupted

    named = refs[0] if len(refs) == 1 else list(refs)

    def tell(url: str) -> None:
        if not quiet or not browser:
            say(f"{', '.join(refs)}: {url} (stop with Ctrl-C)", err=True)
        if browser:
            import threading
            import webbrowser

            # Browsers of a terminal hold up whoever opens them.
            threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()

    with suppress(KeyboardInterrupt):
        view_until_interrupted(
            named,
            storage_options,
            variable=variable,
            host=host,
            port=port,
            on_start=tell,
            **opening,
        )
