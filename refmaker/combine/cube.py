"""All inputs to one set: which dimensions are joined, and every group and variable in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refmaker.combine import coordinates, expand, missing, rechunk, squeeze, times, tolerance
from refmaker.combine.agreement import Findings
from refmaker.combine.context import Context, Trees
from refmaker.combine.groups_by_encoding import combine_by_encoding
from refmaker.combine.members import combined_set
from refmaker.combine.times import boundaries
from refmaker.combine.variables import combine_variable, static_variable
from refmaker.errors import MetadataError, SourceChangedError
from refmaker.model import Array, Group
from refmaker.model.ngff import fitting_attributes
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.tree import joined_path
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

__all__ = ["check_names", "combine_members"]

_NAMED = 20
"""Names that a message lists at most."""


def combine_members(
    members: Sequence[Member], options: CombineOptions, *, part: bool = False
) -> ReferenceSet:
    """Combine inputs.

    Parameters
    ----------
    members : sequence of Member
        At least one.
    part : bool
        Whether there are more inputs, so that variables that options name may be in those.

    Raises
    ------
    MetadataError, SourceError, LimitError
        As for `refmaker.combine.combine`.
    """
    if not part:
        check_names(members, options)
    if options.incompatible == "split":
        return combine_by_encoding(members, options, _combine_alike)
    return _combine_alike(members, options)


def _combine_alike(members: Sequence[Member], options: CombineOptions) -> ReferenceSet:
    """Combine inputs to one cube; parameters and errors as for `combine_members`."""
    found = Findings(members, options)
    context = Context(members, options, found)
    trees = Trees.of(members, found)
    found.finish()
    trees = squeeze.squeezed(trees, context)
    trees = expand.expanded(trees, context)
    trees = missing.filled(trees, context)
    trees = times.in_same_units(trees, context)
    found.finish()
    trees = tolerance.brought_together(trees, context)
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


def check_names(members: Sequence[Member], options: CombineOptions) -> None:
    """Refuse options for variables that no input has.

    Raises
    ------
    MetadataError
        With the names that there are.
    """
    words = ("identical_variables", "concat_variables", "fill", "tolerance")
    if not any(getattr(options, word) for word in words):
        return
    paths = {path for member in members for path, _ in member.refs.group.arrays()}
    names = {path.rpartition("/")[2] for path in paths}
    for option in words:
        given = getattr(options, option)
        for name in given if not isinstance(given, int | float) else ():
            if name not in names and name not in paths and (option, name) != ("tolerance", "*"):
                raise MetadataError(
                    f"{option} names {name!r}, which no input has", path=name,
                    hint=f"there are {', '.join(sorted(paths)[:_NAMED])}",
                )  # fmt: skip


def _format(members: Sequence[Member]) -> str:
    formats = {member.refs.report.format for member in members}
    return formats.pop() if len(formats) == 1 else ""


def _group(
    path: str, trees: Trees, plan: coordinates.CubeAxes, context: Context, report: ScanReport
) -> dict[str, Array | Group]:
    options = context.options
    names = trees.arrays[path]
    made: dict[str, Array | Group] = dict(plan.new_coordinates(path, names))
    auxiliary = _auxiliary(names)
    mappings = _mappings(names)
    bounds = {} if path else _bounds_of_new(names, plan, options)
    for name, items in names.items():
        inner = joined_path(path, name)
        coordinate = plan.coordinate(path, name)
        if coordinate is not None:
            made[name] = coordinate
            report.add(f"/{inner}", Outcome.INLINED, "coordinate of the cube", "coordinate")
            continue
        if not path and name in plan.new:
            continue
        those = _with_elements(path, items, trees, plan)
        axes = _axes(path, those[0][1], trees, plan)
        varying = not {name, inner}.isdisjoint(options.concat_variables)
        fixed = name in auxiliary or not {name, inner}.isdisjoint(options.identical_variables)
        one = _Variable(path, inner, those, axes, name in mappings, names)
        new = plan.new_axes() if varying or not fixed else ()
        if fixed and not varying and name in bounds:
            new = (bounds[name],)
        if varying:
            new = _with_lacking(one, new, plan, context)
        if options.compat == "vary" and not varying:
            array = _varied(one, new, plan, context)
        else:
            array = _combined(one, new, plan, context)
        if array is not None:
            made[name] = array
            outcome = Outcome.REFERENCED if array.chunks.referenced else Outcome.INLINED
            reason = "" if outcome is Outcome.REFERENCED else "small"
            report.add(f"/{inner}", outcome, reason, "small" if reason else "")
    return made


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable in all inputs, the axes of its dimensions, and the variables beside it."""

    group: str
    path: str
    items: list[Item]
    axes: tuple[ConcatDimension | None, ...]
    mapping: bool
    siblings: Mapping[str, Sequence[Item]]

    @property
    def is_coordinate(self) -> bool:
        return self.items[0][1].dimension_names == (self.path.rpartition("/")[2],)


def _combined(
    one: _Variable,
    new: Sequence[ConcatDimension],
    plan: coordinates.CubeAxes,
    context: Context,
) -> Array | None:
    """Return a variable along its own axes and new ones, or as it is in all inputs."""
    own = one.items[0][1].dimension_names or ()
    new = tuple(axis for axis in new if axis.name not in own)
    if new or any(axis is not None for axis in one.axes):
        crossed = _crossed(one.items, one.axes, new, plan, one.group)
        return combine_variable(one.path, one.items, one.axes, new, context, crossed=crossed)
    return static_variable(
        one.path, one.items, context, all_attributes=one.mapping, siblings=one.siblings,
        joined=bool(plan.axes or plan.new), lacking=bool(_possible(one, plan, context)),
    )  # fmt: skip


def _varied(
    one: _Variable,
    new: Sequence[ConcatDimension],
    plan: coordinates.CubeAxes,
    context: Context,
) -> Array | None:
    """Return a variable; if inputs differ, with the dimensions that tell them apart."""
    more = _possible(one, plan, context)
    if one.is_coordinate or {axis.name for axis in more} <= {axis.name for axis in new}:
        return _combined(one, new, plan, context)
    trial = replace(context, found=Findings(context.members, context.options), warnings={})
    array = _combined(one, new, plan, trial)
    if array is not None:
        context.warnings |= trial.warnings
        return array
    named = ", ".join(axis.name for axis in more)
    context.warnings[f"{one.path} differs between inputs and gets the dimension {named}"] = None
    return _combined(one, more, plan, context)


def _with_elements(
    path: str, items: list[Item], trees: Trees, plan: coordinates.CubeAxes
) -> list[Item]:
    """Leave out inputs without any element along a joined dimension: they say nothing."""
    found = [
        (i, array)
        for i, array in items
        if 0 not in array.shape
        or not any(
            axis is not None and not extent
            for axis, extent in zip(_axes(path, array, trees, plan), array.shape, strict=True)
        )
    ]
    return found or items[:1]


def _bounds_of_new(
    names: Mapping[str, Sequence[Item]], plan: coordinates.CubeAxes, options: CombineOptions
) -> dict[str, ConcatDimension]:
    """Return the boundaries of scalars that become dimensions: each input has its own."""
    return {
        name: plan.new[scalar]
        for scalar in plan.new
        for name in boundaries(names.get(scalar, ()))
        if name in names and name not in options.identical_variables
    }


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


def _possible(
    one: _Variable, plan: coordinates.CubeAxes, context: Context
) -> tuple[ConcatDimension, ...]:
    """Return all axes that a variable could get."""
    own = one.items[0][1].dimension_names or ()
    found = _with_lacking(one, plan.new_axes(), plan, context)
    return tuple(axis for axis in found if axis.name not in own)


def _with_lacking(
    one: _Variable,
    new: Sequence[ConcatDimension],
    plan: coordinates.CubeAxes,
    context: Context,
) -> tuple[ConcatDimension, ...]:
    """Return new axes and the existing ones that a variable lacks, in the order asked for."""
    has = {axis.name for axis in one.axes if axis is not None}
    path = one.group
    numbers = [i for i, _ in one.items]
    lacking = (
        axis
        for (home, name), axis in plan.axes.items()
        if name not in has
        and (path == home or path.startswith(f"{home}/") or not home)
        and all(axis.count[i] == 1 for i in numbers)
    )
    options = context.options
    wanted = list(dict.fromkeys((*(options.concat or ()), *options.coords)))
    found = (*new, *lacking)
    return tuple(
        sorted(found, key=lambda a: wanted.index(a.name) if a.name in wanted else len(wanted))
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
            name
            for _, group in trees.groups[path]
            for name in group.attributes.get(UNLIMITED, [])
            if name not in context.options.squeeze
        )
        if unlimited:
            attributes[UNLIMITED] = list(unlimited)
        group = Group(done[path], attributes)
        group = replace(group, attributes=fitting_attributes(group))
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
