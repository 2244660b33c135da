"""netCDF classic files (CDF-1, CDF-2, CDF-5): each variable is one affine table of byte ranges.

Implements the data part of "The NetCDF Classic Format Specification" with its notes on
``vsize``, padding and streaming. Data are big-endian and never compressed: a fixed variable
is one block, a record variable one block per record at the distance of the record size.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, MissingDependencyError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.attribute_types import (
    MISSING,
    TYPES,
    impossible_missing,
    number_type,
    with_types,
)
from refmaker.model.contiguous import contiguous_table, strided_table
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.zarr_v2 import DIMENSIONS, UNLIMITED
from refmaker.scanners.netcdf3.declared import FORMAT
from refmaker.scanners.netcdf3.header import CHAR, read_header
from refmaker.scanners.netcdf3.storage import layouts
from refmaker.scanning.declaration import DeclaredScanner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.netcdf3.header import Attribute, Header, Variable
    from refmaker.scanners.netcdf3.storage import VariableStorage
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["NetCDF3Scanner"]

_FILL = "_FillValue"
_NEAR = 512
"""Bytes between two ranges up to which they are read as one."""
_NAMED = 10
"""Names that one warning lists at most."""


class NetCDF3Scanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of netCDF classic files."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a file and what became of each of its variables.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            Arrays of up to ``inline_threshold`` bytes are inlined, others cut or joined
            towards ``chunk_bytes``; ``inline_budget`` bounds the values of all attributes.

        Returns
        -------
        Group
            The root group: one array per variable, named dimensions, big-endian elements,
            ``char`` as ``|S1``; the group attribute ``refmaker:unlimited`` names the record
            dimension.
        ScanReport
            A row for the root group (``/``) and for every variable.

        Raises
        ------
        FormatError, TruncatedError
            If the header is damaged or incomplete; tells the byte.
        LimitError
            If the header is larger than any real one.
        """
        report = ScanReport(source.url, format=self.name)
        header = read_header(source, options.inline_budget)
        _warn(header, report)
        attributes = _attributes("", header.attributes, report)
        if header.record_dimension is not None:
            attributes[UNLIMITED] = [header.dimensions[header.record_dimension].name]
        report.add("/", Outcome.GROUP)
        found = layouts(header, source.size, report)
        small = [
            layout
            for layout in found
            if not layout.refused and 0 < layout.nbytes <= options.inline_threshold
        ]
        values = dict(
            zip((item.variable.name for item in small), _gather(source, small), strict=True)
        )
        members = {}
        for layout in found:
            name = layout.variable.name
            report.add(f"/{name}", *_outcome(layout, name in values))
            if not layout.refused:
                chunk, table = _table(layout, values.get(name), source.url, options.chunk_bytes)
                members[name] = _array(header, layout, chunk, table, report)
        return Group(members, attributes), report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with the netCDF C library.

        Parameters
        ----------
        source : Source
            A local file is opened in place, any other is read into memory.

        Raises
        ------
        MissingDependencyError
            If netCDF4 is not installed.
        FormatError
            If the library does not open the file.
        """
        try:
            import netCDF4
        except ImportError as error:
            raise MissingDependencyError(
                "reading netCDF classic files natively needs netCDF4",
                hint="pip install netCDF4, or 'refmaker[netcdf3]'",
            ) from error
        try:
            if source.path is not None:
                dataset = netCDF4.Dataset(source.path)
            else:
                dataset = netCDF4.Dataset("memory.nc", memory=source.read(0, source.size))
        except (OSError, UnicodeDecodeError) as error:
            # netCDF4 opens no file in which a name is not UTF-8.
            raise FormatError(f"the netCDF library refuses it: {error}", url=source.url) from error
        with dataset:
            dataset.set_auto_maskandscale(False)
            dataset.set_auto_chartostring(False)
            yield _NetCDF4Reader(dataset)


class _NetCDF4Reader:
    def __init__(self, dataset: Any) -> None:
        self._variables = dataset.variables

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one variable, in the array's dtype."""
        values = self._variables[path.strip("/")][region or ...]
        return np.asarray(values).astype(array.dtype, copy=False)


def _outcome(layout: VariableStorage, inlined: bool) -> tuple[Outcome, str, str]:
    """Return what became of a variable, why, and the reason's short form."""
    if layout.refused:
        return Outcome.SKIPPED, layout.reason, layout.code
    if inlined:
        reason = f"its {layout.nbytes} bytes are within the inlining threshold"
        return Outcome.INLINED, reason, "small"
    if layout.nbytes == 0:
        return Outcome.REFERENCED, "it has no elements", "empty"
    return Outcome.REFERENCED, "", ""


def _table(
    layout: VariableStorage, inlined: bytes | None, url: str, target: int | None
) -> tuple[tuple[int, ...], ChunkTable]:
    """Return the chunk shape and where the chunks lie."""
    whole = tuple(max(1, extent) for extent in layout.shape)
    if inlined is not None:
        return whole, ChunkTable.inline((1,) * len(whole), {0: inlined})
    if layout.nbytes == 0:
        return whole, ChunkTable.empty(chunk_grid(layout.shape, whole))
    itemsize, begin = layout.variable.dtype.itemsize, layout.variable.begin
    if layout.records is None:
        return contiguous_table(layout.shape, itemsize, begin, url, target)
    slab = layout.shape[1:]
    return strided_table(layout.records, layout.stride, slab, itemsize, begin, url, target)


def _array(
    header: Header,
    layout: VariableStorage,
    chunk: tuple[int, ...],
    table: ChunkTable,
    report: ScanReport,
) -> Array:
    variable = layout.variable
    attributes = _attributes(variable.name, variable.attributes, report)
    for name, value in impossible_missing(attributes, variable.dtype).items():
        del attributes[name]
        report.warn(
            f"/{variable.name}: {name} {value!r} is left out: no {variable.dtype} has that value"
        )
    return Array(
        layout.shape,
        chunk,
        variable.dtype,
        table,
        fill_value=_fill_value(variable),
        dimension_names=tuple(header.dimensions[at].name for at in variable.dimensions),
        attributes=attributes,
    )


def _gather(source: Source, wanted: Sequence[VariableStorage]) -> list[bytes]:
    """Return the data of small variables, without the gaps between their records."""
    if not wanted:
        return []
    counts, starts, lengths = [], [], []
    for layout in wanted:
        apart = 1 if layout.joined else layout.records or 1
        counts.append(apart)
        starts.append(layout.variable.begin + layout.stride * np.arange(apart, dtype=np.int64))
        lengths.append(np.full(apart, layout.nbytes // apart, np.int64))
    offset, length = np.concatenate(starts), np.concatenate(lengths)
    order = np.argsort(offset, kind="stable")
    first, end = offset[order], (offset + length)[order]
    breaks = np.flatnonzero(first[1:] - end[:-1] > _NEAR)
    run_start = first[np.concatenate([[0], breaks + 1])]
    run_end = end[np.concatenate([breaks, [end.size - 1]])]
    runs = source.read_many(
        list(zip(run_start.tolist(), (run_end - run_start).tolist(), strict=True))
    )
    number = np.searchsorted(run_start, offset, side="right") - 1
    at = offset - run_start[number]
    pieces = [
        runs[run][a : a + n]
        for run, a, n in zip(number.tolist(), at.tolist(), length.tolist(), strict=True)
    ]
    stops = np.cumsum(counts).tolist()
    return [
        b"".join(pieces[stop - count : stop]) for stop, count in zip(stops, counts, strict=True)
    ]


def _fill_value(variable: Variable) -> Any:
    """Return the declared fill value as a scalar of the dtype, or None."""
    for attribute in variable.attributes:
        if attribute.name == _FILL:
            if attribute.type != variable.type or attribute.count != 1 or attribute.raw is None:
                return None
            return np.frombuffer(attribute.raw, variable.dtype)[0]
    return None


def _attributes(path: str, attributes: Sequence[Attribute], report: ScanReport) -> dict[str, Any]:
    """Return attributes as JSON values; one that has no place loses only itself."""
    values: dict[str, Any] = {}
    types: dict[str, str] = {}
    for attribute in attributes:
        where = f"/{path}@{attribute.name}"
        if attribute.raw is None:
            reason = "its values are larger than the budget for attributes"
            report.add(where, Outcome.SKIPPED, reason, "limit")
        elif attribute.name in (DIMENSIONS, UNLIMITED, TYPES):
            reason = "references use an attribute of this name themselves"
            report.add(where, Outcome.SKIPPED, reason, "name")
        elif attribute.name in values:
            report.add(where, Outcome.SKIPPED, "the second attribute of this name", "name")
        else:
            value = _value(attribute, attribute.raw, where, report)
            values[attribute.name] = value
            code = None if attribute.type == CHAR else number_type(attribute.dtype, value)
            if code is not None:
                types[attribute.name] = code
    return with_types(values, types)


def _value(attribute: Attribute, raw: bytes, where: str, report: ScanReport) -> Any:
    if attribute.type == CHAR:
        # Writers in C count the terminating null; a fill value may be a null itself.
        text = raw if attribute.name == _FILL else raw.rstrip(b"\0")
        try:
            return text.decode()
        except UnicodeDecodeError:
            report.warn(f"{where} is not UTF-8 and was read as Latin-1")
            return text.decode("latin-1")
    numbers = np.frombuffer(raw, attribute.dtype)
    values = numbers.tolist()
    if attribute.dtype.kind == "f" and not bool(np.isfinite(numbers).all()):
        values = [value if math.isfinite(value) else _special(value) for value in values]
        if attribute.name not in MISSING:
            report.warn(f"{where} has values that JSON cannot hold; readers see text such as 'NaN'")
    return values[0] if len(values) == 1 else values


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _warn(header: Header, report: ScanReport) -> None:
    """Tell of what the header holds and a reference set does not."""
    for name in header.latin[:_NAMED]:
        report.warn(f"the name {name!r} is not UTF-8 and was read as Latin-1")
    used = {at for variable in header.variables for at in variable.dimensions}
    unused = [item.name for at, item in enumerate(header.dimensions) if at not in used]
    if unused:
        shown = ", ".join(unused[:_NAMED]) + (", ..." if len(unused) > _NAMED else "")
        report.warn(f"dimensions that no variable has are not kept: {shown}")
