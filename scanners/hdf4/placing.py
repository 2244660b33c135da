"""Where objects stand in the tree, and by which names: no two have the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from refmaker.scanners.hdf4.vgroups import VGROUP
from refmaker.scanning.names import key_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf4.vgroups import VGroup

__all__ = ["NETCDF", "Placing"]

NETCDF: Final = ("CDF0.0", "Var0.0", "Dim0.0", "UDim0.0")
"""Classes of the Vgroups of the netCDF interface."""
_DEPTH: Final = 16


class Placing:
    """Gives every object of a file a path of its own.

    Parameters
    ----------
    vgroups : mapping of int to VGroup
        Those of the file.
    report : ScanReport
        Told of names that were changed.
    """

    def __init__(self, vgroups: Mapping[int, VGroup], report: ScanReport) -> None:
        self._report = report
        self._vgroups = {r: group for r, group in vgroups.items() if group.kind not in NETCDF}
        self._parent: dict[tuple[int, int], int] = {}
        for ref, group in self._vgroups.items():
            for member in group.members:
                self._parent.setdefault(member, ref)
        self._taken: set[tuple[str, ...]] = set()
        self._groups: set[tuple[str, ...]] = set()

    def place(
        self,
        around: Sequence[str],
        name: str,
        element: tuple[int, int],
        *,
        several: bool,
        group: bool = False,
    ) -> tuple[str, ...]:
        """Return the path of an object.

        Parameters
        ----------
        around : sequence of str
            Names of the groups around it.
        name : str
            Its own, as the file has it.
        element : tuple of int
            Tag and reference number, by which Vgroups know it.
        several : bool
            Whether others in the same group have that name: those are told apart by the Vgroups
            that they lie in, or else by their reference numbers.
        group : bool
            Whether it is a group, which others lie in.
        """
        own = key_name(name)
        path = (*map(key_name, around), own)
        if several and not around:
            path = (*self._above(element), own)
        while any(path[:n] in self._taken for n in range(1, len(path))):
            # A group that has the name of an array.
            path = (f"{path[0]}_group", *path[1:])
        if path in self._taken or path in self._groups:
            path = (*path[:-1], f"{own}_{element[1]}")
        while path in self._taken or path in self._groups:
            path = (*path[:-1], f"{path[-1]}_")
        if path[-1] != name:
            self._report.warn(f"{name!r} is named {'/'.join(path)!r} here")
        (self._groups if group else self._taken).add(path)
        self._groups.update(path[:n] for n in range(1, len(path)))
        return path

    def _above(self, element: tuple[int, int]) -> tuple[str, ...]:
        """Return the names of the Vgroups that an object lies in, the outermost first."""
        names: list[str] = []
        seen: set[int] = set()
        ref = self._parent.get(element)
        while ref is not None and ref not in seen and len(names) < _DEPTH:
            seen.add(ref)
            names.insert(0, key_name(self._vgroups[ref].name or f"Vgroup_{ref}"))
            ref = self._parent.get((VGROUP, ref))
        return tuple(names)
