"""What pydicom reads for the arrays of a reference set: the oracle that ``verify`` asks."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.model.inline import decode_inline
from refmaker.scanners.dicom.matrix import Tiling
from refmaker.scanners.dicom.pydicom_coordinates import axis_values, frame_values
from refmaker.scanners.dicom.pydicom_frames import PydicomFrames, read_dataset
from refmaker.scanners.dicom.pydicom_places import FrameReading, cells
from refmaker.scanners.dicom.pydicom_tiles import tile_places
from refmaker.scanning.protocol import MismatchError, Tolerance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.series import Image
    from refmaker.scanners.dicom.tree import Tree

__all__ = ["PydicomReader"]

_KEPT = 8
"""Files that are kept open: neighbouring frames are asked for one after the other."""
_SUFFIX = re.compile(r"(.*?)((?:_\d+)?)")
_EXACT = 1e-9
"""Share of a number by which two readings of its digits may differ."""
_PLACE = 0.02
"""Millimetres by which frames of one plane may lie apart."""


class PydicomReader:
    """The frames of a tree of images, read by pydicom and placed by its attributes of them.

    The tree tells which frames an array is made of; in which cell each of them lies, and what
    positions and other numbers stand beside it, is worked out from pydicom's data sets.

    Parameters
    ----------
    tree : Tree
        The images and the instances they are made of.
    storage_options : mapping or None
        Passed to fsspec.
    """

    def __init__(self, tree: Tree, storage_options: Mapping[str, Any] | None) -> None:
        self._tree = tree
        self._options = storage_options
        self._open: dict[str, PydicomFrames] = {}
        self._placed: list[tuple[Array, tuple[list[FrameReading], NDArray[np.int64]]]] = []
        self._tiled: dict[str, NDArray[np.int64]] = {}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype.

        Raises
        ------
        UnsupportedError
            If pydicom cannot read or place its frames, with code ``no-oracle``.
        MismatchError
            If a frame lies where the array has no cell.
        """
        path = path.strip("/")
        origin = self._tree.origin.get(path)
        if origin is None:
            return self._coordinate(path)[region]
        if isinstance(origin, Tiling):
            return self._tiles(path, origin, array, region)
        return self._cells(path, origin, array, region)

    def tolerance(self, path: str, array: Array) -> Tolerance | None:  # noqa: ARG002
        """Return how far pixels may be off: a grey level in lossy JPEG, whose decoders differ."""
        origin = self._tree.origin.get(path.strip("/"))
        # Frames of one array are encoded in one way.
        if origin is None or not self._frames(origin.headers[0].url).lossy:
            return None
        return Tolerance(1)

    def _places(
        self, path: str, image: Image, array: Array
    ) -> tuple[list[FrameReading], NDArray[np.int64]]:
        """Return the frames of an image as pydicom reads them, and the cell of each."""
        # What is claimed of an array in the set, and of the same one today, are two things.
        found = next((f for one, f in self._placed if one is array), None)
        if found is None:
            lead = _lead(image)

            def place() -> tuple[list[FrameReading], NDArray[np.int64]]:
                datasets = [read_dataset(header.url, self._options) for header in image.headers]
                frames = [FrameReading(datasets[n], k) for n, k in image.source.tolist()]
                suffix = path.rpartition("/")[2].removeprefix("image")
                names = [name.removesuffix(suffix) for name in (array.dimension_names or ())[:lead]]
                known: Any = array if "origin" in array.attributes else self._tree.group[path]
                return frames, cells(frames, names, array.shape[:lead], known.attributes)

            found = _guarded(place)
            self._placed = [*self._placed[-1:], (array, found)]
        return found

    def _cells(
        self, path: str, image: Image, array: Array, region: tuple[slice, ...]
    ) -> NDArray[Any]:
        """Return a region of an image whose leading dimensions are cells of frames."""
        lead = _lead(image)
        shape = array.shape[:lead]
        _, cell = self._places(path, image, array)
        frame_of = dict(zip(cell.tolist(), image.source.tolist(), strict=True))
        wanted = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)[region[:lead]]
        frames = []
        for number in wanted.reshape(-1).tolist():
            if number in frame_of:
                instance, frame = frame_of[number]
                values = self._frame(image.headers[instance], frame, array)
                values = values if image.tiles is None else _slices(values, array)
            else:
                values = np.full(array.shape[lead:], array.fill_value or 0, array.dtype)
            frames.append(values[region[lead:]])
        return np.stack(frames).reshape((*wanted.shape, *frames[0].shape))

    def _tiles(
        self, path: str, tiles: Tiling, array: Array, region: tuple[slice, ...]
    ) -> NDArray[Any]:
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
        if path not in self._tiled:

            def place() -> NDArray[np.int64]:
                parts = [read_dataset(header.url, self._options) for header in tiles.headers]
                counts = np.bincount(source[:, 0], minlength=len(parts)).tolist()
                return tile_places(parts, counts)

            self._tiled[path] = _guarded(place)
        lead = [extent for extent, kept in zip(tiles.lead, tiles.kept, strict=True) if kept]
        first = self._frame(tiles.headers[0], 0, array)
        high, wide = first.shape[:2]
        tail = first.shape[2:]
        full = np.full(
            (*tiles.lead, tiles.rows, tiles.columns, *tail), array.fill_value or 0, array.dtype
        )
        places = self._tiled[path].tolist()
        for (number, within), (c, z, row, column) in zip(source.tolist(), places, strict=True):
            values = self._frame(tiles.headers[number], within, array)
            y, x = row * high, column * wide
            tile = full[c, z, y : y + high, x : x + wide]
            tile[...] = values[: tile.shape[0], : tile.shape[1]]
        whole = full.reshape((*lead, *full.shape[2:]))
        if samples and tail and names[0] == "c":
            whole = np.moveaxis(whole, -1, 0)
        return whole[region]

    def _coordinate(self, path: str) -> NDArray[Any]:
        """Return a small array: from pydicom's attributes, or from the headers as they are now."""
        own: Any = self._tree.group[path]
        (data,) = own.chunks.inlined.values() or (b"",)
        again = np.frombuffer(decode_inline(own, data), own.dtype).reshape(own.shape)
        folder, _, name = path.rpartition("/")
        found = _SUFFIX.fullmatch(name)
        for base, suffix in (found.groups() if found else (name, ""), (name, "")):
            image_path = f"{folder}/image{suffix}".strip("/")
            image = self._tree.origin.get(image_path)
            if image is None or isinstance(image, Tiling) or again.dtype.kind not in "if":
                continue
            pixels: Any = self._tree.group[image_path]
            frames, cell = self._places(image_path, image, pixels)
            if image.tiles is not None and base in ("z", "position"):
                return again
            if base in ("x", "y"):
                return _nearest(again, _guarded(partial(axis_values, base, frames, pixels)), _EXACT)
            values = _guarded(partial(frame_values, base, frames, pixels))
            if values is None:
                return again
            lead = _lead(image)
            names = (pixels.dimension_names or ())[:lead]
            at = np.unravel_index(cell, pixels.shape[:lead]) if lead else ()
            where = tuple(at[names.index(n)] for n in own.dimension_names or () if n in names)
            true = again.copy()
            told = again[where] if where else np.broadcast_to(again, values.shape)
            near = _nearest(told, values, _PLACE if base == "z" else _EXACT)
            if where:
                true[where] = near
            else:
                true[...] = near[0]
            return true
        return again

    def _frame(self, header: Header, frame: int, array: Array) -> NDArray[Any]:
        """Return one frame as pydicom decodes it."""
        photometric = str(array.attributes.get("photometric", ""))
        return self._frames(header.url).frame(frame, photometric, array.dtype)

    def _frames(self, url: str) -> PydicomFrames:
        if url not in self._open:
            while len(self._open) >= _KEPT:
                del self._open[next(iter(self._open))]
            self._open[url] = PydicomFrames(url, self._options)
        return self._open[url]


def _lead(image: Image) -> int:
    """Return the number of dimensions that whole frames have cells along."""
    return len(image.names) - (image.tiles is not None)


def _slices(picture: NDArray[Any], array: Array) -> NDArray[Any]:
    """Return the slices of a mosaic, row by row of its tiles."""
    count, tall, wide = array.shape[-3:]
    across = picture.shape[1] // wide
    starts = [(k // across * tall, k % across * wide) for k in range(count)]
    return np.stack([picture[y : y + tall, x : x + wide] for y, x in starts])


def _guarded(call: Callable[[], Any]) -> Any:
    """Call what reads attributes by pydicom, whose errors may quote them."""
    try:
        return call()
    except (RefmakerError, MismatchError):
        raise
    except Exception as error:  # noqa: BLE001 - it raises what its readers raise
        raise UnsupportedError(
            f"pydicom does not read the attributes: {type(error).__name__}", code="no-oracle"
        ) from None


def _nearest(
    claimed: NDArray[Any], true: NDArray[np.float64], tolerance: float
) -> NDArray[np.float64]:
    """Return numbers as they are claimed where they are near the true ones, else the true ones."""
    near = np.isclose(claimed, true, rtol=_EXACT, atol=tolerance, equal_nan=True)
    return np.where(near, claimed, true)
