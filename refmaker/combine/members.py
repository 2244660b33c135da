"""The inputs: reference sets in memory, or read from where they are stored."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.model import Array, Group
from refmaker.storage.reference_set import ReferenceSet, made_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from refmaker.model.report import ScanReport

__all__ = ["Member", "combined_set", "members", "numbered"]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One input.

    Parameters
    ----------
    number : int
        Its place among the inputs.
    refs : ReferenceSet
        What it holds.
    storage_options : mapping, optional
        Passed to fsspec for data that have to be read.
    """

    number: int
    refs: ReferenceSet
    storage_options: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """What it is called in messages: the data's file, or where the set lies."""
        report = self.refs.report
        if len(report.sources) > 1 and report.url:
            # A cube of many files is called by its own name.
            return report.url
        return next(iter(self.names), f"input {self.number + 1}")

    @property
    def names(self) -> list[str]:
        """The file that was scanned and the place of the set, where they are known."""
        report = self.refs.report
        # The scanned file stands first among the sources.
        found = [*list(report.sources)[:1], report.url]
        if not found[0]:
            urls = (url for _, array in self.refs.group.arrays() for url in array.chunks.urls)
            found.insert(0, next(urls, ""))
        return [name for name in dict.fromkeys(found) if name]


def members(
    sets: Iterable[ReferenceSet | str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    drop: Collection[str] = (),
    preprocess: Callable[[ReferenceSet], ReferenceSet] | None = None,
) -> list[Member]:
    """Return the inputs, those that are stored read.

    Parameters
    ----------
    drop : collection of str
        Names or paths of variables and groups to leave out.
    preprocess : callable, optional
        Called with each input, after some were dropped.

    Raises
    ------
    MetadataError
        If there is no input, or one is no reference set.
    PolicyError
        If one names files that it may not: in what is made of it nobody could tell any more.
    SourceError
        If one cannot be read.
    """
    found: list[Member] = []
    for given in sets:
        refs = given
        if not isinstance(refs, ReferenceSet):
            if not isinstance(refs, str | os.PathLike):
                raise MetadataError(f"{type(given).__name__} is neither a reference set nor a path")
            refs = ReferenceSet.read(refs, storage_options)
        if drop:
            refs = replace(refs, group=_without(refs.group, frozenset(drop)))
        if preprocess is not None:
            refs = preprocess(refs)
        refs.policy.check_urls(refs.urls())
        found.append(Member(len(found), refs, storage_options))
    if not found:
        raise MetadataError("there is nothing to combine")
    return found


def numbered(found: Iterable[Member]) -> list[Member]:
    """Return inputs with their places among one another."""
    return [replace(member, number=i) for i, member in enumerate(found)]


def combined_set(group: Group, report: ScanReport, members: Iterable[Member]) -> ReferenceSet:
    """Return a set made of others, which is trusted no further than they are."""
    found = list(members)
    if len(found) > 1:
        # What many were joined to begins at no one place of a file.
        group = group.map_arrays(lambda a: replace(a, origin=a.origin.joined()) if a.origin else a)
    for member in found:
        report.add_cost(member.refs.report)
    return made_of(group, report, [member.refs for member in found])


def _without(group: Group, drop: frozenset[str], path: str = "") -> Group:
    kept: dict[str, Array | Group] = {}
    for name, node in group.members.items():
        here = f"{path}{name}"
        if name in drop or here in drop:
            continue
        kept[name] = _without(node, drop, f"{here}/") if isinstance(node, Group) else node
    return replace(group, members=kept)
