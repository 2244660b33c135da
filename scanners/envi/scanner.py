"""ENVI files: one array in the order of the file, its bands and map as the header says."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import library
from refmaker.errors import FormatError
from refmaker.io.related_files import RelatedFiles
from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.envi.declared import FORMAT
from refmaker.scanners.envi.header import read_header
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.raw_data import DATA, RawData, finite, open_beside, scan_raw_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array, Group
    from refmaker.scanners.envi.header import Header
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["ENVIScanner"]

_WAVELENGTH = "wavelength"
_ENDINGS = ("", ".img", ".dat", ".sli", ".hyspex", ".raw", ".bin")
_OWN = frozenset(
    {
        *("samples", "lines", "bands", "header offset", "data type", "interleave", "byte order"),
        *(_WAVELENGTH, "file compression", "data ignore value"),
    }
)
"""Fields that are not attributes: array, chunks and coordinates say them."""


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
            file, or ``spectrum`` and ``band``; the coordinate ``wavelength`` of bands.
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
            lambda members, data: _wavelengths(header, data, members, report),
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
        envi = library("spectral.io.envi", "spectral", "to read ENVI natively")
        with ExitStack() as stack, warnings.catch_warnings():
            # It warns of field names in capitals.
            warnings.simplefilter("ignore")
            try:
                opened = envi.open(*_local(source, stack, envi.read_envi_header))
                spectra = isinstance(opened, envi.SpectralLibrary)
                values = opened.spectra if spectra else opened.open_memmap(interleave="bip")
            except (envi.EnviException, ValueError, KeyError, OSError, TypeError) as error:
                raise FormatError(f"spectral refuses it: {error}", url=source.url) from error
            bands = opened.bands.centers
            yield _SpectralReader(values, bands, ("spectrum", "band") if spectra else None)


def _local(source: Source, stack: ExitStack, fields_of: Callable[[str], Any]) -> tuple[str, ...]:
    """Return the path of a header beside which spectral finds the data, or both paths."""
    if source.path is not None:
        return (source.path,)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    paths = (f"{folder}/x.hdr", f"{folder}/x.img")
    _copy(source, paths[0])
    files = stack.enter_context(RelatedFiles(source))
    interleave = str(fields_of(paths[0]).get("interleave", "")).lower()
    _copy(open_beside(files, source, (*_ENDINGS, f".{interleave}")), paths[1])
    return paths


def _copy(source: Source, path: str) -> None:
    with open(path, "wb") as copy:
        copy.write(source.read(0, source.size))


class _SpectralReader:
    """An image that spectral has opened, as lines, samples and bands."""

    def __init__(self, values: Any, bands: Any, names: tuple[str, ...] | None) -> None:
        self._values, self._bands = values, bands
        self._names = names or ("y", "x", "band")

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of a region, in the order of the array's dimensions."""
        if path.strip("/") == _WAVELENGTH:
            return np.asarray(self._bands, np.float64)[region]
        order = [self._names.index(name) for name in array.dimension_names or self._names]
        return np.asarray(np.transpose(self._values, order)[region], array.dtype)


def _data(header: Header, source: Source, files: RelatedFiles, report: ScanReport) -> RawData:
    """Return where the data of a file lie, and what they are."""
    header.check()
    shape, names = header.shape()
    dtype, offset = header.dtype(), header.whole("header offset", 0)
    file = open_beside(files, source, (*_ENDINGS, f".{header.interleave}"))
    data = RawData(file, offset, dtype, shape, names, _attributes(header, dtype, report))
    after = file.size - offset - data.nbytes
    if after > 0:
        report.warn(f"/{DATA}: {after} bytes follow the data and are not kept")
    return data


def _attributes(header: Header, dtype: np.dtype[Any], report: ScanReport) -> dict[str, Any]:
    """Return the fields that say nothing of the storage; lists of numbers as numbers."""
    found: dict[str, Any] = {}
    for name, value in header.fields.items():
        if name not in _OWN:
            key = name.replace(" ", "_").replace("/", "_")
            found[key] = (header.numbers(name) or value) if isinstance(value, list) else value
    ignored = header.fields.get("data ignore value")
    if ignored is not None:
        element = _element(str(ignored), dtype)
        if element is not None:
            found["missing_value"] = element
        else:
            found["data_ignore_value"] = ignored
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


def _wavelengths(
    header: Header, data: RawData, members: dict[str, Any], report: ScanReport
) -> None:
    """Add the wavelengths of bands, where there are as many as bands."""
    if not header.words(_WAVELENGTH):
        return
    values = header.numbers(_WAVELENGTH)
    bands = data.shape[data.dimension_names.index("band")]
    if values is None or len(values) != bands:
        report.warn(f"/{_WAVELENGTH}: not one number for each of {bands} bands; left out")
        return
    units = header.fields.get("wavelength units")
    attributes = {"units": units} if isinstance(units, str) else {}
    members[_WAVELENGTH] = inline_array(np.array(values), ("band",), attributes)
    report.add(f"/{_WAVELENGTH}", Outcome.INLINED, "the header lists its values", "coordinate")
