"""The scanner protocol, and the registry that finds scanners by entry point.

A package adds a format by an entry point in the group ``refmaker.scanners`` whose object
is an instance of a class with the members of `Scanner`, or a callable that returns one.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from refmaker.errors import UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from refmaker.model import Array, Group
    from refmaker.report import ScanReport
    from refmaker.scan import ScanOptions
    from refmaker.source import Source

__all__ = ["ENTRY_POINTS", "SNIFF_BYTES", "Native", "Scanner", "choose", "scanners"]

log = logging.getLogger("refmaker.scanner")

ENTRY_POINTS = "refmaker.scanners"
SNIFF_BYTES = 4096


class Native(Protocol):
    """A file opened with its format's own library: the oracle that ``verify`` asks."""

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array.

        Parameters
        ----------
        path : str
            Path of the array in the reference set.
        array : Array
            What the reference set says of it; the values come in its dtype.
        region : tuple of slice
            One slice of elements per dimension.

        Returns
        -------
        ndarray
            The region's values, as the format's own library gives them.
        """
        ...


@runtime_checkable
class Scanner(Protocol):
    """One format: how to recognise a file, scan it, and read it natively.

    Attributes
    ----------
    name : str
        Short name, as in ``--format``.
    suffixes : tuple of str
        Usual file name endings, with the dot; used to break ties, never to decide alone.
    """

    name: str
    suffixes: tuple[str, ...]

    def sniff(self, head: bytes, url: str) -> float:
        """Return how sure it is, 0 to 1, that a file starting with `head` is its format."""
        ...

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the file's reference set and the account of every object in it."""
        ...

    def native(self, source: Source) -> AbstractContextManager[Native]:
        """Open the file with the format's own library."""
        ...


@lru_cache(maxsize=1)
def scanners() -> Mapping[str, Scanner]:
    """Return all installed scanners by name.

    One that cannot be loaded is left out, and the log says why.
    """
    from importlib.metadata import entry_points

    found: dict[str, Scanner] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        loaded = point.load()
        # A class has all the members that its instances have, but is to be called.
        made = isinstance(loaded, Scanner) and not isinstance(loaded, type)
        scanner: Scanner = loaded if made else loaded()
        found[scanner.name] = scanner
    return found


def choose(head: bytes, url: str, name: str | None = None) -> Scanner:
    """Return the scanner for a file.

    Parameters
    ----------
    head : bytes
        The file's first `SNIFF_BYTES` bytes, or all of a shorter file.
    url : str
        Where it lies; its ending decides between scanners that are equally sure.
    name : str, optional
        The scanner to take without looking.

    Raises
    ------
    UnknownFormatError
        If there is no scanner of that name, or none recognises the file.
    """
    known = scanners()
    if name is not None:
        if name not in known:
            raise UnknownFormatError(
                f"there is no scanner named {name!r}", hint=f"known: {', '.join(known)}"
            )
        return known[name]
    ranked = [
        (scanner.sniff(head, url), url.lower().endswith(scanner.suffixes), scanner)
        for scanner in known.values()
    ]
    best = max(ranked, key=lambda item: item[:2], default=None)
    if best is None or best[0] <= 0:
        what = "the file is empty" if not head else f"it starts with {head[:8]!r}"
        raise UnknownFormatError(
            f"not a format that is known here: {what}",
            url=url,
            hint=f"known formats: {', '.join(known) or 'none'}; 'refmaker formats' lists them",
        )
    return best[2]
