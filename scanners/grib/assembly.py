"""The tree of a message table: every field placed by a layout, and accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.distinct import distinct
from refmaker.model.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model.report import ScanReport
    from refmaker.scanners.grib.field_rows import FieldRows
    from refmaker.scanners.grib.geometry import FieldGrid
    from refmaker.scanners.grib.groups import Builder
    from refmaker.scanners.grib.layouts import ArrayPath
    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanners.grib.names import Names, Sections
    from refmaker.scanners.grib.variables import Variable
    from refmaker.scanning.options import ScanOptions

__all__ = ["FIELDS", "UNSORTED", "assemble"]

FIELDS = "refmaker:fields"
"""Attribute of the root group: how many fields there are, and what became of them."""
UNSORTED = "_unsorted"
"""Group of fields that have no place in a layout."""
SETTINGS = "refmaker:settings"
"""Attribute of the root group: what settings it was made with, where they are not the usual."""
RECORDED = {"layout": "grib-grouping", "precision": "precision"}
"""Names in that attribute, and the settings of today."""
_USUAL = {"layout": "tree", "precision": "64"}
_COUNTS = "the packing counts another number of values than there are points"


def assemble(
    table: MessageTable,
    urls: Sequence[str],
    values: dict[str, str],
    options: ScanOptions,
    report: ScanReport,
) -> Group:
    """Place every field, and account for it.

    Parameters
    ----------
    table : MessageTable
        The fields of one file, or of many.
    options : ScanOptions
        Say up to what size grid definitions are inlined.
    report : ScanReport
        Takes a row for every array.
    """
    from refmaker.scanners.grib.groups import Builder, nested
    from refmaker.scanners.grib.layouts import PLACES
    from refmaker.scanners.grib.variables import DUPLICATES

    shared = table.shared
    _tell_unnamed(shared, report)
    grids, of_section, problems = _grids(shared)
    grid = of_section[shared.grid]
    problem = _undecodable(shared, grids, grid)
    good = (shared.placeable & (grid >= 0) & (problem == 0))[table.row]
    placed = table.take(np.flatnonzero(good))
    # Labels of grids tell those apart that are placed.
    used = distinct(grid[placed.distinct(np.arange(len(placed)))[0]])
    on = np.searchsorted(used, grid)
    grids = [grids[number] for number in used.tolist()]
    for text in dict.fromkeys(one.warning for one in grids if one.warning):
        report.warn(text)
    dtype = "<f8" if values["precision"] == "64" else "<f4"
    first = [int(np.flatnonzero(of_section == number)[0]) for number in used.tolist()]
    places = [table.grid_places[section] for section in first]
    builder = Builder(placed, grids, places, urls, dtype, options.inline_threshold)
    if values["grib-grouping"] == "cfgrib":
        made = _cfgrib_groups(placed, on, builder)
    else:
        place = PLACES[values["grib-grouping"]]
        made = list(_groups(placed, on, builder, place))
    unsorted = _unsorted(table, np.flatnonzero(~good), urls, problems, grid, problem)
    counts = {"found": len(table), "placed": 0, "duplicates": 0, "unsorted": len(unsorted)}
    report.add("/", Outcome.GROUP)
    groups = [(path, node) for path, node, _ in made]
    for path, node, fields in made:
        again = bool(path) and path[0] == DUPLICATES
        _account(path, node.members, fields, again, report)
        counts["duplicates" if again else "placed"] += sum(fields.values())
    for name, (array, reason) in unsorted.items():
        report.add(f"/{UNSORTED}/{name}", Outcome.REFERENCED, reason, "unsorted")
        groups.append(((UNSORTED,), Group({name: array})))
    _check(counts)
    attributes = {"Conventions": "CF-1.7", **_origin(table), FIELDS: counts}
    given = {name: values[setting] for name, setting in RECORDED.items()}
    chosen = {name: value for name, value in given.items() if value != _USUAL[name]}
    if chosen:
        # More files are arranged as these are.
        attributes[SETTINGS] = chosen
    return Group(nested(groups), attributes)


def _tell_unnamed(shared: FieldRows, report: ScanReport) -> None:
    """Warn of fields whose names ecCodes would tell, were it installed."""
    from refmaker.scanners.grib.eccodes_process import unnamed

    numbered = unnamed(shared.sections)
    if numbered:
        report.warn(
            f"{numbered} of {len(shared.sections)} kinds of fields may have numbers where they have"
            " names: ecCodes, which would be asked, is not installed"
            " (pip install 'refmaker[grib]', and scan again)"
        )


_Made = tuple[tuple[str, ...], Group, dict[str, int]]
"""Path of a group, the group, and how many fields each of its variables has."""


def _groups(
    table: MessageTable, grid: NDArray[np.int64], builder: Builder,
    place: Callable[[Names, Sections, str], ArrayPath],
) -> Iterator[_Made]:  # fmt: skip
    from refmaker.scanners.grib.layouts import grid_labels
    from refmaker.scanners.grib.variables import variables

    by_path: dict[tuple[str, ...], list[Variable]] = {}
    for variable in variables(table, grid, grid_labels(builder.grids), place):
        by_path.setdefault(variable.place.path, []).append(variable)
    for path, members in by_path.items():
        fields = {variable.place.name: len(variable.rows) for variable in members}
        yield path, Group(builder.members(members)), fields


def _cfgrib_groups(
    table: MessageTable, grid: NDArray[np.int64], builder: Builder
) -> list[_Made]:  # fmt: skip
    """Place fields as cfgrib does, and those that it loses among the duplicates."""
    from refmaker.scanners.grib.cfgrib_layout import datasets, group_of
    from refmaker.scanners.grib.layouts import tree
    from refmaker.scanners.grib.variables import DUPLICATES

    made: list[_Made] = []
    seen: Counter[str] = Counter()
    lost = np.ones(len(table), bool)
    product = _products(table)
    for item in datasets(table, grid):
        for name, rows in item.rows.items():
            # cfgrib fills one variable from several products; here the first has it.
            first = product[min(rows.values())]
            item.rows[name] = {at: row for at, row in rows.items() if product[row] == first}
        seen[item.type_of_level] += 1
        count = seen[item.type_of_level]
        name = item.type_of_level if count == 1 else f"{item.type_of_level}_{count}"
        fields = {variable: len(rows) for variable, rows in item.rows.items()}
        for rows in item.rows.values():
            lost[list(rows.values())] = False
        made.append(((name,), group_of(item, table, builder), fields))
    if lost.any():
        rest = replace(builder, table=table.take(np.flatnonzero(lost)))
        for path, group, fields in _groups(rest.table, grid, rest, tree):
            path = path if path[:1] == (DUPLICATES,) else (DUPLICATES, *path)  # noqa: PLW2901
            made.append((path, group, fields))
    return made


def _products(table: MessageTable) -> NDArray[np.int64]:
    """Return the number of each field's product."""
    numbers: dict[Hashable, int] = {}
    of_template = [numbers.setdefault(one.key, len(numbers)) for one in table.shared.identities]
    number: NDArray[np.int64] = np.array(of_template, np.int64)[table.column("template")]
    return number


def _check(counts: dict[str, int]) -> None:
    """See that no field is lost: the sum is proved, not believed."""
    if counts["found"] != counts["placed"] + counts["duplicates"] + counts["unsorted"]:
        raise RuntimeError(f"fields were lost in the layout: {counts}")


def _account(
    path: tuple[str, ...], members: Mapping[str, Array | Group], counts: dict[str, int],
    again: bool, report: ScanReport,
) -> None:  # fmt: skip
    for name, array in members.items():
        where = "/" + "/".join((*path, name))
        if name in counts:
            outcome = Outcome.DUPLICATED if again else Outcome.REFERENCED
            reason = "1 field" if counts[name] == 1 else f"{counts[name]} fields"
            if again:
                reason += ", each in the file before"
            report.add(where, outcome, reason, "duplicate" if again else "fields")
        elif isinstance(array, Array) and array.chunks.referenced:
            report.add(where, Outcome.REFERENCED, "computed from the grid definition", "computed")
        else:
            report.add(where, Outcome.INLINED, "a coordinate", "coordinate")


def _grids(table: FieldRows) -> tuple[list[FieldGrid], NDArray[np.int64], dict[int, str]]:
    """Read every grid definition.

    Returns
    -------
    ndarray of int64
        Number of the grid of each definition; -1 where it cannot be read.
    dict
        By definition: why it cannot be read.
    """
    from refmaker.scanners.grib import geometry

    grids: list[FieldGrid] = []
    numbers: dict[str, int] = {}
    found = np.full(len(table.grids), -1)
    problems: dict[int, str] = {}
    for i, (edition, section) in enumerate(table.grids):
        try:
            grid = geometry.of_section(edition, section)
        except (FormatError, LimitError, UnsupportedError) as error:
            problems[i] = error.message
            continue
        found[i] = numbers.setdefault(grid.key, len(numbers))
        if found[i] == len(grids):
            grids.append(grid)
    return grids, found, problems


def _undecodable(
    table: FieldRows, grids: list[FieldGrid], grid: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return what keeps each row from being decoded: 0, a reason's number, or -1 for counts."""
    from refmaker.scanners.grib.packings import UNCOUNTED

    points = np.array([*(one.points for one in grids), 0])[grid]
    edition = np.array([one.kind.edition for one in table.templates], np.int64)[table.template]
    counted = table.values != UNCOUNTED
    wrong = counted & np.where(edition == 1, table.values < points, table.values != points)
    return np.where(table.problem, table.problem, -wrong.astype(np.int64))


def _unsorted(
    table: MessageTable,
    rows: NDArray[np.int64],
    urls: Sequence[str],
    problems: dict[int, str],
    grid: NDArray[np.int64],
    problem: NDArray[np.int64],
) -> dict[str, tuple[Array, str]]:
    """Return the bytes of fields that cannot be placed, each as an array of its own."""
    made = {}
    shared = table.shared
    for row in rows.tolist():
        offset, length = int(table.offset[row]), int(table.length[row])
        kind = int(table.row[row])
        if grid[kind] < 0:
            reason = problems[int(shared.grid[kind])]
        elif problem[kind]:
            reason = shared.reasons[problem[kind] - 1] if problem[kind] > 0 else _COUNTS
        else:
            reason = "its times cannot be told"
        names = shared.names[int(shared.template[kind])]
        attributes = dict(names.attributes) | {
            "GRIB_typeOfLevel": names.type_of_level, "comment": f"a message as it is: {reason}",
        }  # fmt: skip
        chunk = ChunkTable.from_columns(
            (1,),
            (urls[int(table.file[row])],),
            offset=np.array([offset]),
            length=np.array([length]),
        )
        array = Array(
            (length,), (length,), np.dtype("u1"), chunk,
            dimension_names=(f"bytes_{row}",), attributes=attributes,
        )  # fmt: skip
        made[f"message_{row:05}"] = array, reason
    return made


def _origin(table: MessageTable) -> dict[str, Any]:
    """Return what all fields say of their origin."""
    found = [names.origin for names in table.shared.names]
    shared = {
        key: value for key, value in found[0].items() if all(o.get(key) == value for o in found)
    }
    if "GRIB_centreDescription" in shared:
        shared["institution"] = shared["GRIB_centreDescription"]
    return shared
