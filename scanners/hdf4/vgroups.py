"""Vgroups: named lists of elements, by which a file tells what belongs together.

Implements DFTAG_VG of the HDF Specification 4.2, section 3.3.7, as ``vgp.c`` writes it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from refmaker.errors import FormatError, RefmakerError
from refmaker.model.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf4.elements import Elements

__all__ = ["VDATA", "VGROUP", "VGroup", "attribute_pairs", "counted_text", "read_vgroups"]

VDATA, VGROUP = 1962, 1965
_WITH_ATTRIBUTES: Final = 4
"""Version of headers that tell of attributes."""
_LENGTH = struct.Struct(">H")


class VGroup(NamedTuple):
    """A Vgroup.

    Parameters
    ----------
    ref : int
        Its reference number.
    name, kind : str
        Its name, and the class that tells what it is for.
    members : tuple of (int, int)
        Tag and reference number of each member, in order.
    attributes : tuple of int
        Reference numbers of the Vdatas that hold its attributes.
    """

    ref: int
    name: str
    kind: str
    members: tuple[tuple[int, int], ...]
    attributes: tuple[int, ...] = ()

    def refs(self, tag: int) -> list[int]:
        """Return the reference numbers of the members of a tag."""
        return [ref for found, ref in self.members if found == tag]


def read_vgroups(elements: Elements, report: ScanReport) -> Mapping[int, VGroup]:
    """Return all Vgroups of a file by reference number; one that cannot be read gets a row.

    Parameters
    ----------
    elements : Elements
        The elements of the file.
    report : ScanReport
        Told of those that are damaged.
    """
    found = {}
    for ref in elements.descriptors.refs(VGROUP):
        try:
            found[ref] = _vgroup(ref, elements.read(VGROUP, ref))
        except RefmakerError as error:
            report.add(f"/Vgroup {ref}", Outcome.SKIPPED, str(error), "hdf4-vgroup")
    return found


def _vgroup(ref: int, raw: bytes) -> VGroup:
    try:
        (count,) = struct.unpack_from(">H", raw)
        tags = struct.unpack_from(f">{count}H", raw, 2)
        refs = struct.unpack_from(f">{count}H", raw, 2 + 2 * count)
        name, at = counted_text(raw, 2 + 4 * count)
        kind, at = counted_text(raw, at)
    except struct.error as error:
        raise FormatError(f"a Vgroup of {len(raw)} bytes") from error
    pairs: tuple[int, ...] = ()
    version = struct.unpack_from(">H", raw, len(raw) - 5) if len(raw) >= at + 5 else (0,)
    if version[0] == _WITH_ATTRIBUTES:
        pairs = tuple(ref for _, ref in attribute_pairs(raw, at + 4, fields=False))
    return VGroup(ref, name, kind, tuple(zip(tags, refs, strict=True)), pairs)


def counted_text(raw: bytes, at: int) -> tuple[str, int]:
    """Return a text behind its length, and where it ends.

    Raises
    ------
    struct.error
        If it reaches past the end.
    """
    (length,) = _LENGTH.unpack_from(raw, at)
    end = at + 2 + length
    if end > len(raw):
        raise struct.error("a text that reaches past the end")
    text = raw[at + 2 : end].partition(b"\0")[0]
    try:
        return text.decode(), end
    except UnicodeDecodeError:
        return text.decode("latin-1"), end


def attribute_pairs(raw: bytes, at: int, *, fields: bool) -> list[tuple[int, int]]:
    """Return field and reference number of the attributes of a Vgroup or Vdata.

    Parameters
    ----------
    raw : bytes
        The header.
    at : int
        Where the flags stand that tell whether there are attributes.
    fields : bool
        Whether each is of a field, as those of Vdatas are; else -1 stands for it.
    """
    form = ">iHH" if fields else ">HH"
    size = struct.calcsize(form)
    if len(raw) < at + 8:
        return []
    flags, count = struct.unpack_from(">Ii", raw, at)
    if not flags & 1 or not 0 < count <= (len(raw) - at - 8) // size:
        return []
    found = list(struct.iter_unpack(form, raw[at + 8 : at + 8 + count * size]))
    return [(row[0] if fields else -1, row[-1]) for row in found]
