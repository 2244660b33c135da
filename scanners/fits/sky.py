"""Longitude and latitude of every pixel, by astropy.

The projections are those of section 8.3 of the FITS Standard 4.0, as astropy.wcs knows them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import MissingDependencyError
from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.hdus import HDU
    from refmaker.scanners.fits.packed import PackedSource
    from refmaker.scanning.options import ScanOptions

__all__ = ["LATITUDE", "LONGITUDE", "pixel_positions", "sky_coordinates"]

LONGITUDE, LATITUDE = "longitude", "latitude"
_TABLES: Final = ("CPDIS", "CQDIS", "D2IM")
"""Distortions by tables in other units."""


def sky_coordinates(
    hdu: HDU,
    source: Source | PackedSource,
    array: Array,
    options: ScanOptions,
    report: ScanReport,
) -> dict[str, Array]:
    """Return longitude and latitude of the pixels of an image with a celestial projection.

    Parameters
    ----------
    hdu : HDU
        The unit.
    source : Source or PackedSource
        The file.
    array : Array
        Its image.
    options : ScanOptions
        ``inline_budget`` bounds what each of the two may take.
    report : ScanReport
        Gets their rows, and a warning if they are left out.

    Returns
    -------
    dict of str to Array
        ``longitude`` and ``latitude`` in degrees, float64, with the two dimensions of the image
        that they depend on; empty if it has no celestial axes.

    Raises
    ------
    MissingDependencyError
        If astropy is not installed.
    """
    header = hdu.header
    where = hdu.below(LONGITUDE)
    if not any(kind[4:5] == "-" for kind in _kinds(hdu, len(array.shape))):
        return {}
    if any(name.startswith(_TABLES) for name in header.keywords):
        report.warn(f"{where} is left out: the image is distorted by tables in other extensions")
        return {}
    try:
        from astropy.io.fits import Header
    except ImportError as error:
        raise MissingDependencyError(
            "fits-wcs=2d needs astropy", hint="pip install astropy, or 'refmaker[fits]'"
        ) from error
    text = source.read(header.start, header.data - header.start).decode("latin-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keywords that astropy mends
        try:
            found = pixel_positions(
                Header.fromstring(text), array.shape, options.inline_budget // 8
            )
        except (ValueError, MemoryError, KeyError, TypeError) as error:
            report.warn(f"{where} is left out: {error}")
            return {}
    if found is None:
        return {}
    axes, values = found
    names = array.dimension_names or ()
    dimensions = [names[axis] for axis in sorted(axes)]
    made = {}
    for name, axis, plane in zip((LONGITUDE, LATITUDE), axes, values, strict=True):
        kind = header.text(f"CTYPE{len(array.shape) - axis}")
        made[name] = inline_array(plane, dimensions, {"units": "deg", "long_name": kind})
        reason = "astropy computes it from the header"
        report.add(hdu.below(name), Outcome.INLINED, reason, "coordinate")
    return made


def _kinds(hdu: HDU, rank: int) -> list[str]:
    return [hdu.header.text(f"CTYPE{axis}") for axis in range(1, rank + 1)]


def pixel_positions(
    header: Any, shape: tuple[int, ...], most: int
) -> tuple[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]] | None:
    """Return the two dimensions that positions depend on, and longitudes and latitudes.

    Parameters
    ----------
    header : astropy.io.fits.Header
        The keywords.
    shape : tuple of int
        Of the image, in C order.
    most : int
        Pixels that are computed at most.

    Returns
    -------
    tuple or None
        The axes of the image, in C order, along which longitude and latitude run, and the values
        of both in degrees, in the shape of these axes in the order of the image; None if it has
        no celestial axes.

    Raises
    ------
    ValueError
        If there are more pixels, or astropy cannot compute their positions.
    """
    from astropy.wcs import WCS

    world = WCS(header)
    first, second = world.wcs.lng, world.wcs.lat
    if min(first, second) < 0 or max(first, second) >= len(shape):
        return None
    celestial = world.celestial
    extents = shape[-1 - first], shape[-1 - second]
    if extents[0] * extents[1] > most:
        raise ValueError(
            f"{extents[0]} x {extents[1]} pixels are more than `inline_budget` has room for"
        )
    pixels = np.meshgrid(*(np.arange(extent) for extent in extents), indexing="ij")
    longitude, latitude = celestial.all_pix2world(*pixels, 0)
    axes = len(shape) - 1 - first, len(shape) - 1 - second
    if axes[0] > axes[1]:
        longitude, latitude = longitude.T, latitude.T
    return axes, (longitude, latitude)
