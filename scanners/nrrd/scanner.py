"""NRRD files: one array, with space and axes as attributes, coordinates where they are exact."""

from __future__ import annotations

import io
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import (
    FormatError,
    MissingDependencyError,
    RefmakerError,
    UnsupportedError,
)
from refmaker.io.related_files import RelatedFiles
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.nrrd.declared import FORMAT
from refmaker.scanners.nrrd.header import read_header
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.ngff_volumes import described_volumes
from refmaker.scanning.protocol import setting_values
from refmaker.scanning.raw_data import RawData, add_coordinate, add_raw_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.nrrd.header import Header
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["NRRDScanner"]

_DATA = "data"
_AXIS = "nrrd_axis"
_CODECS = {"gzip": "gzip", "gz": "gzip", "bzip2": "bz2", "bz2": "bz2"}
_SPACES = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1.0, -1.0, 1.0)),
}
"""Spaces of the patient, and what their axes are times those of RAS."""
_LENGTHS = {"": "mm", "mm": "mm", "um": "um", "m": "m"}
_LINES = 1024**2
"""Bytes of lines that are skipped before the data."""
_PLAIN = (
    "space", "content", "measurement frame", "old min", "old max", "min", "max", "units",
    "space units",
)  # fmt: skip
_KEYS = {"units": "axis_units"}


class NRRDScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of NRRD."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of an array.

        Parameters
        ----------
        source : Source
            The file, or the header of one whose data lie in another.
        options : ScanOptions
            Data of up to ``inline_threshold`` bytes are inlined, others cut towards
            ``chunk_bytes``; compressed ones are one chunk. ``follow_external`` allows data
            outside of the header's folder.

        Returns
        -------
        Group
            The array ``data``, the fastest axis last; coordinates of axes that run along one
            direction of space each.
        ScanReport
            A row for the group and every array.

        Raises
        ------
        FormatError, LimitError
            If the header is damaged or larger than any real one.
        """
        report = ScanReport(source.url, format=self.name)
        header = read_header(source)
        report.add("/", Outcome.GROUP)
        members: dict[str, Array | Group] = {}
        with RelatedFiles(source, anywhere=options.follow_external) as files:
            try:
                data = _data(header, source, files)
            except RefmakerError as error:
                code = getattr(error, "code", "nrrd-data")
                report.add(f"/{_DATA}", Outcome.SKIPPED, str(error), code)
            else:
                add_raw_array(members, _DATA, data, report, options)
                if _DATA in members:
                    _coordinates(header, members, report)
        told, problems = described_volumes(members, setting_values(self, options)["ngff"])
        for problem in problems:
            report.warn(f"not described as NGFF: {problem}")
        return Group(members, told), report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with pynrrd.

        Raises
        ------
        MissingDependencyError
            If pynrrd is not installed.
        FormatError
            If pynrrd does not open it.
        """
        try:
            import nrrd
        except ImportError as error:
            raise MissingDependencyError(
                "reading NRRD natively needs pynrrd", hint="pip install pynrrd"
            ) from error
        with ExitStack() as stack:
            file = _opened(source, stack)
            try:
                header = nrrd.read_header(file)
                other = header.pop("data file", None) or header.pop("datafile", None)
                if other is not None:
                    files = stack.enter_context(RelatedFiles(source, anywhere=True))
                    file = _opened(files.open(other), stack)
                values = nrrd.read_data(header, file, index_order="C")
            except (nrrd.NRRDError, ValueError, KeyError, OSError, EOFError, zlib.error) as error:
                raise FormatError(f"pynrrd refuses it: {error}", url=source.url) from error
            yield _PynrrdReader(header, values)


def _opened(source: Source, stack: ExitStack) -> Any:
    """Return a file as pynrrd wants it."""
    if source.path is None:
        return io.BytesIO(source.read(0, source.size))
    return stack.enter_context(io.FileIO(source.path))


class _PynrrdReader:
    """An array that pynrrd has read."""

    def __init__(self, header: Any, values: Any) -> None:
        self._header = header
        self._values = values

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of a region, or a coordinate from pynrrd's directions."""
        if path.strip("/") == _DATA:
            return np.asarray(self._values[region], array.dtype)
        vector = np.asarray(self._header["space directions"][array.attributes[_AXIS]])
        along = int(np.flatnonzero(vector)[0])
        values = self._header["space origin"][along] + np.arange(array.shape[0]) * vector[along]
        return np.asarray(values[region])


def _data(header: Header, source: Source, files: RelatedFiles) -> RawData:
    """Return where the data of a file lie, and what they are."""
    shape, dtype = header.shape(), header.dtype()
    nbytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    encoding = header.fields.get("encoding", "").lower()
    if encoding != "raw" and encoding not in _CODECS:
        hint = "rewrite it with unu save -f nrrd -e raw"
        told = f"its encoding is {encoding!r}"
        raise UnsupportedError(told, code="nrrd-encoding", url=source.url, hint=hint)
    file, start = source, header.size
    name = header.fields.get("datafile")
    if name is not None:
        if name.upper().startswith("LIST") or "%" in name:
            told = f"its data lie in several files, {name!r}"
            hint = "join them with unu save -f nrrd -e raw"
            raise UnsupportedError(told, code="nrrd-files", url=source.url, hint=hint)
        file, start = files.open(name), 0
    lines, skipped = header.whole("lineskip", 0), header.whole("byteskip", 0)
    # The definition skips bytes of what is unpacked; pynrrd skips those of the file as well.
    if lines < 0 or skipped < -1 or (skipped and encoding != "raw"):
        told = f"line skip {lines} and byte skip {skipped} with the encoding {encoding}"
        raise UnsupportedError(told, code="nrrd-skip", url=source.url, hint="unu save -e raw")
    if lines:
        start += _line_bytes(file, start, lines)
    names, _ = header.axes()
    common = dtype, shape[::-1], names[::-1], _attributes(header)
    if encoding == "raw":
        return RawData(file, file.size - nbytes if skipped == -1 else start + skipped, *common)
    codec = {"id": _CODECS[encoding], "level": 1}
    return RawData(file, 0, *common, codec=codec, start=start)


def _line_bytes(file: Source, start: int, lines: int) -> int:
    """Return how many bytes a number of lines have."""
    found = file.read_upto(start, _LINES).split(b"\n", lines)
    if len(found) <= lines:
        told = f"{lines} lines are to be skipped, which do not end within {_LINES} bytes"
        raise FormatError(told, url=file.url, offset=start)
    return sum(map(len, found[:-1])) + lines


def _attributes(header: Header) -> dict[str, Any]:
    """Return what the header says of the data; of every axis, in the order of the file."""
    rank = len(header.shape())
    found: dict[str, Any] = {
        _KEYS.get(name, name.replace(" ", "_")): header.fields[name]
        for name in _PLAIN
        if name in header.fields
    }
    if header.fields.get("sampleunits"):
        found["units"] = header.fields["sampleunits"].strip('"')
    for name in ("spacings", "thicknesses", "axismins", "axismaxs"):
        if (values := header.numbers(name)) is not None:
            found[name] = values
    for name in ("kinds", "centerings", "labels"):
        if (words := header.words(name, rank)) is not None:
            found[name] = words
    if (directions := header.vectors("space directions")) is not None:
        found["space_directions"] = directions
    if (origin := header.vectors("space origin")) is not None and origin[0] is not None:
        found["space_origin"] = origin[0]
    if header.pairs:
        found["key_values"] = header.pairs
    return found | _anatomical(header)


def _anatomical(header: Header) -> dict[str, Any]:
    """Return where voxels lie in the patient, if the space says so (format, section 5)."""
    signs = _SPACES.get(header.fields.get("space", "").strip().lower())
    directions, origin = header.vectors("space directions"), header.vectors("space origin")
    names, spatial = header.axes()
    known = signs and directions and origin and origin[0] is not None and len(spatial) == 3
    if not known or len(directions or ()) != len(names):
        return {}
    vectors = [(directions or [])[axis] for axis in reversed(spatial)] + [(origin or [])[0]]
    if any(vector is None or len(vector) != 3 for vector in vectors):
        return {}
    units = set(header.words("space units", 3) or ["mm"])
    if len(units) > 1 or not units <= _LENGTHS.keys():
        return {}
    matrix = np.eye(4)
    matrix[:3] = np.array(signs)[:, None] * np.array(vectors).T
    found: dict[str, Any] = {"affine_ras": (matrix + 0.0).tolist()}
    found["affine_dimensions"] = [names[axis] for axis in reversed(spatial)]
    return found | {"spatial_units": _LENGTHS[units.pop()]}


def _coordinates(header: Header, members: dict[str, Any], report: ScanReport) -> None:
    """Add coordinates, if each spatial axis runs along the direction of space of its number."""
    names, spatial = header.axes()
    directions, origin = header.vectors("space directions"), header.vectors("space origin")
    if not directions or not origin or origin[0] is None or len(directions) != len(names):
        return
    start = origin[0]
    vectors = [vector for vector in directions if vector is not None]
    if len(vectors) != len(start) or any(len(vector) != len(start) for vector in vectors):
        return
    matrix = np.array(vectors)
    if not np.array_equal(matrix, np.diag(np.diag(matrix))):
        return
    shape = header.shape()
    units = header.words("space units", len(start)) or [""] * len(start)
    for along, axis in enumerate(spatial):
        attributes: dict[str, Any] = {_AXIS: axis}
        if units[along]:
            attributes["units"] = units[along]
        step = float(matrix[along, along])
        add_coordinate(members, names[axis], step, start[along], shape[axis], attributes, report)
