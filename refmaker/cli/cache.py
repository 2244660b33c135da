"""``refmaker cache``: what earlier scans left on this disk."""

from __future__ import annotations

import click

from refmaker.cli.options import as_json, verbosity
from refmaker.cli.output import counted, human_size, print_json, say

__all__ = ["command"]


@click.command("cache")
@click.argument("action", type=click.Choice(["info", "clear"]))
@as_json
@verbosity
def command(action: str, *, as_json: bool, quiet: bool) -> None:
    """Tell how much the scan cache holds (info), or drop all of it (clear).

    A scan of many files keeps what it finds, so that the next one scans only what has changed,
    and one that was interrupted goes on. The oldest entries go first when there is too much;
    REFMAKER_CACHE_DIR names another folder.

    \b
    Example:
      refmaker cache info
      refmaker cache clear
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from refmaker.scanning.cache import ScanCache

    cache = ScanCache()
    if action == "clear":
        dropped = cache.clear()
        if as_json:
            print_json({"folder": cache.folder, "dropped": dropped})
        elif not quiet:
            say(f"{cache.folder}: {counted(dropped, 'result')} dropped")
        return
    found = cache.info()
    if as_json:
        print_json(found)
        return
    sizes = f"{human_size(found['bytes'])} of at most {human_size(found['limit'])}"
    say(f"{found['folder']}: {counted(found['entries'], 'result')}, {sizes}")
