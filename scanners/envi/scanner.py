"""ENVI files: one array in the order of the file, its bands and map as the header says."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.report import ScanReport
from refmaker.scanners.envi.coordinates import add_coordinates, attribute_name
from refmaker.scanners.envi.declared import FORMAT
from refmaker.scanners.envi.header import ENDINGS, read_header
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.raw_data import DATA, Block, RawData, finite, open_beside, scan_raw_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.scanners.envi.header import Header
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["ENVIScanner"]

_OWN = frozenset(
    {
        *("samples", "lines", "bands", "header offset", "data type", "interleave", "byte order"),
        *("file compression", "data ignore value"),
    }
)
"""Fields that are not attributes: array and chunks say them."""


class ENVIScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of ENVI."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of an image or a spectral library.

        Parameters
        ----------
        source : Source
            The header; the data lie beside it, under its name without or with another ending.
        options : ScanOptions
            Data of up to ``inline_threshold`` bytes are inlined, others cut towards
            ``chunk_bytes``.

        Returns
        -------
        Group
            The array ``data`` with the dimensions ``band``, ``y`` and ``x`` in the order of the
            file, or ``spectrum`` and ``band``; what the header lists for every band; ``x``, ``y``
            at the centres of pixels and CF's grid mapping ``spatial_ref``.
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
            lambda files: _data(header, source, files, report),
            lambda members, _: add_coordinates(header, members, report),
        )
        return group, report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with spectral.

        Raises
        ------
        MissingDependencyError
            If spectral is not installed.
        FormatError
            If spectral does not open it.
        """
        from refmaker.scanners.envi.spectral_reader import open_envi

        with open_envi(source) as reader:
            yield reader


def _data(header: Header, source: Source, files: RelatedFiles, report: ScanReport) -> RawData:
    """Return where the data of a file lie, and what they are."""
    header.check()
    shape, names = header.shape()
    dtype, offset = header.dtype(), header.whole("header offset", 0)
    file = open_beside(files, source, (*ENDINGS, f".{header.interleave}"))
    data = RawData((Block(file, offset),), dtype, shape, names, _attributes(header, dtype, report))
    after = file.size - offset - data.nbytes
    if after > 0:
        report.warn(f"/{DATA}: {after} bytes follow the data and are not kept")
    return data


def _attributes(header: Header, dtype: np.dtype[Any], report: ScanReport) -> dict[str, Any]:
    """Return the fields that say nothing of the storage; lists of numbers as numbers."""
    found: dict[str, Any] = {}
    for name, value in header.fields.items():
        if name not in _OWN:
            said = (header.numbers(name) or value) if isinstance(value, list) else value
            found[attribute_name(name)] = said
    ignored = header.fields.get("data ignore value")
    if ignored is not None:
        element = _element(str(ignored), dtype)
        if element is not None:
            found["missing_value"] = element
        else:
            found["data_ignore_value"] = ignored
            # NaN marks missing values by itself.
            if dtype.kind not in "fc" or str(ignored).strip().lower().lstrip("+-") != "nan":
                report.warn(f"/{DATA}: no {dtype} has the data ignore value {ignored!r}")
    return found


def _element(text: str, dtype: np.dtype[Any]) -> float | None:
    """Return the number that a text is, as elements of a type have it; None if none does."""
    try:
        value = float(text)
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                value = float(np.asarray(value, dtype))
    except ValueError:
        return None
    if not finite(value):
        return None
    if dtype.kind in "fc":
        return value
    bounds = np.iinfo(dtype)
    # Integers of 64 bits are more exact than float().
    whole = int(text) if text.lstrip("+-").isdigit() else int(value)
    exact = float(whole) == value
    return whole if exact and int(bounds.min) <= whole <= int(bounds.max) else None
