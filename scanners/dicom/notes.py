"""What is odd about an image, in words: never with a value of a header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.dicom.frame_attributes import ORIENTATION, PIXEL_SPACING, POSITION
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.dicom.series import Image

__all__ = ["Note", "damaged_numbers", "refused_number"]


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """One oddity, and the first frame that has it.

    Parameters
    ----------
    text : str
        What is odd; it is written into reference sets, so it names no file.
    image : Image
        The frames.
    frame : int
        Row of the first one.
    """

    text: str
    image: Image
    frame: int

    @property
    def located(self) -> str:
        """The text with the name of the file, for whoever scans."""
        header = self.image.headers[int(self.image.source[self.frame, 0])]
        return f"{self.text} ({header.url.rpartition('/')[2]})"


def refused_number(image: Image, tag: int, frames: NDArray[np.bool_]) -> Note:
    """Return the note on an element that has a value in some frames, but no number."""
    count = int(frames.sum())
    text = f"{tag_text(tag)} of {count} frames is no number, or has more than one reading"
    return Note(text, image, int(np.argmax(frames)))


def damaged_numbers(image: Image) -> list[Note]:
    """Return what became of numbers that cannot be read: planes, and what may be a dimension."""
    notes = []
    # Frames of an image have orientation and spacing in common, if they have any.
    for tag, known in (
        (POSITION, image.position),
        (ORIENTATION, image.orientation),
        (PIXEL_SPACING, image.spacing),
    ):
        if image.records.present(tag) and not bool(np.isfinite(known).all()):
            values = image.records.numbers(tag, known.shape[-1])
            frames = image.records.refused(tag, values)
            if bool(frames.any()):
                notes.append(refused_number(image, tag, frames))
            nothing: NDArray[np.bool_] = np.asarray((values <= 0).any(axis=1))
            if tag == PIXEL_SPACING and bool(nothing.any()):
                count = int(nothing.sum())
                text = f"{tag_text(tag)} of {count} frames is not above 0, which is no distance"
                notes.append(Note(text, image, int(np.argmax(nothing))))
    for column in image.columns:
        for tag, frames in column.attributes.get("refused", {}).items():
            notes.append(refused_number(image, tag, frames))
        if column.tag and column.values.dtype.kind == "f" and column.values.ndim == 1:
            frames = image.records.refused(column.tag, column.values)
            if bool(frames.any()):
                notes.append(refused_number(image, column.tag, frames))
    return notes
