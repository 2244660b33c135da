"""Fields that ecCodes decodes: spectral fields, and all the rare packings.

ecCodes is given a message of its own, in which the sections that say nothing about values are
replaced by plain ones: nothing then depends on its tables of parameters, local sections or grids.
"""

from __future__ import annotations

import struct
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.grib_scanning import ALTERNATING_ROWS, arrange
from refmaker.codecs.grib_sections import damaged
from refmaker.codecs.native_libraries import eccodes
from refmaker.errors import MissingDependencyError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.grib_definition import GridDefinition
    from refmaker.codecs.grib_sections import FieldSections

__all__ = [
    "available",
    "decode_edition_1",
    "decode_parts",
    "decode_with_grid",
    "grid_points",
    "guard",
]

_LOCK = threading.Lock()
_IDENTIFICATION = bytes([0, 0, 0, 21, 1, 0, 98, 0, 0, 4, 0, 1, 7, 208, 1, 1, 0, 0, 0, 0, 0])
"""A section 1: centre 98, no local tables."""
_PRODUCT = bytes([0, 0, 0, 34, 4, 0, 0, 0, 0, 0, 0, 2, *[0] * 10, 1, *[0] * 5, *[255] * 6])
"""A section 4 of template 4.0."""
_NO_BITMAP = bytes([0, 0, 0, 6, 6, 255])


@cache
def available() -> bool:
    """Whether ecCodes can be used."""
    try:
        _eccodes()
    except MissingDependencyError:
        return False
    return True


def _eccodes(purpose: str = "this chunk") -> Any:
    return eccodes(f"refmaker.grib: {purpose}")


@cache
def guard() -> AbstractContextManager[Any]:
    """Return what has to be held while ecCodes works: a lock, unless it was built for threads."""
    ec = _eccodes()
    try:
        threads = "ECCODES_THREADS" in ec.codes_get_features(ec.CODES_FEATURES_ENABLED)
    except AttributeError:
        threads = False
    return nullcontext() if threads else _LOCK


def decode_parts(
    field: FieldSections, template: int, count: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Decode the values in sections 5 and 7, without regard to a bitmap.

    Parameters
    ----------
    field : FieldSections
        A field of edition 2 whose packing does not depend on the grid.
    template : int
        Its template 5.x, for messages.
    dtype : numpy.dtype
        float64 or float32.

    Raises
    ------
    CodecError
        If ecCodes cannot decode them.
    UnsupportedError
        If it does not know the packing.
    """
    # Section 3 of template 3.0: one row of points on a sphere.
    row = struct.pack(">IBBIHH", 72, 3, 0, count, 0, 0) + bytes([6, *[255] * 15])
    row += struct.pack(">II", count, 1) + bytes(8 + 8 + 1 + 8 + 8 + 1)
    message = _message(row, field.sections[5].tobytes(), field.sections[7].tobytes())
    return _values(message, count, dtype, f"template 5.{template}")


def decode_with_grid(
    field: FieldSections, template: int, count: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Decode a field of edition 2 whose packing depends on the grid; see `decode_parts`."""
    if 3 not in field.sections:
        damaged(f"template 5.{template} needs section 3, the chunk begins later")
    message = _message(*(field.sections[index].tobytes() for index in (3, 5, 7)))
    return _values(message, count, dtype, f"template 5.{template}")


def decode_edition_1(
    field: FieldSections, points: int | None, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Decode a message of edition 1, its bitmap included; see `decode_parts`."""
    return _values(field.run.tobytes(), points, dtype, "this packing of edition 1")


def grid_points(
    section: bytes, grid: GridDefinition
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ask ecCodes for the latitudes and longitudes of a grid.

    Returns
    -------
    tuple of two ndarrays of float64, shape (points,)
        Degrees, in the order of the data put into rows.

    Raises
    ------
    UnsupportedError
        If ecCodes does not know them either, with code ``grib-grid``.
    MissingDependencyError
        If it is not installed.
    """
    ec = _eccodes("the grid, whose points are not known here,")
    if grid.edition == 1:
        message = _message_1(section)
    else:
        packing = struct.pack(">IBIHfHHBB", 21, 5, grid.points, 0, 0.0, 0, 0, 0, 0)
        message = _message(section, packing, b"\x00\x00\x00\x05\x07")
    found = []
    with guard():
        handle = None
        try:
            handle = ec.codes_new_from_message(message)
            if ec.codes_get_string(handle, "gridType") in ("unknown", "sh"):
                raise UnsupportedError(f"grids of the kind {grid.kind}", code="grib-grid")
            found = [ec.codes_get_array(handle, name) for name in ("latitudes", "longitudes")]
        except (ec.CodesInternalError, MemoryError) as error:
            raise UnsupportedError(
                f"ecCodes does not know the points of this grid ({grid.kind}): {error}",
                code="grib-grid",
            ) from error
        finally:
            if handle is not None:
                ec.codes_release(handle)
    if grid.scanning & ALTERNATING_ROWS or any(part.size != grid.points for part in found):
        raise UnsupportedError(
            f"ecCodes tells {found[0].size} points of {grid.points} ({grid.kind}, scanning mode "
            f"{grid.scanning:08b})",
            code="grib-grid",
        )
    latitude, longitude = (arrange(part, grid.shape, grid.scanning) for part in found)
    return latitude, longitude


def _message_1(grid: bytes) -> bytes:
    """Put a message of edition 1 together that has a grid, and one value everywhere."""
    # Section 1: table 1, centre 98, a grid definition but no bitmap; 2000-01-01.
    product = bytes([0, 0, 28, 1, 98, 0, 255, 0x80, 11, 1, 0, 0, 100, 1, 1, 0, 0, 1])
    product += bytes([0, 0, 0, 0, 0, 0, 20, 0, 0, 0])
    data = bytes([0, 0, 12, 8, *[0] * 8])
    parts = [product, grid, data, b"7777"]
    length = 8 + sum(map(len, parts))
    return b"".join([b"GRIB", length.to_bytes(3, "big"), b"\x01", *parts])


def _message(grid: bytes, packing: bytes, data: bytes) -> bytes:
    """Put a message of edition 2 together."""
    parts = [_IDENTIFICATION, grid, _PRODUCT]
    parts += [packing, _NO_BITMAP, data, b"7777"]
    length = 16 + sum(map(len, parts))
    return b"".join([b"GRIB\xff\xff\x00\x02", struct.pack(">Q", length), *parts])


def _values(message: bytes, count: int | None, dtype: np.dtype[Any], packing: str) -> NDArray[Any]:
    ec = _eccodes()
    with guard():
        handle = None
        try:
            handle = ec.codes_new_from_message(message)
            # What ecCodes puts where there is no value: so it can be mistaken for none.
            ec.codes_set_double(handle, "missingValue", float("nan"))
            size = ec.codes_get_size(handle, "values")
            if count is not None and size != count:
                damaged(f"{packing} holds {size} values, there are {count} points with values")
            values: NDArray[Any] = ec.codes_get_values(handle)
        except ec.CodesInternalError as error:
            if isinstance(error, _unknown()):
                raise UnsupportedError(
                    f"refmaker.grib: ecCodes does not decode {packing}: {error}",
                    code="grib-packing",
                ) from error
            damaged(f"ecCodes cannot decode {packing}: {error}")
        finally:
            if handle is not None:
                ec.codes_release(handle)
    if count is not None and values.size != count:
        damaged(f"{packing} gave {values.size} of {count} values")
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


@cache
def _unknown() -> tuple[type[Exception], ...]:
    ec = _eccodes()
    return (ec.KeyValueNotFoundError, ec.FunctionNotImplementedError)
