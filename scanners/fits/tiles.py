"""Tile-compressed images: a binary table with a tile in each row, as an array of chunks of tiles.

Implements section 10 of the FITS Standard 4.0. A tile's bytes lie in the table's heap, where its
descriptor says; those of neighbouring tiles that follow each other become one chunk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.codecs.checks import MAX_CHUNK
from refmaker.errors import FormatError, LimitError, TruncatedError, UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.scanners.fits.columns import HEAP_BYTES, table_columns
from refmaker.scanners.fits.images import DTYPES, coding, dimension_names
from refmaker.scanners.fits.packed import GUNZIP, PackedSource
from refmaker.scanners.fits.single_tiles import is_single, single_codecs
from refmaker.scanners.fits.tile_codec import FUNPACK, tile_codec, tile_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.columns import Column
    from refmaker.scanners.fits.hdus import HDU
    from refmaker.scanners.fits.header import Header
    from refmaker.scanners.fits.images import Coding
    from refmaker.scanning.options import ScanOptions

__all__ = ["compressed_array"]

_TABLE: Final = 64 * 1024**2
"""Bytes of descriptors, scales and offsets that are read at most."""
_MAX_TILES: Final = 2**20
_MAX_RANK: Final = 32
_LOOSE: Final = 4096
"""Bytes between tiles that a chunk may have besides its tiles."""
_COLUMNS: Final = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
_NUMBERS: Final = {"E": ">f4", "D": ">f8", "J": ">i4", "I": ">i2", "K": ">i8", "B": "u1"}


@dataclass(frozen=True, slots=True)
class _Tiles:
    """Where the tiles lie, and how each is stored; arrays of shape (tiles,)."""

    start: NDArray[np.int64]
    size: NDArray[np.int64]
    kind: NDArray[np.uint8]


class _Table:
    """The rows of the table."""

    def __init__(self, hdu: HDU, source: Source) -> None:
        header = hdu.header
        self.width, self.rows = header.axes
        nbytes = self.width * self.rows
        if nbytes > _TABLE or self.rows > _MAX_TILES:
            raise LimitError(f"{self.rows} tiles are too many", offset=header.data)
        self.columns = {column.name.upper(): column for column in table_columns(header)}
        raw = np.frombuffer(source.read(header.data, nbytes), np.uint8)
        self.raw = raw.reshape(self.rows, self.width)
        self.heap = header.data + header.integer("THEAP", nbytes)
        self.start, self.end = header.data + nbytes, hdu.end

    def field(self, column: Column, dtype: str) -> NDArray[Any]:
        part = self.raw[:, column.start : column.start + column.width]
        return np.ascontiguousarray(part).view(dtype)

    def numbers(self, header: Header, name: str) -> NDArray[Any] | None:
        """Return a column of single numbers, or the keyword of that name for all rows."""
        column = self.columns.get(name)
        if column is not None:
            if column.code not in _NUMBERS or column.repeat != 1:
                raise FormatError(f"{name} is no column of numbers", offset=header.start)
            return self.field(column, _NUMBERS[column.code])[:, 0]
        value = header.keywords.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FormatError(f"{name} is {value!r}, no number", offset=header.start)
        return np.full(self.rows, value)

    def tiles(self) -> _Tiles:
        """Return where the tiles lie: each in the first column that holds something."""
        start = np.zeros(self.rows, np.int64)
        size, kind = start.copy(), np.full(self.rows, 255, np.uint8)
        for number, name in enumerate(_COLUMNS):
            column = self.columns.get(name)
            if column is None:
                continue
            if column.code not in "PQ" or column.inner not in HEAP_BYTES or column.repeat != 1:
                raise FormatError(f"{name} holds no descriptors", offset=self.start)
            found = self.field(column, ">i4" if column.code == "P" else ">i8").astype(np.int64)
            here = (kind == 255) & (found[:, 0] != 0)
            if here.any() and (np.abs(found[here]).max() >= 2**48 or found[here].min() < 0):
                raise FormatError(f"{name}: descriptors lead out of the file", offset=self.start)
            start[here] = self.heap + found[here, 1]
            size[here] = found[here, 0] * HEAP_BYTES[column.inner]
            kind[here] = number
        if (kind == 255).any():
            tile = int(np.flatnonzero(kind == 255)[0])
            raise UnsupportedError(f"tile {tile} has no data", code="fits-empty-tile")
        outside = (start < self.start) | (start + size > self.end)
        if outside.any():
            tile = int(np.flatnonzero(outside)[0])
            raise FormatError(f"tile {tile} lies outside of the heap", offset=int(start[tile]))
        if int(size.max()) > MAX_CHUNK:
            raise LimitError("a tile takes more than 4 GiB", offset=self.start)
        return _Tiles(start, size, kind)


def compressed_array(
    hdu: HDU,
    source: Source | PackedSource,
    options: ScanOptions,
    report: ScanReport,
    *,
    primary: bool,
    wanted: str = "auto",
) -> Array:
    """Return the array of a tile-compressed image.

    Parameters
    ----------
    hdu : HDU
        A binary table with ``ZIMAGE = T``.
    source : Source or PackedSource
        The file; the table is read, its heap is not.
    options : ScanOptions
        ``chunk_bytes`` tells how much neighbouring tiles may have together, decoded.
    report : ScanReport
        Told of keywords that mean nothing.
    primary : bool
        Whether the root has an image; see `dimension_names`.
    wanted : {"auto", "single"}
        The setting ``fits-tiles``.

    Raises
    ------
    FormatError, TruncatedError, LimitError
        If keywords or descriptors make no sense.
    UnsupportedError
        If the algorithm is none of those that are decoded.
    """
    header = hdu.header
    file = _at_hand(hdu, source)
    shape, tile = _shapes(header)
    bitpix = header.integer("ZBITPIX")
    if bitpix not in DTYPES:
        raise FormatError(f"ZBITPIX is {bitpix}", offset=header.start)
    # Of integers, ZBLANK is what BLANK is in the image; of floats, it belongs to the compression.
    blank = "ZBLANK" if bitpix > 0 and "BLANK" not in header.keywords else "BLANK"
    made = coding(header, bitpix, hdu.below("data"), report, ("BSCALE", "BZERO", blank, "BUNIT"))
    names = dimension_names(hdu, len(shape), primary=primary)
    if not math.prod(shape):
        whole = tuple(max(1, extent) for extent in shape)
        empty = ChunkTable.empty(chunk_grid(shape, whole))
        return Array(shape, whole, made.dtype, empty, dimension_names=names)
    if math.prod(tile) * 8 > MAX_CHUNK:
        raise LimitError(f"tiles of {tile} elements are too large", offset=header.start)
    rows = _Table(hdu, file)
    grid = chunk_grid(shape, tile)
    if rows.rows != math.prod(grid):
        raise FormatError(f"{rows.rows} rows for {math.prod(grid)} tiles", offset=header.start)
    tiles = rows.tiles()
    settings = tile_settings(
        header,
        bitpix,
        {name: rows.numbers(header, name) for name in ("ZSCALE", "ZZERO", "ZBLANK")},
        tiles.kind,
    )
    if header.text("ZCMPTYPE") == "PLIO_1" and made.dtype == np.dtype(">u2"):
        _take_back_offset(tiles, made)
        settings["dtype"] = made.dtype.str
    if is_single(wanted, settings, tiles.kind, shape, tile, made.dtype.itemsize, options):
        dtype, filters, compressor = single_codecs(settings, made, tile)
        chunk, table = tile, _table(source.url, grid, tiles.start, tiles.size)
    else:
        dtype, filters = made.dtype, made.filters
        target = min(options.chunk_bytes or 0, MAX_CHUNK // 2)
        chunk, first, size, offsets = _bundles(shape, tile, tiles, target // dtype.itemsize)
        lengths = _distinct(first, size, source.size)
        config = settings | {"shape": list(shape), "tile": list(tile), "chunk": list(chunk)}
        compressor = tile_codec(config, lengths, offsets, tiles.size, tiles.kind)
        table = _table(source.url, chunk_grid(shape, chunk), first, lengths)
        if first.size == 1 and math.prod(shape) * dtype.itemsize <= options.inline_threshold:
            data = source.read(int(first[0]), int(lengths[0]))
            table = ChunkTable.inline((1,) * len(shape), {0: data})
    return Array(
        shape,
        chunk,
        dtype,
        table,
        fill_value=made.fill_value,
        filters=filters,
        compressor=compressor,
        dimension_names=names,
        attributes=made.attributes,
    )


def _table(
    url: str, grid: tuple[int, ...], first: NDArray[np.int64], lengths: NDArray[np.int64]
) -> ChunkTable:
    """Return chunks by their first bytes and lengths."""
    return ChunkTable.from_columns(
        grid, (url,), offset=first.astype(np.uint64), length=lengths.astype(np.uint64)
    )


def _at_hand(hdu: HDU, source: Source | PackedSource) -> Source:
    """Return the file; refuse one that does not hold the tiles as they are."""
    if isinstance(source, PackedSource):
        raise UnsupportedError(
            "tiles that are compressed, in a file that is compressed as a whole",
            code="fits-gzip",
            hint=GUNZIP,
        )
    if hdu.end > source.size:
        raise TruncatedError(
            f"its data end at byte {hdu.end}, the file at {source.size}", offset=hdu.header.data
        )
    return source


def _take_back_offset(tiles: _Tiles, made: Coding) -> None:
    """Forget BZERO where PLIO_1, which knows no negative numbers, holds the unsigned ones.

    The standard is silent; cfitsio, which alone writes such images, compresses values themselves.
    """
    if bool(tiles.kind.any()):
        raise UnsupportedError(
            "unsigned integers under PLIO_1 and gzip", code="fits-plio-1", hint=FUNPACK
        )
    made.filters = ()


def _shapes(header: Header) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape of the image and of a tile, in C order."""
    rank = header.integer("ZNAXIS")
    if not 1 <= rank <= _MAX_RANK:
        raise FormatError(f"ZNAXIS is {rank}", offset=header.start)
    axes = [header.integer(f"ZNAXIS{i}") for i in range(1, rank + 1)]
    sides = [header.integer(f"ZTILE{i}", axes[0] if i == 1 else 1) for i in range(1, rank + 1)]
    if min(axes) < 0 or min(side or 1 for side in sides) < 1 or math.prod(axes) >= 2**48:
        raise FormatError(f"an image of {axes} in tiles of {sides}", offset=header.start)
    sides = [max(1, min(side, axis)) for side, axis in zip(sides, axes, strict=True)]
    return tuple(axes[::-1]), tuple(sides[::-1])


def _bundles(
    shape: Sequence[int], tile: Sequence[int], tiles: _Tiles, elements: int
) -> tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the chunk shape, first byte and bytes of each chunk, and tiles' offsets in theirs.

    Tiles that lie next to each other in the image share a chunk of up to `elements`, if they lie
    next to each other in the file as well.
    """
    grid = chunk_grid(shape, tile)
    count = [1] * len(grid)
    room = max(1, elements // math.prod(tile))
    for axis in range(len(grid) - 1, -1, -1):
        count[axis] = min(grid[axis], room)
        room //= count[axis]
        if count[axis] < grid[axis]:
            break
    for chosen in (count, [1] * len(grid)):
        coordinates = np.unravel_index(np.arange(tiles.start.size), grid)
        chunks = tuple(-(-g // c) for g, c in zip(grid, chosen, strict=True))
        owner = np.ravel_multi_index(
            tuple(at // c for at, c in zip(coordinates, chosen, strict=True)), chunks
        )
        total = math.prod(chunks)
        first = np.full(total, np.iinfo(np.int64).max)
        last, used = np.zeros(total, np.int64), np.zeros(total, np.int64)
        np.minimum.at(first, owner, tiles.start)
        np.maximum.at(last, owner, tiles.start + tiles.size)
        np.add.at(used, owner, tiles.size)
        if bool((last - first <= np.minimum(used + used // 4 + _LOOSE, MAX_CHUNK)).all()):
            break
    chunk = tuple(min(n, t * c) for n, t, c in zip(shape, tile, chosen, strict=True))
    return chunk, first, last - first, tiles.start - first[owner]


def _distinct(first: NDArray[np.int64], size: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """Return lengths of chunks, made longer until no two are the same.

    Raises
    ------
    UnsupportedError
        If the file ends before.
    """
    free: dict[int, int] = {}
    lengths = size.copy()
    # From the end of the file on: where there is least room, lengths stay as they are.
    for at in np.argsort(-first, kind="stable").tolist():
        wanted = int(size[at])
        found, passed = wanted, []
        while found in free:
            passed.append(found)
            found = free[found]
        for step in (*passed, found):
            free[step] = found + 1
        lengths[at] = found
    if bool((first + lengths > end).any()):
        raise UnsupportedError(
            "the file ends too early for chunks that differ in length",
            code="fits-tiles",
            hint="scan with a larger `chunk_bytes`, or decompress the image by funpack of cfitsio",
        )
    return lengths
