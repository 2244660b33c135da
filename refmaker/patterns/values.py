"""Values of a field, and the coordinate array that they become."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, MetadataError
from refmaker.model.inline import inline_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["FILES_LIMIT", "Values", "parse_list", "parse_range"]

FILES_LIMIT = 1 << 23
"""Files of one cube; each costs some hundred bytes while its name is made."""
_STEP = re.compile(r"([1-9][0-9]*)(s|min|h|D|W|M|Y)")
_EPOCH = "1970-01-01"


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one field.

    Parameters
    ----------
    kind : {"integer", "date", "text"}
        What the field takes.
    array : ndarray, shape (n,)
        int64, datetime64[s] or fixed-width str.
    """

    kind: str
    array: NDArray[Any]

    def __len__(self) -> int:
        return int(self.array.size)

    @classmethod
    def of(cls, name: str, kind: str, values: Sequence[Any]) -> Values:
        """Take values as Python has them: integers, dates (or ISO 8601 texts), or texts.

        Raises
        ------
        MetadataError
            If there is none, one is of another kind, or one is there twice.
        """
        try:
            array = _KINDS[kind](list(values))
        except (TypeError, ValueError, OverflowError) as error:
            text = f"the values of {name!r} are not of the kind {kind}: {error}"
            raise MetadataError(text) from error
        if array.size == 0:
            raise MetadataError(f"there are no values of {name!r}")
        if np.unique(array).size != array.size:
            raise MetadataError(f"a value of {name!r} is there twice")
        return cls(kind, array)

    def texts(self, spec: str) -> list[str]:
        """Return the values as a field of this format writes them.

        Raises
        ------
        MetadataError
            If an integer is negative, or a date has no such year.
        """
        if self.kind == "text":
            return [str(value) for value in self.array]
        if self.kind == "integer":
            if int(self.array.min()) < 0:
                raise MetadataError("negative numbers have no place in a file's name")
            width = int(spec[:-1] or 0)
            return [f"{value:0{width}d}" for value in self.array.tolist()]
        # Two digits of 12 come out where a year has fewer than four.
        years = [value.year for value in self.array.tolist()]
        if min(years) < 1000:
            raise MetadataError("dates before the year 1000 have no place in a file's name")
        return [value.strftime(spec) for value in self.array.tolist()]

    def coordinate(self, name: str) -> Array:
        """Return the values as an inlined array that CF conventions describe."""
        attributes: dict[str, Any] = {}
        array = self.array
        if self.kind == "date":
            seconds = array.astype("M8[s]").astype(np.int64)
            days = bool((seconds % 86400 == 0).all())
            unit = "days" if days else "seconds"
            attributes = {
                "units": f"{unit} since {_EPOCH}",
                "calendar": "proleptic_gregorian",
                "standard_name": "time",
            }
            array = seconds // 86400 if days else seconds
        dtype = np.dtype("<i8") if array.dtype.kind == "i" else array.dtype.newbyteorder("<")
        return inline_array(array.astype(dtype), (name,), attributes)


def _integers(given: Sequence[Any]) -> NDArray[Any]:
    if any(isinstance(value, bool) or int(value) != value for value in given):
        raise ValueError("no integer")
    return np.array([int(value) for value in given], np.int64)


def _texts(given: Sequence[Any]) -> NDArray[Any]:
    if not all(isinstance(value, str) and value for value in given):
        raise ValueError("no text, or an empty one")
    return np.array([str(value) for value in given])


def _dates(given: Sequence[Any]) -> NDArray[Any]:
    found = np.array([np.datetime64(value, "us") for value in given], "M8[us]")
    seconds = found.astype("M8[s]")
    if bool(np.isnat(found).any()) or bool((seconds != found).any()):
        raise ValueError("not a date in whole seconds")
    return seconds


_KINDS: dict[str, Any] = {"integer": _integers, "date": _dates, "text": _texts}


def parse_list(name: str, kind: str, text: str) -> Values:
    """Read ``1000,850,500``.

    Raises
    ------
    MetadataError
        If a value is not of the field's kind.
    """
    parts = [part.strip() for part in text.split(",")]
    if kind == "integer":
        return Values.of(name, kind, [_integer(name, part) for part in parts])
    return Values.of(name, kind, parts)


def parse_range(name: str, kind: str, text: str) -> Values:
    """Read ``2020-01-01:2020-01-31:1D`` or ``0:10:2``; the last value is part of it.

    With times that hold colons, ``/`` separates: ``2020-01-01T00:00/2020-01-02T18:00/6h``.

    Raises
    ------
    MetadataError
        If it is no range of the field's kind.
    LimitError
        If it has too many values.
    """
    parts = text.split("/") if "/" in text else text.split(":")
    if kind == "text":
        raise MetadataError(f"texts such as {name!r} have no ranges", hint="list the values")
    if len(parts) not in (2, 3):
        raise MetadataError(f"{text!r} is not START:STOP or START:STOP:STEP", path=name)
    if kind == "integer":
        start, stop, *rest = (_integer(name, part) for part in parts)
        step = rest[0] if rest else 1
        if step < 1 or stop < start:
            raise MetadataError(f"{text!r} is a range without any value", path=name)
        _check_size(name, (stop - start) // step + 1)
        return Values.of(name, kind, range(start, stop + 1, step))
    return _date_range(name, parts)


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise MetadataError(f"{text!r} is no integer", path=name) from error


def _date_range(name: str, parts: Sequence[str]) -> Values:
    step = _STEP.fullmatch(parts[2]) if len(parts) == 3 else _STEP.fullmatch("1D")
    if step is None:
        raise MetadataError(
            f"{parts[2]!r} is not a step such as 6h or 1D (s, min, h, D, W, M, Y)", path=name
        )
    try:
        dates = _span(parts[0].strip(), parts[1].strip(), int(step[1]), step[2])
    except (ValueError, OverflowError) as error:
        text = f"{':'.join(parts)} is no range of dates: {error}"
        raise MetadataError(text, path=name) from error
    _check_size(name, dates.size)
    return Values("date", dates)


def _span(first: str, last: str, count: int, unit: str) -> NDArray[Any]:
    start, stop = np.datetime64(first, "s"), np.datetime64(last, "s")
    seconds = {"s": 1, "min": 60, "h": 3600, "D": 86400, "W": 7 * 86400}
    if stop < start:
        raise ValueError("the end lies before the start")
    if unit in seconds:
        step = count * seconds[unit]
        low, high = int(start.astype(np.int64)), int(stop.astype(np.int64))
        if (high - low) // step >= FILES_LIMIT:
            raise ValueError("too many values")
        return np.arange(low, high + 1, step).astype("M8[s]")
    # Months differ in length: they are counted from the first moment of one.
    if start.astype(f"M8[{unit}]").astype("M8[s]") != start:
        raise ValueError(f"{first} is not the first moment of a month or year")
    numbers = [int(date.astype(f"M8[{unit}]").astype(np.int64)) for date in (start, stop)]
    return np.arange(numbers[0], numbers[1] + 1, count).astype(f"M8[{unit}]").astype("M8[s]")


def _check_size(name: str, number: int) -> None:
    if number > FILES_LIMIT:
        raise LimitError(f"{number} values, at most {FILES_LIMIT}", path=name)
