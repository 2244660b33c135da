"""When the frames of a run were acquired, or are to be shown.

Implements the Cine Module (PS3.3, C.7.6.5): Frame Time, or Frame Time Vector where Frame Increment
Pointer names it, with Frame Delay before the first frame. A display rate is no time of acquisition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.dicom.dimensions import Column
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.series import Image

__all__ = ["cine_columns"]

FRAME_TIME, FRAME_TIME_VECTOR, FRAME_DELAY = 0x00181063, 0x00181065, 0x00181066
DISPLAY_RATE, CINE_RATE = 0x00082144, 0x00180040
_POINTER = 0x00280009


def cine_columns(image: Image, refused: dict[int, int]) -> list[Column]:
    """Return the time of each frame of a run, in milliseconds from the start of the run.

    Parameters
    ----------
    image : Image
        Frames of one instance in a row; others have no such time.
    refused : dict of int to int
        Takes the tags of what has no reading.

    Returns
    -------
    list of Column
        ``time``; or ``display_time``, where only a rate is known at which frames are to be shown.
    """
    instances = image.source[:, 0]
    if image.names != ("frame",) or not instances.size or (instances != instances[0]).any():
        return []
    number = int(instances[0])
    header, frame = image.headers[number], image.source[:, 1]
    try:
        delay = header.number(FRAME_DELAY) or 0.0
        times = _acquired(header, frame)
    except FormatError as error:
        # The path of such an error is the tag, which is told with the file.
        refused[_TAGS.get(error.path or "", FRAME_TIME)] = number
        return []
    if times is not None:
        return [Column("time", times + delay, "ms", separates=False)]
    return _shown(header, frame)


_TAGS = {tag_text(tag): tag for tag in (FRAME_TIME, FRAME_TIME_VECTOR, FRAME_DELAY)}


def _acquired(header: Header, frame: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return when frames were acquired, None if nothing tells."""
    steps = header.numbers(FRAME_TIME_VECTOR)
    step = header.number(FRAME_TIME)
    if steps is not None and (step is None or FRAME_TIME_VECTOR in header.values(_POINTER)):
        if len(steps) <= int(frame.max()):
            raise FormatError("fewer increments than frames", path=tag_text(FRAME_TIME_VECTOR))
        # There is no increment before the first frame, whatever stands there.
        return np.asarray(np.cumsum([0.0, *steps[1:]])[frame], np.float64)
    return None if step is None else np.asarray(frame * step, np.float64)


def _shown(header: Header, frame: NDArray[np.int64]) -> list[Column]:
    """Return when frames are to be shown, where a rate is all that is known."""
    for tag in (DISPLAY_RATE, CINE_RATE):
        try:
            rate = header.number(tag)
        except FormatError:
            continue
        if rate is not None and rate > 0:
            return [Column("display_time", frame * (1000 / rate), "ms", separates=False)]
    return []
