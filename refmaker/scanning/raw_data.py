"""Files that are a header and one block of raw numbers, plain or compressed as a whole.

What volumes have in common: where the block lies, whether the file holds it, which chunks it makes,
and the reference set around it.
"""

from __future__ import annotations

import math
import os
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import RefmakerError, SourceNotFoundError, UnsupportedError
from refmaker.io.related_files import RelatedFiles
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.contiguous import contiguous_table
from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanning.compressed_file import compressed_chunk, compression_warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from refmaker.io.source import Source
    from refmaker.scanning.options import ScanOptions

__all__ = ["DATA", "RawData", "add_coordinate", "finite", "open_beside", "scan_raw_file"]

DATA = "data"
"""Name of the array."""
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
    """Return the array of a block, and add its row."""
    path, url = f"/{DATA}", data.source.url
    if len(data.shape) > _MAX_RANK or min(data.shape, default=0) < 0:
        raise UnsupportedError(f"its shape is {data.shape}", code="geometry", url=url)
    end = data.offset + data.nbytes
    if data.codec is None and (data.offset < 0 or (data.nbytes and end > data.source.size)):
        told = f"its data end at byte {end}, the file at {data.source.size}"
        raise UnsupportedError(told, code="truncated", url=url, offset=data.offset)
    if url != report.url:
        report.sources[url] = data.source.fingerprint
    chunk = tuple(max(1, extent) for extent in data.shape)
    filters: tuple[Mapping[str, Any], ...] = ()
    outcome, reason, code = Outcome.REFERENCED, "", ""
    if data.nbytes == 0:
        table = ChunkTable.empty(chunk_grid(data.shape, chunk))
        reason, code = "it has no elements", "empty"
    elif data.codec is not None:
        rank = len(data.shape)
        table, crop = compressed_chunk(data.source, data.offset, data.nbytes, rank, data.start)
        filters = (crop,)
        report.warn(compression_warning(path, data.codec))
    elif data.nbytes <= options.inline_threshold:
        values = data.source.read(data.offset, data.nbytes)
        table = ChunkTable.inline((1,) * len(chunk), {0: values})
        outcome, code = Outcome.INLINED, "small"
        reason = f"its {data.nbytes} bytes are within the inlining threshold"
    else:
        chunk, table = contiguous_table(
            data.shape, data.dtype.itemsize, data.offset, url, options.chunk_bytes
        )
    report.add(path, outcome, reason, code)
    return Array(
        data.shape,
        chunk,
        data.dtype,
        table,
        filters=filters,
        compressor=data.codec if filters else None,
        dimension_names=data.dimension_names,
        attributes=data.attributes,
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
