"""Coordinates as ecCodes tells them, to compare those of a reference set with."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["Coordinates"]

_NEAR = 1e-6
_STEPS = {
    0: 60, 1: 3600, 2: 86400, 10: 10800, 11: 21600, 12: 43200, 13: 1, 14: 900, 15: 1800,
}  # fmt: skip
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
        self._told: dict[str, set[float]] = defaultdict(set)
        self._points: list[dict[str, NDArray[np.float64]]] = []
        self._read()

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
        kind = _kind(name, units)
        wrong = np.full(array.shape, np.nan if array.dtype.kind == "f" else -1, array.dtype)
        if name.startswith("crs"):
            return values
        if kind in _PLANE:
            return values if self._near(kind, values) else wrong
        if units == "m" and name.partition("_")[0] in ("x", "y"):
            # Projected coordinates follow from latitudes and longitudes, which are compared.
            return values
        known = self._told[kind]
        good = all(value in known or value != value for value in values.reshape(-1).tolist())
        return values if good else wrong

    def _near(self, kind: str, values: NDArray[Any]) -> bool:
        for told in self._points:
            candidates = [told[kind]] if kind in told else []
            candidates += [told[f"distinct_{kind}"]] if f"distinct_{kind}" in told else []
            for true in candidates:
                if true.size == values.size and _close(true.reshape(-1), values.reshape(-1)):
                    return True
                turned = values.T.reshape(-1)
                if true.size == values.size and _close(true.reshape(-1), turned):
                    return True
        return False

    def _read(self) -> None:
        eccodes = self._eccodes
        grids = set()
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
                    self._tell(handle)
                    grid = self._get(handle, "md5GridSection", str)
                    if grid not in grids:
                        grids.add(grid)
                        self._plane(handle)
                    eccodes.codes_release(handle)
            finally:
                eccodes.codes_grib_multi_support_off()

    def _get(self, handle: int, key: str, kind: type | None = None) -> Any:
        try:
            return self._eccodes.codes_get(handle, key, kind)
        except (self._eccodes.CodesInternalError, ValueError):
            return None

    def _tell(self, handle: int) -> None:
        told = self._told
        for kind, prefix in (("time", "data"), ("valid_time", "validity")):
            day, clock = (self._get(handle, f"{prefix}{what}", int) for what in ("Date", "Time"))
            second = self._get(handle, "second", int) if kind == "time" else 0
            if day and day > 0 and clock is not None:
                told[kind].add(_seconds(day, clock, second or 0))
        unit = _STEPS.get(self._get(handle, "stepUnits", int))
        for key in ("startStep", "endStep"):
            value = self._get(handle, key, int)
            if unit and value is not None:
                told["step"].add(value * unit)
        for key in ("level", "topLevel", "bottomLevel"):
            value = self._get(handle, key, float)
            if value is not None:
                told["level"].add(value)
        for key in ("number", "percentileValue", "directionNumber", "frequencyNumber"):
            value = self._get(handle, key, int)
            if value is not None:
                told[key.removesuffix("Value")].add(value)
        for end in ("Lower", "Upper"):
            value = self._get(handle, f"scaledValueOf{end}Limit", int)
            factor = self._get(handle, f"scaleFactorOf{end}Limit", int)
            if value is not None and factor is not None:
                told["threshold"].add(value / 10**factor if factor > 0 else value * 10.0**-factor)

    def _plane(self, handle: int) -> None:
        points = {}
        names = ("latitudes", "longitudes", "distinctLatitudes", "distinctLongitudes")
        for key, name in zip(names, (*_PLANE, *(f"distinct_{n}" for n in _PLANE)), strict=True):
            try:
                points[name] = self._eccodes.codes_get_double_array(handle, key)
            except self._eccodes.CodesInternalError:
                continue
        self._points.append(points)


def _kind(name: str, units: str) -> str:
    for kind in (
        *_PLANE, "valid_time", "time", "step", "number", "percentile", "threshold",
        "directionNumber", "frequencyNumber",
    ):  # fmt: skip
        if name == kind or name.startswith(f"{kind}_"):
            return kind
    return "time" if units.startswith("seconds since") else "level"


def _close(true: NDArray[np.float64], values: NDArray[Any]) -> bool:
    difference = np.abs(true - values)
    # Longitudes are the same a whole turn apart.
    return bool((np.minimum(difference, np.abs(difference - 360)) < _NEAR).all())


def _seconds(day: int, clock: int, second: int) -> float:
    when = datetime(
        day // 10000, day // 100 % 100, day % 100, clock // 100, clock % 100, tzinfo=UTC
    )
    return when.timestamp() + second


def _own(array: Array, path: str) -> NDArray[Any]:
    """Return the values of an array of one chunk, decoded by numcodecs."""
    import numcodecs

    data: Any = array.chunks.get(0)
    if isinstance(data, tuple):
        with open(path, "rb") as file:
            file.seek(data.offset)
            data = file.read(data.length)
    for config in reversed(array.codecs):
        data = numcodecs.get_codec(dict(config)).decode(data)
    return np.frombuffer(bytes(memoryview(data).cast("B")), array.dtype).reshape(array.shape)
