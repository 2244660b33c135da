"""Images and cubes: the primary array and IMAGE extensions as references.

Implements sections 3.3.2, 4.4.2.5 and 7.1 of the FITS Standard 4.0: big-endian elements, NAXIS1
fastest, physical value = BZERO + BSCALE x stored value, BLANK for integers without a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.model import Array
from refmaker.scanners.fits.packed import place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.io.source import Source
    from refmaker.model import ChunkTable
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.hdus import HDU
    from refmaker.scanners.fits.header import Header
    from refmaker.scanners.fits.packed import PackedSource
    from refmaker.scanning.options import ScanOptions

__all__ = ["DTYPES", "Coding", "coding", "dimension_names", "image_array", "scaling"]

DTYPES: Final[dict[int, np.dtype[Any]]] = {
    8: np.dtype("|u1"),
    16: np.dtype(">i2"),
    32: np.dtype(">i4"),
    64: np.dtype(">i8"),
    -32: np.dtype(">f4"),
    -64: np.dtype(">f8"),
}
"""Stored types by BITPIX."""
_MAX_RANK: Final = 32
"""Dimensions that every supported numpy can handle."""


class Coding:
    """What the elements mean that are stored.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of the elements; the other kind of integer where BZERO says so.
    filters : tuple of dict
        Codecs that make it of the stored type.
    attributes : dict
        ``units``, ``scale_factor``, ``add_offset``, ``_FillValue``.
    fill_value : object
        The same missing value as a scalar; None if there is none.
    """

    def __init__(self, stored: np.dtype[Any]) -> None:
        self.dtype = stored
        self.filters: tuple[Mapping[str, Any], ...] = ()
        self.attributes: dict[str, Any] = {}
        self.fill_value: Any = None

    def array(
        self,
        table: ChunkTable,
        shape: tuple[int, ...],
        chunk: tuple[int, ...],
        names: tuple[str, ...],
        *,
        inner: tuple[Mapping[str, Any], ...] = (),
        compressor: Mapping[str, Any] | None = None,
    ) -> Array:
        """Return an array of such elements.

        Parameters
        ----------
        table : ChunkTable
            Where they lie.
        shape, chunk : tuple of int
        names : tuple of str
            Of the dimensions.
        inner, compressor
            Codecs that take the stored elements out of the chunks' bytes.
        """
        return Array(
            shape,
            chunk,
            self.dtype,
            table,
            fill_value=self.fill_value,
            filters=(*self.filters, *inner),
            compressor=compressor,
            dimension_names=names,
            attributes=self.attributes,
        )


def coding(
    header: Header,
    bitpix: int,
    path: str,
    report: ScanReport,
    keys: tuple[str, str, str, str] = ("BSCALE", "BZERO", "BLANK", "BUNIT"),
) -> Coding:
    """Return how stored elements become values.

    Parameters
    ----------
    header : Header
        The unit's keywords.
    bitpix : int
        Type of the stored elements.
    path : str
        The array, for messages.
    report : ScanReport
        Told of keywords that mean nothing.
    keys : tuple of str
        The keywords of factor, offset, missing value and unit.

    Raises
    ------
    FormatError
        If a factor or an offset is no number, or the factor is 0.
    """
    stored = DTYPES[bitpix]
    scale, zero = scaling(header, keys[0], keys[1])
    made = Coding(stored)
    if header.text(keys[3]):
        made.attributes["units"] = header.text(keys[3])
    shift = 0
    if scale == 1 and zero == _other_kind(bitpix):
        shift = int(zero)
        made.dtype = np.dtype(stored.str.replace("i" if bitpix > 8 else "u", "ui"[bitpix == 8]))
        made.filters = (_shift(stored, made.dtype, shift),)
    else:
        if scale != 1:
            made.attributes["scale_factor"] = float(scale)
        if zero != 0:
            made.attributes["add_offset"] = float(zero)
    blank = header.keywords.get(keys[2])
    if blank is None:
        return made
    if bitpix < 0 or isinstance(blank, bool) or not isinstance(blank, int):
        report.warn(f"{path}: {keys[2]} {blank!r} is left out: it is for integers, and one itself")
    elif not np.iinfo(stored).min <= blank <= np.iinfo(stored).max:
        report.warn(f"{path}: {keys[2]} {blank} is left out: no {stored} has that value")
    else:
        made.attributes["_FillValue"] = blank + shift
        made.fill_value = made.dtype.type(blank + shift)
    return made


def scaling(header: Header, factor: str, offset: str) -> tuple[int | float, int | float]:
    """Return the factor and the offset that two keywords give; 1 and 0 where they are missing.

    Raises
    ------
    FormatError
        If one is no number, or the factor is 0.
    """
    scale, zero = _number(header, factor, 1), _number(header, offset, 0)
    if scale == 0:
        raise FormatError(f"{factor} is 0: all values would be the same", offset=header.start)
    return scale, zero


def _number(header: Header, name: str, default: int) -> int | float:
    value = header.keywords.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{name} is {value!r}, no number", offset=header.start)
    return value


def _other_kind(bitpix: int) -> int | None:
    """Return the BZERO that makes unsigned integers of signed ones, and signed bytes of bytes."""
    if bitpix < 0:
        return None
    return -128 if bitpix == 8 else 1 << (bitpix - 1)


def _shift(stored: np.dtype[Any], meant: np.dtype[Any], offset: int) -> dict[str, Any]:
    if stored.itemsize == 8:  # the stock codec computes in double precision
        return {"id": "refmaker.fits_unsigned", "dtype": meant.str}
    return {
        "id": "fixedscaleoffset",
        "scale": 1,
        "offset": offset,
        "dtype": meant.str,
        "astype": stored.str,
    }


def dimension_names(hdu: HDU, rank: int, *, primary: bool) -> tuple[str, ...]:
    """Return the names of an image's dimensions: those of the keywords of their lengths.

    Parameters
    ----------
    hdu : HDU
        The unit.
    rank : int
        Number of dimensions.
    primary : bool
        Whether the root has an image: its dimensions hold in the groups below, so that those of
        extensions need names of their own.
    """
    prefix = f"{hdu.group}_" if primary and hdu.group else ""
    return tuple(f"{prefix}NAXIS{axis}" for axis in range(rank, 0, -1))


def image_array(
    hdu: HDU,
    source: Source | PackedSource,
    options: ScanOptions,
    report: ScanReport,
    *,
    primary: bool,
) -> Array:
    """Return the array of an image that is not compressed.

    Parameters
    ----------
    hdu : HDU
        A primary unit or IMAGE extension with at least one axis.
    source : Source or PackedSource
        The file; small data are read.
    options : ScanOptions
        Thresholds.
    report : ScanReport
        Told of keywords that mean nothing.
    primary : bool
        As for `dimension_names`.

    Raises
    ------
    FormatError, TruncatedError
        If the data lie beyond the end of the file, or BSCALE and BZERO say nothing.
    UnsupportedError
        If it is no single array.
    """
    header = hdu.header
    _check(hdu, source)
    shape = header.axes[::-1]
    made = coding(header, header.bitpix, hdu.below("data"), report)
    placed = place(source, shape, made.dtype.itemsize, header.data, options)
    return Array(
        shape,
        placed.chunk,
        made.dtype,
        placed.table,
        fill_value=made.fill_value,
        filters=(*made.filters, *placed.filters),
        compressor=placed.compressor,
        dimension_names=dimension_names(hdu, len(shape), primary=primary),
        attributes=made.attributes,
    )


def _check(hdu: HDU, source: Source | PackedSource) -> None:
    """Refuse what is no single array inside the file."""
    header = hdu.header
    if hdu.index == 0 and header.keywords.get("SIMPLE") is not True:
        raise UnsupportedError(
            f"SIMPLE is {header.keywords.get('SIMPLE')!r}: the file says that it does not follow "
            "the standard",
            code="fits-nonstandard",
            offset=header.start,
        )
    if header.groups:
        raise UnsupportedError(
            "random groups in an extension, which the standard has not",
            code="fits-random-groups",
            offset=header.start,
        )
    if header.integer("PCOUNT", 0) or header.integer("GCOUNT", 1) != 1:
        raise UnsupportedError(
            "an image with PCOUNT or GCOUNT is no single array",
            code="fits-geometry",
            offset=header.start,
        )
    if len(header.axes) > _MAX_RANK:
        raise UnsupportedError(
            f"it has {len(header.axes)} dimensions, at most {_MAX_RANK} can be read",
            code="fits-rank",
            offset=header.start,
        )
    if hdu.end > source.size:
        raise TruncatedError(
            f"its data end at byte {hdu.end}, the file at {source.size}",
            offset=header.data,
            hint="the file is incomplete",
        )
