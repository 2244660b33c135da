"""``refmaker formats``: what can be scanned, and what decodes the chunks."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from refmaker.cli.options import as_json, verbosity
from refmaker.cli.output import record, say, table

__all__ = ["command"]


@click.command("formats", short_help="List the formats and codecs.")
@as_json
@verbosity
def command(
    as_json: bool,
    quiet: bool,  # noqa: ARG001 - the option is everywhere; what was asked for is still printed
) -> None:
    """List the formats that can be scanned, and the codecs that references may need.

    Formats come from this package and from every other that registers scanners.

    \b
    Example:
      refmaker formats
      refmaker formats --json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from refmaker.scanner import scanners

    formats = [
        {"kind": "format", "name": name, "suffixes": list(scanner.suffixes)}
        for name, scanner in sorted(scanners().items())
    ]
    codecs = _codecs()
    if as_json:
        for entry in (*formats, *codecs):
            record(entry)
        return
    say("formats:")
    table(
        [(f"  {entry['name']}", " ".join(entry["suffixes"])) for entry in formats] or [("  none",)]
    )
    say("codecs:")
    table(
        [
            (
                f"  {entry['name']}",
                entry["package"],
                entry["installed"] or "not installed",
                entry["note"],
            )
            for entry in codecs
        ]
    )


def _codecs() -> list[dict[str, Any]]:
    """Return the known codec ids with the package that decodes each, and its version."""
    from refmaker.codecs import NOTES, PACKAGES, package_of

    return [
        {
            "kind": "codec",
            "name": name,
            "package": package_of(name),
            "installed": _version(package_of(name)),
            "note": NOTES.get(name, ""),
        }
        for name in sorted(PACKAGES)
    ]


def _version(package: str) -> str | None:
    import refmaker

    if package == "refmaker":
        return refmaker.__version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None
