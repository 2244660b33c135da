"""Where the data of netCDF classic variables lie, and which of them can be trusted.

Implements "Notes on Computing File Offsets", "Note on vsize", "Note on padding" and "Note on
streaming data" of the NetCDF Classic Format Specification. Sizes come from the dimensions
alone; the file's ``vsize`` fields overflow and are often wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.model.report import ScanReport
    from refmaker.scanners.netcdf3.header import Header, Variable

__all__ = ["VariableStorage", "layouts"]

_MAX_RANK = 32
"""Dimensions that every supported numpy can handle."""
_FORMAT_RANK = 1024
"""Dimensions that the netCDF libraries allow; products of more could take for ever."""
_MAX_RECORDS = 2**25
"""Records of all variables of a file that get a reference of their own."""


@dataclass(slots=True)
class VariableStorage:
    """The place of one variable's data.

    Parameters
    ----------
    variable : Variable
        As in the header.
    shape : tuple of int
        Elements along each dimension.
    records : int or None
        Number of blocks; None for a fixed variable, which is one block.
    block : int
        Bytes of the data, or of one record of them, without padding.
    stride : int
        Bytes from one record to the next; 0 for a fixed variable.
    reason, code : str
        Why the variable is refused; empty if it is not.
    """

    variable: Variable
    shape: tuple[int, ...]
    records: int | None
    block: int
    stride: int = 0
    reason: str = ""
    code: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the data, without padding."""
        return self.block if self.records is None else self.block * self.records

    @property
    def joined(self) -> bool:
        """Whether the data are one range of bytes."""
        return self.records is None or self.stride == self.block

    @property
    def end(self) -> int:
        """The byte after the last one of the data."""
        begin = self.variable.begin
        if self.records is None:
            return begin + self.block
        return begin + (self.records - 1) * self.stride + self.block if self.records else begin

    @property
    def refused(self) -> bool:
        """Whether the variable cannot be referenced."""
        return bool(self.reason)

    def refuse(self, reason: str, code: str) -> None:
        """Note why the variable cannot be referenced; the first reason stays."""
        if not self.reason:
            self.reason, self.code = reason, code


def layouts(header: Header, size: int, report: ScanReport) -> list[VariableStorage]:
    """Return the layout of every variable, in file order.

    Parameters
    ----------
    size : int
        Bytes of the file.
    report : ScanReport
        Told of record counts that had to be computed.
    """
    found = [_variable_storage(header, variable) for variable in header.variables]
    recorded = [layout for layout in found if layout.records is not None]
    stride = _record_size(recorded)
    count = header.records
    if count is None:
        count = _streamed(recorded, stride, size)
        if recorded:
            report.warn(f"the file leaves its number of records open; its size gives {count}")
    for layout in recorded:
        # The distance to a second record that is not there may be absurd.
        layout.records, layout.stride = count, stride if count > 1 else layout.block
        layout.shape = (count, *layout.shape[1:])
    _check_records(recorded, stride)
    for layout in found:
        _check(layout, header, size)
    _check_overlaps(found)
    _check_number(found)
    return found


def _variable_storage(header: Header, variable: Variable) -> VariableStorage:
    """Return shape and block size; records are counted later."""
    shape = tuple(header.dimensions[at].length for at in variable.dimensions)
    unlimited = header.record_dimension
    recorded = bool(shape) and variable.dimensions[0] == unlimited
    fixed = shape[1:] if recorded else shape
    block = math.prod(fixed[:_FORMAT_RANK]) * variable.dtype.itemsize
    layout = VariableStorage(variable, shape, 0 if recorded else None, block)
    # What makes the size of a record unknown comes first: it concerns the others too.
    if 0 in fixed:
        layout.refuse("the record dimension is not its first one", "geometry")
    if block >= 2**63 or len(shape) > _FORMAT_RANK:
        layout.refuse("its dimensions are larger than any file", "limit")
    if len(shape) > _MAX_RANK:
        layout.refuse(f"it has {len(shape)} dimensions, at most {_MAX_RANK} can be read", "rank")
    name = variable.name
    if not name or name in (".", "..") or any(sign in name for sign in "/\\\0"):
        layout.refuse(f"{name!r} cannot be part of a Zarr key", "name")
    return layout


def _record_size(recorded: Sequence[VariableStorage]) -> int:
    """Return the bytes from one record to the next.

    Every variable's part is padded to four bytes, but for one that is alone.
    """
    if len(recorded) == 1:
        return recorded[0].block
    return sum(_padded(layout.block) for layout in recorded)


def _padded(length: int) -> int:
    return length + -length % 4


def _streamed(recorded: Sequence[VariableStorage], stride: int, size: int) -> int:
    """Return how many records are complete; the last one's padding may be missing."""
    if not recorded or stride == 0:
        return 0
    last = (size - layout.variable.begin - layout.block for layout in recorded)
    return max(0, min(left // stride + 1 for left in last))


def _check_records(recorded: Sequence[VariableStorage], stride: int) -> None:
    """Refuse all record variables if their parts of a record get in each other's way."""
    if any(layout.code in ("geometry", "limit") for layout in recorded):
        reason = "the size of a record is unknown: one of its variables has no valid shape"
        for layout in recorded:
            layout.refuse(reason, "geometry")
    if len(recorded) < 2:
        return
    order = sorted(recorded, key=lambda layout: layout.variable.begin)
    first, last = order[0].variable.begin, order[-1]
    if last.variable.begin + last.block - first > stride or any(
        after.variable.begin - here.variable.begin < _padded(here.block)
        for here, after in pairwise(order)
    ):
        for layout in recorded:
            layout.refuse("the record variables overlap each other", "overlap")


def _check(layout: VariableStorage, header: Header, size: int) -> None:
    """Refuse data that lie in the header or beyond the end of the file."""
    if layout.refused or layout.nbytes == 0:
        return
    begin = layout.variable.begin
    if begin < header.size:
        layout.refuse(f"its data begin at byte {begin}, inside the header", "geometry")
    elif layout.end > size:
        where = f"its data end at byte {layout.end}, the file at {size}"
        if layout.records is not None:
            whole = max(0, (size - begin - layout.block) // layout.stride + 1)
            where += f"; {whole} of {layout.records} records are there"
        layout.refuse(where, "truncated")


def _check_overlaps(found: Sequence[VariableStorage]) -> None:
    """Refuse fixed variables that share bytes with others, and record variables with fixed."""
    placed = [layout for layout in found if layout.nbytes and not layout.refused]
    fixed = [
        (layout.variable.begin, layout.end, [layout]) for layout in placed if layout.records is None
    ]
    recorded = [layout for layout in placed if layout.records is not None]
    if recorded:
        start = min(layout.variable.begin for layout in recorded)
        fixed.append((start, max(layout.end for layout in recorded), recorded))
    furthest, holders = 0, recorded[:0]
    for begin, end, here in sorted(fixed, key=lambda item: item[:2]):
        if begin < furthest:
            for layout in (*holders, *here):
                layout.refuse("its data overlap those of another variable", "overlap")
        if end > furthest:
            furthest, holders = end, here


def _check_number(found: Sequence[VariableStorage]) -> None:
    """Refuse what would make more references than memory should hold."""
    total = 0
    for layout in found:
        if not layout.refused and not layout.joined:
            total += layout.records or 0
            if total > _MAX_RECORDS:
                layout.refuse(
                    f"{layout.records} separate records are too many to be referenced", "limit"
                )
                total -= layout.records or 0
