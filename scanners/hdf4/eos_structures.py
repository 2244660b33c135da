"""The grids and swaths of a file as groups: what belongs to each, dimensions, coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from refmaker.errors import RefmakerError
from refmaker.model.report import Outcome
from refmaker.scanners.hdf4.attributes import Attributes
from refmaker.scanners.hdf4.eos import Structure, read_structures, structure_members
from refmaker.scanners.hdf4.eos_grid import GRID_MAPPING, grid_coordinates
from refmaker.scanners.hdf4.eos_swath import geolocation_of, map_notes
from refmaker.scanners.hdf4.vgroups import VDATA
from refmaker.scanning.names import key_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model import Array
    from refmaker.scanners.hdf4.datasets import FileTables
    from refmaker.scanners.hdf4.placing import Placing

__all__ = ["Structures"]

_AXES: Final = {"XDim": "x", "YDim": "y"}


class Structures:
    """The grids and swaths of a file.

    Parameters
    ----------
    tables : FileTables
        The file.
    attributes : mapping
        Of the file.

    Attributes
    ----------
    attributes : dict
        Attributes of the groups, by path.
    vgroups : set of int
        Reference numbers of the Vgroups that make up structures.
    """

    def __init__(self, tables: FileTables, attributes: Mapping[str, Any]) -> None:
        self._tables = tables
        self._known = read_structures(attributes)
        self._members, self.vgroups = structure_members(tables.vgroups)
        for key in dict.fromkeys(self._members.values()):
            self._known.setdefault(key, Structure(*key))
        counts: dict[str, int] = {}
        for _, name in self._known:
            counts[name] = counts.get(name, 0) + 1
        # A grid and a swath of one name are told apart by what they are.
        self._homes: dict[tuple[str, str], tuple[str, ...]] = {
            key: (key_name(key[1] if counts[key[1]] == 1 else f"{key[1]}_{key[0].lower()}"),)
            for key in self._known
        }
        self._by_home = {home: self._known[key] for key, home in self._homes.items()}
        self._extents: dict[tuple[str, ...], dict[str, int]] = {}
        self.attributes: dict[tuple[str, ...], dict[str, Any]] = {}
        for key, home in self._homes.items():
            self.attributes[home] = self._said(key, home)

    def home(self, tag: int, ref: int, name: str) -> tuple[str, ...]:
        """Return the group of an object; the root's is empty.

        Parameters
        ----------
        tag, ref : int
            Of its element; Vgroups tell which structure it belongs to.
        name : str
            Its name, by which the metadata know it where no Vgroup has it.
        """
        key = self._members.get((tag, ref))
        if key is not None:
            return self._homes[key]
        if self._members:
            return ()
        found = [home for home, one in self._by_home.items() if one.dimensions(name)]
        return found[0] if len(found) == 1 else ()

    def add_coordinates(self, found: dict[tuple[str, ...], Array], placing: Placing) -> None:
        """Add the coordinates and grid mappings of all grids, or a warning why there are none."""
        report = self._tables.report
        for home, structure in self._by_home.items():
            if structure.kind != "GRID" or not structure.said:
                continue
            try:
                arrays = grid_coordinates(structure)
            except RefmakerError as error:
                report.warn(f"/{home[0]}: it has no coordinates: {error}")
                continue
            self._extents[home] = {}
            for name, array in arrays.items():
                path = placing.place(home, name, (0, 0), several=False)
                found[path] = array
                reason = "it follows from the structural metadata"
                report.add("/" + "/".join(path), Outcome.INLINED, reason, "coordinate")
                if array.shape:
                    self._extents[home][name] = array.shape[0]

    def describe(
        self, home: tuple[str, ...], name: str, shape: tuple[int, ...], names: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return what a structure says of one of its fields: attributes, and its dimensions.

        Parameters
        ----------
        home : tuple of str
            The group.
        name : str
            The field, as the file has it.
        shape : tuple of int
            Its extents.
        names : tuple of str
            Its dimensions, as the data set has them.
        """
        structure = self._by_home.get(home)
        if structure is None:
            return {}, names
        told = structure.dimensions(name)
        if told is not None and len(told) == len(shape):
            names = told
        else:
            names = tuple(axis.removesuffix(f":{structure.name}") for axis in names)
        if structure.kind == "GRID":
            return self._on_grid(home, shape, names)
        return geolocation_of(structure, name, names), names

    def _on_grid(
        self, home: tuple[str, ...], shape: tuple[int, ...], names: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        extents = self._extents.get(home)
        if extents is None:
            return {}, names
        axes = dict(zip(names, shape, strict=False))
        there = {axis: own for axis, own in _AXES.items() if axes.get(axis) == extents.get(own)}
        if set(there) != set(_AXES):
            return {}, names
        # rioxarray looks for the grid mapping among the coordinates.
        told = {"grid_mapping": GRID_MAPPING, "coordinates": GRID_MAPPING}
        return told, tuple(there.get(axis, axis) for axis in names)

    def _said(self, key: tuple[str, str], home: tuple[str, ...]) -> dict[str, Any]:
        """Return the attributes of a structure's group."""
        found = Attributes("/" + "/".join(home), self._tables.report)
        refs = [ref for (tag, ref), owner in self._members.items() if tag == VDATA and owner == key]
        for vgroup in self._tables.vgroups.values():
            if vgroup.ref in self.vgroups and vgroup.kind == key[0] and vgroup.name == key[1]:
                refs += vgroup.attributes
        found.add_vdatas(self._tables.elements, self._tables.vdatas, refs)
        return found.document() | map_notes(self._known[key])
