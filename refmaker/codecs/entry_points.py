"""Entry points of installed packages, read without ``importlib.metadata``.

That module takes longer to import, and to look through what is installed, than a small file takes
to be scanned. Entry points lie in one text file beside each package; they are read here, in the
order of ``sys.path``, with the same outcome. Where packages may lie in other places than folders,
in an archive or behind an import hook of their own, ``importlib.metadata`` is asked after all.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["EntryPoint", "entry_points"]

_FOLDERS = (".dist-info", ".egg-info")
_VALUE = re.compile(r"(?P<module>[\w.]+)\s*(?::\s*(?P<attribute>[\w.]+))?\s*(?:\[.*\])?\s*")


class EntryPoint(NamedTuple):
    """One entry point.

    Parameters
    ----------
    name : str
        Left of the equals sign.
    value : str
        ``module:attribute``.
    package, version : str
        The distribution that it belongs to.
    folder : str
        Where that is described; empty if it is not known.
    """

    name: str
    value: str
    package: str
    version: str
    folder: str = ""

    @property
    def module(self) -> str:
        """The module that it lies in."""
        return self.value.partition(":")[0].strip()

    def load(self) -> Any:
        """Import the module, and return the object.

        Raises
        ------
        ImportError, AttributeError
            If there is no such thing.
        """
        match = _VALUE.fullmatch(self.value)
        if match is None:
            raise ImportError(f"{self.value!r} is no entry point")
        found: Any = import_module(match["module"])
        for attribute in (match["attribute"] or "").split("."):
            found = getattr(found, attribute) if attribute else found
        return found


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group, sorted by name.

    Parameters
    ----------
    group : str
        Such as ``refmaker.scanners``.
    """
    return _found(group, tuple(sys.path), _foreign())


@lru_cache(maxsize=16)
def _found(group: str, path: tuple[str, ...], foreign: bool) -> tuple[EntryPoint, ...]:
    found = None if foreign else _read(group, path)
    return tuple(sorted(_asked(group) if found is None else found))


def _foreign() -> bool:
    """Tell whether packages may be found by other means than the folders of ``sys.path``."""
    return any(
        hasattr(finder, "find_distributions") and finder.__module__ not in _STANDARD
        for finder in map(_class, sys.meta_path)
    )


_STANDARD = frozenset({"_frozen_importlib_external", "importlib_metadata"})
"""Where the finders lie that look into the folders of ``sys.path``, and its backport."""


def _class(finder: Any) -> type:
    return finder if isinstance(finder, type) else type(finder)


def _read(group: str, path: tuple[str, ...]) -> list[EntryPoint] | None:
    """Return the entry points that lie in folders; None if there is something but folders."""
    listed = _listed(path)
    if listed is None:
        return None
    # Most packages have nothing of the group: theirs are not taken apart.
    mark = f"[{group}]".encode()
    return [
        point
        for content, *package in listed
        if mark in content.replace(b" ", b"")
        for point in _parsed(group, content, *package)
    ]


@lru_cache(maxsize=4)
def _listed(path: tuple[str, ...]) -> tuple[tuple[bytes, str, str, str], ...] | None:
    """Return what packages list, with their names, versions and folders; None as above."""
    found: list[tuple[bytes, str, str, str]] = []
    seen: set[str] = set()
    for place in path:
        try:
            entries = list(os.scandir(place or "."))
        except (FileNotFoundError, PermissionError):
            continue
        except NotADirectoryError:
            return None
        if place.rstrip(os.sep).lower().endswith(".egg"):
            return None
        for entry in entries:
            if not entry.name.lower().endswith(_FOLDERS):
                continue
            name, version, *_ = (*entry.name.rpartition(".")[0].split("-"), "")
            # Of a package that is installed twice, the first is imported.
            if (package := _normal(name)) not in seen:
                seen.add(package)
                with suppress(OSError), open(f"{entry.path}/entry_points.txt", "rb", 0) as file:
                    found.append((file.read(), package, version, entry.path))
    return tuple(found)


def _parsed(
    group: str, content: bytes, package: str, version: str, folder: str
) -> list[EntryPoint]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return []
    found, here = [], False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            here = line.strip("[]").strip() == group
        elif here and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.append(EntryPoint(name.strip(), value.strip(), package, version, folder))
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _asked(group: str) -> list[EntryPoint]:
    from importlib.metadata import entry_points as installed

    return [
        EntryPoint(
            point.name,
            point.value,
            _normal(point.dist.name or "") if point.dist else "",
            point.dist.version if point.dist else "",
        )
        for point in installed(group=group)
    ]
