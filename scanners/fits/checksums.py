"""Checksums of header and data units.

Implements section 4.4.2.7 and appendix J of the FITS Standard 4.0: sums of 32-bit words with the
carry added again. ``DATASUM`` is that of the data; with ``CHECKSUM``, that of a whole unit is -0.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["wrong_sums"]

_ONES: Final = 2**32 - 1


def wrong_sums(unit: Any, content: bytes) -> str:
    """Return what is wrong with the checksums of a unit; empty if nothing is.

    Parameters
    ----------
    unit : astropy.io.fits.hdu.base._BaseHDU
        The unit, which tells where its bytes lie.
    content : bytes
        The file.
    """
    place = unit.fileinfo()
    header, data = place["hdrLoc"], place["datLoc"]
    end = data + place["datSpan"]
    told = unit.header.get("DATASUM")
    if told is not None and str(told).strip():
        text = str(told).strip()
        found = _sum(content[data:end])
        if not text.isdigit() or (int(text) % _ONES != found % _ONES):
            return f"DATASUM is {text}, the sum of the data is {found}: they were changed"
    if str(unit.header.get("CHECKSUM", "")).strip() and _sum(content[header:end]) % _ONES:
        return "CHECKSUM does not fit header and data: they were changed"
    return ""


def _sum(content: bytes) -> int:
    """Return the ones' complement sum of 32-bit words."""
    whole = content + bytes(-len(content) % 4)
    total = int(np.frombuffer(whole, ">u4").sum(dtype=np.uint64))
    while total > _ONES:
        total = (total & _ONES) + (total >> 32)
    return total
