"""Frames as columns: for every frame its plane, its rescaling, and what may separate it.

An ordinary instance and a frame of a multi-frame instance look alike here: each is a set of
elements, over those that several frames share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.dicom.agreement import differing
from refmaker.scanners.dicom.decimals import is_plain
from refmaker.scanners.dicom.values import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.tags import Element

__all__ = ["FrameAttributes", "clock_seconds"]

POSITION, ORIENTATION = 0x00200032, 0x00200037
POSITION_IN_VOLUME, ORIENTATION_IN_VOLUME = 0x00209301, 0x00209302
"""Of ultrasound: in axes of the transducer's volume (PS3.3, C.8.24.2), not of the patient."""
PIXEL_SPACING = 0x00280030
INTERCEPT, SLOPE = 0x00281052, 0x00281053


@dataclass(frozen=True, slots=True, eq=False)
class FrameAttributes:
    """The elements of frames, and their values as columns.

    Parameters
    ----------
    own : sequence of dict
        Elements of each frame.
    shared : mapping
        Elements of all frames, where a frame has none of its own.
    big : bool
        Whether binary values are big endian.

    Attributes
    ----------
    tags : frozenset of int
        Tags of which some frame has an element of its own.
    """

    own: Sequence[Mapping[int, Element]]
    shared: Mapping[int, Element]
    big: bool = False
    tags: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", frozenset().union(*self.own))

    @classmethod
    def of_headers(cls, headers: Sequence[Header]) -> FrameAttributes:
        """Return ordinary instances as frames; what they agree in is shared."""
        varying, elements = differing(headers), [header.elements for header in headers]
        shared = {tag: value for tag, value in elements[0].items() if tag not in varying}
        own = [{tag: one[tag] for tag in varying if tag in one} for one in elements]
        return cls(own, shared, headers[0].big)

    def __len__(self) -> int:
        return len(self.own)

    def take(self, rows: NDArray[np.int64]) -> FrameAttributes:
        """Return some of the frames, in another order."""
        return FrameAttributes([self.own[row] for row in rows.tolist()], self.shared, self.big)

    def raw(self, tag: int) -> list[Element | None]:
        """Return the element of each frame."""
        default = self.shared.get(tag)
        if tag not in self.tags:
            return [default] * len(self.own)
        return [own.get(tag, default) for own in self.own]

    @property
    def in_volume(self) -> bool:
        """Whether frames lie in the axes of a volume of ultrasound, not of the patient."""
        return self.present(POSITION_IN_VOLUME) and not self.present(POSITION)

    def _once(self, tag: int) -> tuple[list[Element | None], int]:
        """Return the element of each frame, or of one where all have the same; how often."""
        elements = self.raw(tag)
        return (elements, 1) if tag in self.tags else (elements[:1], len(elements))

    def present(self, tag: int) -> bool:
        """Tell whether any frame has an element."""
        return tag in self.shared or tag in self.tags

    def numbers(self, tag: int, width: int) -> NDArray[np.float64]:
        """Return the numbers of each frame, shape (n, width); NaN where there are none."""
        nothing = (np.nan,) * width
        known: dict[bytes, Any] = {}
        rows: list[Any] = []
        elements, times = self._once(tag)
        for element in elements:
            if element is None:
                rows.append(nothing)
                continue
            row = known.get(element[1])
            if row is None:
                row = known[element[1]] = self._row(tag, element, width) or nothing
            rows.append(row)
        return np.repeat(np.array(rows, np.float64).reshape(len(rows), width), times, axis=0)

    def _row(self, tag: int, element: Element, width: int) -> Any:
        # Thousands of frames have numbers as they should be: these need no careful reader.
        if element[0] == b"DS" and is_plain(element[1].replace(b"\\", b"")):
            try:
                row = [float(part) for part in element[1].split(b"\\")]
            except ValueError:
                pass
            else:
                total = sum(row)
                if len(row) == width and total - total == 0:
                    return row
        try:
            return self._dataset(tag, element).numbers(tag, width)
        except FormatError:
            return None

    def number(self, tag: int) -> NDArray[np.float64]:
        """Return the only number of each frame, shape (n,); NaN where there is none.

        Where there are several that differ, or none that has one reading, it is NaN as well:
        see `refused`.
        """
        known: dict[bytes, float] = {}
        values = []
        elements, times = self._once(tag)
        for element in elements:
            raw = b"" if element is None else element[1]
            if raw not in known:
                known[raw] = np.nan if element is None else self._number(tag, element)
            values.append(known[raw])
        return np.repeat(np.array(values, np.float64), times)

    def _number(self, tag: int, element: Element) -> float:
        try:
            found = self._dataset(tag, element).number(tag)
        except FormatError:
            return np.nan
        return np.nan if found is None else found

    def refused(self, tag: int, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell of which frames an element has a value, but none that is a number.

        Parameters
        ----------
        tag : int
            The element.
        values : ndarray of float64, shape (n,) or (n, k)
            What `number` or `numbers` returned for it.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        unknown = np.array(np.isnan(values).reshape(len(values), -1).any(axis=1), bool)
        for row in np.flatnonzero(unknown).tolist():
            element = self.own[row].get(tag, self.shared.get(tag))
            unknown[row] = element is not None and bool(element[1].strip(b" \0\\"))
        return unknown

    def texts(self, tag: int) -> NDArray[np.str_]:
        """Return the text of each frame, shape (n,); several values joined by a backslash."""
        known: dict[bytes, str] = {}
        values = []
        elements, times = self._once(tag)
        for element in elements:
            raw = b"" if element is None else element[1]
            if raw not in known:
                known[raw] = "" if element is None else self._dataset(tag, element).text(tag)
            values.append(known[raw])
        return np.repeat(np.array(values, np.str_), times)

    def clock(self, tag: int) -> NDArray[np.float64]:
        """Return times of day, or dates with times, in seconds from the earliest frame's."""
        return clock_seconds(self.texts(tag).tolist())

    def _dataset(self, tag: int, element: Element) -> Dataset:
        return Dataset({tag: element}, implicit=False, big=self.big)


def clock_seconds(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return times of day, or dates with times, in seconds from the earliest; NaN for others."""
    known = {text: _microseconds(text) for text in set(texts)}
    first = min((found for found in known.values() if found is not None), default=0)
    # Whole numbers until here: a float has no microseconds of a date.
    seconds = {t: np.nan if us is None else (us - first) / 1e6 for t, us in known.items()}
    return np.array([seconds[text] for text in texts], np.float64)


def _microseconds(text: str) -> int | None:
    """Return the time of a TM or DT value since midnight, or since a day long ago."""
    digits = text.partition("+")[0].partition("-")[0].replace(":", "")
    whole, _, fraction = digits.partition(".")
    days = 0
    if len(whole) > 6:
        from datetime import date

        try:
            days = date(int(whole[:4]), int(whole[4:6]), int(whole[6:8])).toordinal()
        except ValueError:
            return None
        whole = whole[8:]
    if not (whole + fraction).isdecimal() or len(whole) % 2:
        return None
    parts = [int(whole[at : at + 2]) for at in range(0, len(whole), 2)] + [0, 0]
    hours, minutes, seconds = parts[:3]
    below = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000 + below
