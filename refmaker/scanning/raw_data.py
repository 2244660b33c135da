"""Files that are a header and one block of raw numbers, plain or compressed as a whole.

What volumes have in common: where the block lies, whether the file holds it, which chunks it makes,
and where its header lies if the file is compressed.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import posixpath
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import MAX_CHUNK, MAX_HEADER
from refmaker.errors import FormatError, SourceNotFoundError, TruncatedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.contiguous import contiguous_table
from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanning.options import ScanOptions

__all__ = [
    "RawData",
    "UnpackedHead",
    "add_coordinate",
    "add_raw_array",
    "finite",
    "open_beside",
    "unpacked_file",
]

_STEP = 64 * 1024
_MAX_HEAD = 16 * 1024**2
"""Unpacked bytes that a header with all that stands before the data may have."""
_MAX_RANK = 32
_INLINED_COORDINATE = 1 << 20
"""Values of a coordinate that is kept in the reference set."""


@dataclass(frozen=True, slots=True)
class RawData:
    """A block of numbers in C order.

    Parameters
    ----------
    source : Source
        The file that holds it.
    offset : int
        Its first byte; of what the file unpacks to, where it is compressed.
    dtype : numpy.dtype
        Element type in file byte order.
    shape : tuple of int
        Elements along each dimension, the slowest first.
    dimension_names : tuple of str
        One name per dimension.
    attributes : mapping
        JSON values.
    codec : mapping, optional
        The configuration of the codec that the file, from `start` on, is compressed with.
    start : int
        First byte of the compressed stream; the stream ends with the file.
    """

    source: Source
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    dimension_names: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    codec: Mapping[str, Any] | None = None
    start: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the block."""
        return math.prod(self.shape) * self.dtype.itemsize


class UnpackedHead:
    """The first bytes of a file, of what it unpacks to if it is a gzip stream.

    Attributes
    ----------
    codec : dict or None
        The configuration of the codec that unpacks the whole file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        packed = source.read_upto(0, 2) == b"\x1f\x8b"
        self.codec: dict[str, Any] | None = {"id": "gzip", "level": 1} if packed else None
        self._stream = zlib.decompressobj(31) if packed else None
        self._known = bytearray()
        self._at = 0

    def read_upto(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range that are there.

        Raises
        ------
        FormatError
            If the range ends beyond any header, or the stream is damaged.
        """
        if offset + length > _MAX_HEAD:
            raise FormatError(
                f"a header that goes on to byte {offset + length}",
                url=self._source.url,
                offset=offset,
            )
        if self._stream is None:
            return self._source.read_upto(offset, length)
        self._unpack(offset + length)
        return bytes(self._known[offset : offset + length])

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly the bytes of a range.

        Raises
        ------
        TruncatedError
            If the file ends before it does.
        FormatError
            As for `read_upto`.
        """
        found = self.read_upto(offset, length)
        if len(found) < length:
            raise TruncatedError(
                f"the header ends at byte {offset + len(found)}, {offset + length} are needed",
                url=self._source.url,
                offset=offset + len(found),
            )
        return found

    def _unpack(self, end: int) -> None:
        while self._stream is not None and len(self._known) < end and not self._stream.eof:
            packed = self._stream.unconsumed_tail
            if not packed:
                packed = self._source.read_upto(self._at, _STEP)
                self._at += len(packed)
            if not packed:
                return
            try:
                self._known += self._stream.decompress(packed, end - len(self._known))
            except zlib.error as error:
                raise FormatError(
                    f"the gzip stream is damaged: {error}", url=self._source.url, offset=self._at
                ) from error


def add_raw_array(
    members: dict[str, Any], name: str, data: RawData, report: ScanReport, options: ScanOptions
) -> None:
    """Add an array to the members of a group, and its row to the report.

    Parameters
    ----------
    members : dict
        Gets the array, unless the file does not hold it.
    report : ScanReport
        Gets a row for it, and a warning if every read of it is one of the whole file.
    options : ScanOptions
        Data of up to ``inline_threshold`` bytes that are not compressed are inlined.
    """
    path = f"/{name}"
    refused = _refusal(data)
    if refused is not None:
        report.add(path, Outcome.SKIPPED, *refused)
        return
    if data.source.url != report.url:
        report.sources[data.source.url] = data.source.fingerprint
    whole = tuple(max(1, extent) for extent in data.shape)
    filters: tuple[Mapping[str, Any], ...] = ()
    outcome, reason, code = Outcome.REFERENCED, "", ""
    if data.nbytes == 0:
        chunk, table = whole, ChunkTable.empty(chunk_grid(data.shape, whole))
        reason, code = "it has no elements", "empty"
    elif data.codec is not None:
        chunk, table = whole, _whole_table(data)
        filters = ({"id": "refmaker.crop", "offset": data.offset, "nbytes": data.nbytes},)
        report.warn(
            f"{path} is compressed with {data.codec['id']} as a whole: "
            "reading any of it reads and unpacks all of it"
        )
    elif data.nbytes <= options.inline_threshold:
        values = data.source.read(data.offset, data.nbytes)
        chunk, table = whole, ChunkTable.inline((1,) * len(whole), {0: values})
        outcome, code = Outcome.INLINED, "small"
        reason = f"its {data.nbytes} bytes are within the inlining threshold"
    else:
        chunk, table = contiguous_table(
            data.shape, data.dtype.itemsize, data.offset, data.source.url, options.chunk_bytes
        )
    report.add(path, outcome, reason, code)
    members[name] = Array(
        data.shape,
        chunk,
        data.dtype,
        table,
        filters=filters,
        compressor=data.codec if filters else None,
        dimension_names=data.dimension_names,
        attributes=data.attributes,
    )


def _refusal(data: RawData) -> tuple[str, str] | None:
    """Return why the data cannot be referenced, and the reason's short form."""
    if len(data.shape) > _MAX_RANK or min(data.shape, default=0) < 0:
        return f"its shape is {data.shape}", "geometry"
    if data.codec is None:
        end = data.offset + data.nbytes
        if data.offset < 0 or (data.nbytes and end > data.source.size):
            return f"its data end at byte {end}, the file at {data.source.size}", "truncated"
        return None
    if not 0 <= data.offset <= MAX_HEADER:
        return f"its data begin at byte {data.offset} of what the file unpacks to", "geometry"
    if data.nbytes > MAX_CHUNK:
        told = f"it is compressed as a whole and unpacks to {data.nbytes} bytes, more than a chunk"
        return f"{told} may have; unpack the file, with gunzip or bunzip2", "limit"
    return None


def _whole_table(data: RawData) -> ChunkTable:
    grid = (1,) * len(data.shape)
    offset = np.array([data.start], np.uint64)
    length = np.array([data.source.size - data.start], np.uint64)
    return ChunkTable.from_columns(grid, (data.source.url,), offset=offset, length=length)


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


def unpacked_file(source: Source, stack: ExitStack) -> Any:
    """Return a binary file object of what a file holds, unpacked if it is a gzip stream.

    Parameters
    ----------
    source : Source
        A local file is opened in place, any other is read into memory.
    """
    if source.path is None:
        file: Any = io.BytesIO(source.read(0, source.size))
    else:
        file = stack.enter_context(io.FileIO(source.path))
    packed = source.read_upto(0, 2) == b"\x1f\x8b"
    return stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
