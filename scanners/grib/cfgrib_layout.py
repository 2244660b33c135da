"""The datasets that cfgrib makes of a file, built by cfgrib's own rules from the message table.

cfgrib's grouping runs on the columns of the table and on what ecCodes says of each distinct
template, instead of on a message at a time; nothing but headers is read. What cfgrib would
lose, because it keeps one field for each combination of coordinates, is left to the caller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.native_libraries import eccodes
from refmaker.errors import MissingDependencyError
from refmaker.model import Array, Group
from refmaker.model.inline import inline_array
from refmaker.scanners.grib.names import message
from refmaker.scanners.grib.products import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.grib.groups import Builder
    from refmaker.scanners.grib.message_table import MessageTable

__all__ = ["CfgribDataset", "datasets", "group_of"]

_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_GEO = ("latitude", "longitude")


@dataclass(slots=True)
class CfgribDataset:
    """One of cfgrib's datasets.

    Parameters
    ----------
    type_of_level : str
        Of its variables.
    variables : dict of str to cfgrib.dataset.Variable
        Data variables and coordinates, dimensions of length 1 not yet squeezed.
    attributes : dict
        Of the dataset.
    rows : dict of str to (dict of tuple to int)
        By data variable: the row of the table of each position in its dimensions.
    grids : dict of str to int
        By data variable: number of its grid.
    """

    type_of_level: str
    variables: dict[str, Any]
    attributes: dict[str, Any]
    rows: dict[str, dict[tuple[int, ...], int]]
    grids: dict[str, int]


class _Keys:
    """ecCodes' keys of distinct templates on distinct grids, asked for once each."""

    def __init__(self, table: MessageTable) -> None:
        self._eccodes = eccodes("the layout cfgrib")
        self._table = table
        self._handles: dict[tuple[int, int], int] = {}
        self._values: dict[tuple[int, int, str], Any] = {}

    def get(self, template: int, grid: int, key: str) -> Any:
        """Return the value of a key.

        Raises
        ------
        KeyError
            If the messages have no such key.
        """
        place = template, grid, key
        if place not in self._values:
            self._values[place] = self._ask(template, grid, key)
        value = self._values[place]
        if isinstance(value, KeyError):
            raise value
        return value

    def _ask(self, template: int, grid: int, key: str) -> Any:
        eccodes = self._eccodes
        if (template, grid) not in self._handles:
            shared = self._table.shared
            sections = shared.sections[template]._replace(grid=shared.grids[grid][1])
            handle = eccodes.codes_new_from_message(message(sections))
            eccodes.codes_set(handle, "missingValue", _LARGEST_FLOAT)
            self._handles[template, grid] = handle
        handle = self._handles[template, grid]
        try:
            if eccodes.codes_get_size(handle, key) > 1:
                return eccodes.codes_get_array(handle, key)
            value = eccodes.codes_get(handle, key)
        except eccodes.CodesInternalError:
            return KeyError(key)
        return "unsupported_key_type" if value is None else value

    def close(self) -> None:
        for handle in self._handles.values():
            self._eccodes.codes_release(handle)
        self._handles.clear()


class _MessageKeys(Mapping[str, Any]):
    """A row of the table as cfgrib looks at a message."""

    __slots__ = ("_keys", "_row", "_table")

    def __init__(self, table: MessageTable, keys: _Keys, row: int) -> None:
        self._table, self._keys, self._row = table, keys, row

    def __getitem__(self, name: str) -> Any:
        table, row = self._table, self._row
        own = _OWN.get(name)
        if own is not None:
            return own(table, row)
        if name in ("latitudes", "longitudes"):
            # Coordinates of every point are computed when they are read, not here.
            raise KeyError(name)
        return self._keys.get(_value(table, "template", row), _value(table, "grid", row), name)

    def __iter__(self) -> Iterator[str]:
        return iter(_OWN)

    def __len__(self) -> int:
        return len(_OWN)


def _value(table: MessageTable, column: str, row: int) -> int:
    return int(getattr(table.shared, column)[table.row[row]])


def _time(table: MessageTable, row: int) -> int:
    return _value(table, "reference", row) + int(table.base[table.file[row]])


def _number(column: str) -> Any:
    def read(table: MessageTable, row: int) -> int:
        value = _value(table, column, row)
        if value == ABSENT:
            raise KeyError(column)
        return value

    return read


def _level(table: MessageTable, row: int) -> float:
    value = float(table.shared.level[table.row[row]])
    if math.isnan(value):
        raise KeyError("level")
    # ecCodes cuts pressures off at whole hectopascals.
    names = table.shared.names[_value(table, "template", row)]
    whole = names.type_of_level == "isobaricInhPa"
    return float(math.trunc(value)) if whole else value


_OWN: Mapping[str, Any] = {
    "number": _number("member"),
    "time": lambda table, row: _time(table, row) // 60 * 60,
    "step": lambda table, row: _value(table, "end", row) / 3600.0,
    "endStep": lambda table, row: _value(table, "end", row) / 3600.0,
    "stepUnits": lambda table, row: 1,  # noqa: ARG005 - cfgrib counts steps in hours, always
    "level:float": _level,
    "directionNumber": _number("direction"),
    "frequencyNumber": _number("frequency"),
    "NV": lambda table, row: _value(table, "vertical", row),
}


def datasets(table: MessageTable, grid: NDArray[np.int64]) -> list[CfgribDataset]:
    """Return the datasets of ``cfgrib.open_datasets``, in its order.

    Parameters
    ----------
    table : MessageTable
        Fields that can be placed.
    grid : ndarray of int64
        Number of the grid of each row of `shared`.

    Raises
    ------
    MissingDependencyError
        If cfgrib or ecCodes is not installed.
    """
    # Before cfgrib imports it.
    eccodes("the layout cfgrib")
    try:
        from cfgrib import dataset as cfgrib
        from cfgrib.messages import FieldsetIndex
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError(
            "the layout cfgrib needs cfgrib", hint="pip install 'refmaker[grib]'"
        ) from error
    keys = _Keys(table)
    try:
        fields = [_MessageKeys(table, keys, row) for row in range(len(table))]
        index = FieldsetIndex.from_fieldset(fields, cfgrib.compute_index_keys(), {})
        single = [
            _dataset(parts, grid[table.row])
            for parameter in sorted(index["paramId"])
            for parts in _split(cfgrib, index, {"paramId": parameter})
        ]
    finally:
        keys.close()
    merged: list[CfgribDataset] = []
    for kind in sorted({item.type_of_level for item in single}):
        merged += _merged([item for item in single if item.type_of_level == kind])
    return merged


def _split(cfgrib: Any, index: Any, chosen: Mapping[str, Any]) -> list[Any]:
    """Part an index until each key has one value, as cfgrib does."""
    try:
        return [
            cfgrib.build_dataset_components(
                index.subindex(chosen), errors="ignore", squeeze=False, cache_geo_coords=False
            )
        ]
    except cfgrib.DatasetBuildError as error:
        ways = error.args[2]
    return [parts for way in ways for parts in _split(cfgrib, index, {**chosen, **way})]


def _dataset(parts: Any, grid: NDArray[np.int64]) -> CfgribDataset:
    _, variables, attributes, _ = parts
    attributes = {key: value for key, value in attributes.items() if key != "history"}
    rows, grids, kind = {}, {}, "undef"
    for name, variable in variables.items():
        if hasattr(variable.data, "field_id_index"):
            rows[name] = {at: ids[0] for at, ids in variable.data.field_id_index.items()}
            grids[name] = int(grid[next(iter(rows[name].values()))])
            kind = variable.attributes.get("GRIB_typeOfLevel", "undef")
    return CfgribDataset(kind, dict(variables), attributes, rows, grids)


def _merged(single: Sequence[CfgribDataset]) -> list[CfgribDataset]:
    """Merge each dataset into the first that it does not contradict."""
    merged: list[CfgribDataset] = []
    for item in single:
        for host in merged:
            if _agrees(host, item):
                host.variables |= {
                    name: variable for name, variable in item.variables.items()
                    if name not in host.variables
                }  # fmt: skip
                host.rows |= item.rows
                host.grids |= item.grids
                break
        else:
            merged.append(item)
    return merged


def _agrees(host: CfgribDataset, item: CfgribDataset) -> bool:
    """Whether two datasets can be one: no name stands for two things."""
    if any(item.attributes.get(key, host) != value for key, value in host.attributes.items()):
        return False
    if set(item.rows) & set(host.variables) or set(host.rows) & set(item.variables):
        return False
    # Coordinates of every point are not among the variables, but decide as well.
    if set(host.grids.values()) != set(item.grids.values()):
        return False
    return all(
        host.variables[name] == variable
        for name, variable in item.variables.items()
        if name in host.variables
    )


def group_of(item: CfgribDataset, table: MessageTable, builder: Builder) -> Group:
    """Return a dataset as a group.

    Parameters
    ----------
    table : MessageTable
        The table that its rows are of.
    builder : Builder
        Knows the grids and the file.
    """
    members: dict[str, Any] = {}
    for name, variable in item.variables.items():
        if name in item.rows:
            members[name] = _data(item, name, table, builder)
        else:
            kept = [
                d for d, n in zip(variable.dimensions, variable.data.shape, strict=True) if n > 1
            ]
            values = np.asarray(variable.data)
            members[name] = inline_array(
                values.reshape([n for n in values.shape if n > 1]),
                tuple(kept), _json(variable.attributes),
            )  # fmt: skip
    for name, grid in item.grids.items():
        variable = item.variables[name]
        names = variable.dimensions[-variable.data.geo_ndim :]
        for key in _GEO:
            found = builder.points(grid, key)
            if key not in members and found is not None and names != _GEO:
                members[key] = found(names)
    return Group(members, item.attributes)


def _json(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes whose values are those of JSON."""
    return {
        key: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for key, value in attributes.items()
    }


def _data(item: CfgribDataset, name: str, table: MessageTable, builder: Builder) -> Array:
    variable, grid = item.variables[name], builder.grids[item.grids[name]]
    plane = variable.data.geo_ndim
    shape = variable.data.shape
    lead = shape[: len(shape) - plane]
    positions = np.array(list(item.rows[name]), np.int64).reshape(len(item.rows[name]), len(lead))
    rows = np.fromiter(item.rows[name].values(), np.int64)
    kept = [axis for axis, extent in enumerate(lead) if extent > 1]
    outer = [lead[axis] for axis in kept]
    inner = shape[len(lead) :]
    at = np.zeros(len(rows), np.int64)
    if kept:
        at = np.ravel_multi_index(tuple(positions[:, axis] for axis in kept), outer)
    chunks = replace(builder, table=table).chunks((*outer, *(1,) * plane), rows, at)
    codec = {"id": "refmaker.grib", "dtype": "<f4", "shape": [int(n) for n in inner]}
    if len(inner) == 2 and "scanning" in grid.codec:
        codec["scanning"] = grid.codec["scanning"]
    attributes = _json(variable.attributes)
    if plane == len(inner) and variable.dimensions[len(lead) :] != _GEO and grid.generated:
        attributes["coordinates"] += " latitude longitude"
    return Array(
        (*outer, *inner), (*(1,) * len(outer), *inner), np.dtype("<f4"), chunks,
        fill_value=np.float32(np.nan), compressor=codec,
        dimension_names=(
            *(variable.dimensions[axis] for axis in kept), *variable.dimensions[len(lead) :],
        ),
        attributes=attributes,
    )  # fmt: skip
