"""NRRD files: one array, with space and axes as attributes, coordinates where they are exact."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.model.report import ScanReport
from refmaker.scanners.nrrd.data_files import data_blocks, file_names
from refmaker.scanners.nrrd.declared import FORMAT
from refmaker.scanners.nrrd.header import AXIS, TEXTS, read_header
from refmaker.scanners.nrrd.text_values import text_values
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.ngff_volumes import with_ngff
from refmaker.scanning.protocol import setting_values
from refmaker.scanning.raw_data import RawData, add_coordinate, scan_raw_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.scanners.nrrd.header import Header
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["NRRDScanner"]

_CODECS = {"gzip": "gzip", "gz": "gzip", "bzip2": "bz2", "bz2": "bz2"}
_SPACES = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1.0, -1.0, 1.0)),
}
"""Spaces of the patient, and what their axes are times those of RAS."""
_LENGTHS = {"": "mm", "mm": "mm", "um": "um", "m": "m"}
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
        group = scan_raw_file(
            source,
            report,
            options,
            lambda files: _data(header, source, files, options),
            lambda members, _: _coordinates(header, members, report),
        )
        return with_ngff(group, setting_values(self, options)["ngff"], report), report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with pynrrd, or with SimpleITK what pynrrd does not read.

        Raises
        ------
        MissingDependencyError
            If the library is not installed.
        FormatError
            If it does not open the file.
        """
        from refmaker.scanners.nrrd.library_readers import open_nrrd

        with open_nrrd(source) as reader:
            yield reader


def _data(header: Header, source: Source, related: RelatedFiles, options: ScanOptions) -> RawData:
    """Return where the data of a file lie, and what they are."""
    shape, dtype, encoding = header.shape(), header.dtype(), header.encoding
    if encoding not in ("raw", *_CODECS, *TEXTS):
        hint = "rewrite it with unu save -f nrrd -e raw"
        told = f"its encoding is {encoding!r}"
        raise UnsupportedError(told, code="nrrd-encoding", url=source.url, hint=hint)
    names, _ = header.axes()
    common = dtype, shape[::-1], names[::-1], _attributes(header)
    count = math.prod(shape)
    files = file_names(header)
    if len(files) > 1 and encoding in TEXTS:
        hint = "join them with unu save -f nrrd -e raw"
        told = f"its data are text in {len(files)} files"
        raise UnsupportedError(told, code="nrrd-files", url=source.url, hint=hint)
    anywhere, nbytes = options.follow_external, count * dtype.itemsize
    blocks = data_blocks(header, source, files, nbytes, related, anywhere=anywhere)
    if encoding in TEXTS:
        budget, hexa = options.inline_budget, encoding == "hex"
        values = text_values(blocks[0], dtype, count, budget, hexa=hexa)
        return RawData(blocks, *common, values=values)
    codec = None if encoding == "raw" else {"id": _CODECS[encoding], "level": 1}
    return RawData(blocks, *common, codec=codec)


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
        attributes: dict[str, Any] = {AXIS: axis}
        if units[along]:
            attributes["units"] = units[along]
        step = float(matrix[along, along])
        add_coordinate(members, names[axis], step, start[along], shape[axis], attributes, report)
