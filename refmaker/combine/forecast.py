"""Views of forecasts: of each valid time one run, as references of its own.

Any set has a view whose variables have coordinates with the CF standard names
``forecast_reference_time`` and ``forecast_period``, or ``time`` in place of one of the latter.
Nothing is read but coordinates: chunks that are there are chosen, and the rest is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine.forecast_coordinates import FORECAST, ForecastCoordinates, find, take
from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Outcome, ScanReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.combine.members import Member
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["VIEW", "best_estimate", "moment", "period"]

VIEW = "refmaker:view"
"""Attribute of the root group: which view it is."""
_PERIOD = re.compile(r"(\d+)\s*(s|min|m|h|D|d)")

_SINCE_START = (
    "totals since the start of each run, which begin anew where the run changes: {} says where"
)


def period(value: np.timedelta64 | str | None) -> np.timedelta64 | None:
    """Return a period such as ``"3h"``, ``"90min"`` or ``"1d"``.

    Raises
    ------
    ValueError
        If it is none.
    """
    if value is None or isinstance(value, np.timedelta64):
        return value
    found = _PERIOD.fullmatch(value.strip())
    if found is None:
        raise ValueError(f"{value!r} is no period: a number with s, min, h or d is")
    unit = {"min": "m", "d": "D"}.get(found[2], found[2])
    return np.timedelta64(int(found[1]), unit)  # type: ignore[call-overload, no-any-return]


def moment(value: np.datetime64 | str | None) -> np.datetime64 | None:
    """Return a time such as ``"2024-01-15T06"``, in UTC.

    Raises
    ------
    ValueError
        If it is none.
    """
    if value is None or isinstance(value, np.datetime64):
        return value
    try:
        found = np.datetime64(value.strip().removesuffix("Z"), "us")
    except ValueError as error:
        raise ValueError(f"{value!r} is no time: one is 2024-01-15T06") from error
    if np.isnat(found):
        raise ValueError(f"{value!r} is no time: one is 2024-01-15T06")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The cells of a variable's runs and periods that a view has.

    Parameters
    ----------
    cells : tuple of ndarray, shape (n,)
        Positions along each dimension of runs and periods.
    valid, reference, period : ndarray of int64, shape (n,)
        Of each, in microseconds.
    bounds : bytes
        Ends of the periods that are intervals.
    """

    cells: tuple[NDArray[np.int64], ...]
    valid: NDArray[np.int64]
    reference: NDArray[np.int64]
    period: NDArray[np.int64]
    bounds: bytes = b""

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for choices of equal coordinates, and the order of those of a group."""
        columns = (self.valid, self.reference, self.period)
        return -len(self.valid), *(tuple(column.tolist()) for column in columns), self.bounds


@dataclass(slots=True)
class _View:
    """What is chosen, and what of."""

    member: Member
    min_step: int
    as_of: int | None
    report: ScanReport
    counts: dict[str, int] = field(default_factory=lambda: {"chosen": 0, "of": 0})


def best_estimate(
    member: Member, min_step: np.timedelta64 | None, as_of: np.datetime64 | None
) -> ReferenceSet:
    """Return the latest forecast of each valid time; see `refmaker.best_estimate`.

    Parameters
    ----------
    member : Member
        The set.
    min_step : timedelta64, optional
        The shortest period that counts.
    as_of : datetime64, optional
        The latest reference time that counts.
    """
    refs = member.refs
    report = ScanReport(refs.report.url, format=refs.report.format)
    least = -(2**62) if min_step is None else int(min_step.astype("m8[us]").astype(np.int64))
    latest = None if as_of is None else int(as_of.astype("M8[us]").astype(np.int64))
    view = _View(member, least, latest, report)
    group = _group(refs.group, "", view)
    if not view.counts["of"]:
        raise MetadataError(
            "no variable has a forecast reference time and a forecast period",
            url=refs.report.url,
            hint="their coordinates need the standard names "
            "forecast_reference_time and forecast_period",
        )
    group = replace(group, attributes={**group.attributes, VIEW: "best"})
    used = {url for _, array in group.arrays() for url in array.chunks.urls}
    report.sources = {url: found for url, found in refs.report.sources.items() if url in used}
    return replace(refs, group=group, report=report)


def _group(group: Group, path: str, view: _View) -> Group:
    """Return the view of a group and of those below it."""
    made: dict[str, Array | Group] = {}
    forecasts: dict[str, ForecastCoordinates] = {}
    for name, node in group.members.items():
        if isinstance(node, Group):
            made[name] = _group(node, f"{path}{name}/", view)
        elif (found := find(group, name, path, view.member)) is not None:
            forecasts[name] = found
    gone = {name for found in forecasts.values() for name in found.names}
    for name, node in group.members.items():
        if isinstance(node, Array) and name not in forecasts and name not in gone:
            if _hangs(node, forecasts):
                reason = "it lies along runs or periods, and has no reference time and period"
                view.report.add(f"/{path}{name}", Outcome.SKIPPED, reason, "no-period")
            else:
                made[name] = node
    made |= _chosen(group, path, forecasts, view, set(made))
    attributes = {
        name: value for name, value in group.attributes.items() if not name.startswith("refmaker:")
    }
    return Group({name: made[name] for name in _order(group, made)}, attributes)


def _order(group: Group, made: Mapping[str, Any]) -> list[str]:
    """Return the names of members as they stood before, new ones last."""
    kept = [name for name in group.members if name in made]
    return kept + [name for name in made if name not in group.members]


def _hangs(array: Array, forecasts: Mapping[str, ForecastCoordinates]) -> bool:
    """Whether an array that is no forecast lies along a dimension that the view does not have."""
    gone = {name for found in forecasts.values() for name in found.dimensions}
    return bool(gone & set(array.dimension_names or ()))


def _chosen(
    group: Group,
    path: str,
    forecasts: Mapping[str, ForecastCoordinates],
    view: _View,
    taken: set[str],
) -> dict[str, Array]:
    """Return the variables of a group as the view has them, and their coordinates."""
    choices: dict[str, _Choice] = {}
    for name, found in forecasts.items():
        array = group.members[name]
        assert isinstance(array, Array)  # noqa: S101 - no group is a forecast
        choice = _choose(array, found, view, f"/{path}{name}")
        view.counts["of"] += array.chunks.present
        if len(choice.valid):
            choices[name] = choice
        else:
            reason = "none of its fields is in the view"
            view.report.add(f"/{path}{name}", Outcome.SKIPPED, reason, "no-field")
    # In the order of their coordinates, so that these are called alike whatever comes first.
    key_of = {name: choice.key for name, choice in choices.items()}
    keys = sorted(set(key_of.values()))
    base = {
        role: min((found.called(role) for found in forecasts.values()), key=lambda n: (len(n), n))
        for role in (FORECAST if forecasts else ())
    }
    made: dict[str, Array] = {}
    for number, key in enumerate(keys):
        suffix = f"_{number + 1}" if number else ""
        names = {role: f"{name}{suffix}" for role, name in base.items()}
        if clash := taken & set(names.values()):
            raise MetadataError(f"the name {min(clash)} is taken", path=f"/{path}")
        for name, choice in choices.items():
            if key_of[name] != key:
                continue
            found = forecasts[name]
            coordinates = found.taken(choice.cells, names)
            made |= {called: one for called, one in coordinates.items() if called not in made}
            array = group.members[name]
            assert isinstance(array, Array)  # noqa: S101 - as above
            made[name] = _selected(array, found, choice, names, view)
            view.counts["chosen"] += made[name].chunks.present
            told = f"{made[name].chunks.present} of {array.chunks.present} chunks"
            view.report.add(f"/{path}{name}", Outcome.REFERENCED, told, "chosen")
    return made


def _choose(array: Array, found: ForecastCoordinates, view: _View, path: str) -> _Choice:
    """Choose of each valid time the latest run that has it."""
    for name in found.dimensions:
        axis = (array.dimension_names or ()).index(name)
        if array.chunk_shape[axis] != 1 and array.shape[axis] != 1 and not found.small:
            raise MetadataError(
                f"its chunks hold several places along {name}, and a view can only choose chunks",
                path=path,
                hint=f"cut them, where they are not compressed: `chunks={{'{name}': 1}}`",
            )
    cells = found.present(array) & (found.period >= view.min_step) & found.lasting
    if view.as_of is not None:
        cells &= found.dates <= view.as_of
    # A variable of one field has no dimension of either.
    at = np.nonzero(cells) if cells.shape else ()
    if not cells.shape and not cells:
        nothing = np.empty(0, np.int64)
        return _Choice((), nothing, nothing, nothing)
    valid, reference = (np.atleast_1d(times[at]) for times in (found.valid, found.reference))
    order = np.lexsort((reference, valid))
    last = np.append(valid[order][1:] != valid[order][:-1], np.ones(min(1, len(order)), bool))
    kept = tuple(positions[order][last] for positions in at)
    bounds = b"" if found.ends is None else found.ends[kept].tobytes()
    valid, reference, period_ = (
        np.atleast_1d(values[kept]) for values in (found.valid, found.reference, found.period)
    )
    return _Choice(kept, valid, reference, period_, bounds)


def _selected(
    array: Array,
    found: ForecastCoordinates,
    choice: _Choice,
    names: Mapping[str, str],
    view: _View,
) -> Array:
    """Return the chosen places of an array along one dimension, that of valid times."""
    dimensions = array.dimension_names or ()
    axes = [dimensions.index(name) for name in found.dimensions]
    first = min(axes, default=0)
    rest = [axis for axis in range(len(dimensions)) if axis not in axes]
    before = sum(axis < first for axis in rest)
    new = names["valid"]
    told = [*(dimensions[axis] for axis in rest)]
    told.insert(before, new)
    attributes = dict(array.attributes)
    words = str(attributes.get("coordinates", "")).split()
    kept = [word for word in words if word not in found.names]
    attributes["coordinates"] = " ".join([names["reference"], names["period"], *kept])
    if found.since_start:
        attributes.setdefault("comment", _SINCE_START.format(names["reference"]))
    if found.small:
        values = take(view.member, array, "", axes, choice.cells)
        told.insert(0, told.pop(before))
        return replace(values, dimension_names=tuple(told), attributes=attributes)
    shape = [array.shape[axis] for axis in rest]
    chunk = [array.chunk_shape[axis] for axis in rest]
    grid = [array.chunks.grid[axis] for axis in rest]
    count = len(choice.valid)
    for sizes, extent in ((shape, count), (chunk, 1), (grid, count)):
        sizes.insert(before, extent)
    chunks = _moved(array.chunks, axes, before, choice.cells, tuple(grid), found.shape)
    return replace(
        array, shape=tuple(shape), chunk_shape=tuple(chunk), chunks=chunks,
        dimension_names=tuple(told), attributes=attributes,
    )  # fmt: skip


def _moved(
    table: ChunkTable,
    axes: list[int],
    before: int,
    cells: tuple[NDArray[np.int64], ...],
    grid: tuple[int, ...],
    shape: tuple[int, ...],
) -> ChunkTable:
    """Return the chunks that lie in chosen cells, these along one dimension."""
    numbers = np.full(shape, -1, np.int64)
    numbers[cells] = np.arange(grid[before]) if axes else 0

    def place(at: tuple[NDArray[Any], ...]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        number = numbers[tuple(at[axis] for axis in axes)]
        if not axes:
            number = np.zeros(at[0].shape if at else (1,), np.int64)
        kept = np.asarray(number >= 0)
        rest = [at[axis][kept] for axis in range(len(at)) if axis not in axes]
        rest.insert(before, number[kept])
        return kept, np.ravel_multi_index(tuple(rest), grid)

    kept, index = place(table.coordinates())
    url: NDArray[Any] | None = None if table.url is None else table.url[kept]
    urls = table.urls
    if url is not None:
        used, url = np.unique(url, return_inverse=True)
        urls = tuple(urls[number] for number in used.tolist())
    inlined: dict[int, bytes] = {}
    for number, data in table.inlined.items():
        at = np.unravel_index(np.array([number]), table.grid)
        inside, moved = place(at)
        if inside.any():
            inlined[int(moved[0])] = data
    return ChunkTable.from_columns(
        grid, urls, offset=table.offset[kept], length=table.length[kept], index=index, url=url,
        inlined=inlined,
    )  # fmt: skip
