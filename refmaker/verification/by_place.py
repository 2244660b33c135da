"""Native values of chunks of a set of many files, by where they lie: file and bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from refmaker.model.chunk_table import Reference
from refmaker.scanning.protocol import MismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanning.protocol import Tolerance
    from refmaker.verification.joined import JoinedValues
    from refmaker.verification.scanned_files import OpenFiles

__all__ = ["PlaceReader"]


class PlaceReader:
    """Native values of any chunk: a reference's by its place, others' by their file's own place.

    Parameters
    ----------
    files : OpenFiles
        The files of the set.
    joined : JoinedValues
        Where the values of each file stand in the set, for chunks that are no byte ranges.
    """

    def __init__(self, files: OpenFiles, joined: JoinedValues) -> None:
        self._files = files
        self._joined = joined
        self._shifts: dict[tuple[str, str], tuple[int, ...]] = {}

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values that the chunk's own file has where the chunk lies."""
        at = tuple(int(array.chunk_numbers(k, part.start)) for k, part in enumerate(region))
        found = array.chunks.get(at)
        if not isinstance(found, Reference):
            return self._joined.read(path, array, region)
        true, positions = self._files[found.url].read(found, array, at)
        if positions is not None:
            self._check_origin(array, found.url, region, positions[1])
            self._check_order(path, self._files.owner(found.url), *positions)
        shape = tuple(part.stop - part.start for part in region)
        stored = array.decoded_shape(at)
        # A chunk that reaches past its file's end, or that of the set, holds more than is shown.
        if true.size == math.prod(stored):
            return true.reshape(stored)[tuple(slice(0, n) for n in shape)]
        return true.reshape(shape) if true.size == math.prod(shape) else true

    def tolerance(self, path: str, array: Array) -> Tolerance | None:
        """Return what the format's own reader says of one of the files."""
        for url in array.chunks.urls[:1]:
            return self._files[url].tolerance(array.origin.path if array.origin else path, array)
        return self._joined.tolerance(path, array)

    def _check_origin(
        self, array: Array, url: str, region: tuple[slice, ...], there: tuple[int, ...]
    ) -> None:
        """Compare a chunk's position with that of which the edited array says it comes."""
        origin = array.origin
        own = None if origin is None else self._files[url].arrays.get(origin.path)
        if origin is None or origin.start is None or own is None or own.shape != origin.shape:
            return
        parts = zip(origin.region(region), own.chunk_shape, strict=True)
        told = tuple(part.start // size for part, size in parts)
        if told != there:
            raise MismatchError(f"it is chunk {there} of {origin.path}, and should be {told}")

    def _check_order(
        self, path: str, url: str, at: tuple[int, ...], there: tuple[int, ...]
    ) -> None:
        """Compare a chunk's position with that in its file: all of a file are moved alike."""
        shift = tuple(a - b for a, b in zip(at, there, strict=True))
        known = self._shifts.setdefault((path, url), shift)
        if known != shift:
            raise MismatchError(
                f"chunk {at} is chunk {there} of {url}, out of line with others of it"
            )
