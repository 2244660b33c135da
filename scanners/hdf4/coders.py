"""Compression: the headers of compressed elements, and the codecs that undo them.

Implements the compression headers of the HDF Specification 4.2, section 3.6 (SPECIAL_COMP), as
``hcomp.c`` writes them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.hdf4.number_types import dtype_of_code

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CODER_BYTES", "REPACK", "Coder", "read_coder"]

REPACK: Final = "write the file anew: hrepack -i OLD.hdf -o NEW.hdf -t '*:GZIP 1'"
"""What to do about data that the tools of the HDF library read and nothing here does."""

_PARAMETERS: Final = {0: "", 1: "", 2: "iHHii", 3: "I", 4: "H", 5: "IIIBB"}
_NAMES: Final = {2: "n-bit", 3: "skipping Huffman", 5: "SZIP", 6: "SZIP", 7: "JPEG", 12: "IMCOMP"}
CODER_BYTES: Final = 4 + 16
"""Bytes of the longest header: model, coder, parameters."""


class Coder(NamedTuple):
    """How an element is compressed.

    Parameters
    ----------
    number : int
        0 none, 1 RLE, 2 n-bit, 3 skipping Huffman, 4 deflate, 5 SZIP.
    parameters : tuple of int
        Those of its header, in order.
    """

    number: int
    parameters: tuple[int, ...]

    def codec(self, nbytes: int, dtype: np.dtype[Any]) -> dict[str, Any] | None:
        """Return the configuration of the codec; None if nothing is to be done.

        Parameters
        ----------
        nbytes : int
            Bytes that it decodes to.
        dtype : numpy.dtype
            Type of the elements.

        Raises
        ------
        FormatError
            If the parameters cannot be.
        """
        if self.number == 4:
            return {"id": "zlib", "level": min(self.parameters[0], 9)}
        if self.number == 1:
            return {"id": "refmaker.hdf4_rle", "size": nbytes}
        if self.number == 3:
            return {
                "id": "refmaker.hdf4_skphuff",
                "size": nbytes,
                "lanes": _within(self.parameters[0], 1, 256, "bytes of an element"),
            }
        if self.number == 2:
            return self._nbit(nbytes, dtype)
        if self.number == 5:
            _, scanline, mask, bits, block = self.parameters
            return {
                "id": "refmaker.hdf4_szip",
                "size": nbytes,
                "options_mask": mask & 0x7FFFFFFF,
                "pixels_per_block": _within(block, 2, 32, "pixels of a block"),
                "bits_per_pixel": _within(bits, 1, 64, "bits of a pixel"),
                "pixels_per_scanline": _within(scanline, 1, 4096, "pixels of a scanline"),
            }
        return None

    def _nbit(self, nbytes: int, dtype: np.dtype[Any]) -> dict[str, Any]:
        code, sign, fill, start, bits = self.parameters
        stored = dtype_of_code(code & ~0x1000)
        if stored.itemsize != dtype.itemsize or nbytes % dtype.itemsize:
            raise FormatError(f"n-bit elements of the type {stored} of an array of {dtype}")
        width = 8 * dtype.itemsize
        return {
            "id": "refmaker.hdf4_nbit",
            "dtype": dtype.str.replace("S", "u").replace("f", "u"),
            "start": _within(start, 0, width - 1, "the first bit"),
            "bits": _within(bits, 1, start + 1, "bits of an element"),
            "sign": bool(sign),
            "ones": bool(fill),
            "count": nbytes // dtype.itemsize,
        }


def read_coder(raw: bytes) -> Coder:
    """Return how an element is compressed, by the part of its header from the model on.

    Parameters
    ----------
    raw : bytes
        The header; there may be more behind it.

    Raises
    ------
    FormatError
        If it is too short.
    UnsupportedError
        If nothing here decodes it; code ``hdf4-coder``.
    """
    if len(raw) < 4:
        raise FormatError("a compression header without model and coder")
    model, number = struct.unpack_from(">HH", raw)
    form = _PARAMETERS.get(number)
    if model or form is None:
        name = _NAMES.get(number, "unknown")
        raise UnsupportedError(
            f"it is compressed by model {model}, coder {number} ({name})",
            code="hdf4-coder",
            hint=REPACK,
        )
    try:
        return Coder(number, struct.unpack_from(f">{form}", raw, 4))
    except struct.error as error:
        raise FormatError(f"a compression header of {len(raw)} bytes") from error


def _within(value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        raise FormatError(f"{what} are {value}, not in {low}..{high}")
    return value
