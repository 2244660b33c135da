"""The hierarchy of a reference set, with a row in the report for every name in the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.model import Array, Group
from refmaker.model.report import Outcome
from refmaker.scanners.hdf5.dimensions import variable_name
from refmaker.scanners.hdf5.walk import ObjectType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf5.linked import LinkedObject
    from refmaker.scanners.hdf5.walk import Link, Objects

__all__ = ["TreeBuilder"]

_REPEATS = 10_000
"""Objects that may be listed again under other names: links to groups multiply."""


class TreeBuilder:
    """Puts finished arrays into groups by the links of a file.

    Parameters
    ----------
    objects : Objects
        Links and objects.
    nodes : mapping of int to Array or Group
        What datasets became, by address.
    refusals : mapping of int to tuple
        Outcome, reason and code of what is no array, by address.
    report : ScanReport
        Gets a row for every name.
    linked : mapping of (int, str) to LinkedObject
        What links to other files lead to, by the group's address and the link's name.
    names : callable
        Gives the names of a dataset's dimensions, by its address and the path of the group from
        which it is seen.
    """

    def __init__(
        self,
        objects: Objects,
        nodes: Mapping[int, Array | Group],
        refusals: Mapping[int, tuple[Outcome, str, str]],
        report: ScanReport,
        linked: Mapping[tuple[int, str], LinkedObject],
        names: Callable[[int, str], tuple[str, ...]],
    ) -> None:
        self._objects = objects
        self._nodes = nodes
        self._refusals = refusals
        self._report = report
        self._linked = linked
        self._names = names
        self._attributes: Mapping[int, dict[str, Any]] = {}
        self._repeats = 0

    def build(self, attributes: Mapping[int, dict[str, Any]]) -> Group:
        """Return the root group.

        Parameters
        ----------
        attributes : mapping of int to dict
            Attributes of each group, by address.
        """
        self._attributes = attributes
        self._report.add("/", Outcome.GROUP)
        for path, (reason, code) in self._objects.lost.items():
            self._report.add(path, Outcome.SKIPPED, reason, code)
        return self._group(self._objects.root, "", ())

    def _group(self, address: int, path: str, above: tuple[int, ...]) -> Group:
        if address in self._objects.errors:
            self._report.add(
                f"{path}/*", Outcome.SKIPPED, self._objects.errors[address], "unreadable"
            )
        members: dict[str, Array | Group] = {}
        links = self._objects.links.get(address, [])
        taken = {link.name for link in links if not self._is_dimension(link)}
        for link in links:
            node = self._member(link, f"{path}/{link.name}", address, (*above, address))
            if node is not None:
                name = variable_name(link.name)
                members[link.name if name in taken else name] = node
        return Group(members, self._attributes.get(address, {}))

    def _is_dimension(self, link: Link) -> bool:
        """Whether a name stands for nothing but a dimension, and is free for a variable."""
        refusal = None if link.address is None else self._refusals.get(link.address)
        return refusal is not None and refusal[2] == "dimension"

    def _member(
        self, link: Link, path: str, group: int, above: tuple[int, ...]
    ) -> Array | Group | None:
        if link.file is not None:
            return self._foreign(link, path, group)
        address = self._objects.target(group, link)
        if address is None:
            self._report.add(path, Outcome.METADATA, f"a soft link to {link.target!r}, which is "
                             "not there", "dangling-link")  # fmt: skip
            return None
        kind, first = self._objects.kinds[address], self._objects.names[address]
        if kind is ObjectType.GROUP:
            return self._subgroup(address, path, first, above)
        if kind is ObjectType.DATATYPE:
            self._report.add(path, Outcome.METADATA, "a named datatype", "datatype")
            return None
        if kind is ObjectType.UNREADABLE:
            self._report.add(path, Outcome.SKIPPED, self._objects.errors[address], "unreadable")
            return None
        return self._seen(self._dataset(address, path, first), address, group)

    def _subgroup(
        self, address: int, path: str, first: str, above: tuple[int, ...]
    ) -> Group | None:
        if address in above:
            self._report.add(path, Outcome.DUPLICATED, f"a link back to {first}", "cycle")
            return None
        if path == first:
            self._report.add(path, Outcome.GROUP)
        else:
            self._repeats += 1
            if self._repeats > _REPEATS:
                self._report.add(path, Outcome.DUPLICATED, f"another name of {first}; left out, "
                                 "as there are too many", "alias")  # fmt: skip
                return None
            self._report.add(path, Outcome.DUPLICATED, f"another name of {first}", "alias")
        return self._group(address, path, above)

    def _dataset(self, address: int, path: str, first: str) -> Array | Group | None:
        node = self._nodes.get(address)
        if address in self._refusals:
            self._report.add(path, *self._refusals[address])
        elif path != first:
            self._report.add(path, Outcome.DUPLICATED, f"another name of {first}", "alias")
        elif isinstance(node, Group):
            self._report.add(path, Outcome.GROUP, "kept as columns: it has values outside of its "
                             "chunks", "columns")  # fmt: skip
            for column, _ in node.arrays():
                self._report.add(f"{path}/{column}", Outcome.INLINED, "a column", "columns")
        elif isinstance(node, Array) and node.chunks.inlined and not node.chunks.referenced:
            self._report.add(path, Outcome.INLINED, "small, or not to be had as byte ranges")
        else:
            self._report.add(path, Outcome.REFERENCED)
        return node

    def _seen(self, node: Array | Group | None, address: int, group: int) -> Array | Group | None:
        """Return an array with the names that its dimensions have in a group."""
        if not isinstance(node, Array):
            return node
        known = node.dimension_names or ()
        names = self._names(address, self._objects.names[group].rstrip("/"))
        names = (*names, *known[len(names) :])
        return node if names == known else replace(node, dimension_names=names)

    def _foreign(self, link: Link, path: str, group: int) -> Array | Group | None:
        linked = self._linked[group, link.name]
        node = linked.node
        if isinstance(node, Exception):
            code = getattr(node, "code", "external-link")
            self._report.add(path, Outcome.SKIPPED, str(node), code)
            return None
        outcome = Outcome.REFERENCED if isinstance(node, Array) else Outcome.GROUP
        self._report.add(path, outcome, f"{link.target} of {link.file}", "external-link")
        self._report.extend(replace(row, path=path + row.path) for row in linked.rows)
        return self._seen(node, linked.number, group)
