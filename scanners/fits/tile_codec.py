"""The codec of a tile-compressed image, by its keywords.

Implements sections 10.1.2, 10.2 and 10.4 of the FITS Standard 4.0.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.fits.images import DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.scanners.fits.header import Header

__all__ = ["FUNPACK", "tile_codec", "tile_settings"]

FUNPACK: Final = "funpack of cfitsio makes a plain image of it"
_DITHERS: Final = {
    "": 0,
    "NONE": 0,
    "NO_DITHER": 0,
    "SUBTRACTIVE_DITHER_1": 1,
    "SUBTRACTIVE_DITHER_2": 2,
}
_ALIASES: Final = {"RICE_ONE": "RICE_1"}
_KNOWN: Final = ("RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS", "HCOMPRESS_1", "PLIO_1")
_INTEGERS: Final = ("RICE_1", "HCOMPRESS_1", "PLIO_1")
"""Algorithms that know integers only."""


def _refuse(what: str, code: str) -> UnsupportedError:
    return UnsupportedError(f"{what} cannot be decoded", code=code, hint=FUNPACK)


def tile_settings(
    header: Header,
    bitpix: int,
    columns: Mapping[str, NDArray[Any] | None],
    kinds: NDArray[np.uint8],
) -> dict[str, Any]:
    """Return what the codec ``refmaker.fits_tiles`` needs to know of the compression.

    Parameters
    ----------
    header : Header
        That of the table.
    bitpix : int
        ``ZBITPIX``.
    columns : mapping
        ``ZSCALE``, ``ZZERO`` and ``ZBLANK`` of each tile, or None.
    kinds : ndarray of uint8
        How each tile is stored; 0 for the algorithm of the image.

    Raises
    ------
    UnsupportedError
        If the algorithm, or what precedes it, is none of those that are decoded.
    FormatError
        If a keyword makes no sense.
    """
    name = header.text("ZCMPTYPE")
    algorithm = _ALIASES.get(name, name)
    if algorithm not in _KNOWN:
        raise _refuse(f"the algorithm {name!r}", "fits-" + _plain(name))
    if "ZMASKCMP" in header.keywords:
        raise _refuse("a mask of missing elements", "fits-null-mask")
    settings: dict[str, Any] = {
        "id": "refmaker.fits_tiles",
        "dtype": DTYPES[bitpix].str,
        "compression": algorithm,
    }
    quantized = _quantized(header, columns, kinds) if bitpix < 0 else {}
    if bitpix < 0 and not quantized and algorithm in _INTEGERS and bool((kinds == 0).any()):
        raise UnsupportedError(
            f"floats that are not quantised, under {algorithm}: libraries read them differently",
            code="fits-unquantised",
            hint="write the image anew from its source, as GZIP_2 or quantised",
        )
    if algorithm == "RICE_1":
        settings |= _rice(header, 4 if quantized else abs(bitpix) // 8)
    elif algorithm == "HCOMPRESS_1":
        settings["smooth"] = _smooth(header)
    return settings | quantized


def _quantized(
    header: Header, columns: Mapping[str, NDArray[Any] | None], kinds: NDArray[np.uint8]
) -> dict[str, Any]:
    """Return how floats were quantised; nothing if they were not."""
    scales, zeros = columns["ZSCALE"], columns["ZZERO"]
    if scales is None or zeros is None:
        return {}
    told = kinds == 0
    if not bool(np.isfinite(scales[told]).all() and np.isfinite(zeros[told]).all()):
        raise FormatError("ZSCALE or ZZERO is not finite", offset=header.start)
    found: dict[str, Any] = {"scales": scales.astype("<f8"), "zeros": zeros.astype("<f8")}
    blanks = columns["ZBLANK"]
    if blanks is not None:
        found["blanks"] = blanks.astype("<i4")
    method = header.text("ZQUANTIZ")
    if method not in _DITHERS:
        raise _refuse(f"the quantisation {method!r}", "fits-quantisation")
    found["dither"] = _DITHERS[method]
    if found["dither"]:
        found["seed"] = header.integer("ZDITHER0")
        if not 1 <= found["seed"] <= 10000:
            raise FormatError(f"ZDITHER0 is {found['seed']}", offset=header.start)
    return found


def _plain(name: str) -> str:
    """Return the name of an algorithm as the end of a code."""
    plain = "".join(c for c in name.lower().replace("_", "-") if c.isalnum() or c == "-")
    return plain if plain and plain.isascii() else "compression"


def _parameters(header: Header) -> dict[str, Any]:
    """Return what ``ZNAMEn`` and ``ZVALn`` say of the algorithm."""
    return {
        header.text(f"ZNAME{i}"): header.keywords.get(f"ZVAL{i}")
        for i in range(1, 10)
        if f"ZNAME{i}" in header.keywords
    }


def _rice(header: Header, width: int) -> dict[str, Any]:
    given = _parameters(header)
    block, told = given.get("BLOCKSIZE", 32), given.get("BYTEPIX", 4)
    if told not in (width, 4):
        raise _refuse(f"RICE_1 with BYTEPIX {told!r} for elements of {width} bytes", "fits-rice")
    if isinstance(block, bool) or not isinstance(block, int) or not 1 <= block <= 2**16:
        raise FormatError(f"BLOCKSIZE is {block!r}", offset=header.start)
    return {"block": block, "width": told}


def _smooth(header: Header) -> bool:
    """Return whether HCOMPRESS_1 smooths the image."""
    given = _parameters(header).get("SMOOTH", 0)
    if not isinstance(given, int):
        raise FormatError(f"SMOOTH is {given!r}", offset=header.start)
    return bool(given)


def tile_codec(
    settings: Mapping[str, Any],
    lengths: NDArray[np.int64],
    offsets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    kinds: NDArray[np.uint8],
) -> dict[str, Any]:
    """Return the configuration of ``refmaker.fits_tiles``.

    Parameters
    ----------
    settings : mapping
        As of `tile_settings`, with the shapes.
    lengths : ndarray of int64
        Bytes of each chunk.
    offsets, sizes, kinds : ndarray
        Of each tile: its first byte in its chunk, its bytes, how it is stored.
    """
    lists: dict[str, tuple[NDArray[Any], str]]
    lists = {"lengths": (lengths, "<u8"), "offsets": (offsets, "<u4"), "sizes": (sizes, "<u4")}
    lists["kinds"] = (kinds, "u1")
    for name, dtype in (("scales", "<f8"), ("zeros", "<f8"), ("blanks", "<i4")):
        if name in settings:
            lists[name] = (settings[name], dtype)
    return dict(settings) | {
        name: _packed(values, dtype) for name, (values, dtype) in lists.items()
    }


def _packed(values: NDArray[Any], dtype: str) -> str:
    """Return numbers as the codec reads them: base64 of their bytes."""
    return base64.b64encode(values.astype(dtype).tobytes()).decode()
