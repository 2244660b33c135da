"""An open set that pictures are read from: within a budget, and with values as they are meant."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.chunk_values import inlined_values
from refmaker.errors import UnsupportedError
from refmaker.model import Array, Group
from refmaker.model.attributes import text_of
from refmaker.model.times import time_texts
from refmaker.model.tree import joined_path
from refmaker.publish.pictures.axes import SHORT
from refmaker.publish.pictures.budget import Budget, cost_of
from refmaker.publish.pictures.scaling import physical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.publish.pictures.axes import Axis
    from refmaker.reading.store import RefmakerStore
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["Source"]

_MOST = 4_000_000
"""Values of a coordinate that are read as a whole."""
_HOURS = {"seconds": 3600.0, "s": 3600.0, "minutes": 60.0, "hours": 1.0}


class Source:
    """A set whose values are read for pictures.

    Parameters
    ----------
    refs : ReferenceSet or Group
        The set.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    budget : Budget, optional
        What may be read; by default each picture has a bound, and their number has none.
    **opening
        Further options of `refmaker.open_store`.

    Raises
    ------
    RefmakerError
        As `refmaker.open_store`; codecs that are not installed are told by the array that needs
        them.
    """

    def __init__(
        self,
        refs: ReferenceSet | Group,
        storage_options: Mapping[str, Any] | None = None,
        *,
        budget: Budget | None = None,
        **opening: Any,
    ) -> None:
        self.root = refs if isinstance(refs, Group) else refs.group
        self.budget = budget or Budget()
        self._open = refs, storage_options, opening
        self._paths = {path for path, _ in self.root.arrays()}
        self._known: dict[str, NDArray[Any] | None] = {}

    @cached_property
    def store(self) -> RefmakerStore:
        """The set as a store, opened when something is read that is not inlined."""
        from refmaker.reading.open import open_arrays

        refs, storage_options, opening = self._open
        return open_arrays(refs, storage_options, **opening)

    def open(self) -> None:
        """Open the set, if nothing has done so yet.

        Raises
        ------
        PolicyError
            If the set names what it may not.
        """
        _ = self.store

    def array(self, path: str) -> Array:
        """Return an array.

        Raises
        ------
        KeyError
            If there is none of this path.
        """
        found = self.root[path]
        if not isinstance(found, Array):
            raise KeyError(path)
        return found

    def read(self, path: str, region: Sequence[NDArray[np.int64]]) -> NDArray[Any]:
        """Return stored values of a part of an array.

        Parameters
        ----------
        path : str
            Of the array.
        region : sequence of ndarray of int64
            For each dimension the elements to read, ascending.

        Raises
        ------
        LimitError
            If that costs more than may be read.
        Exception
            Whatever reading may raise.
        """
        from refmaker.reading.open import open_array

        self.budget.take(cost_of(self.array(path), region))
        opened: Any = open_array(self.store, path)
        parts = tuple(_plain(one) for one in region)
        if all(isinstance(part, slice) for part in parts):
            return np.asarray(opened[parts])
        return np.asarray(opened.oindex[parts])

    def meant(self, path: str, region: Sequence[NDArray[np.int64]]) -> NDArray[Any]:
        """Return values of a part of an array as its attributes say they are meant.

        Parameters
        ----------
        path, region
            As for `read`.

        Returns
        -------
        ndarray of float64
            Missing values are NaN; of complex numbers the magnitude.

        Raises
        ------
        Exception
            As `read`.
        """
        return self.as_meant(path, self.read(path, region), region)

    def as_meant(
        self, path: str, stored: NDArray[Any], region: Sequence[NDArray[np.int64]]
    ) -> NDArray[Any]:
        """Return stored values of a part of an array as its attributes say they are meant."""

        def values_of(part: str) -> tuple[tuple[str, ...], NDArray[Any]] | None:
            found = self.beside(path, part)
            if found is None:
                return None
            values = self.coordinate(found)
            if values is None:
                raise UnsupportedError(
                    "what its values mean is not known: the array that rescales them is not read",
                    path=found,
                )
            return self.array(found).dimension_names or (), values

        return physical(stored, self.array(path), region, values_of)

    def beside(self, path: str, name: str) -> str | None:
        """Return the path of an array that belongs to another: of its group, with its number."""
        home, _, own = path.rpartition("/")
        number = own.rpartition("_")[2]
        suffix = f"_{number}" if "_" in own and number.isdigit() else ""
        found = joined_path(home, f"{name}{suffix}")
        return found if found in self._paths else None

    def coordinate(self, path: str) -> NDArray[Any] | None:
        """Return all values of a coordinate as they are meant; None if that costs too much."""
        if path not in self._known:
            self._known[path] = self._whole(path) if path else None
        return self._known[path]

    def _whole(self, path: str) -> NDArray[Any] | None:
        array = self.array(path)
        if math.prod(array.shape) > _MOST or array.dtype.kind not in "iufSUO":
            return None
        region = [np.arange(size, dtype=np.int64) for size in array.shape]
        try:
            if array.chunks.present == array.chunks.size and not array.chunks.referenced:
                values = inlined_values(array)
            else:
                values = self.read(path, region)
        except Exception:  # noqa: BLE001 - codecs raise anything; pictures without places are better
            return None
        return self.as_meant(path, values, region) if array.dtype.kind in "iuf" else values

    def texts(self, axis: Axis, places: Sequence[int]) -> list[str]:
        """Return places along a dimension as people write them: times, or numbers with units.

        Parameters
        ----------
        axis : Axis
            The dimension.
        places : sequence of int
            Elements along it.
        """
        known = self.coordinate(axis.coordinate)
        if known is None or known.ndim != 1 or len(known) != axis.size:
            return [f"{place:,}" for place in places]
        return self._written(axis.coordinate, [known[place] for place in places])

    def scalar(self, path: str) -> str:
        """Return the one value of a coordinate as people write it; empty if it is not known."""
        known = self.coordinate(path)
        return "" if known is None or known.size != 1 else self._written(path, [known.item()])[0]

    def _written(self, path: str, values: Sequence[Any]) -> list[str]:
        attributes = self.array(path).attributes
        units = text_of(attributes, "units")
        if not all(isinstance(value, int | float | np.number) for value in values):
            return [_text(value) for value in values]
        times = None
        if np.isfinite(values).all():
            times = time_texts(values, units, attributes.get("calendar", "standard"))
        if times is not None:
            # What is below a second is more than anybody reads.
            short = [time.replace("T", " ").partition(".")[0] for time in times]
            return [time.removesuffix(":00") for time in short]
        if text_of(attributes, "standard_name") == "forecast_period" and units in _HOURS:
            return [f"{value / _HOURS[units]:g} h" for value in values]
        unit = SHORT.get(units, "" if units == "1" else units)
        return [f"{value:.6g} {unit}".strip() for value in values]


def _plain(places: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return a run of elements as a slice."""
    if places.size and places[-1] - places[0] == places.size - 1:
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
