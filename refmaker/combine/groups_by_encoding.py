"""Inputs that cannot be one cube, each kind as a group of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.codecs import decoding
from refmaker.combine.agreement import MEANING
from refmaker.combine.members import Member, combined_set, numbered
from refmaker.combine.times import known_calendar
from refmaker.model import Array, Group
from refmaker.model.amounts import counted
from refmaker.model.report import ScanReport
from refmaker.model.zarr_v2 import dumps, encode_dtype, encode_fill_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refmaker.combine.options import CombineOptions
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["combine_by_encoding", "group_by_encoding"]


def group_by_encoding(members: Sequence[Member], options: CombineOptions) -> list[list[Member]]:
    """Return the inputs sorted by how their variables are stored.

    Parameters
    ----------
    options : CombineOptions
        Attributes that it settles do not tell kinds apart.

    Returns
    -------
    list of list of Member
        Inputs of one kind have the same dtypes, chunks, codecs, packing and units; kinds in the
        order of their first input.
    """
    kinds: dict[tuple[Any, ...], list[Member]] = {}
    for member in members:
        kinds.setdefault(_kind(member.refs.group, options), []).append(member)
    return list(kinds.values())


def _kind(group: Group, options: CombineOptions) -> tuple[Any, ...]:
    return tuple(sorted((path, _array_kind(array, options)) for path, array in group.arrays()))


def _array_kind(array: Array, options: CombineOptions) -> str:
    attributes = {
        name: value
        for name, value in array.attributes.items()
        if name in MEANING and not options.settles(name)
    }
    if options.times == "reencode" and " since " in str(attributes.get("units", "")):
        attributes["units"] = ""
        # Calendars that agree are brought together; others never are.
        attributes["calendar"] = known_calendar(attributes)
    stored: list[Any] = []
    if array.chunks.referenced or array.nbytes > options.inline_threshold:
        # Small values in the set are written anew: how they are encoded does not count.
        stored = [array.chunk_shape, array.order, [decoding(codec) for codec in array.codecs]]
    fill = encode_fill_value(array.fill_value, array.dtype)
    kind = [encode_dtype(array.dtype), fill, array.dimension_names, attributes, stored]
    return dumps(kind)


def combine_by_encoding(
    members: Sequence[Member],
    options: CombineOptions,
    combine_alike: Callable[[Sequence[Member], CombineOptions], ReferenceSet],
) -> ReferenceSet:
    """Combine inputs of each kind to a group ``encoding_0`` and following; one kind to the root.

    Parameters
    ----------
    members : sequence of Member
        At least one.

    Raises
    ------
    MetadataError, SourceError, LimitError
        As for `refmaker.combine.combine`.
    """
    kinds = group_by_encoding(members, options)
    if len(kinds) == 1:
        return combine_alike(members, options)
    report = ScanReport("")
    groups: dict[str, Array | Group] = {}
    for number, kind in enumerate(kinds):
        name = f"encoding_{number}"
        refs = combine_alike(numbered(kind), options)
        groups[name] = refs.group
        report.extend(replace(row, path=f"/{name}{row.path}") for row in refs.report.rows)
        report.sources.update(refs.report.sources)
        report.format = refs.report.format
        ends = f"from {kind[0].name} to {kind[-1].name}"
        report.warn(f"{name} holds {counted(len(kind), 'input')}, {ends}")
        for warning in refs.report.warnings:
            report.warn(f"{name}: {warning}")
    return combined_set(Group(groups), report, members)
