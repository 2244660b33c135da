"""All inputs to one set: which dimensions are joined, and every group and variable in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refmaker.combine import coordinates, rechunk, times
from refmaker.combine.agreement import Findings
from refmaker.combine.context import Context, Trees
from refmaker.combine.groups_by_encoding import combine_by_encoding
from refmaker.combine.members import combined_set
from refmaker.combine.variables import combine_variable, static_variable
from refmaker.errors import MetadataError, SourceChangedError
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.zarr_v2 import UNLIMITED
from refmaker.storage.rectilinear import uneven_note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.combine.concat_dimensions import ConcatDimension
    from refmaker.combine.members import Member
    from refmaker.combine.options import CombineOptions
    from refmaker.storage.reference_set import ReferenceSet

    Item = tuple[int, Array]
    Key = tuple[str, str]

__all__ = ["combine_members"]


def combine_members(members: Sequence[Member], options: CombineOptions) -> ReferenceSet:
    """Combine inputs.

    Parameters
    ----------
    members : sequence of Member
        At least one.
    options : CombineOptions
        How.

    Raises
    ------
    MetadataError, SourceError, LimitError
        As for `refmaker.combine.combine`.
    """
    if options.incompatible == "split":
        return combine_by_encoding(members, options, _combine_alike)
    return _combine_alike(members, options)


def _combine_alike(members: Sequence[Member], options: CombineOptions) -> ReferenceSet:
    """Combine inputs to one cube; parameters and errors as for `combine_members`."""
    found = Findings(members)
    context = Context(members, options, found)
    trees = Trees.of(members, found)
    found.finish()
    _check_names(trees, options)
    trees = times.in_same_units(trees, context)
    if options.chunks is not None and not isinstance(options.chunks, str):
        trees = rechunk.split_along(trees, options.chunks, context)
    plan = coordinates.plan(trees, context)
    found.finish()
    done: dict[str, dict[str, Array | Group]] = {}
    report = ScanReport("", format=_format(members))
    for path in trees.groups:
        done[path] = _group(path, trees, plan, context, report)
    found.finish()
    group = _assembled(done, trees, context)
    found.finish()
    note = uneven_note(group)
    if note is not None:
        context.warnings[note] = None
    _account(report, members, context)
    made = combined_set(group, report, members)
    return made if context.options.zarr_format != 3 else replace(made, zarr_format=3)


def _check_names(trees: Trees, options: CombineOptions) -> None:
    names = {name for group in trees.arrays.values() for name in group}
    paths = {
        f"{path}/{name}" if path else name for path, group in trees.arrays.items() for name in group
    }
    for option in ("shared", "varying"):
        for name in getattr(options, option):
            if name not in names and name not in paths:
                raise MetadataError(f"{option} names {name!r}, which no input has", path=name)


def _format(members: Sequence[Member]) -> str:
    formats = {member.refs.report.format for member in members}
    return formats.pop() if len(formats) == 1 else ""


def _group(
    path: str, trees: Trees, plan: coordinates.CubeAxes, context: Context, report: ScanReport
) -> dict[str, Array | Group]:
    """Return the variables of one group, combined."""
    options = context.options
    made: dict[str, Array | Group] = {}
    if not path:
        made |= plan.new_coordinates()
    names = trees.arrays[path]
    auxiliary = _auxiliary(names)
    mappings = _mappings(names)
    for name, items in names.items():
        inner = f"{path}/{name}" if path else name
        coordinate = plan.coordinate(path, name)
        if coordinate is not None:
            made[name] = coordinate
            report.add(f"/{inner}", Outcome.INLINED, "coordinate of the cube", "coordinate")
            continue
        if not path and name in plan.new:
            continue
        axes = _axes(path, items[0][1], trees, plan)
        varying = name in options.varying or inner in options.varying
        fixed = name in auxiliary or name in options.shared or inner in options.shared
        new = plan.new_axes() if varying or not fixed else ()
        if varying:
            new = (*new, *_lacking(items, axes, plan, path))
        new = tuple(axis for axis in new if axis.name not in (items[0][1].dimension_names or ()))
        if not new and not any(axis is not None for axis in axes):
            array = static_variable(inner, items, context, all_attributes=name in mappings)
        else:
            crossed = _crossed(items, axes, new, plan, path)
            array = combine_variable(inner, items, axes, new, context, crossed=crossed)
        if array is not None:
            made[name] = array
            outcome = Outcome.REFERENCED if array.chunks.referenced else Outcome.INLINED
            reason = "" if outcome is Outcome.REFERENCED else "small"
            report.add(f"/{inner}", outcome, reason, "small" if reason else "")
    return made


def _axes(
    path: str, array: Array, trees: Trees, plan: coordinates.CubeAxes
) -> tuple[ConcatDimension | None, ...]:
    names = array.dimension_names
    if names is None:
        return (None,) * len(array.shape)
    return tuple(plan.axes.get((_home(path, n, trees), n)) for n in names)


def _home(path: str, name: str, trees: Trees) -> str:
    home = trees.home(path, name)
    return path if home is None else home


def _lacking(
    items: Sequence[Item],
    axes: Sequence[ConcatDimension | None],
    plan: coordinates.CubeAxes,
    path: str,
) -> tuple[ConcatDimension, ...]:
    """Return the existing axes that a variable lacks and is to get."""
    has = {axis.name for axis in axes if axis is not None}
    numbers = [i for i, _ in items]
    return tuple(
        axis
        for (home, name), axis in plan.axes.items()
        if name not in has
        and (path == home or path.startswith(f"{home}/") or not home)
        and all(axis.count[i] == 1 for i in numbers)
    )


def _crossed(
    items: Sequence[Item],
    axes: Sequence[ConcatDimension | None],
    new: Sequence[ConcatDimension],
    plan: coordinates.CubeAxes,
    path: str,
) -> bool:
    """Whether the inputs of a variable lie apart along an axis that it lacks."""
    has = {axis.name for axis in (*axes, *new) if axis is not None}
    numbers = [i for i, _ in items]
    for (home, name), axis in plan.axes.items():
        near = path == home or path.startswith(f"{home}/") or not home
        if name not in has and near and len({int(axis.start[i]) for i in numbers} - {-1}) > 1:
            return True
    lacking = (axis for axis in plan.new_axes() if axis.name not in has)
    return any(len({int(axis.start[i]) for i in numbers}) > 1 for axis in lacking)


def _auxiliary(names: Mapping[str, Sequence[Item]]) -> frozenset[str]:
    """Return the names of coordinates and the like, which get no new dimension unasked."""
    found: set[str] = set()
    for name, items in names.items():
        array = items[0][1]
        found.update(n for n in array.dimension_names or () if n in names)
        for attribute in ("coordinates", "bounds", "climatology", "grid_mapping", "formula_terms"):
            value = array.attributes.get(attribute)
            if isinstance(value, str):
                words = (word.rstrip(":") for word in value.split())
                found.update(word for word in words if word in names and word != name)
    return frozenset(found)


def _mappings(names: Mapping[str, Sequence[Item]]) -> frozenset[str]:
    """Return the names of grid mappings, whose attributes are their content."""
    found: set[str] = set()
    for items in names.values():
        value = items[0][1].attributes.get("grid_mapping")
        if isinstance(value, str):
            found.update(word.rstrip(":") for word in value.split())
    for name, items in names.items():
        if "grid_mapping_name" in items[0][1].attributes:
            found.add(name)
    return frozenset(found)


def _assembled(
    done: Mapping[str, dict[str, Array | Group]], trees: Trees, context: Context
) -> Group:
    """Build the groups from the deepest up."""
    for path in sorted(done, key=lambda p: p.count("/") + bool(p), reverse=True):
        nodes = [(i, _Bare(_plain_attributes(group))) for i, group in trees.groups[path]]
        attributes = context.attributes(f"/{path}", nodes, False)
        unlimited = dict.fromkeys(
            name for _, group in trees.groups[path] for name in group.attributes.get(UNLIMITED, [])
        )
        if unlimited:
            attributes[UNLIMITED] = list(unlimited)
        group = Group(done[path], attributes)
        if not path:
            return group
        parent, _, name = path.rpartition("/")
        done[parent][name] = group
    raise MetadataError("an input has no root group")


@dataclass(frozen=True, slots=True)
class _Bare:
    attributes: Mapping[str, Any]


def _plain_attributes(group: Group) -> Mapping[str, Any]:
    if UNLIMITED not in group.attributes:
        return group.attributes
    return {name: value for name, value in group.attributes.items() if name != UNLIMITED}


def _account(report: ScanReport, members: Sequence[Member], context: Context) -> None:
    """Bring together what the inputs' own reports say."""
    skipped: dict[tuple[str, str], list[Any]] = {}
    for member in members:
        own = member.refs.report
        for url, fingerprint in own.sources.items():
            if report.sources.setdefault(url, fingerprint) != fingerprint:
                raise SourceChangedError(
                    "it changed between the scans of two inputs", url=url, hint="scan it again"
                )
        for row in own.skipped:
            skipped.setdefault((row.path, row.code), [row.reason, member.name, 0])[2] += 1
        for warning in own.warnings:
            report.warn(warning)
    for (path, code), (reason, name, count) in skipped.items():
        where = f"{reason} (in {name}" + (f" and {count - 1} more)" if count > 1 else ")")
        report.add(path, Outcome.SKIPPED, where, code)
    for warning in context.warnings:
        report.warn(warning)
