"""Combining in steps: batches of inputs, then what came of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from refmaker.combine.cube import check_names, combine_members
from refmaker.combine.members import Member, members
from refmaker.errors import MetadataError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from refmaker.combine.options import CombineOptions
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["combine_in_batches", "second_pass_options"]


def combine_in_batches(
    sets: Iterable[ReferenceSet | str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None,
    options: CombineOptions,
) -> ReferenceSet:
    """Combine inputs batch by batch, so that few of them are in memory at a time.

    Parameters
    ----------
    sets : iterable of ReferenceSet, str or os.PathLike
        The inputs; taken as they are needed.
    options : CombineOptions
        How to combine; its ``batch`` says how many inputs at a time.

    Raises
    ------
    MetadataError, SourceError, LimitError
        As for `refmaker.combine.combine`.
    """
    if options.incompatible == "split":
        raise MetadataError(
            "incompatible inputs cannot be told apart in batches", hint="leave it out: `batch`"
        )
    cubes: list[Member] = []
    for first, part in _batches(sets, options.batch or 1):
        found = members(part, storage_options, options.drop, options.preprocess)
        own = replace(options, coords=_part(options.coords, first, len(found)), regular=())
        cubes.append(Member(len(cubes), combine_members(found, own, part=True), storage_options))
    if not cubes:
        raise MetadataError("there is nothing to combine")
    check_names(cubes, options)
    rows = cubes[0].refs.report.rows
    if len(cubes) == 1 and not options.regular:
        return cubes[0].refs
    made = combine_members(cubes, replace(second_pass_options(options), regular=options.regular))
    made.report.rows[:] = rows + [
        row for cube in cubes[1:] for row in cube.refs.report.skipped if row not in rows
    ]
    return made


def second_pass_options(options: CombineOptions) -> CombineOptions:
    """Return the options for joining cubes that were combined with `options`."""
    concat = options.concat
    if concat is not None or options.coords:
        concat = tuple(dict.fromkeys((*(concat or ()), *options.coords)))
    # Dates from names may be in finer units in one cube than in another.
    times = "reencode" if options.coords else options.times
    return replace(
        options, concat=concat, coords={}, times=times, identical_variables=(),
        concat_variables=(), drop=(), batch=None, preprocess=None,
    )  # fmt: skip


def _batches(sets: Iterable[Any], size: int) -> Iterator[tuple[int, list[Any]]]:
    waiting = iter(sets)
    first = 0
    while part := list(islice(waiting, size)):
        yield first, part
        first += len(part)


def _part(coords: Mapping[str, Any], first: int, count: int) -> dict[str, Any]:
    """Return selectors for some of the inputs: those that count all of them, cut."""
    found: dict[str, Any] = {}
    for name, selector in coords.items():
        if selector == "index":
            found[name] = list(range(first, first + count))
        elif isinstance(selector, str) or callable(selector) or hasattr(selector, "keys"):
            found[name] = selector
        else:
            found[name] = list(selector)[first : first + count]
    return found
