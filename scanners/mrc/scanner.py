"""MRC files: one array, with cell, axes and labels as attributes."""

from __future__ import annotations

import io
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, MissingDependencyError, RefmakerError
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.mrc.declared import FORMAT
from refmaker.scanners.mrc.header import read_header
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.ngff_volumes import described_volumes
from refmaker.scanning.protocol import setting_values
from refmaker.scanning.raw_data import (
    RawData,
    UnpackedHead,
    add_raw_array,
    finite,
    unpacked_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.mrc.header import Header
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["MRCScanner"]

_DATA = "data"
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
            image has no sections, a stack of volumes a dimension ``volume`` before them.
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
        report.add("/", Outcome.GROUP)
        members: dict[str, Array | Group] = {}
        try:
            data = _data(header, head, source)
        except RefmakerError as error:
            code = getattr(error, "code", "mrc-data")
            report.add(f"/{_DATA}", Outcome.SKIPPED, str(error), code)
        else:
            add_raw_array(members, _DATA, data, report, options)
            _account(header, data, report)
        told, problems = described_volumes(members, setting_values(self, options)["ngff"])
        for problem in problems:
            report.warn(f"not described as NGFF: {problem}")
        return Group(members, told), report

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
        try:
            import mrcfile
            from mrcfile.mrcinterpreter import MrcInterpreter
        except ImportError as error:
            raise MissingDependencyError(
                "reading MRC natively needs mrcfile", hint="pip install mrcfile"
            ) from error
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
                    opened = stack.enter_context(MrcInterpreter(iostream=copy))
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
        self._values = opened.data
        if unsigned and self._values.dtype == np.int8:
            self._values = self._values.view(np.uint8)

    def read(self, _: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of a region of the one array there is."""
        return np.asarray(self._values[region], array.dtype)


def _data(header: Header, head: UnpackedHead, source: Source) -> RawData:
    """Return where the data of a file lie, and what they are."""
    shape, names = header.shape()
    dtype = header.dtype()
    return RawData(
        source, header.offset, dtype, shape, names, _attributes(header), codec=head.codec
    )


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


def _account(header: Header, data: RawData, report: ScanReport) -> None:
    """Tell of what the file holds and a reference set does not."""
    extended = int(header.fields["nsymbt"])
    if extended:
        kind = bytes(header.fields["exttyp"]).decode("latin-1").strip("\0 ") or "unknown"
        reason = f"the extended header, {extended} bytes of type {kind}, is not kept"
        report.add("/@extended-header", Outcome.SKIPPED, reason, "mrc-extended-header")
    axes = [int(axis) for axis in header.fields["axes"]]
    if sorted(axes) != [1, 2, 3]:
        report.warn(f"/{_DATA}: MAPC, MAPR, MAPS are {axes}; columns, rows, sections are x, y, z")
    after = data.source.size - data.offset - data.nbytes
    if data.codec is None and after > 0:
        report.warn(f"/{_DATA}: {after} bytes follow the data and are not kept")
