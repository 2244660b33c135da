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
from refmaker.scanners.dicom.dimensions import Column
from refmaker.scanners.dicom.values import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.tags import Element

__all__ = ["FrameAttributes", "separating"]

POSITION, ORIENTATION = 0x00200032, 0x00200037
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
        texts = self.texts(tag).tolist()
        known = {text: _microseconds(text) for text in set(texts)}
        first = min((found for found in known.values() if found is not None), default=0)
        # Whole numbers until here: a float has no microseconds of a date.
        seconds = {t: np.nan if us is None else (us - first) / 1e6 for t, us in known.items()}
        return np.array([seconds[text] for text in texts], np.float64)

    def _dataset(self, tag: int, element: Element) -> Dataset:
        return Dataset({tag: element}, implicit=False, big=self.big)


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


_NUMBERS: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("temporal_position", (0x00209128, 0x00200100), ""),
    ("echo_time", (0x00189082, 0x00180081), "ms"),
    ("echo_number", (0x00180086,), ""),
    ("inversion_time", (0x00189079, 0x00180082), "ms"),
    ("repetition_time", (0x00180080,), "ms"),
    ("flip_angle", (0x00181314,), "degree"),
    ("trigger_time", (0x00209153, 0x00181060), "ms"),
    ("frame_reference_time", (0x00541300,), "ms"),
    ("segment", (0x0062000B,), ""),
    ("energy", (0x00180060,), "kV"),
    ("acquisition_number", (0x00209156, 0x00200012), ""),
)
"""Attributes that may be dimensions: name, tags of which the first that is there counts."""
_COUNTS = frozenset({"temporal_position", "echo_number", "segment", "acquisition_number"})
_BIG = 2.0**53
_TEXTS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("complex_component", (0x00089208,)),
    ("image_type", (0x00089007, 0x00080008)),
    ("optical_path", (0x00480106,)),
)
_CLOCKS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("acquisition_time", (0x00189074, 0x00189151, 0x0008002A, 0x00080032)),
    ("content_time", (0x00080033,)),
)
_ORDER = ("segment", "temporal_position", "echo_time", "echo_number", "diffusion")
_B_VALUES = (
    (0x00189087, 0, b""),
    (0x0019100C, 0x00190010, b"SIEMENS MR HEADER"),
    (0x20011003, 0x20010010, b"PHILIPS IMAGING DD 001"),
)
"""Where diffusion b-values stand: tag, tag of the private creator, and its name."""
_GRADIENT = 0x00189089


def separating(records: FrameAttributes) -> list[Column]:
    """Return the attributes by which frames at one place may be told apart.

    In the order in which they are tried as dimensions; see `dimensions.discover`. Times are
    seconds from the earliest frame's, never dates or times of day.
    """
    found: dict[str, Column] = {}
    for name, tags, units in _NUMBERS:
        tag = next((tag for tag in tags if records.present(tag)), None)
        if tag is not None:
            found[name] = Column(name, _whole(name, records.number(tag)), units, tag=tag)
    diffusion = _diffusion(records)
    if diffusion is not None:
        found[diffusion.name] = diffusion
    for name, tags in _TEXTS:
        tag = next((tag for tag in tags if records.present(tag)), None)
        if tag is not None:
            found[name] = Column(name, records.texts(tag))
    for name, tags in _CLOCKS:
        tag = next((tag for tag in tags if records.present(tag)), None)
        if tag is not None:
            found[name] = Column(name, records.clock(tag), "s", clock=True)
    for name in ("trigger_time", "frame_reference_time"):
        if name in found:
            clock = found[name]
            found[f"{name}_order"] = Column(name, clock.values, clock.units, clock=True)
    first = [found.pop(name) for name in _ORDER if name in found]
    return [*first, *found.values()]


def _whole(name: str, values: NDArray[np.float64]) -> NDArray[Any]:
    """Return values that count something as integers, if every frame has one."""
    if name in _COUNTS and bool(np.isfinite(values).all() and np.abs(values).max(initial=0) < _BIG):
        return values.astype(np.int64)
    return values


def _diffusion(records: FrameAttributes) -> Column | None:
    """Return b-value and gradient direction as one column, shape (n, 4)."""
    for tag, creator, name in _B_VALUES:
        if not records.present(tag):
            continue
        owners = [element[1].strip(b" \0").upper() for element in records.raw(creator) if element]
        if creator and owners[:1] != [name]:
            continue
        values = records.number(tag)
        gradient = records.numbers(_GRADIENT, 3)
        return Column("diffusion", np.concatenate([values[:, None], gradient], axis=1))
    return None
