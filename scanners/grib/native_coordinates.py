"""Coordinates as ecCodes tells them, to compare those of a reference set with."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError
from refmaker.scanners.grib.native_messages import messages_of
from refmaker.scanners.grib.native_places import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.grib.native_messages import Messages

__all__ = ["Coordinates"]

_NEAR = 1e-6
_MOST = 64_000_000
"""Points of a grid that are compared at most: half a gigabyte of latitudes."""
_NEGATIVE = 2
"""Kind of ensemble forecast: negatively perturbed."""
_POLE, _HALF = 89.99999, 0.500001
_STEPS = {
    0: 60, 1: 3600, 2: 86400, 10: 10800, 11: 21600, 12: 43200, 13: 1, 14: 900, 15: 1800,
}  # fmt: skip
_MONTHS = {3: 1, 4: 12, 5: 120, 6: 360, 7: 1200}
"""Months of the longer units, for which ecCodes takes 30 days each, or 365 a year."""
_SIGN, _HUGE = 1 << 31, (1 << 31) - (1 << 24)
_SECONDS1 = 254
"""Unit of a second in edition 1, which ecCodes does not turn into steps."""
_REGULAR = ("regular_ll", "regular_gg")
_NOT_TURNED = "rotated_gg"
"""ecCodes gives the points of these grids as if they were not rotated: nothing to compare with."""
_PLANE = ("latitude", "longitude")


_FieldPlace = tuple[str, int, int]
"""File, offset of the message, and number of the field in it."""


class Coordinates:
    """What ecCodes says of all fields of some files, by kind of coordinate.

    Parameters
    ----------
    eccodes : module
        The library.
    files : mapping
        By URL: the messages of each.
    """

    def __init__(self, eccodes: Any, files: Mapping[str, Messages]) -> None:
        self._eccodes = eccodes
        self._files = files
        self._told: dict[str, set[float | None]] = defaultdict(set)
        self._fields: dict[_FieldPlace, Mapping[str, set[float | None]]] = {}
        self._grids: dict[str, _FieldPlace] = {}
        for url, messages in files.items():
            for start, number in messages.fields():
                self._meet(messages, (url, start, number))

    def _meet(self, messages: Messages, place: _FieldPlace) -> None:
        """Ask ecCodes about a field; what it cannot read says nothing."""
        try:
            with messages.handle(*place[1:]) as handle:
                told = self.tell(handle)
                self._grids.setdefault(str(self._get(handle, "md5GridSection", str)), place)
        except (self._eccodes.CodesInternalError, FormatError):
            return
        self._fields[place] = told
        for kind, found in told.items():
            self._told[kind] |= found

    def of(
        self, url: str, offset: int, length: int
    ) -> Mapping[str, set[float | None]] | None:  # fmt: skip
        """Return what ecCodes says of the field of a chunk, if it is one."""
        try:
            messages = messages_of(self._files, url)
            found = messages.find(offset, length)
        except FormatError:
            return None
        name = url if url in self._files else next(iter(self._files))
        return self._fields.get((name, *found))

    def read(self, name: str, array: Array) -> NDArray[Any]:
        """Return a coordinate: the array's own where ecCodes tells each value, else NaN or -1.

        Parameters
        ----------
        name : str
            Name of the array.
        array : Array
            The array.
        """
        values = _own(array, self._files)
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
        if values.size > _MOST:
            raise LimitError(f"too large: {values.size} values of one coordinate")
        known = self._told[kind]
        if kind == "valid_time":
            # Where a combination has no field, its time is the sum.
            sums = itertools.product(self._told["time"], self._told["step"])
            known = known | {a + b for a, b in sums if a is not None and b is not None}
        if units == "hours":
            known = {value / 3600 for value in known if value is not None}
        own = set(values[~np.isnan(values)].reshape(-1).tolist())
        return values if own <= known else wrong

    def _near(self, kind: str, values: NDArray[Any]) -> bool:
        """Whether the points of some grid have these latitudes or longitudes."""
        for url, *place in self._grids.values():
            with self._files[url].handle(*place) as handle:
                if self._has(handle, kind, values):
                    return True
        return False

    def _has(self, handle: int, kind: str, values: NDArray[Any]) -> bool:
        """Whether the points of a field have these latitudes or longitudes."""
        points = self._get(handle, "numberOfDataPoints", int) or 0
        sides = self._get(handle, "Ni", int), self._get(handle, "Nj", int)
        if points != values.size and None not in sides and values.size == sides[0] * sides[1]:
            # Else ecCodes tells no points where a grid counts them wrong.
            points = values.size
            self._eccodes.codes_set(handle, "numberOfDataPoints", points)
        grid = self._get(handle, "gridType", str)
        if points == values.size and grid == _NOT_TURNED:
            return True
        # One message can claim any number of points.
        if points > _MOST or (points != values.size and grid not in _REGULAR):
            return False
        try:
            true = self._eccodes.codes_get_double_array(handle, f"{kind}s")
        except self._eccodes.CodesInternalError:
            return False
        orders = [values.reshape(-1), values.T.reshape(-1)]
        if true.size == values.size and (values.ndim > 1 or points > 1):
            where = None
            if kind == _PLANE[1]:
                latitude = self._eccodes.codes_get_double_array(handle, "latitudes")
                # At a pole the longitude can be any.
                where = np.abs(latitude) < _POLE if latitude.size == true.size else None
            if any(_close(true, order, where) for order in orders):
                return True
        if grid not in _REGULAR:
            return False
        if kind == _PLANE[0] and self._even(handle, values):
            return True
        # Each row has one latitude, each column one longitude.
        distinct, own = np.unique(true), values.reshape(-1)
        return distinct.size == own.size and _close(_turned(distinct), _turned(own))

    def _even(self, handle: int, values: NDArray[Any]) -> bool:
        """Whether latitudes are even ones whose step the message rounds, which ecCodes follows."""
        ends = [
            self._get(handle, f"latitudeOf{end}GridPointInDegrees") for end in ("First", "Last")
        ]
        step = self._get(handle, "jDirectionIncrementInDegrees")
        if None in (*ends, step) or self._get(handle, "Nj", int) != values.size or values.size < 2:
            return False
        even = np.linspace(float(ends[0]), float(ends[1]), values.size)
        unit = 1e-3 if self._get(handle, "edition", int) == 1 else 1e-6
        rounded = bool(abs(abs(even[1] - even[0]) - step) <= unit * _HALF)
        return rounded and _close(even, values.reshape(-1))

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
        elif unit:
            told["step"] |= {end * unit for end in ends}
        for time, step in itertools.product(times["time"], self._amounts(handle)):
            after = _add(time, *step)
            told["step"].add(after - time)
            told["valid_time"].add(after)
        if not told["valid_time"]:
            sums = itertools.product(told["time"], told["step"])
            told["valid_time"] |= {a + b for a, b in sums if a is not None and b is not None}
        for kind, of_list in self._coefficients(handle).items():
            told[kind] |= of_list
        for key in ("level", "topLevel", "bottomLevel"):
            told["level"].add(self._get(handle, key, float))
        for key in ("percentileValue", "directionNumber", "frequencyNumber"):
            told[key.removesuffix("Value")].add(self._get(handle, key, int))
        for kind in ("direction", "frequency"):
            told[kind].add(self._of_spectrum(handle, kind))
        number = self._get(handle, "number", int)
        negative = self._get(handle, "typeOfEnsembleForecast", int) == _NEGATIVE
        told["number"].add(-number if negative and number is not None else number)
        told["threshold"] |= {self._limit(handle, end) for end in ("Lower", "Upper")}
        return told

    def _amounts(self, handle: int) -> set[tuple[int, int]]:
        """Return months and seconds of steps whose units ecCodes takes for others."""
        first = self._get(handle, "edition", int) == 1
        unit = self._get(handle, "indicatorOfUnitOfTimeRange", int)
        keys = ("P1", "P2") if first else ("forecastTime",)
        found = {self._get(handle, key, int) for key in keys} - {None}
        if first and unit == _SECONDS1:
            return {(0, amount) for amount in found}
        if unit in _STEPS and not first:
            # Two's complement, which ecCodes takes for a sign and a magnitude.
            return {(0, -(amount + _SIGN) * _STEPS[unit]) for amount in found if amount < -_HUGE}
        return {(amount * _MONTHS[unit], 0) for amount in found if unit in _MONTHS}

    def _of_spectrum(self, handle: int, kind: str) -> float | None:
        """Return the direction or frequency of which a field has the number."""
        number = self._get(handle, f"{kind}Number", int)
        plural = {"direction": "Directions", "frequency": "Frequencies"}[kind]
        try:
            if self._get(handle, "edition", int) == 1:
                scaled = self._eccodes.codes_get_array(handle, f"scaled{plural}")
                return float(scaled[number - 1] / self._get(handle, f"{kind}ScalingFactor", int))
            scaled = self._eccodes.codes_get_array(handle, f"scaledValuesOfWave{plural}")
            factor = self._get(handle, f"scaleFactorOfWave{plural}", int)
            power = 10.0 ** abs(factor)
            return float(scaled[number - 1] / power if factor > 0 else scaled[number - 1] * power)
        except (self._eccodes.CodesInternalError, TypeError, IndexError, ZeroDivisionError):
            return None

    def _coefficients(self, handle: int) -> dict[str, set[float | None]]:
        """Return the hybrid coefficients of a field's level, and those at both its ends."""
        level = self._get(handle, "level", int)
        if not self._get(handle, "PVPresent", int) or level is None:
            return {}
        try:
            numbers = self._eccodes.codes_get_double_array(handle, "pv")
        except self._eccodes.CodesInternalError:
            return {}
        found: dict[str, set[float | None]] = {}
        for kind, part in zip(("ap", "b"), np.split(numbers, [numbers.size // 2]), strict=True):
            if 0 < level < part.size:
                ends = part[level - 1 : level + 1]
                found[kind] = {float(ends[0]), float(ends[1]), float(ends.mean())}
        return found

    def _times(self, handle: int) -> dict[str, set[float]]:
        times: dict[str, set[float]] = {"time": set(), "valid_time": set()}
        for kind, prefix in (("time", "data"), ("valid_time", "validity")):
            day, clock = (self._get(handle, f"{prefix}{what}", int) for what in ("Date", "Time"))
            # ecCodes leaves seconds out of times.
            second = self._get(handle, "second", int) or 0
            # Year 0 stands for a climatology.
            if day and day > 0 and clock is not None:
                found = _seconds(day, clock)
                times[kind] = set() if found is None else {found, found + second}
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


def _turned(longitudes: NDArray[Any]) -> NDArray[Any]:
    """Return degrees between 0 and 360, ascending; what is hardly less than 360 is 0."""
    turned = longitudes % 360
    return np.sort(np.where(turned > 360 - _NEAR, turned - 360, turned))


def _add(time: float, months: int, seconds: int) -> float:
    """Return a time some months of the calendar and seconds after another."""
    day, clock = divmod(time, 86400)
    month = np.datetime64(int(day), "D").astype("M8[M]")
    into = int(day) - int(month.astype("M8[D]").astype(np.int64))
    later = [month + np.timedelta64(months + k, "M") for k in (0, 1)]
    first, end = (int(one.astype("M8[D]").astype(np.int64)) for one in later)
    return float((first + min(into, end - first - 1)) * 86400 + clock + seconds)


def _seconds(day: int, clock: int) -> float | None:
    """Return seconds since 1970 of a date and a time of ecCodes; None where there is none such."""
    # Climatologies have no year, or neither that nor a day.
    day = day if day > 12 else day * 100 + 1
    year, month, of_month = day // 10000, day // 100 % 100, day % 100
    try:
        date = np.datetime64(f"{year:04}-{month:02}-{of_month:02}", "s").astype(np.int64)
    except ValueError:
        return None
    return float(date) + clock // 100 * 3600 + clock % 100 * 60


def _own(array: Array, files: Mapping[str, Messages]) -> NDArray[Any]:
    """Return the values of an array of one chunk, decoded by numcodecs."""
    import numcodecs

    found: Any = array.chunks.get(0)
    data: Any = found
    if isinstance(found, tuple):
        data = messages_of(files, found[0]).piece(found[1], found[2])
    for config in reversed(array.codecs):
        data = numcodecs.get_codec(dict(config)).decode(data)
    return np.frombuffer(bytes(memoryview(data).cast("B")), array.dtype).reshape(array.shape)
