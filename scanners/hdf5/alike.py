"""Files that are like one scanned before: what that scan found holds, with other values and places.

The first files of a process are read by h5py. What it found is kept under the file's outline
(`refmaker.scanners.hdf5.outline`), and a later file with the same outline is not opened by h5py
any more: its arrays are those of the earlier one, with the values of its own attributes, its own
small data, and its own chunks, read from its bytes. A pattern is only kept if, put to the file
that it came from, it gives just what h5py gave; whatever is unlike it in any way goes to h5py.
"""

from __future__ import annotations

import math
import threading
import zlib
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import RefmakerError
from refmaker.metadata import UNLIMITED, dumps
from refmaker.model import Array, Group
from refmaker.report import Outcome, ScanReport
from refmaker.scan import ScanOptions
from refmaker.scanners.hdf5.attribute_bytes import decode
from refmaker.scanners.hdf5.chunk_index import chunk_index_reader
from refmaker.scanners.hdf5.filters import encoding_for
from refmaker.scanners.hdf5.layout import IndexType, Layout, Storage
from refmaker.scanners.hdf5.object_header import UNDEFINED
from refmaker.scanners.hdf5.outline import Outline, outline_of
from refmaker.scanners.hdf5.outline_error import UnlikeError
from refmaker.scanners.hdf5.scan import FileScan
from refmaker.table import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from refmaker.scanners.hdf5.attribute_bytes import Values
    from refmaker.scanners.hdf5.chunk_index import ChunkColumns
    from refmaker.scanners.hdf5.dataset import Dataset
    from refmaker.source import Source

__all__ = ["Patterns"]

_MOST = 16
"""Patterns that are kept."""
_CHUNKS_MOST = 2**16
"""Chunks of a file that a pattern is made of: it stays in memory."""
_DECODED_MOST = 64 * 1024
"""Bytes of a chunk that is decoded for the sake of the few values in it."""
_PATIENCE, _RARELY = 8, 32
"""Files in vain after which only every so many-th is tried: archives of single pieces."""


@dataclass(slots=True)
class _Move:
    """A contiguous array: the same pieces from another place on."""

    address: int
    end: int

    def table(self, old: ChunkTable, place: int | Layout, source: Source, _: Outline) -> ChunkTable:
        """Return the chunks."""
        shift = _address(place) - self.address
        if self.end + shift > source.size:
            raise UnlikeError("data behind the end of the file")
        offset = (old.offset.astype("i8") + shift).astype("u8")
        return replace(old, urls=(source.url,), offset=offset)


@dataclass(slots=True)
class _Inline:
    """A small contiguous array, kept whole."""

    nbytes: int

    def table(self, old: ChunkTable, place: int | Layout, source: Source, _: Outline) -> ChunkTable:
        """Return the chunks."""
        return _holding(old, source.read(_address(place), self.nbytes))


@dataclass(slots=True)
class _Chunks:
    """A chunked array, each of whose chunks was written through all filters.

    Parameters
    ----------
    layout : Layout
        Its layout, but for the address, where addresses are all that differs.
    shape, maxshape : tuple
        Extents of the dataset.
    length : int
        Bytes of every chunk where there are no filters, else 0.
    """

    layout: Layout
    shape: tuple[int, ...]
    maxshape: tuple[int | None, ...]
    length: int

    def table(
        self, old: ChunkTable, place: int | Layout, source: Source, outline: Outline
    ) -> ChunkTable:
        """Return the chunks."""
        columns = self.columns(place, source, outline)
        return ChunkTable.from_columns(
            old.grid,
            (source.url,),
            offset=columns.offset,
            length=columns.length,
            index=columns.index,
        )

    def columns(self, place: int | Layout, source: Source, outline: Outline) -> ChunkColumns:
        """Return the chunks as their index lists them."""
        layout = replace(self.layout, address=place) if isinstance(place, int) else place
        columns = _columns(layout, self, source, outline)
        count = math.prod(-(-n // c) for n, c in zip(self.shape, layout.chunk, strict=True))
        if len(columns) != count or columns.mask.any():
            raise UnlikeError("chunks that are absent or skipped filters")
        if self.length and (columns.length != self.length).any():
            raise UnlikeError("unfiltered chunks of another size")
        if int((columns.offset + columns.length).max()) > source.size:
            raise UnlikeError("chunks behind the end of the file")
        return columns


@dataclass(slots=True)
class _InlineChunk:
    """A small array of one chunk, kept whole.

    Parameters
    ----------
    chunks : _Chunks
        Where the chunk lies.
    dtype : numpy.dtype
        Type of the elements.
    codecs : tuple of dict
        Codec configurations that stand for the filters.
    """

    chunks: _Chunks
    dtype: np.dtype[Any]
    codecs: tuple[Mapping[str, Any], ...]

    def table(
        self, old: ChunkTable, place: int | Layout, source: Source, outline: Outline
    ) -> ChunkTable:
        """Return the chunks."""
        from numcodecs import get_codec

        columns = self.chunks.columns(place, source, outline)
        offset, length = int(columns.offset[0]), int(columns.length[0])
        if length > 2 * _DECODED_MOST:
            raise UnlikeError("a large chunk")
        data: Any = source.read(offset, length)
        try:
            for config in reversed(self.codecs):
                data = get_codec(dict(config)).decode(data)
            chunk = np.frombuffer(data, self.dtype).reshape(self.chunks.layout.chunk)
        except (ValueError, TypeError, RuntimeError, OSError, zlib.error) as error:
            raise UnlikeError(str(error)) from error
        return _holding(old, chunk[tuple(slice(n) for n in self.chunks.shape)].tobytes())


_Recipe = _Move | _Inline | _Chunks | _InlineChunk


def _columns(layout: Layout, of: _Chunks, source: Source, outline: Outline) -> ChunkColumns:
    """Read a chunk index."""
    reader = chunk_index_reader(layout, outline.superblock, of.shape, of.maxshape)
    try:
        requests = next(reader)
        while True:
            requests = reader.send(
                [source.read_blocks(request.offsets, request.length) for request in requests]
            )
    except StopIteration as done:
        found: ChunkColumns = done.value
        return found


def _holding(old: ChunkTable, data: bytes) -> ChunkTable:
    return old if old.inlined[0] == data else replace(old, inlined={0: data})


def _address(place: int | Layout) -> int:
    address = place if isinstance(place, int) else place.address
    return UNDEFINED if address is None else address


class _Pattern:
    """What a scan found, and how another file's values and places are put into it."""

    def __init__(
        self, scan: FileScan, outline: Outline, group: Group, report: ScanReport, source: Source
    ) -> None:
        self._group = group
        self._rows = report.rows
        self._scalars = scan.scalars
        self._recipes: dict[int, _Recipe] = {}
        # The attributes of each node are an object of their own, which stays as long as this.
        self._numbers: dict[int, int] = {}
        shown: dict[int, Mapping[str, Any]] = {}
        for address, number in outline.numbers.items():
            node = scan.nodes.get(address)
            attributes = scan.groups.get(address) if node is None else node.attributes
            if attributes is None:
                continue
            shown[number] = attributes
            self._numbers[id(attributes)] = number
            if isinstance(node, Array):
                recipe = _recipe(node, scan.datasets[address], outline, number, source)
                if recipe is not None:
                    self._recipes[number] = recipe
        self._values = _known_values(outline, shown, scalars=self._scalars)
        if self._unsaid(report, source):
            raise UnlikeError("what was found does not follow from the outline alone")

    def _unsaid(self, report: ScanReport, source: Source) -> bool:
        """Tell whether the account of the scan has anything to say of this one file."""
        return bool(
            report.warnings
            or report.sources
            or report.missing
            or any(row.outcome is Outcome.SKIPPED or source.url in row.reason for row in self._rows)
        )

    def apply(self, outline: Outline, source: Source) -> tuple[Group, ScanReport]:
        """Return what a scan of a file with the same outline gives.

        Raises
        ------
        UnlikeError, RefmakerError
            If the file is unlike the pattern after all.
        """
        changed: dict[int, dict[str, Any]] = {}
        for (old, readable), (number, part, new) in zip(self._values, outline.values, strict=True):
            if old != new:
                if not readable:
                    raise UnlikeError("a value that only h5py reads")
                value = decode(part.head, new, scalars=self._scalars)
                changed.setdefault(number, {})[part.name.decode("utf-8", "replace")] = value
        group = self._node(self._group, changed, outline, source)
        report = ScanReport(source.url, "hdf5", list(self._rows))
        return group, report  # type: ignore[return-value] # a group gives a group

    def _node(
        self,
        node: Array | Group,
        changed: Mapping[int, dict[str, Any]],
        outline: Outline,
        source: Source,
    ) -> Array | Group:
        number = self._numbers.get(id(node.attributes), -1)
        attributes = node.attributes
        if number in changed:
            if not changed[number].keys() <= attributes.keys():
                raise UnlikeError("an attribute that is not shown")
            attributes = {**attributes, **changed[number]}
        if isinstance(node, Group):
            members = {
                name: self._node(member, changed, outline, source)
                for name, member in node.members.items()
            }
            return Group(members, attributes)
        table = node.chunks
        recipe = self._recipes.get(number)
        if recipe is not None:
            table = recipe.table(table, outline.places[number], source, outline)
        if table is node.chunks and attributes is node.attributes:
            return node
        return replace(node, chunks=table, attributes=attributes)

    def check(self, outline: Outline, source: Source) -> None:
        """Compare what this gives for the file that it came from with what h5py gave.

        Raises
        ------
        UnlikeError, RefmakerError
            If they differ.
        """
        made, _ = self.apply(outline, source)
        for (path, old), (name, new) in zip(self._group.walk(), made.walk(), strict=True):
            same = path == name and dumps(dict(old.attributes)) == dumps(dict(new.attributes))
            if isinstance(old, Array) and isinstance(new, Array):
                same = same and old.chunks.same(new.chunks)
            if not same:
                raise UnlikeError(f"{path} comes out differently")


def _known_values(
    outline: Outline, shown: Mapping[int, Mapping[str, Any]], *, scalars: bool
) -> list[tuple[Values, bool]]:
    """Return the values of all attributes, and whether `decode` makes of them what h5py did."""
    found: list[tuple[Values, bool]] = []
    met: set[tuple[int, str]] = set()
    for number, part, values in outline.values:
        name = part.name.decode("utf-8", "replace")
        if (number, name) in met:
            raise UnlikeError("two attributes of one name")
        met.add((number, name))
        try:
            value = decode(part.head, values, scalars=scalars)
            known = shown.get(number, {})
            readable = name != UNLIMITED and name in known and dumps(value) == dumps(known[name])
        except UnlikeError:
            readable = False
        found.append((values, readable))
    return found


def _recipe(
    array: Array, dataset: Dataset, outline: Outline, number: int, source: Source
) -> _Recipe | None:
    """Return where an array's chunks come from; None if they are the same in all such files."""
    table, place = array.chunks, outline.places.get(number)
    if array.dtype.kind == "O" or table.size > _CHUNKS_MOST:
        raise UnlikeError("strings, or too many chunks")
    if place is None or _address(place) == UNDEFINED or math.prod(array.shape) == 0:
        if table.referenced:
            raise UnlikeError("data without a place")
        return None
    whole = table.referenced == 0 and table.size == 1 and len(table.inlined) == 1
    if whole and array.codecs:
        raise UnlikeError("small values behind codecs")
    nbytes = len(table.inlined[0]) if whole else 0
    if not whole and (table.absent or table.inlined or table.urls != (source.url,)):
        raise UnlikeError("an array of several parts")
    if dataset.layout == h5py.h5d.CONTIGUOUS:
        last = int((table.offset + table.length).max(initial=0))
        end = max(last, _address(place) + dataset.nbytes)
        return _Inline(nbytes) if whole else _Move(_address(place), end)
    if dataset.layout != h5py.h5d.CHUNKED:
        raise UnlikeError("another layout")
    return _chunked_recipe(dataset, place, whole=whole)


def _chunked_recipe(dataset: Dataset, place: int | Layout, *, whole: bool) -> _Recipe:
    chunk, element = dataset.chunk_shape, dataset.element
    size = math.prod(chunk) * element.itemsize
    layout = place if isinstance(place, Layout) else Layout(
        3, Storage.CHUNKED, place, 0, chunk, int(dataset.type.get_size()), IndexType.BTREE1
    )  # fmt: skip
    chunks = _Chunks(layout, dataset.shape, dataset.maxshape, 0 if dataset.pipeline else size)
    if not whole:
        return chunks
    if element.codecs or element.dims or math.prod(dataset.grid) > 1 or size > _DECODED_MOST:
        raise UnlikeError("small values in large or many chunks")
    none = np.empty(0, np.uint64)
    encoding = encoding_for(
        dataset.pipeline, none, none.astype(np.uint32), dtype=element.dtype,
        itemsize=element.itemsize, chunk_shape=chunk,
    )  # fmt: skip
    return _InlineChunk(chunks, element.dtype, encoding.codecs)


class Patterns:
    """Scans files one after the other, and remembers what those of a kind have in common.

    Attributes
    ----------
    alike : int
        Files that were like another, and were not opened by h5py.
    """

    def __init__(self) -> None:
        self.alike = 0
        self._kept: dict[Hashable, _Pattern] = {}
        self._lock = threading.Lock()
        self._files = 0
        self._in_vain = 0

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Scan a file; as `FileScan.run`, and with the same result.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            How to scan.
        """
        outline, key = self._outlined(source, options)
        if outline is None:
            return FileScan(source, options).run()
        pattern = self._kept.get(key)
        if pattern is not None:
            try:
                found = pattern.apply(outline, source)
            except (UnlikeError, RefmakerError, ValueError):
                pass
            else:
                self._in_vain = 0
                self.alike += 1
                return found
        scan = FileScan(source, options)
        group, report = scan.run()
        # Whoever scans one file needs no patterns.
        if pattern is None and self._files > 1:
            self._learn(scan, outline, key, group, report, source)
        return group, report

    def _outlined(self, source: Source, options: ScanOptions) -> tuple[Outline | None, Hashable]:
        self._files += 1
        self._in_vain += 1
        rare = self._in_vain > _PATIENCE and self._in_vain % _RARELY
        if rare or source.path is None or options.verify_index:
            return None, None
        try:
            outline = outline_of(source)
        except UnlikeError:
            return None, None
        chosen = [getattr(options, name) for name in _OPTIONS]
        return outline, (*chosen, *sorted(options.settings.items()), *outline.key)

    def _learn(
        self,
        scan: FileScan,
        outline: Outline,
        key: Hashable,
        group: Group,
        report: ScanReport,
        source: Source,
    ) -> None:
        try:
            pattern = _Pattern(scan, outline, group, report, source)
            pattern.check(outline, source)
        except (UnlikeError, RefmakerError, ValueError, KeyError):
            return
        with self._lock:
            while len(self._kept) >= _MOST:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = pattern


_OPTIONS = tuple(field.name for field in fields(ScanOptions) if field.name != "settings")
