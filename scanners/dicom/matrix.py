"""Where the tiles of a slide lie in its total pixel matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, LimitError
from refmaker.scanners.dicom.enhanced import frame_elements
from refmaker.scanners.dicom.frame_attributes import PIXEL_SPACING, FrameAttributes
from refmaker.scanners.dicom.geometry import distances
from refmaker.scanners.dicom.grouping import CONCATENATION_OFFSET
from refmaker.scanners.dicom.pixels import frame_count
from refmaker.scanners.dicom.tags import COLUMNS, ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header

__all__ = ["Tiling", "tiling"]

TOTAL_COLUMNS, TOTAL_ROWS = 0x00480006, 0x00480007
ORGANIZATION = 0x00209311
PATHS, PATH_SEQUENCE, PATH_IDENTIFIER = 0x00480302, 0x00480105, 0x00480106
PLANES = 0x00480303
COLUMN_POSITION, ROW_POSITION, Z_OFFSET = 0x0048021E, 0x0048021F, 0x0040074A
SEGMENT_SEQUENCE, SEGMENT_NUMBER, REFERENCED_SEGMENT = 0x00620002, 0x00620004, 0x0062000B
SEGMENTATION_TYPE = 0x00620001
VOLUME_WIDTH, VOLUME_HEIGHT, SLICE_SPACING = 0x00480001, 0x00480002, 0x00180088
_CELLS = 1 << 31
"""Tiles of one level; the largest slides have some millions."""


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """The tiles of one level, in the order of its frames.

    Parameters
    ----------
    headers : tuple of Header
        The instance, or the parts of its concatenation in order.
    rows, columns : int
        Of the total pixel matrix.
    lead : tuple of int
        Number of optical paths or segments, and of focal planes.
    kept : tuple of bool
        Whether each of these is a dimension.
    plane : ndarray of int64, shape (n,)
        Flat number of each tile's path and focal plane.
    tile_row, tile_column : ndarray of int64, shape (n,)
        Each tile's place.
    corner : ndarray of int64, shape (n, 2)
        Row and column of each tile's first pixel, from 0.
    channels : tuple of str
        Names of paths or numbers of segments, where they are known.
    depths : tuple of float
        Millimetres of each focal plane from the first, where they are known.
    spacing : tuple of float or None
        Millimetres between rows and between columns.
    segments : bool
        Whether the first dimension counts segments.
    regular : bool
        Whether all tiles lie on the grid, each in a place of its own.
    warnings : tuple of str
        What is odd.
    """

    headers: tuple[Header, ...]
    rows: int
    columns: int
    lead: tuple[int, int]
    kept: tuple[bool, bool]
    plane: NDArray[np.int64]
    tile_row: NDArray[np.int64]
    tile_column: NDArray[np.int64]
    corner: NDArray[np.int64]
    channels: tuple[str, ...] = ()
    depths: tuple[float, ...] = ()
    spacing: tuple[float, float] | None = None
    segments: bool = False
    regular: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def tile(self) -> NDArray[np.int64]:
        """The number of each tile, by which frames are known."""
        return np.arange(self.plane.size)

    @property
    def source(self) -> NDArray[np.int64]:
        """Each frame's instance, and its number in it, shape (n, 2)."""
        counts = np.array([frame_count(header) for header in self.headers])
        instance = np.repeat(np.arange(counts.size), counts)
        within = np.arange(instance.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.stack([instance, within], axis=1)


def tiling(parts: Sequence[Header]) -> Tiling:
    """Return the places of the tiles of an instance, or of the parts of one.

    Raises
    ------
    FormatError, LimitError
        If the attributes that describe them are missing, or contradict one another.
    """
    first = parts[0]
    matrix = _positive(first, TOTAL_ROWS), _positive(first, TOTAL_COLUMNS)
    size = _positive(first, ROWS), _positive(first, COLUMNS)
    own: list[dict[int, tuple[bytes, bytes]]] = []
    shared = dict(first.elements)
    for header in parts:
        common, each = frame_elements(header, frame_count(header))
        own += each or [{}] * frame_count(header)
        shared |= common
    records = FrameAttributes(own, shared, first.big)
    spacing = _spacing(first, records, matrix)
    if _is_full(first, records):
        return _full(parts, records, matrix, size, spacing)
    return _sparse(parts, records, matrix, size, spacing)


def _positive(header: Header, tag: int) -> int:
    value = header.integer(tag)
    if value is None or not 0 < value < 2**31:
        raise FormatError("the size of the image or of its tiles is not known", url=header.url)
    return value


def _is_full(header: Header, records: FrameAttributes) -> bool:
    if header.text(ORGANIZATION).upper() == "TILED_FULL":
        return True
    return not records.present(ROW_POSITION) and not header.text(ORGANIZATION)


def _spacing(
    header: Header, records: FrameAttributes, matrix: tuple[int, int]
) -> tuple[float, float] | None:
    """Return the size of a pixel, from the pixel measures or from that of the whole image."""
    known = distances(records.numbers(PIXEL_SPACING, 2))
    if known.size and bool(np.isfinite(known[0]).all()):
        return float(known[0, 0]), float(known[0, 1])
    height, width = header.number(VOLUME_HEIGHT), header.number(VOLUME_WIDTH)
    if height and width and min(height, width) > 0:
        return height / matrix[0], width / matrix[1]
    return None


def _segments(header: Header) -> tuple[str, ...]:
    """Return the numbers of the segments of a segmentation that has a plane for each."""
    if SEGMENT_SEQUENCE not in header or header.text(SEGMENTATION_TYPE).upper() == "LABELMAP":
        return ()
    return tuple(str(item.integer(SEGMENT_NUMBER)) for item in header.items(SEGMENT_SEQUENCE))


def _full(
    parts: Sequence[Header],
    records: FrameAttributes,
    matrix: tuple[int, int],
    size: tuple[int, int],
    spacing: tuple[float, float] | None,
) -> Tiling:
    header = parts[0]
    down, across = -(-matrix[0] // size[0]), -(-matrix[1] // size[1])
    segments = _segments(header)
    sequence = [item.text(PATH_IDENTIFIER) for item in header.items(PATH_SEQUENCE)]
    paths = len(segments) or header.integer(PATHS) or len(sequence) or 1
    planes = header.integer(PLANES) or 1
    total = down * across * paths * planes
    if not 0 < total <= _CELLS:
        raise LimitError(f"{total} tiles", url=header.url)
    counts = [frame_count(part) for part in parts]
    starts = [int(part.number(CONCATENATION_OFFSET) or 0) for part in parts]
    if len(parts) == 1 and CONCATENATION_OFFSET not in header:
        starts = [0]
    number = np.concatenate(
        [np.arange(start, start + count) for start, count in zip(starts, counts, strict=True)]
    )
    if bool((number >= total).any()) or np.unique(number).size != number.size:
        raise FormatError(
            f"{number.size} frames, where {total} tiles make the image", url=header.url
        )
    missing = total - number.size
    plane, place = number // (down * across), number % (down * across)
    depth = records.number(SLICE_SPACING)
    step = float(depth[0]) if depth.size and np.isfinite(depth[0]) else None
    return Tiling(
        tuple(parts),
        *matrix,
        (paths, planes),
        (paths > 1 or bool(segments), planes > 1),
        plane,
        place // across,
        place % across,
        np.stack([place // across * size[0], place % across * size[1]], axis=1),
        segments or tuple(sequence if len(sequence) == paths else ()),
        tuple(step * k for k in range(planes)) if step is not None and planes > 1 else (),
        spacing,
        bool(segments),
        warnings=(f"{missing} of {total} tiles are missing",) if missing else (),
    )


def _sparse(
    parts: Sequence[Header],
    records: FrameAttributes,
    matrix: tuple[int, int],
    size: tuple[int, int],
    spacing: tuple[float, float] | None,
) -> Tiling:
    header = parts[0]
    row, column = records.number(ROW_POSITION), records.number(COLUMN_POSITION)
    if not bool(np.isfinite(row).all() and np.isfinite(column).all()):
        raise FormatError("the positions of tiles are not known", url=header.url)
    segments = _segments(header)
    if segments and records.present(REFERENCED_SEGMENT):
        names = np.array([f"{value:.0f}" for value in records.number(REFERENCED_SEGMENT).tolist()])
        known = list(segments)
    else:
        names = records.texts(PATH_IDENTIFIER)
        known = [item.text(PATH_IDENTIFIER) for item in header.items(PATH_SEQUENCE)]
        segments = ()
    known += [name for name in dict.fromkeys(names.tolist()) if name not in known]
    number_of = {name: at for at, name in enumerate(known)}
    channel = np.array([number_of[name] for name in names.tolist()], np.int64)
    if not segments:
        # Paths that no tile belongs to are no part of the image.
        used, channel = np.unique(channel, return_inverse=True)
        known = [known[at] for at in used.tolist()]
    depth = np.nan_to_num(records.number(Z_OFFSET))
    depths, plane = np.unique(depth, return_inverse=True)
    on_grid = bool(np.all((row - 1) % size[0] == 0) and np.all((column - 1) % size[1] == 0))
    y, x = ((row - 1) // size[0]).astype(np.int64), ((column - 1) // size[1]).astype(np.int64)
    down, across = -(-matrix[0] // size[0]), -(-matrix[1] // size[1])
    inside = bool(((y >= 0) & (y < down) & (x >= 0) & (x < across)).all())
    lead = len(known), depths.size
    total = lead[0] * lead[1] * down * across
    if total > _CELLS:
        raise LimitError(f"{total} tiles", url=header.url)
    which = channel.reshape(-1) * lead[1] + plane.reshape(-1)
    cells = (which * down + y) * across + x
    regular = on_grid and inside and np.unique(cells).size == cells.size
    notes = []
    if not regular:
        notes.append("tiles overlap, or lie off the grid: they stay in a row")
    elif total > cells.size and not segments:
        notes.append(f"{total - cells.size} of {total} tiles were never taken")
    return Tiling(
        tuple(parts),
        *matrix,
        lead,
        (lead[0] > 1 or bool(segments), lead[1] > 1),
        which,
        y,
        x,
        np.stack([row - 1, column - 1], axis=1).astype(np.int64),
        tuple(known),
        tuple(float(value) / 1000 for value in depths - depths[0]),
        spacing,
        bool(segments),
        regular,
        tuple(notes),
    )
