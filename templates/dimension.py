"""One dimension of a ``gen`` entry: a range or a list of integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from refmaker.templates.errors import TemplateError, TemplateLimitError
from refmaker.templates.evaluate import INT64_MAX, INT64_MIN, Int64Array, Interval

if TYPE_CHECKING:
    from refmaker.templates.limits import Limits

__all__ = ["Dimension"]


class Dimension:
    """Values that one variable takes, in order.

    Parameters
    ----------
    name : str
        The variable.
    values : range or list of int
        Ranges cost nothing, however long. Lists may not repeat a value: keys would repeat.
    limits : Limits

    Raises
    ------
    TemplateError
        If the name is not an identifier or the values are not distinct 64-bit integers.
    """

    __slots__ = ("_listed", "_places", "name", "size", "values")

    def __init__(self, name: str, values: range | list[int], limits: Limits) -> None:
        if not isinstance(name, str) or not (name.isascii() and name.isidentifier()):
            raise TemplateError(f"dimension {name!r} is not an identifier")
        self.name = name
        self._listed: Int64Array | None = None
        self._places: dict[int, int] | None = None
        if isinstance(values, range):
            self.values: range | tuple[int, ...] = values
            # len() cannot count ranges beyond sys.maxsize.
            span = values.stop - values.start
            self.size = max(0, -(-span // values.step))
        else:
            if len(values) > limits.list_length:
                raise TemplateLimitError(
                    f"dimension {name} lists {len(values)} values (allowed: {limits.list_length})"
                )
            self.values = tuple(_integer(name, "an entry", value) for value in values)
            self.size = len(self.values)
            self._listed = np.array(self.values, dtype=np.int64)
            if np.unique(self._listed).size != self.size:
                raise TemplateError(f"dimension {name} lists a value twice")

    @classmethod
    def from_json(cls, name: str, entry: object, limits: Limits) -> Dimension:
        """Read ``{"start"?: int, "stop": int, "step"?: int}`` or ``[int, ...]``.

        Parameters
        ----------
        name : str
        entry : object
            As `json` gives it.
        limits : Limits

        Returns
        -------
        Dimension

        Raises
        ------
        TemplateError
        """
        if isinstance(entry, list):
            return cls(name, entry, limits)
        if not isinstance(entry, Mapping):
            raise TemplateError(f"dimension {name} is neither a range nor a list")
        unknown = [str(member) for member in entry if member not in ("start", "stop", "step")]
        if unknown or "stop" not in entry:
            missing = f"unknown member {unknown[0]!r}" if unknown else "no 'stop'"
            raise TemplateError(f"dimension {name} has {missing}")
        start = _integer(name, "start", entry.get("start", 0))
        stop = _integer(name, "stop", entry["stop"])
        step = _integer(name, "step", entry.get("step", 1))
        if step == 0:
            raise TemplateError(f"dimension {name} has step 0")
        return cls(name, range(start, stop, step), limits)

    def to_json(self) -> dict[str, int] | list[int]:
        """Write it as `from_json` reads it, in the shortest form.

        Returns
        -------
        dict or list
        """
        if not isinstance(self.values, range):
            return list(self.values)
        entry = {"stop": self.values.stop}
        if self.values.start != 0:
            entry = {"start": self.values.start, **entry}
        if self.values.step != 1:
            entry["step"] = self.values.step
        return entry

    def bounds(self) -> Interval:
        """Least and greatest value of a dimension that has any.

        Returns
        -------
        (int, int)
        """
        if isinstance(self.values, range):
            ends = self.values.start, self.values.start + (self.size - 1) * self.values.step
            return min(ends), max(ends)
        return min(self.values), max(self.values)

    def place(self, value: int) -> int | None:
        """Position of a value, or None if the dimension does not take it.

        Parameters
        ----------
        value : int

        Returns
        -------
        int or None
        """
        if isinstance(self.values, range):
            place, rest = divmod(value - self.values.start, self.values.step)
            return place if rest == 0 and 0 <= place < self.size else None
        if self._places is None:
            self._places = {value: place for place, value in enumerate(self.values)}
        return self._places.get(value)

    def take(self, places: Int64Array) -> Int64Array:
        """Values at the given positions.

        Parameters
        ----------
        places : int64[n]
            All from 0 to ``size - 1``.

        Returns
        -------
        int64[n]
        """
        if isinstance(self.values, range):
            return places * np.int64(self.values.step) + np.int64(self.values.start)
        assert self._listed is not None  # noqa: S101 - tells the type checker what __init__ did
        return self._listed[places]


def _integer(name: str, what: str, value: object) -> int:
    # bool is an int in Python, but true is not a number in JSON.
    if type(value) is not int or not INT64_MIN <= value <= INT64_MAX:
        raise TemplateError(f"dimension {name}: {what} is not a 64-bit integer: {value!r:.40}")
    return value
