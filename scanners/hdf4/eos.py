"""HDF-EOS2: what the structural metadata of a file say of its grids and swaths.

Implements the attribute ``StructMetadata`` (HDF-EOS Library User's Guide, volume 1), and the
Vgroups that hold the members of a structure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from refmaker.scanners.hdf4.odl import parse_odl
from refmaker.scanners.hdf4.vgroups import VGROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refmaker.scanners.hdf4.vgroups import VGroup

__all__ = ["DimensionMap", "Structure", "read_structures", "structure_members"]

_KINDS: Final = (("GridStructure", "GRID"), ("SwathStructure", "SWATH"))
_NAMES: Final = {"GRID": "GridName", "SWATH": "SwathName"}
_MOST: Final = 64
"""Numbers of the attributes that a long text is spread over."""
_DEPTH: Final = 8


class DimensionMap(NamedTuple):
    """How a dimension of geolocation fields lies along one of data fields.

    Parameters
    ----------
    geolocation, data : str
        The dimensions.
    offset, increment : int
        Place of the first element along the data's dimension, and the distance of others; a
        negative increment counts elements of the geolocation's for one of the data's.
    """

    geolocation: str
    data: str
    offset: int
    increment: int


@dataclass(slots=True)
class Structure:
    """A grid or swath.

    Parameters
    ----------
    kind : {"GRID", "SWATH"}
    name : str
    said : mapping
        All that the metadata say of it.
    fields : dict of str to tuple of str
        Dimensions of each data field.
    geolocation : dict of str to tuple of str
        Dimensions of each geolocation field of a swath.
    maps : list of DimensionMap
        Of a swath.
    """

    kind: str
    name: str
    said: Mapping[str, Any] = field(default_factory=dict)
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    geolocation: dict[str, tuple[str, ...]] = field(default_factory=dict)
    maps: list[DimensionMap] = field(default_factory=list)

    def dimensions(self, name: str) -> tuple[str, ...] | None:
        """Return the dimensions of a field; None of one that is not known."""
        return self.fields.get(name) or self.geolocation.get(name)


def read_structures(attributes: Mapping[str, Any]) -> dict[tuple[str, str], Structure]:
    """Return the grids and swaths that the attributes of a file describe, by kind and name.

    Parameters
    ----------
    attributes : mapping
        Of the file: ``StructMetadata.0`` and on hold one text.
    """
    parts = [attributes.get(f"StructMetadata.{number}", "") for number in range(_MOST)]
    text = "".join(part for part in parts if isinstance(part, str)).replace("\0", "")
    if not text:
        return {}
    document = parse_odl(text)
    found = {}
    for section, kind in _KINDS:
        for said in _groups(document.get(section)):
            name = said.get(_NAMES[kind])
            if isinstance(name, str) and name:
                found[kind, name] = _structure(kind, name, said)
    return found


def _structure(kind: str, name: str, said: Mapping[str, Any]) -> Structure:
    found = Structure(kind, name, said)
    for section, key, target in (
        ("DataField", "DataFieldName", found.fields),
        ("GeoField", "GeoFieldName", found.geolocation),
    ):
        for one in _groups(said.get(section)):
            axes = one.get("DimList")
            axes = axes if isinstance(axes, list) else [axes]
            if isinstance(one.get(key), str) and all(isinstance(axis, str) for axis in axes):
                target[one[key]] = tuple(axes)
    for one in _groups(said.get("DimensionMap")):
        told: list[Any] = [
            one.get(key) for key in ("GeoDimension", "DataDimension", "Offset", "Increment")
        ]
        if all(map(isinstance, told, (str, str, int, int))):
            found.maps.append(DimensionMap(*told))
    return found


def _groups(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from (value for value in node.values() if isinstance(value, dict))


def structure_members(
    vgroups: Mapping[int, VGroup],
) -> tuple[dict[tuple[int, int], tuple[str, str]], set[int]]:
    """Return which grid or swath each element belongs to, and the Vgroups of all these.

    Parameters
    ----------
    vgroups : mapping of int to VGroup
        Those of the file.

    Returns
    -------
    dict
        Kind and name of the structure, by tag and reference number.
    set of int
        Reference numbers of the Vgroups that make up structures.
    """
    found: dict[tuple[int, int], tuple[str, str]] = {}
    taken: set[int] = set()
    for vgroup in vgroups.values():
        if vgroup.kind not in _NAMES:
            continue
        layer = [vgroup]
        for _ in range(_DEPTH):
            below = []
            for one in layer:
                taken.add(one.ref)
                for tag, ref in one.members:
                    if tag == VGROUP and ref in vgroups and ref not in taken:
                        below.append(vgroups[ref])
                    elif tag != VGROUP:
                        found.setdefault((tag, ref), (vgroup.kind, vgroup.name))
            layer = below
    return found, taken
