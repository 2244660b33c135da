"""Scientific data sets: what they are called, of which shape and type they are, what hangs there.

Implements DFTAG_NDG and what it lists (HDF Specification 4.2, section 3.3.3), and the Vgroups of
the netCDF interface (``cdf.c``): one of the class ``Var0.0`` for each variable, with its
dimensions, its attributes and its DFTAG_NDG.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from refmaker.errors import FormatError, RefmakerError, UnsupportedError
from refmaker.scanners.hdf4.attributes import Attributes
from refmaker.scanners.hdf4.number_types import dtype_of_element
from refmaker.scanners.hdf4.vgroups import VDATA, VGROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf4.elements import Elements
    from refmaker.scanners.hdf4.vdata import VData
    from refmaker.scanners.hdf4.vgroups import VGroup

__all__ = [
    "DATA", "NDG", "SDG", "Dataset", "FileTables", "Geometry", "global_attributes",
    "netcdf_datasets", "read_geometry",
]  # fmt: skip

SDG, DIMENSIONS, NUMBER_TYPE, DATA, NDG = 700, 701, 106, 702, 720
_FILE, _VARIABLE, _DIMENSION, _UNLIMITED = "CDF0.0", "Var0.0", "Dim0.0", "UDim0.0"
_COORDINATE: Final = "CoordVar"
"""Class of the Vdata that marks a variable as one of a dimension's values."""
_MAX_RANK: Final = 32


@dataclass(slots=True)
class Dataset:
    """A scientific data set.

    Parameters
    ----------
    name : str
    ref : int
        Reference number of its DFTAG_NDG or, without one, of its Vgroup.
    attributes : Attributes
        What is said of it.
    shape : tuple of int
        Elements along each dimension; of an unlimited one as the dimension says.
    dtype : numpy.dtype or None
        Type of the elements; None if it cannot be read.
    dimensions : tuple of str
        Their names.
    data : int or None
        Reference number of its data; None if it has none.
    unlimited : bool
        Whether the first dimension grows with the data.
    coordinate : bool
        Whether it was made for the values of a dimension.
    refused : RefmakerError or None
        Why it cannot be read.
    """

    name: str
    ref: int
    attributes: Attributes
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] | None = None
    dimensions: tuple[str, ...] = ()
    data: int | None = None
    unlimited: bool = False
    coordinate: bool = False
    refused: RefmakerError | None = None


class FileTables(NamedTuple):
    """What of a file other modules look things up in.

    Parameters
    ----------
    elements : Elements
    vgroups : mapping of int to VGroup
    vdatas : mapping of int to VData
    report : ScanReport
    """

    elements: Elements
    vgroups: Mapping[int, VGroup]
    vdatas: Mapping[int, VData]
    report: ScanReport


class Geometry(NamedTuple):
    """What a DFTAG_NDG or DFTAG_SDG lists.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    data : int or None
        Reference number of the data.
    members : dict of int to int
        Reference numbers of all members by tag.
    scale_types : tuple of int
        Reference numbers of the number types of the scales of its dimensions.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: int | None
    members: dict[int, int]
    scale_types: tuple[int, ...]


def read_geometry(elements: Elements, tag: int, ref: int) -> Geometry:
    """Return what a DFTAG_NDG or DFTAG_SDG lists.

    Raises
    ------
    FormatError, TruncatedError
        If it lists no dimensions, or is damaged.
    UnsupportedError
        If its elements are of no type that can be read.
    """
    raw = elements.read(tag, ref)
    members: dict[int, int] = dict(struct.iter_unpack(">HH", raw[: len(raw) & ~3]))
    if DIMENSIONS not in members:
        raise FormatError("a data set without dimensions")
    raw = elements.read(DIMENSIONS, members[DIMENSIONS])
    try:
        (rank,) = struct.unpack_from(">H", raw)
        if rank > _MAX_RANK:
            raise UnsupportedError(f"it has {rank} dimensions", code="hdf4-rank")
        shape = struct.unpack_from(f">{rank}i", raw, 2)
        _, kind = struct.unpack_from(">HH", raw, 2 + 4 * rank)
        rest = raw[6 + 4 * rank : 6 + 8 * rank]
        scales = tuple(r for _, r in struct.iter_unpack(">HH", rest[: len(rest) & ~3]))
    except struct.error as error:
        raise FormatError(f"dimensions of {len(raw)} bytes") from error
    if min(shape, default=0) < 0:
        raise FormatError(f"a data set of the shape {shape}")
    dtype = dtype_of_element(elements.read(NUMBER_TYPE, kind))
    return Geometry(shape, dtype, members.get(DATA), members, scales)


def netcdf_datasets(tables: FileTables) -> list[Dataset]:
    """Return the data sets that Vgroups of the netCDF interface describe, in file order.

    Parameters
    ----------
    tables : FileTables
    """
    order: list[int] = []
    for vgroup in tables.vgroups.values():
        if vgroup.kind == _FILE:
            order += vgroup.refs(VGROUP)
    order += tables.vgroups
    found = []
    for ref in dict.fromkeys(order):
        member = tables.vgroups.get(ref)
        if member is not None and member.kind == _VARIABLE:
            found.append(_dataset(tables, member))
    return found


def _dataset(tables: FileTables, vgroup: VGroup) -> Dataset:
    attributes = Attributes(f"/{vgroup.name}", tables.report)
    refs = vgroup.refs(VDATA)
    attributes.add_vdatas(tables.elements, tables.vdatas, refs)
    found = Dataset(vgroup.name, vgroup.ref, attributes)
    kinds = {tables.vdatas[ref].kind for ref in refs if ref in tables.vdatas}
    found.coordinate = _COORDINATE in kinds
    axes = [tables.vgroups[ref] for ref in vgroup.refs(VGROUP) if ref in tables.vgroups]
    axes = [axis for axis in axes if axis.kind in (_DIMENSION, _UNLIMITED)]
    found.dimensions = tuple(axis.name for axis in axes)
    found.unlimited = bool(axes) and axes[0].kind == _UNLIMITED
    groups = vgroup.refs(NDG)
    if not groups:
        found.refused = _without_group("Data0.0" in kinds)
        return found
    found.ref = groups[0]
    try:
        geometry = read_geometry(tables.elements, NDG, found.ref)
    except RefmakerError as error:
        found.refused = error
        return found
    found.shape, found.dtype, found.data = geometry.shape, geometry.dtype, geometry.data
    if len(found.dimensions) != len(found.shape):
        found.dimensions, found.unlimited = (), False
    return found


def _without_group(old: bool) -> RefmakerError:
    if not old:
        return FormatError("a variable without a data set")
    return UnsupportedError(
        "its data lie in a Vdata, as the first versions of the netCDF interface wrote them: "
        "the HDF library misreads those itself",
        code="hdf4-old-netcdf",
        hint="write it anew, by a program that reads it",
    )


def global_attributes(tables: FileTables) -> dict[str, Any]:
    """Return the attributes of the file."""
    found = Attributes("", tables.report)
    for vgroup in tables.vgroups.values():
        if vgroup.kind == _FILE:
            found.add_vdatas(tables.elements, tables.vdatas, vgroup.refs(VDATA))
    return found.document()
