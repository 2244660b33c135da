"""Where tiles of a slide belong, by pydicom's reading of the instances alone.

Implements the implicit order of ``TILED_FULL`` (PS3.3, C.8.12.14) and the positions of Plane
Position (Slide) (C.8.12.6.1); nothing is shared with what makes reference sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.scanners.dicom.pydicom_places import FrameReading, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["tile_places"]


def tile_places(parts: Sequence[Any], counts: Sequence[int]) -> NDArray[np.int64]:
    """Return channel, focal plane, tile row and tile column of each frame, shape (n, 4).

    Parameters
    ----------
    parts : sequence of pydicom.Dataset
        An instance, or the parts of its concatenation in order.
    counts : sequence of int
        Frames of each.

    Raises
    ------
    UnsupportedError
        If the attributes do not tell, with code ``no-oracle``.
    """
    first = parts[0]
    high, wide = int(first.Rows), int(first.Columns)
    down = -(-int(first.TotalPixelMatrixRows) // high)
    across = -(-int(first.TotalPixelMatrixColumns) // wide)
    frames = [
        FrameReading(part, frame)
        for part, count in zip(parts, counts, strict=True)
        for frame in range(count)
    ]
    organization = str(first.get("DimensionOrganizationType") or "")
    listed = frames[0].get("RowPositionInTotalImagePixelMatrix") is not None
    if organization == "TILED_FULL" or (not listed and not organization):
        places = []
        for part, count in zip(parts, counts, strict=True):
            start = number(part.get("ConcatenationFrameOffsetNumber"))
            places.append(np.arange(count) + (0 if np.isnan(start) else int(start)))
        planes = int(first.get("TotalPixelMatrixFocalPlanes") or 1)
        flat = np.concatenate(places)
        return np.stack(
            [
                flat // (planes * down * across),
                flat // (down * across) % planes,
                flat // across % down,
                flat % across,
            ],
            axis=1,
        )
    rows = np.array([number(f.get("RowPositionInTotalImagePixelMatrix")) for f in frames])
    columns = np.array([number(f.get("ColumnPositionInTotalImagePixelMatrix")) for f in frames])
    if not np.isfinite(rows + columns).all():
        raise UnsupportedError("pydicom finds no positions of tiles", code="no-oracle")
    depth = np.nan_to_num([number(f.get("ZOffsetInSlideCoordinateSystem")) for f in frames])
    plane = np.unique(depth, return_inverse=True)[1].reshape(-1)
    return np.stack(
        [_channels(first, frames), plane, (rows - 1) // high, (columns - 1) // wide], axis=1
    ).astype(np.int64)


def _channels(first: Any, frames: Sequence[FrameReading]) -> NDArray[np.int64]:
    """Return the number of each frame's segment, or of its optical path among those in use."""
    labels = str(first.get("SegmentationType") or "").upper() == "LABELMAP"
    listed: list[str] = []
    if first.get("SegmentSequence") and not labels:
        listed = [str(int(item.SegmentNumber)) for item in first.SegmentSequence]
        used = [frame.get("ReferencedSegmentNumber") for frame in frames]
        if all(value is not None for value in used):
            return _numbered([str(int(value)) for value in used], listed)
    paths = [str(frame.get("OpticalPathIdentifier") or "") for frame in frames]
    order = [
        str(item.get("OpticalPathIdentifier") or "")
        for item in first.get("OpticalPathSequence") or ()
    ]
    known = [path for path in dict.fromkeys([*order, *paths]) if path in set(paths)]
    return _numbered(paths, known)


def _numbered(values: Sequence[str], listed: Sequence[str]) -> NDArray[np.int64]:
    number_of = {value: at for at, value in enumerate(dict.fromkeys([*listed, *values]))}
    return np.array([number_of[value] for value in values], np.int64)
