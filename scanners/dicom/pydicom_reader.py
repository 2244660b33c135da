"""What pydicom reads for the arrays of a reference set: the oracle that ``verify`` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import decode_inline
from refmaker.scanners.dicom.matrix import Tiling
from refmaker.scanners.dicom.pydicom_frames import PydicomFrames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.series import Image
    from refmaker.scanners.dicom.tree import Tree

__all__ = ["PydicomReader"]

_KEPT = 8
"""Files that are kept open: neighbouring frames are asked for one after the other."""


class PydicomReader:
    """The frames of a tree of images, read by pydicom.

    Which frame belongs where is worked out anew from the headers; what a frame holds is
    pydicom's word. Coordinates are those of the headers as they are now.

    Parameters
    ----------
    tree : Tree
        The images and where their frames come from.
    storage_options : mapping or None
        Passed to fsspec.
    """

    def __init__(self, tree: Tree, storage_options: Mapping[str, Any] | None) -> None:
        self._tree = tree
        self._options = storage_options
        self._open: dict[str, PydicomFrames] = {}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype."""
        path = path.strip("/")
        origin = self._tree.origin.get(path)
        if origin is None:
            own: Any = self._tree.group[path]
            (data,) = own.chunks.inlined.values() or (b"",)
            return np.frombuffer(decode_inline(own, data), own.dtype).reshape(own.shape)[region]
        if isinstance(origin, Tiling):
            return self._tiles(origin, array, region)
        return self._cells(origin, array, region)

    def _cells(self, image: Image, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return a region of an image whose leading dimensions are cells of frames."""
        lead = len(image.names)
        shape = array.shape[:lead]
        frame_of = dict(zip(image.grid.cell.tolist(), image.source.tolist(), strict=True))
        wanted = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)[region[:lead]]
        frames = []
        for cell in wanted.reshape(-1).tolist():
            if cell in frame_of:
                number, frame = frame_of[cell]
                values = self._frame(image.headers[number], frame, array)
            else:
                values = np.full(array.shape[lead:], array.fill_value or 0, array.dtype)
            frames.append(values[region[lead:]])
        return np.stack(frames).reshape((*wanted.shape, *frames[0].shape))

    def _tiles(self, tiles: Tiling, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return a region of a total pixel matrix, put together from whole tiles."""
        names = array.dimension_names or ()
        samples = names[-1] == "c" or (names[0] == "c" and not tiles.kept[0])
        source = tiles.source
        if not tiles.regular:
            frames = [
                self._frame(tiles.headers[number], within, array)
                for number, within in source[region[0]].tolist()
            ]
            return np.stack(frames)[(slice(None), *region[1:])]
        lead = [extent for extent, kept in zip(tiles.lead, tiles.kept, strict=True) if kept]
        first = self._frame(tiles.headers[0], 0, array)
        high, wide = first.shape[:2]
        tail = first.shape[2:]
        planes = int(np.prod(tiles.lead, dtype=np.int64))
        full = np.full(
            (planes, tiles.rows, tiles.columns, *tail), array.fill_value or 0, array.dtype
        )
        for frame, (number, within) in enumerate(source.tolist()):
            values = self._frame(tiles.headers[number], within, array)
            y, x = int(tiles.tile_row[frame]) * high, int(tiles.tile_column[frame]) * wide
            place = full[int(tiles.plane[frame]), y : y + high, x : x + wide]
            place[...] = values[: place.shape[0], : place.shape[1]]
        whole = full.reshape((*lead, *full.shape[1:]))
        if samples and tail and names[0] == "c":
            whole = np.moveaxis(whole, -1, 0)
        return whole[region]

    def _frame(self, header: Header, frame: int, array: Array) -> NDArray[Any]:
        """Return one frame as pydicom decodes it."""
        if header.url not in self._open:
            while len(self._open) >= _KEPT:
                del self._open[next(iter(self._open))]
            self._open[header.url] = PydicomFrames(header.url, self._options)
        photometric = str(array.attributes.get("photometric", ""))
        return self._open[header.url].frame(frame, photometric, array.dtype)
