"""``refmaker formats``: what can be scanned, and what decodes the chunks."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import click

from refmaker.cli.options import as_json, verbosity
from refmaker.cli.output import print_json, print_table, say

__all__ = ["command"]

_OPTIONAL = re.compile(r"""(?P<name>[\w.-]+).*;.*extra == ["'](?P<extra>[\w-]+)["']""")
_COLLECTIONS = frozenset({"all", "bench", "docs", "test"})
"""Extras that gather others, or are for those who work on this package."""


@click.command("formats")
@as_json
@verbosity
def command(
    as_json: bool,
    quiet: bool,  # noqa: ARG001 - the option is everywhere; what was asked for is still printed
) -> None:
    """List the formats that can be scanned, the codecs that references may need, and the extras.

    Formats come from this package and from every other that registers scanners. Of each extra
    it says which packages are missing, and how to install them.

    \b
    Example:
      refmaker formats
      refmaker formats --json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from refmaker.scanning.protocol import declarations

    formats = [
        {"kind": "format", "name": name, "suffixes": list(declared.suffixes)}
        for name, declared in sorted(declarations().items())
    ]
    codecs, extras = _codecs(), _extras()
    if as_json:
        for entry in (*formats, *codecs, *extras):
            print_json(entry)
        return
    say("formats:")
    print_table(
        [(f"  {entry['name']}", " ".join(entry["suffixes"])) for entry in formats] or [("  none",)]
    )
    say("codecs:")
    print_table(
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
    _show_extras(extras)


def _show_extras(extras: list[dict[str, Any]]) -> None:
    say("extras:")
    rows: list[tuple[str, ...]] = []
    for entry in extras:
        missing = entry["missing"]
        remedy = f"pip install 'refmaker[{entry['name']}]'"
        state = f"without {', '.join(missing)}: {remedy}" if missing else "installed"
        rows.append((f"  {entry['name']}", state))
    print_table(rows or [("  none",)])


def _extras() -> list[dict[str, Any]]:
    """Return the extras that people install, and which of their packages are missing."""
    found: dict[str, list[str]] = {}
    try:
        lines = requires("refmaker") or []
    except PackageNotFoundError:  # a source tree that was never installed
        lines = []
    for line in lines:
        match = _OPTIONAL.match(line)
        if match is not None and match["extra"] not in _COLLECTIONS:
            found.setdefault(match["extra"], []).append(match["name"])
    return [
        {
            "kind": "extra",
            "name": name,
            "packages": packages,
            "missing": [package for package in packages if _version(package) is None],
        }
        for name, packages in sorted(found.items())
    ]


def _codecs() -> list[dict[str, Any]]:
    """Return the known codec ids with the package that decodes each, and its version."""
    from refmaker.codecs import NOTES, PACKAGES, package_of, scanner_codecs

    return [
        {
            "kind": "codec",
            "name": name,
            "package": package_of(name),
            "installed": _version(package_of(name)),
            "note": NOTES.get(name, ""),
        }
        for name in sorted({*PACKAGES, *scanner_codecs()})
    ]


def _version(package: str) -> str | None:
    import refmaker

    if package == "refmaker":
        return refmaker.__version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None
