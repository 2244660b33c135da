"""Coordinates as ecCodes tells them, to compare those of a reference set with."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.grib.native_places import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["Coordinates"]

_NEAR = 1e-6
_POLE = 89.99999
_STEPS = {
    0: 60, 1: 3600, 2: 86400, 10: 10800, 11: 21600, 12: 43200, 13: 1, 14: 900, 15: 1800,
}  # fmt: skip
_REGULAR = ("regular_ll", "regular_gg")
_NOT_TURNED = "rotated_gg"
"""ecCodes gives the points of these grids as if they were not rotated: nothing to compare with."""
_PLANE = ("latitude", "longitude")


class Coordinates:
    """What ecCodes says of all fields of a file, by kind of coordinate.

    Parameters
    ----------
    eccodes : module
        The library.
    path : str
        The file.
    """

    def __init__(self, eccodes: Any, path: str) -> None:
        self._eccodes = eccodes
        self._path = path
        self._told: dict[str, set[float | None]] = defaultdict(set)
        self._grids: dict[str, int] = {}
        self._read()

    def close(self) -> None:
        """Give back what ecCodes holds."""
        for handle in self._grids.values():
            self._eccodes.codes_release(handle)
        self._grids.clear()

    def read(self, name: str, array: Array) -> NDArray[Any]:
        """Return a coordinate: the array's own where ecCodes tells each value, else NaN or -1.

        Parameters
        ----------
        name : str
            Name of the array.
        array : Array
            The array.
        """
        values = _own(array, self._path)
        units = str(array.attributes.get("units", ""))
        kind = kind_of(name, units)
        wrong = np.full(array.shape, np.nan if array.dtype.kind == "f" else -1, array.dtype)
        if name.startswith("crs"):
            return values
        if kind in _PLANE:
            return values if self._near(kind, values) else wrong
        if name.partition("_")[0] in ("x", "y"):
            # Projected coordinates follow from latitudes and longitudes, which are compared.
            return values
        known = self._told[kind]
        if units == "hours":
            known = {value / 3600 for value in known if value is not None}
        own = set(values[~np.isnan(values)].reshape(-1).tolist())
        return values if own <= known else wrong

    def _near(self, kind: str, values: NDArray[Any]) -> bool:
        """Whether the points of some grid have these latitudes or longitudes."""
        plain, distinct = f"{kind}s", f"distinct{kind.title()}s"
        for handle in self._grids.values():
            points = self._get(handle, "numberOfDataPoints", int)
            if points == values.size and self._get(handle, "gridType", str) == _NOT_TURNED:
                return True
            whole = points == values.size and (values.ndim > 1 or points > 1)
            for key in (plain, distinct) if whole else (distinct,):
                # Sorting out distinct ones takes ecCodes minutes for a large projected grid.
                if key == distinct and self._get(handle, "gridType", str) not in _REGULAR:
                    continue
                try:
                    true = self._eccodes.codes_get_double_array(handle, key)
                except self._eccodes.CodesInternalError:
                    continue
                if true.size != values.size:
                    continue
                orders = [values, values.T]
                if key == distinct:
                    # ecCodes sorts them, whichever way the grid is scanned.
                    true, orders = np.sort(true % 360), [np.sort(values % 360)]
                where = self._apart(handle, true.size) if kind == _PLANE[1] else None
                if any(_close(true, order.reshape(-1), where) for order in orders):
                    return True
        return False

    def _apart(self, handle: int, size: int) -> NDArray[np.bool_] | None:
        """Return which points are no poles, whose longitude can be any."""
        latitude = self._eccodes.codes_get_double_array(handle, "latitudes")
        return np.abs(latitude) < _POLE if latitude.size == size else None

    def _read(self) -> None:
        eccodes = self._eccodes
        with open(self._path, "rb") as file:
            eccodes.codes_grib_multi_support_on()
            eccodes.codes_grib_multi_support_reset_file(file)
            try:
                while True:
                    try:
                        handle = eccodes.codes_grib_new_from_file(file)
                    except eccodes.CodesInternalError:
                        continue
                    if handle is None:
                        break
                    for kind, found in self.tell(handle).items():
                        self._told[kind] |= found
                    grid = str(self._get(handle, "md5GridSection", str))
                    if grid in self._grids:
                        eccodes.codes_release(handle)
                    else:
                        self._grids[grid] = handle
            finally:
                eccodes.codes_grib_multi_support_off()

    def _get(self, handle: int, key: str, kind: type | None = None) -> Any:
        try:
            return self._eccodes.codes_get(handle, key, kind)
        except (self._eccodes.CodesInternalError, ValueError):
            return None

    def tell(self, handle: int) -> dict[str, set[float | None]]:
        """Return what ecCodes says of one field, by kind of coordinate.

        Several values of a kind are those that can be meant: both ends of a layer or interval.
        """
        told: dict[str, set[float | None]] = defaultdict(set)
        times = self._times(handle)
        for kind, found in times.items():
            told[kind] |= found
        # Of an interval that ends where its length does not lead, this is the end that counts.
        told["step"] |= {end - begin for begin in times["time"] for end in times["valid_time"]}
        unit = _STEPS.get(self._get(handle, "stepUnits", int))
        ends = [self._get(handle, key, int) for key in ("startStep", "endStep")]
        if None in ends:
            # Observations have no step; ecCodes tells no time of validity then.
            told["step"].add(0)
            told["valid_time"] |= times["time"]
        elif unit:
            told["step"] |= {end * unit for end in ends}
        for key in ("level", "topLevel", "bottomLevel"):
            told["level"].add(self._get(handle, key, float))
        for key in ("number", "percentileValue", "directionNumber", "frequencyNumber"):
            told[key.removesuffix("Value")].add(self._get(handle, key, int))
        told["threshold"] |= {self._limit(handle, end) for end in ("Lower", "Upper")}
        return told

    def _times(self, handle: int) -> dict[str, set[float]]:
        times: dict[str, set[float]] = {"time": set(), "valid_time": set()}
        for kind, prefix in (("time", "data"), ("valid_time", "validity")):
            day, clock = (self._get(handle, f"{prefix}{what}", int) for what in ("Date", "Time"))
            # ecCodes leaves seconds out of times.
            second = self._get(handle, "second", int) or 0
            if day and day > 0 and clock is not None:
                times[kind] = {_seconds(day, clock, 0), _seconds(day, clock, second)}
        return times

    def _limit(self, handle: int, end: str) -> float | None:
        value = self._get(handle, f"scaledValueOf{end}Limit", int)
        factor = self._get(handle, f"scaleFactorOf{end}Limit", int)
        # A missing factor is the largest of integers.
        if value is None or factor is None or abs(factor) > 127:
            return None
        return float(value / 10**factor if factor > 0 else value * 10.0**-factor)


def _close(
    true: NDArray[np.float64], values: NDArray[Any], where: NDArray[np.bool_] | None = None
) -> bool:
    difference = np.abs(true - values)
    # Longitudes are the same a whole turn apart.
    near = np.minimum(difference, np.abs(difference - 360)) < _NEAR
    return bool(near.all() if where is None else near[where].all())


def _seconds(day: int, clock: int, second: int) -> float:
    when = datetime(
        day // 10000, day // 100 % 100, day % 100, clock // 100, clock % 100, tzinfo=UTC
    )
    return when.timestamp() + second


def _own(array: Array, path: str) -> NDArray[Any]:
    """Return the values of an array of one chunk, decoded by numcodecs."""
    import numcodecs

    found: Any = array.chunks.get(0)
    data: Any = found
    if isinstance(found, tuple):
        with open(path, "rb") as file:
            file.seek(found[1])
            data = file.read(found[2])
    for config in reversed(array.codecs):
        data = numcodecs.get_codec(dict(config)).decode(data)
    return np.frombuffer(bytes(memoryview(data).cast("B")), array.dtype).reshape(array.shape)
