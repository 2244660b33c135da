"""Files that are a header and raw numbers, plain or compressed as a whole.

What volumes have in common: where the numbers lie, whether the file holds them, which chunks they
make, and the reference set around them.
"""

from __future__ import annotations

import math
import os
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, RefmakerError, SourceNotFoundError, UnsupportedError
from refmaker.io.related_files import RelatedFiles
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.contiguous import contiguous_table
from refmaker.model.inline import encode_inline, inline_array
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanning.compressed_file import compressed_chunk, compression_warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanning.options import ScanOptions

__all__ = ["DATA", "Block", "RawData", "add_coordinate", "finite", "open_beside", "scan_raw_file"]

DATA = "data"
"""Name of the array."""
_MAX_RANK = 32
_INLINED_COORDINATE = 1 << 20
"""Values of a coordinate that is kept in the reference set."""


@dataclass(frozen=True, slots=True)
class Block:
    """Numbers in C order, without gaps.

    Parameters
    ----------
    source : Source
        The file that holds them; of a closed one, size and fingerprint are all that is needed.
    offset : int
        Their first byte; of what the file unpacks to, where it is compressed.
    start : int
        First byte of the compressed stream; the stream ends with the file.
    """

    source: Source
    offset: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class RawData:
    """An array whose elements lie in C order in one block, or in several of the same size.

    Parameters
    ----------
    blocks : tuple of Block
        The blocks, one behind the other; of several, each holds whole rows of one dimension.
    dtype : numpy.dtype
        Element type in file byte order.
    shape : tuple of int
        Elements along each dimension, the slowest first.
    dimension_names : tuple of str
        One name per dimension.
    attributes : mapping
        JSON values.
    codec : mapping, optional
        The configuration of the codec that files, from where their streams start, are compressed
        with.
    values : bytes, optional
        The elements themselves, where the file writes them as text; they are inlined.
    """

    blocks: tuple[Block, ...]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    dimension_names: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    codec: Mapping[str, Any] | None = None
    values: bytes | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    def block_shape(self) -> tuple[int, ...]:
        """Return the extents of one block.

        Raises
        ------
        FormatError
            If so many blocks do not hold whole rows of a dimension each.
        """
        found, count = [], len(self.blocks)
        for extent in self.shape:
            parts = math.gcd(count, extent) if extent else 1
            found.append(extent // parts)
            count //= parts
            if parts < extent:
                break
        if count > 1:
            told = f"{len(self.blocks)} files do not hold equal parts of {self.shape}"
            raise FormatError(told, url=self.blocks[0].source.url)
        return (*found, *self.shape[len(found) :])


def scan_raw_file(
    source: Source,
    report: ScanReport,
    options: ScanOptions,
    find: Callable[[RelatedFiles], RawData],
    coordinates: Callable[[dict[str, Any], RawData], None],
) -> Group:
    """Return the group of a file that holds one array, called `DATA`.

    Parameters
    ----------
    source : Source
        The file.
    report : ScanReport
        Gets a row for the group and the array.
    options : ScanOptions
        Data of up to ``inline_threshold`` bytes are inlined, others cut towards ``chunk_bytes``;
        compressed ones are one chunk. ``follow_external`` allows data outside of the file's folder.
    find : callable
        Returns where the data lie; what it raises is why they are skipped.
    coordinates : callable
        Called with the group's members, if the array is among them, to add others.
    """
    report.add("/", Outcome.GROUP)
    members: dict[str, Any] = {}
    with RelatedFiles(source, anywhere=options.follow_external) as files:
        try:
            data = find(files)
            members[DATA] = _array(data, report, options)
        except RefmakerError as error:
            code = getattr(error, "code", f"{report.format}-data")
            report.add(f"/{DATA}", Outcome.SKIPPED, str(error), code)
        else:
            coordinates(members, data)
    return Group(members)


def _array(data: RawData, report: ScanReport, options: ScanOptions) -> Array:
    """Return the array of data, and add its row."""
    if len(data.shape) > _MAX_RANK or min(data.shape, default=0) < 0:
        url = data.blocks[0].source.url
        raise UnsupportedError(f"its shape is {data.shape}", code="geometry", url=url)
    part = data.block_shape()
    _check_blocks(data, math.prod(part) * data.dtype.itemsize)
    chunk = tuple(max(1, extent) for extent in data.shape)
    filters: tuple[Mapping[str, Any], ...] = ()
    compressor = None
    outcome, reason, code = Outcome.REFERENCED, "", ""
    if data.nbytes == 0:
        table = ChunkTable.empty(chunk_grid(data.shape, chunk))
        reason, code = "it has no elements", "empty"
    elif data.values is not None:
        inlined = encode_inline(data.values, data.dtype.itemsize)
        table, filters, compressor = inlined.table(chunk), inlined.filters, inlined.compressor
        outcome, reason, code = Outcome.INLINED, "the file writes its values as text", "text"
    elif data.codec is not None:
        chunk, compressor = part, data.codec
        table, crop = _compressed_table(data, part)
        filters = (crop,)
        report.warn(compression_warning(f"/{DATA}", data.codec))
    elif data.nbytes <= options.inline_threshold and len(data.blocks) == 1:
        values = data.blocks[0].source.read(data.blocks[0].offset, data.nbytes)
        table = ChunkTable.inline((1,) * len(chunk), {0: values})
        outcome, code = Outcome.INLINED, "small"
        reason = f"its {data.nbytes} bytes are within the inlining threshold"
    else:
        chunk, table = _plain_table(data, part, options.chunk_bytes)
    for block in data.blocks:
        if block.source.url != report.url:
            report.sources[block.source.url] = block.source.fingerprint
    report.add(f"/{DATA}", outcome, reason, code)
    return Array(
        data.shape,
        chunk,
        data.dtype,
        table,
        filters=filters,
        compressor=compressor,
        dimension_names=data.dimension_names,
        attributes=data.attributes,
    )


def _check_blocks(data: RawData, nbytes: int) -> None:
    """Refuse plain blocks that reach past the end of their file."""
    if data.codec is not None or data.values is not None:
        return
    for block in data.blocks:
        end, size = block.offset + nbytes, block.source.size
        if block.offset < 0 or (nbytes and end > size):
            told = f"its data end at byte {end}, the file at {size}"
            raise UnsupportedError(told, code="truncated", url=block.source.url)


def _plain_table(
    data: RawData, part: tuple[int, ...], target: int | None
) -> tuple[tuple[int, ...], ChunkTable]:
    """Return chunk shape and table of blocks that are not compressed."""
    first, itemsize = data.blocks[0], data.dtype.itemsize
    chunk, table = contiguous_table(part, itemsize, first.offset, first.source.url, target)
    if len(data.blocks) == 1:
        return chunk, table
    starts = np.array([block.offset for block in data.blocks], np.uint64)
    offset = starts[:, None] + (table.offset - table.offset[0])
    return chunk, _joined(data, chunk, offset, np.tile(table.length, len(starts)))


def _compressed_table(data: RawData, part: tuple[int, ...]) -> tuple[ChunkTable, Mapping[str, Any]]:
    """Return the table of blocks that are a chunk each, and the filter that all of them have."""
    nbytes, rank = math.prod(part) * data.dtype.itemsize, len(part)
    parts = [
        compressed_chunk(block.source, block.offset, nbytes, rank, block.start)
        for block in data.blocks
    ]
    if len(parts) == 1:
        return parts[0]
    offset = np.array([table.offset for table, _ in parts], np.uint64)
    length = np.array([table.length[0] for table, _ in parts], np.uint64)
    return _joined(data, part, offset, length), parts[0][1]


def _joined(
    data: RawData, chunk: tuple[int, ...], offset: NDArray[Any], length: NDArray[Any]
) -> ChunkTable:
    """Return the table of several blocks, of which each has a row of offsets."""
    files: dict[str, int] = {}
    numbers = [files.setdefault(block.source.url, len(files)) for block in data.blocks]
    return ChunkTable.from_columns(
        chunk_grid(data.shape, chunk),
        tuple(files),
        offset=offset.reshape(-1),
        length=length,
        url=np.repeat(np.array(numbers, np.int32), offset.shape[1]),
    )


def add_coordinate(
    members: dict[str, Any],
    name: str,
    step: float,
    origin: float,
    extent: int,
    attributes: Mapping[str, Any],
    report: ScanReport,
) -> None:
    """Add the coordinate ``origin + step * i`` of a dimension, in float64, and its row.

    Values that are not finite, and more values than a reference set should hold, are left out.
    """
    if not 0 < extent <= _INLINED_COORDINATE or name in members:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.arange(extent) * np.float64(step) + np.float64(origin)
    if step == 0 or not bool(np.isfinite(values).all()):
        return
    members[name] = inline_array(values, (name,), attributes)
    report.add(f"/{name}", Outcome.INLINED, "its values follow from the header", "coordinate")


def open_beside(files: RelatedFiles, source: Source, endings: Sequence[str]) -> Source:
    """Open the file that has the name of another but for its last ending.

    Parameters
    ----------
    files : RelatedFiles
        Opens files beside the scanned one.
    source : Source
        The scanned file.
    endings : sequence of str
        Those of the other file with their dots, tried in turn, as they are and in capitals;
        the empty one is the name without any.

    Raises
    ------
    SourceNotFoundError
        If there is none of them.
    """
    name = posixpath.basename(source.url.replace("\\", "/"))
    stem = name[:-3] if name.lower().endswith(".gz") else name
    stem = posixpath.splitext(stem)[0]
    for candidate in _candidates(stem, endings):
        if candidate == name or os.path.isdir(files.url(candidate)):
            continue
        try:
            return files.open(candidate)
        except SourceNotFoundError:
            continue
    raise SourceNotFoundError(
        f"the file with its data is not beside it: {', '.join(stem + e for e in endings)}",
        url=source.url,
        hint="keep header and data under one name in one folder",
    )


def _candidates(stem: str, endings: Sequence[str]) -> Iterator[str]:
    yield from (stem + ending for ending in endings)
    yield from (stem + ending.upper() for ending in endings if ending)


def finite(values: Any) -> bool:
    """Whether all of some numbers are finite, so that JSON can hold them."""
    return bool(np.isfinite(np.asarray(values, np.float64)).all())
