"""ENVI files as spectral reads them, to compare with."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import library
from refmaker.errors import FormatError
from refmaker.io.related_files import RelatedFiles
from refmaker.scanners.envi.coordinates import LISTED, REFERENCE
from refmaker.scanners.envi.header import ENDINGS
from refmaker.scanning.protocol import Tolerance
from refmaker.scanning.raw_data import DATA, open_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["open_envi"]


@contextmanager
def open_envi(source: Source) -> Iterator[LibraryReader]:
    """Open a file with spectral.

    Parameters
    ----------
    source : Source
        The header; one that is not local is copied with its data.

    Raises
    ------
    MissingDependencyError
        If spectral is not installed.
    FormatError
        If it does not open the file.
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
        yield _SpectralReader(values, opened, ("spectrum", "band") if spectra else None)


def _local(source: Source, stack: ExitStack, fields_of: Callable[[str], Any]) -> tuple[str, ...]:
    """Return the path of a header beside which spectral finds the data, or both paths."""
    if source.path is not None:
        return (source.path,)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    paths = (f"{folder}/x.hdr", f"{folder}/x.img")
    _copy(source, paths[0])
    files = stack.enter_context(RelatedFiles(source))
    interleave = str(fields_of(paths[0]).get("interleave", "")).lower()
    _copy(open_beside(files, source, (*ENDINGS, f".{interleave}")), paths[1])
    return paths


def _copy(source: Source, path: str) -> None:
    with open(path, "wb") as copy:
        copy.write(source.read(0, source.size))


class _SpectralReader:
    """An image that spectral has opened, as lines, samples and bands."""

    def __init__(self, values: Any, opened: Any, names: tuple[str, ...] | None) -> None:
        self._values, self._fields = values, opened.metadata
        self._named = {"wavelength": opened.bands.centers, "fwhm": opened.bands.bandwidths}
        self._names = names or ("y", "x", "band")

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of a region, in the order of the array's dimensions."""
        name = path.strip("/")
        if name == DATA:
            order = [self._names.index(axis) for axis in array.dimension_names or self._names]
            return np.asarray(np.transpose(self._values, order)[region], array.dtype)
        if name == REFERENCE:
            return np.zeros((), array.dtype)
        if name in ("x", "y"):
            return np.asarray(self._place(name, array.shape[0])[region], array.dtype)
        listed = self._named.get(name)
        if listed is None:
            listed = next(self._fields[field] for field in LISTED if LISTED[field] == name)
        return np.asarray(listed).astype(array.dtype)[region]

    def tolerance(self, path: str, _: Array) -> Tolerance | None:
        """Return how far places may be off: a millionth of a pixel, for the order of sums."""
        name = path.strip("/")
        if name not in ("x", "y"):
            return None
        return Tolerance(abs(float(self._fields["map info"][5 + ("x", "y").index(name)])) * 1e-6)

    def _place(self, name: str, extent: int) -> Any:
        """Return where the centres of pixels are, from the tie point."""
        told = self._fields["map info"]
        at = ("x", "y").index(name)
        first, tie, size = (float(told[word + at]) for word in (1, 3, 5))
        unit = next((word[6:].lower() for word in told if word.startswith("units=")), "")
        share = {"minutes": 60.0, "seconds": 3600.0}.get(unit, 1.0)
        turned = any(word.startswith("rotation=") and abs(float(word[9:])) == 180 for word in told)
        step = -size if name == "y" and not turned else size
        start = tie + (first - 1) * (size if name == "y" else -size)
        return (start + (np.arange(extent) + 0.5) * step) / share
