"""MRC files: one array, with cell, axes and labels as attributes."""

from __future__ import annotations

import io
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import library
from refmaker.errors import FormatError
from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.mrc.declared import FORMAT
from refmaker.scanners.mrc.extended_header import FEI_FIELDS, section_values
from refmaker.scanners.mrc.header import read_header
from refmaker.scanning.compressed_file import UnpackedHead, unpacked_file
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.ngff_volumes import with_ngff
from refmaker.scanning.protocol import setting_values
from refmaker.scanning.raw_data import DATA, Block, RawData, finite, scan_raw_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array, Group
    from refmaker.scanners.mrc.header import Header
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["MRCScanner"]

_IMOD_STAMP, _IMOD_FLAGS = slice(40, 44), slice(44, 48)
"""Where IMOD's words lie in mrcfile's field ``extra2``."""


class MRCScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of MRC2014."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a map, a stack or a tomogram.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            Data of up to ``inline_threshold`` bytes are inlined, others cut towards
            ``chunk_bytes``; compressed ones are one chunk.

        Returns
        -------
        Group
            The array ``data``: sections, rows and columns, named by the axes that they are; one
            image has no sections, a stack of volumes a dimension ``volume`` before them. What
            FEI's extended header says of every section are coordinates.
        ScanReport
            A row for the group, the array and the extended header.

        Raises
        ------
        FormatError, TruncatedError
            If the header is damaged or incomplete.
        """
        report = ScanReport(source.url, format=self.name)
        head = UnpackedHead(source)
        header = read_header(head, source.url)
        group = scan_raw_file(
            source,
            report,
            options,
            lambda _: _data(header, head, source),
            lambda members, data: _account(header, head, data, members, report),
        )
        return with_ngff(group, setting_values(self, options)["ngff"], report), report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with mrcfile.

        Raises
        ------
        MissingDependencyError
            If mrcfile is not installed.
        FormatError
            If mrcfile does not open it.
        """
        mrcfile = library("mrcfile", purpose="to read MRC natively")
        streams = library("mrcfile.mrcinterpreter")
        plain = source.path is not None and source.read_upto(0, 2) != b"\x1f\x8b"
        with ExitStack() as stack, warnings.catch_warnings():
            # It warns of bytes behind the data.
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                if plain:
                    opened: Any = stack.enter_context(mrcfile.mmap(source.path, mode="r"))
                else:
                    # What it is given it may write to.
                    copy = io.BytesIO(unpacked_file(source, stack).read())
                    opened = stack.enter_context(streams.MrcInterpreter(iostream=copy))
            except (ValueError, OSError, EOFError) as error:
                raise FormatError(f"mrcfile refuses it: {error}", url=source.url) from error
            yield _MrcfileReader(opened)


class _MrcfileReader:
    """A file that mrcfile has opened."""

    def __init__(self, opened: Any) -> None:
        extra = bytes(opened.header.extra2)
        imod = extra[_IMOD_STAMP] in (b"IMOD", b"DOMI")
        # IMOD's bytes are unsigned unless it says otherwise; mrcfile takes all for signed.
        unsigned = imod and not (extra[_IMOD_FLAGS][0] | extra[_IMOD_FLAGS][3]) & 1
        self._opened, self._values = opened, opened.data
        if unsigned and self._values.dtype == np.int8:
            self._values = self._values.view(np.uint8)

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of a region of the array, or a field of every section."""
        if (name := path.strip("/")) != DATA:
            return np.array(self._sections(array.shape[0])[FEI_FIELDS[name][0]])[region]
        return np.asarray(self._values[region], array.dtype)

    def _sections(self, count: int) -> NDArray[Any]:
        """Return what the extended header says of every section, by mrcfile's names of fields."""
        header = self._opened.header
        order = header.mode.dtype.byteorder
        known = library("mrcfile.dtypes").get_ext_header_dtype(bytes(header.exttyp), order)
        return np.frombuffer(self._opened.extended_header.tobytes(), known, count)


def _data(header: Header, head: UnpackedHead, source: Source) -> RawData:
    """Return where the data of a file lie, and what they are."""
    shape, names = header.shape()
    dtype = header.dtype()
    blocks = (Block(source, header.offset),)
    return RawData(blocks, dtype, shape, names, _attributes(header), head.codec)


def _attributes(header: Header) -> dict[str, Any]:
    """Return what the header says of the data as attributes."""
    fields = header.fields
    found: dict[str, Any] = {"mrc_mode": int(fields["mode"]), "space_group": int(fields["ispg"])}
    size = header.voxel_size()
    if size is not None:
        found["voxel_size"], found["voxel_size_units"] = size, "angstrom"
    for name, key in (("cell_lengths", "lengths"), ("cell_angles", "angles"), ("origin", "origin")):
        if finite(fields[key]):
            found[name] = [float(value) for value in fields[key]]
    found["nstart"] = [int(value) for value in fields["nstart"]]
    for name in ("dmin", "dmax", "dmean", "rms"):
        if finite(fields[name]):
            found[name] = float(fields[name])
    if labels := header.labels():
        found["labels"] = labels
    return found


def _account(
    header: Header, head: UnpackedHead, data: RawData, members: dict[str, Any], report: ScanReport
) -> None:
    """Add what is said of every section; tell of what the file holds and the set does not."""
    found: dict[str, Any] = {}
    if len(data.shape) == 3:
        found = section_values(header, head, data.shape[0])
    for name, values in found.items():
        about = {"units": FEI_FIELDS[name][3]}
        members[name] = inline_array(values, data.dimension_names[:1], about)
        report.add(f"/{name}", Outcome.INLINED, "from the extended header", "coordinate")
    if found:
        told = {**data.attributes, "coordinates": " ".join(found)}
        members[DATA] = replace(members[DATA], attributes=told)
    extended = int(header.fields["nsymbt"])
    if extended:
        kept = f"kept as far as {', '.join(found)} go" if found else "not kept"
        kind = bytes(header.fields["exttyp"]).decode("latin-1").strip("\0 ") or "unknown"
        reason = f"the extended header, {extended} bytes of type {kind}, is {kept}"
        report.add("/@extended-header", Outcome.SKIPPED, reason, "mrc-extended-header")
    axes = [int(axis) for axis in header.fields["axes"]]
    if sorted(axes) != [1, 2, 3]:
        report.warn(f"/{DATA}: MAPC, MAPR, MAPS are {axes}; columns, rows, sections are x, y, z")
    after = data.blocks[0].source.size - header.offset - data.nbytes
    if data.codec is None and after > 0:
        report.warn(f"/{DATA}: {after} bytes follow the data and are not kept")
