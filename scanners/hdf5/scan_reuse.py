"""Files that are like one scanned before: what that scan found holds, with other values and places.

The first files are read by h5py. What it found is kept under the file's outline
(`refmaker.scanners.hdf5.structure`), and a later file with the same outline is not opened by h5py
any more: its arrays are those of the earlier one, with the values of its own attributes, its own
small data, and its own chunks, read from its bytes. A pattern is only kept if, put to the file
that it came from, it gives just what h5py gave; whatever is unlike it in any way goes to h5py.
"""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.zarr_v2 import UNLIMITED, dumps
from refmaker.scanners.hdf5.attribute_bytes import decode
from refmaker.scanners.hdf5.attributes import SQUEEZED
from refmaker.scanners.hdf5.scan import FileScan
from refmaker.scanners.hdf5.structure import StructureKey, outline_of
from refmaker.scanners.hdf5.structure_error import StructureMismatchError
from refmaker.scanners.hdf5.table_rebuild import recipe_for
from refmaker.scanning.options import ScanOptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from refmaker.io.source import Source
    from refmaker.scanners.hdf5.attribute_bytes import Values
    from refmaker.scanners.hdf5.table_rebuild import TableRebuilder

__all__ = ["ScanReuse"]

_MOST = 16
"""Structures that are kept."""
_PATIENCE, _RARELY = 8, 32
"""Files in vain after which only every so many-th is tried: archives of single pieces."""


class _KnownStructure:
    """What a scan found, and how another file's values and places are put into it."""

    def __init__(
        self,
        scan: FileScan,
        outline: StructureKey,
        group: Group,
        report: ScanReport,
        source: Source,
    ) -> None:
        self._group = group
        self._rows = report.rows
        self._scalars = scan.scalars
        self._recipes: dict[int, TableRebuilder] = {}
        # The attributes of each node are an object of their own, which stays as long as this.
        self._numbers: dict[int, int] = {}
        shown: dict[int, Mapping[str, Any]] = {}
        for address, number in outline.numbers.items():
            node = scan.nodes.get(address)
            attributes = scan.groups.get(address) if node is None else node.attributes
            if attributes is None:
                continue
            shown[number] = attributes
            self._numbers[id(attributes)] = number
            if isinstance(node, Group) and node.members:
                raise StructureMismatchError("values that only h5py reads")
            if isinstance(node, Array):
                recipe = recipe_for(node, scan.datasets[address], outline, number, source)
                if recipe is not None:
                    self._recipes[number] = recipe
        self._values = _known_values(outline, shown, scalars=self._scalars)
        if self._unsaid(report, source):
            raise StructureMismatchError("what was found does not follow from the outline alone")

    def _unsaid(self, report: ScanReport, source: Source) -> bool:
        """Tell whether the account of the scan has anything to say of this one file."""
        return bool(
            report.warnings
            or report.sources
            or report.missing
            or any(row.outcome is Outcome.SKIPPED or source.url in row.reason for row in self._rows)
        )

    def apply(self, outline: StructureKey, source: Source) -> tuple[Group, ScanReport]:
        """Return what a scan of a file with the same outline gives.

        Raises
        ------
        StructureMismatchError, RefmakerError
            If the file is unlike the pattern after all.
        """
        changed: dict[int, dict[str, Any]] = {}
        for (old, readable), (number, part, new) in zip(self._values, outline.values, strict=True):
            if old != new:
                if not readable:
                    raise StructureMismatchError("a value that only h5py reads")
                name = part.name.decode("utf-8", "replace")
                value = decode(part.head, new, scalars=self._scalars or name in SQUEEZED)
                changed.setdefault(number, {})[name] = value
        group = self._node(self._group, changed, outline, source)
        report = ScanReport(source.url, "hdf5", list(self._rows))
        return group, report  # type: ignore[return-value] # a group gives a group

    def _node(
        self,
        node: Array | Group,
        changed: Mapping[int, dict[str, Any]],
        outline: StructureKey,
        source: Source,
    ) -> Array | Group:
        number = self._numbers.get(id(node.attributes), -1)
        attributes = node.attributes
        if number in changed:
            if not changed[number].keys() <= attributes.keys():
                raise StructureMismatchError("an attribute that is not shown")
            attributes = {**attributes, **changed[number]}
        if isinstance(node, Group):
            members = {
                name: self._node(member, changed, outline, source)
                for name, member in node.members.items()
            }
            return Group(members, attributes)
        table = node.chunks
        recipe = self._recipes.get(number)
        if recipe is not None:
            table = recipe.table(table, outline.places[number], source, outline)
        if table is node.chunks and attributes is node.attributes:
            return node
        return replace(node, chunks=table, attributes=attributes)

    def check(self, outline: StructureKey, source: Source) -> None:
        """Compare what this gives for the file that it came from with what h5py gave.

        Raises
        ------
        StructureMismatchError, RefmakerError
            If they differ.
        """
        made, _ = self.apply(outline, source)
        for (path, old), (name, new) in zip(self._group.walk(), made.walk(), strict=True):
            same = path == name and dumps(dict(old.attributes)) == dumps(dict(new.attributes))
            if isinstance(old, Array) and isinstance(new, Array):
                same = same and old.chunks.same(new.chunks)
            if not same:
                raise StructureMismatchError(f"{path} comes out differently")


def _known_values(
    outline: StructureKey, shown: Mapping[int, Mapping[str, Any]], *, scalars: bool
) -> list[tuple[Values, bool]]:
    """Return the values of all attributes, and whether `decode` makes of them what h5py did."""
    found: list[tuple[Values, bool]] = []
    met: set[tuple[int, str]] = set()
    for number, part, values in outline.values:
        name = part.name.decode("utf-8", "replace")
        if (number, name) in met:
            raise StructureMismatchError("two attributes of one name")
        met.add((number, name))
        try:
            value = decode(part.head, values, scalars=scalars or name in SQUEEZED)
            known = shown.get(number, {})
            readable = name != UNLIMITED and name in known and dumps(value) == dumps(known[name])
        except StructureMismatchError:
            readable = False
        found.append((values, readable))
    return found


class ScanReuse:
    """Scans files one after the other, and remembers what those of a kind have in common.

    Whoever scans one file needs none of this: scanners begin with their second.

    Attributes
    ----------
    alike : int
        Files that were like another, and were not opened by h5py.
    """

    def __init__(self) -> None:
        self.alike = 0
        self._kept: dict[Hashable, _KnownStructure] = {}
        self._lock = threading.Lock()
        self._files = 0
        self._in_vain = 0

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Scan a file; as `FileScan.run`, and with the same result.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            How to scan.
        """
        outline, key = self._outlined(source, options)
        if outline is None:
            return FileScan(source, options).run()
        pattern = self._kept.get(key)
        if pattern is not None:
            try:
                found = pattern.apply(outline, source)
            except (StructureMismatchError, RefmakerError, ValueError):
                pass
            else:
                self._in_vain = 0
                self.alike += 1
                return found
        scan = FileScan(source, options)
        group, report = scan.run()
        if pattern is None:
            self._learn(scan, outline, key, group, report, source)
        return group, report

    def _outlined(
        self, source: Source, options: ScanOptions
    ) -> tuple[StructureKey | None, Hashable]:
        self._files += 1
        self._in_vain += 1
        rare = self._in_vain > _PATIENCE and self._in_vain % _RARELY
        if rare or source.path is None or options.verify_index:
            return None, None
        try:
            outline = outline_of(source)
        except StructureMismatchError:
            return None, None
        chosen = [getattr(options, name) for name in _OPTIONS]
        return outline, (*chosen, *sorted(options.settings.items()), *outline.key)

    def _learn(
        self,
        scan: FileScan,
        outline: StructureKey,
        key: Hashable,
        group: Group,
        report: ScanReport,
        source: Source,
    ) -> None:
        try:
            pattern = _KnownStructure(scan, outline, group, report, source)
            pattern.check(outline, source)
        except (StructureMismatchError, RefmakerError, ValueError, KeyError):
            return
        with self._lock:
            while len(self._kept) >= _MOST:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = pattern


_OPTIONS = tuple(field.name for field in fields(ScanOptions) if field.name != "settings")
