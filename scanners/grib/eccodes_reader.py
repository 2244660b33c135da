"""A GRIB file as ecCodes reads it: the oracle that verification asks.

Nothing here uses the walk or the message table: ecCodes finds the messages, with its support of
several fields in one, and its own keys say which of them a chunk has to be.
"""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.native_libraries import eccodes
from refmaker.errors import FormatError, LimitError
from refmaker.io.source import Source
from refmaker.scanners.grib.native_coordinates import Coordinates
from refmaker.scanners.grib.native_messages import Messages, messages_of
from refmaker.scanners.grib.native_places import Places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.model.chunk_table import Reference
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["open_collection"]

_PART = 16 * 1024**2
_MOST = 256 * 1024**2
"""Values of a region or field that are compared at most: 2 GiB."""
_MISSING = -1.7e308
"""Stands for missing values while ecCodes decodes; no packing gives it."""


@contextmanager
def open_collection(
    urls: Sequence[str], storage_options: Mapping[str, Any] | None
) -> Iterator[LibraryReader]:
    """Open many files with ecCodes.

    Parameters
    ----------
    urls : sequence of str
        Local files are opened in place, others are copied to temporary ones.

    Raises
    ------
    MissingDependencyError
        If ecCodes is not installed.
    """
    library = eccodes("reading GRIB natively")
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[str, str] = {}
        for number, url in enumerate(urls):
            with Source(url, storage_options) as source:
                path = source.path
                if path is None:
                    path = os.path.join(folder, f"{number}.grib")
                    with open(path, "wb") as file:
                        parts = range(0, source.size, _PART)
                        file.writelines(source.read_upto(at, _PART) for at in parts)
                paths[source.url] = path
        yield _EccodesReader(library, paths)


class _EccodesReader:
    """Fields as ecCodes decodes them, found by where their messages lie."""

    def __init__(self, eccodes: Any, paths: Mapping[str, str]) -> None:
        self._eccodes = eccodes
        self._messages = {url: Messages(eccodes, path) for url, path in paths.items()}
        self._known: Coordinates | None = None
        self._places = Places(self._tell)

    def _tell(
        self, url: str, offset: int, length: int
    ) -> Mapping[str, set[float | None]] | None:  # fmt: skip
        # Not before something is asked: reading all headers takes its time.
        return self._coordinates.of(url, offset, length)

    @property
    def _coordinates(self) -> Coordinates:
        if self._known is None:
            self._known = Coordinates(self._eccodes, self._messages)
        return self._known

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype.

        Parameters
        ----------
        path : str
            Path of the array. Values come from ecCodes, after a look at whether the message is
            of this variable and lies where the coordinates read before say. Coordinates are
            the array's own where ecCodes tells each of them of some field of the file
            (latitudes and longitudes within 1e-6 degrees), and those of the fields read before
            at their places; otherwise -1 or NaN.
        array : Array
            What the reference set says of it.
        region : tuple of slice
            One slice per dimension.

        Raises
        ------
        FormatError
            If ecCodes does not decode a field, or it is of another variable or place.
        """
        codec = (array.compressor or {}).get("id")
        if codec == "refmaker.grib":
            return self._fields(path, array, region)
        if array.dtype == np.dtype("u1"):
            found: Any = array.chunks.get(0)
            data = messages_of(self._messages, found.url).piece(found.offset, found.length)
            return np.frombuffer(data, np.uint8)[region]
        values = self._coordinates.read(path.rpartition("/")[2], array)
        if not self._places.coordinate(path, array, values):
            values = np.full_like(values, np.nan if values.dtype.kind == "f" else -1)
        return values[region]

    def _fields(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        shape = tuple(part.stop - part.start for part in region)
        if math.prod(shape) > _MOST or math.prod(array.chunk_shape) > _MOST:
            raise LimitError(f"too large: {math.prod(shape)} values of {array.chunk_shape}")
        self._places.variable(path, array)
        values = np.full(shape, np.nan, array.dtype)
        plane = len(array.compressor["shape"]) if array.compressor else 0
        lead = len(shape) - plane
        for at in np.ndindex(*shape[:lead]):
            number = tuple(p.start + i for p, i in zip(region[:lead], at, strict=True))
            found = array.chunks.get((*number, *(0,) * plane))
            if isinstance(found, tuple):
                field = self._field(found, array)
                wrong = self._places.misplaced(path, number)
                if wrong:
                    raise FormatError(
                        f"{wrong} is another one for ecCodes than at {number}", offset=found.offset
                    )
                values[at] = field.reshape(array.shape[lead:])[region[lead:]]
        return values

    def _field(self, found: Reference, array: Array) -> NDArray[Any]:
        """Return one field as ecCodes decodes it, in rows."""
        messages = messages_of(self._messages, found.url)
        start, number = messages.find(found.offset, found.length)
        try:
            with messages.handle(start, number) as handle:
                return self._values(handle, array)
        except self._eccodes.CodesInternalError as error:
            raise FormatError(f"ecCodes does not decode it: {error}", offset=start) from error

    def _values(self, handle: int, array: Array) -> NDArray[Any]:
        eccodes = self._eccodes
        for key in ("paramId", "typeOfLevel", "stepType"):
            told = array.attributes.get(f"GRIB_{key}")
            if told is None or not eccodes.codes_is_defined(handle, key):
                continue
            found = eccodes.codes_get(handle, key)
            if found != told and found not in (0, "unknown"):
                raise FormatError(f"{key} is {found!r} for ecCodes, {told!r} in the references")
        # Of a constant field a few bytes claim any number of values.
        size = eccodes.codes_get_size(handle, "values")
        if size > _MOST:
            raise LimitError(f"too large: a field of {size} values")
        eccodes.codes_set(handle, "missingValue", _MISSING)
        values: NDArray[Any] = eccodes.codes_get_values(handle)
        values[values == _MISSING] = np.nan
        shape = array.shape[-2:]
        if len(shape) == 2 and values.size == shape[0] * shape[1]:
            values = self._rows(handle, values, shape)
        return values.astype(array.dtype)

    def _rows(self, handle: int, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        def flag(key: str) -> bool:
            defined = self._eccodes.codes_is_defined(handle, key)
            return bool(defined and self._eccodes.codes_get(handle, key, int))

        columns_first = flag("jPointsAreConsecutive")
        lines = values.reshape(shape[::-1] if columns_first else shape)
        if flag("alternativeRowScanning"):
            lines[1::2] = lines[1::2, ::-1].copy()
        return lines.T if columns_first else lines
