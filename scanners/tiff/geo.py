"""GeoTIFF: where on Earth an image is.

Implements OGC GeoTIFF 1.1: the key directory, the tie points, pixel scale and model
transformation, and the two raster spaces; results are those of GDAL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model.report import ScanReport
    from refmaker.scanners.tiff.crs import Key
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["Georeference", "is_geo", "read_georeference", "read_keys"]

_SCALE, _TIES, _MATRIX = 33550, 33922, 34264
_DIRECTORY, _DOUBLES, _ASCII = 34735, 34736, 34737
_RASTER_TYPE = 1025
_POINT = 2
_GCPS = 4096
"""Ground control points that are kept, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Georeference:
    """Where an image is.

    Parameters
    ----------
    transform : tuple of float, optional
        GDAL's geotransform of the base level, from the corners of pixels.
    keys : mapping of int to Key
        The GeoKeys.
    point : bool
        Whether the file's coordinates are those of pixels' centres.
    crs : mapping
        The grid mapping's attributes.
    ties : tuple
        Ground control points (column, row, 0, x, y, z) where there is no transform.
    """

    transform: tuple[float, ...] | None
    keys: Mapping[int, Key]
    point: bool = False
    crs: Mapping[str, Any] = field(default_factory=dict)
    ties: tuple[tuple[float, ...], ...] = ()

    def at(self, columns: float, rows: float) -> tuple[float, ...] | None:
        """Return the geotransform of a level whose pixels are larger by two factors."""
        if self.transform is None:
            return None
        x, dx, rx, y, ry, dy = self.transform
        return x, dx * columns, rx * rows, y, ry * columns, dy * rows

    @property
    def rectilinear(self) -> bool:
        """Whether rows and columns run along the axes of the coordinate system."""
        return self.transform is not None and self.transform[2] == self.transform[4] == 0

    @property
    def geographic(self) -> bool:
        """Whether coordinates are degrees."""
        return self.keys.get(1024) == 2


def is_geo(pages: Pages, page: int) -> bool:
    """Tell whether a page says where it is."""
    tags = (_DIRECTORY, _SCALE, _MATRIX)
    return any(pages.tag(page, code) is not None for code in tags)


def read_georeference(pages: Pages, page: int, report: ScanReport) -> Georeference | None:
    """Return where a page is, or None if it does not say.

    Parameters
    ----------
    report : ScanReport
        Gets warnings for what cannot be understood.
    """
    from refmaker.scanners.tiff.crs import grid_mapping

    if not is_geo(pages, page):
        return None
    keys = read_keys(pages, page, report)
    point = keys.get(_RASTER_TYPE) == _POINT
    ties = _numbers(pages, page, _TIES).reshape(-1)
    transform = _transform(pages, page, ties, point=point, report=report)
    points: tuple[tuple[float, ...], ...] = ()
    if transform is None and 6 < ties.size <= 6 * _GCPS:
        points = tuple(tuple(row) for row in ties[: ties.size // 6 * 6].reshape(-1, 6).tolist())
    crs, problem = grid_mapping(keys)
    if problem:
        report.warn(f"/page/{page}: {problem}")
    return Georeference(transform, keys, point, crs, points)


def read_keys(pages: Pages, page: int, report: ScanReport) -> dict[int, Key]:
    """Return the GeoKeys of a page by number (OGC GeoTIFF 1.1, section 7.1)."""
    directory = pages.tag(page, _DIRECTORY)
    if directory is None:
        return {}
    entries = np.atleast_1d(directory).reshape(-1)
    if entries.dtype.kind not in "iu" or entries.size < 4:
        report.warn(f"/page/{page}: the GeoKeyDirectory is damaged")
        return {}
    count = min(int(entries[3]), entries.size // 4 - 1)
    if count < int(entries[3]):
        report.warn(f"/page/{page}: the GeoKeyDirectory is shorter than it says")
    doubles = _numbers(pages, page, _DOUBLES)
    texts = pages.tag(page, _ASCII)
    texts = texts if isinstance(texts, str) else ""
    found: dict[int, Key] = {}
    for key, where, size, value in entries[4 : 4 + 4 * count].reshape(-1, 4).tolist():
        if where == 0:
            found[key] = value
        elif where == _DOUBLES:
            part = tuple(doubles[value : value + size].tolist())
            found[key] = part[0] if len(part) == 1 else part
        elif where == _ASCII:
            found[key] = texts[value : value + size].rstrip("|\0").strip()
        elif where == _DIRECTORY:
            part = tuple(int(one) for one in entries[value : value + size])
            found[key] = part[0] if len(part) == 1 else part
    return found


def _numbers(pages: Pages, page: int, code: int) -> NDArray[np.float64]:
    value = pages.tag(page, code)
    if value is None or isinstance(value, str | bytes):
        return np.empty(0)
    return np.atleast_1d(np.asarray(value, np.float64))


def _transform(
    pages: Pages, page: int, ties: NDArray[np.float64], *, point: bool, report: ScanReport
) -> tuple[float, ...] | None:
    """Return the transform from pixel corners to coordinates, as GDAL has it."""
    matrix, scale = _numbers(pages, page, _MATRIX), _numbers(pages, page, _SCALE)
    half = 0.5 if point else 0.0
    found = None
    if scale.size >= 2 and scale[0] != 0 and scale[1] != 0 and ties.size >= 6:
        dx = float(scale[0])
        # A scale is positive; GDAL takes a negative one for a file that is north up all the same.
        dy = -abs(float(scale[1]))
        if scale[1] < 0:
            report.warn(f"/page/{page}: its pixel scale is negative; read as north up, as by GDAL")
        x = float(ties[3]) - float(ties[0]) * dx - half * dx
        y = float(ties[4]) - float(ties[1]) * dy - half * dy
        found = (x, dx, 0.0, y, 0.0, dy)
        if ties.size > 6:
            report.warn(f"/page/{page}: of its {ties.size // 6} tie points only the first counts")
    elif matrix.size == 16:
        dx, rx, x, ry, dy, y = (float(matrix[at]) for at in (0, 1, 3, 4, 5, 7))
        found = (x - half * (dx + rx), dx, rx, y - half * (ry + dy), ry, dy)
    if found is not None and not all(math.isfinite(value) for value in found):
        report.warn(f"/page/{page}: its transformation is not finite")
        return None
    return found
