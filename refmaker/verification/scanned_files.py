"""Files of a set, scanned again and opened natively, with every chunk by its place."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.zarr_v3 import in_pieces
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import SNIFF_BYTES, TolerantReader, choose
from refmaker.verification.compare import NotComparableError
from refmaker.verification.edited import file_axes
from refmaker.verification.packed import as_decoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.model.chunk_table import Reference
    from refmaker.scanning.protocol import Scanner, Tolerance

__all__ = ["OpenFiles", "ScannedFile"]

_OPEN = 8
"""Files that are kept open at a time."""
_OWNERS = 17
"""Arrays that may own a place, of which the smallest that holds a chunk is looked for."""


class OpenFiles:
    """Files of a set, scanned and opened natively; the last ones asked for are kept open.

    Parameters
    ----------
    format : str or None
        Name of their scanner; the content decides if it is None.
    storage_options : mapping or None
        Passed to fsspec.
    owners : mapping of str to str, optional
        What was scanned of files that are parts of something else.
    """

    def __init__(
        self,
        format: str | None,  # noqa: A002 - as in scan()
        storage_options: Mapping[str, Any] | None,
        owners: Mapping[str, str] | None = None,
    ) -> None:
        self._owners = owners or {}
        self._format = format
        self._storage_options = storage_options
        self._open: OrderedDict[str, ScannedFile] = OrderedDict()

    def owner(self, url: str) -> str:
        """Return what was scanned of a file: the store that it is a part of, or itself."""
        return self._owners.get(url, url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def __getitem__(self, url: str) -> ScannedFile:
        url = self.owner(url)
        if url not in self._open:
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[url] = ScannedFile(url, self._format, self._storage_options)
        self._open.move_to_end(url)
        return self._open[url]


class ScannedFile:
    """One file, scanned, with every chunk by its place.

    Attributes
    ----------
    arrays : dict of str to Array
        Its arrays, all of them as byte ranges.
    paths : list of str
        Their paths.
    native : LibraryReader
        The file as its format's library reads it.
    """

    def __init__(
        self, url: str, name: str | None, storage_options: Mapping[str, Any] | None
    ) -> None:
        from refmaker.io.source import Source

        self._stack = ExitStack()
        with ExitStack() as stack:
            source = stack.enter_context(Source(url, storage_options))
            scanner = _scanner(source.read_upto(0, SNIFF_BYTES), url, name)
            options = ScanOptions(inline_threshold=0, chunk_bytes=None)
            group, _ = scanner.scan(source, options)
            self.arrays = dict(group.arrays())
            self.paths = list(self.arrays)
            self._plain = np.array(
                [not array.codecs and array.order == "C" for array in self.arrays.values()], bool
            )
            self._bases, self._places = _places(list(self.arrays.values()))
            self.native = stack.enter_context(scanner.native(source))
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close it."""
        self._stack.close()

    def tolerance(self, path: str, array: Array) -> Tolerance | None:
        """Return how far values of an array may be off."""
        known = path in self.arrays and isinstance(self.native, TolerantReader)
        return self.native.tolerance(path, array) if known else None  # type: ignore[attr-defined]

    def bases(self, urls: Sequence[str]) -> NDArray[np.int64]:
        """Return what offsets in each of some files begin at here, where files follow each other.

        Parameters
        ----------
        urls : sequence of str
            The scanned file, and those that are parts of it; no chunk lies in any other.
        """
        end = max(self._bases.values(), default=0)
        return np.array([self._bases.get(url, end) for url in urls], np.int64)

    def find(
        self, offset: NDArray[np.int64], length: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return which chunks hold ranges of bytes.

        Parameters
        ----------
        offset, length : ndarray of int64, shape (n,)
            The ranges, by offsets to which the file's base is added.

        Returns
        -------
        ndarray of int64, shape (n,)
            Positions among `paths` of the arrays that own them; -1 where none does.
        ndarray of int64, shape (n,)
            Numbers of their chunks.
        ndarray of int64, shape (n,)
            First byte in the chunk; -1 where the range is the whole chunk.
        """
        starts, stops, owner, number = self._places
        last = np.searchsorted(starts, offset, side="right")
        stop = offset + length
        found = np.full(offset.size, -1, np.int64)
        skipped = np.full(offset.size, -1, np.int64)
        # Several arrays may own a place; the smallest range that holds it all is looked for.
        for back in range(1, min(_OWNERS, starts.size + 1)):
            row = np.maximum(last - back, 0)
            here = (found < 0) & (last >= back)
            exact = here & (starts[row] == offset) & (stops[row] == stop)
            inside = here & ~exact & (stops[row] >= stop) & self._plain[owner[row]]
            skipped[inside] = (offset - starts[row])[inside]
            found[exact | inside] = row[exact | inside]
        known = np.maximum(found, 0)
        if not starts.size:
            return found, found, skipped
        return np.where(found < 0, -1, owner[known]), number[known].astype(np.int64), skipped

    def read(
        self, found: Reference, array: Array, at: tuple[int, ...]
    ) -> tuple[NDArray[Any], tuple[tuple[int, ...], ...] | None]:
        """Return the values of a chunk and its positions, or of the part of an uncompressed one.

        Positions are those in the set and in the file, along the file's dimensions.

        Parameters
        ----------
        found : Reference
            The chunk's bytes.
        array : Array
            The set's array.
        at : tuple of int
            The chunk's position in its grid.
        """
        start = self.bases([found.url]) + found.offset
        owner, numbers, bytes_in = self.find(start, np.array([found.length]))
        if owner[0] < 0:
            stop = found.offset + found.length
            raise LookupError(f"no array has bytes {found.offset} to {stop}")
        path, number, skipped = self.paths[int(owner[0])], int(numbers[0]), int(bytes_in[0])
        native = self.arrays[path]
        if not in_pieces(array) and native.dtype.newbyteorder("=") != array.dtype.newbyteorder("="):
            raise NotComparableError(f"{path} has the type {native.dtype} in its file")
        place = np.unravel_index(number, native.chunks.grid) if native.shape else ()
        region = native.region(place)
        values = np.asarray(self.native.read(path, native, region))
        values = as_decoded(values, native, array)
        if skipped < 0:
            stored, axes = array.decoded_shape(at), file_axes(array, native)
            parts = tuple(1 if axis is None else stored[axis] for axis in axes)
            if parts != native.decoded_shape(place):
                return values.reshape(-1), None
            held = [part.stop - part.start for part in array.region(at)]
            shown = tuple(slice(0, 1 if axis is None else held[axis]) for axis in axes)
            there = tuple(int(i) for i in place)
            ours = [
                own if axis is None else at[axis] for axis, own in zip(axes, there, strict=True)
            ]
            return values[shown].reshape(-1), (tuple(ours), there)
        full = np.zeros(native.decoded_shape(place), values.dtype)
        full[tuple(slice(0, n) for n in values.shape)] = values
        first = skipped // native.dtype.itemsize
        return full.reshape(-1)[first : first + found.length // native.dtype.itemsize], None


def _scanner(head: bytes, url: str, name: str | None) -> Scanner:
    """Return the scanner of a file: the one of a name, unless the content is another format's."""
    if name is not None:
        named = choose(head, url, name)
        if named.sniff(head, url) > 0:
            return named
    return choose(head, url, None)


def _places(arrays: list[Array]) -> tuple[dict[str, int], tuple[NDArray[Any], ...]]:
    """Return the base of each file; start, stop, array and number of all chunks, in order."""
    ends: dict[str, int] = {}
    for table in (array.chunks for array in arrays):
        rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
        last = np.zeros(len(table.urls), np.int64)
        np.maximum.at(last, rows, (table.offset + table.length).astype(np.int64))
        for url, end in zip(table.urls, last.tolist(), strict=True):
            ends[url] = max(end, ends.get(url, 0))
    total = np.cumsum([0, *ends.values()])
    bases = dict(zip([*ends, ""], total.tolist(), strict=True))
    columns: list[tuple[NDArray[Any], ...]] = []
    for which, array in enumerate(arrays):
        table = array.chunks
        known = np.array([bases[name] for name in table.urls], np.int64)
        rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
        offset = table.offset.astype(np.int64) + (known[rows] if table.referenced else 0)
        stop = offset + table.length.astype(np.int64)
        columns.append((offset, stop, np.full(offset.size, which), table.numbers()))
    if not columns:
        empty = np.zeros(0, np.int64)
        return bases, (empty, empty, empty, empty)
    joined = tuple(np.concatenate(parts) for parts in zip(*columns, strict=True))
    # Of ranges with one start the smallest comes last, and so is met first.
    order = np.lexsort((-joined[1], joined[0]))
    return bases, tuple(column[order] for column in joined)
