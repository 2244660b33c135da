"""Frames of files that are DICOM and TIFF at once, by the tile offsets of the TIFF directory.

Dual files (PS3.10, 7.1, and Clunie 2019, "Dual-Personality DICOM-TIFF") keep the TIFF header in
the preamble; its tiles, or strips, are the fragments of the pixel data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, LimitError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.io.source import Source

__all__ = ["tile_table"]

_TILE_OFFSETS, _STRIP_OFFSETS = 324, 273


def tile_table(source: Source, first: int, frames: int) -> NDArray[np.int64] | None:
    """Return where the fragment of each frame begins, if a TIFF directory tells.

    Parameters
    ----------
    source : Source
        The file, whose preamble is the header of a TIFF file.
    first : int
        Where the first fragment begins.
    frames : int
        How many there have to be.

    Returns
    -------
    ndarray of int64, shape (frames,), or None
        First byte of each item, ascending; None if no page of the TIFF file holds just that many
        tiles from the first fragment on.
    """
    # Hardly any file is a dual one, and the module brings others along.
    from refmaker.scanners.tiff.directory import read_directory

    try:
        directory = read_directory(source)
        pages = np.arange(len(directory))
        for code in (_TILE_OFFSETS, _STRIP_OFFSETS):
            _, count, _ = directory.place(code, pages)
            for page in pages[count == frames].tolist():
                values = np.atleast_1d(directory.value(page, code)).astype(np.int64)
                starts = values - 8
                ascending = bool(np.all(np.diff(starts) > 0))
                if starts.size == frames and starts[0] == first and ascending:
                    return starts
    except (FormatError, LimitError):
        # What is wrong with the TIFF side is no fault of the DICOM side.
        return None
    return None
