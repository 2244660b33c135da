"""What the header of an ENVI file says of bands, spectra and pixels, as coordinates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome
from refmaker.scanners.envi.georeference import read_georeference
from refmaker.scanning.pixel_grid import geotransform_text, map_coordinates
from refmaker.scanning.raw_data import DATA

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.model.report import ScanReport
    from refmaker.scanners.envi.georeference import Georeference
    from refmaker.scanners.envi.header import Header

__all__ = ["LISTED", "REFERENCE", "add_coordinates", "attribute_name"]

REFERENCE = "spatial_ref"
"""Name of the grid mapping."""
LISTED = {
    "wavelength": "wavelength", "fwhm": "fwhm", "bbl": "good_band", "band names": "band_name",
    "data gain values": "data_gain", "data offset values": "data_offset",
    "spectra names": "spectrum_name",
}  # fmt: skip
"""Fields that say something of every band or spectrum, and what their coordinates are called."""
_TEXTS = ("band names", "spectra names")
_UNITS = {
    "nanometers": "nm", "micrometers": "um", "millimeters": "mm", "centimeters": "cm",
    "meters": "m", "angstroms": "angstrom", "wavenumber": "cm-1", "ghz": "GHz", "mhz": "MHz",
}  # fmt: skip
"""Units of wavelengths as UDUNITS has them."""


def add_coordinates(header: Header, members: dict[str, Any], report: ScanReport) -> None:
    """Add what the header lists for every band and spectrum, and where the image is.

    Parameters
    ----------
    header : Header
        Of the image.
    members : dict
        Holds the array, which gets the attributes that name the others.
    report : ScanReport
        Gets a row for each, and a warning for what is left out.
    """
    data = members[DATA]
    sizes = dict(zip(data.dimension_names, data.shape, strict=True))
    told = dict(data.attributes)
    found: dict[str, Array] = {}
    for field, name in LISTED.items():
        axis = "spectrum" if field == "spectra names" else "band"
        if field in header.fields and axis in sizes:
            array = _listed(header, field, axis, sizes[axis], report)
            if array is not None:
                found[name] = array
                told.pop(attribute_name(field), None)
    _scaling(header, found, told, report)
    place = read_georeference(header, report) if "x" in sizes else None
    beside = list(found)
    if place is not None:
        found |= _map(place, sizes["x"], sizes["y"])
        told["grid_mapping"] = REFERENCE
        beside.append(REFERENCE)
    if beside:
        told["coordinates"] = " ".join(beside)
    for name in found:
        report.add(f"/{name}", Outcome.INLINED, "the header tells its values", "coordinate")
    members[DATA] = replace(data, attributes=told)
    members |= found


def _map(place: Georeference, width: int, height: int) -> dict[str, Array]:
    """Return x and y, where there are any, and the grid mapping."""
    attributes = dict(place.crs)
    found: dict[str, Array] = {}
    if place.transform is not None:
        attributes["GeoTransform"] = geotransform_text(place.transform)
        kind = {"geographic": place.geographic}
        found |= map_coordinates(place.transform, width, height, place.crs, **kind)
    return found | {REFERENCE: inline_array(np.zeros((), np.int64), (), attributes)}


def _listed(header: Header, field: str, axis: str, extent: int, report: ScanReport) -> Array | None:
    """Return the coordinate that a list is, None if it has not a value for each."""
    if field in _TEXTS:
        words = header.words(field)
        values: Any = np.array(words) if len(words) == extent > 0 else None
    else:
        numbers = header.numbers(field)
        values = np.array(numbers) if numbers is not None and len(numbers) == extent else None
    if values is None:
        what = "text" if field in _TEXTS else "number"
        report.warn(f"/{LISTED[field]}: not one {what} for each of {extent} along {axis}; left out")
        return None
    attributes: dict[str, Any] = {}
    written = header.fields.get("wavelength units")
    if field in ("wavelength", "fwhm") and isinstance(written, str):
        attributes["units"] = _UNITS.get(written.lower(), written)
    return inline_array(values, (axis,), attributes)


def _scaling(
    header: Header, found: dict[str, Array], told: dict[str, Any], report: ScanReport
) -> None:
    """Say gains and offsets as CF does, where all bands have the same."""
    for field, key in (("data gain values", "scale_factor"), ("data offset values", "add_offset")):
        name = LISTED[field]
        if name not in found:
            continue
        values = set(header.numbers(field) or ())
        if len(values) == 1:
            del found[name]
            told[key] = values.pop()
        else:
            report.warn(f"/{name}: it differs between bands; it is not applied by readers of CF")


def attribute_name(field: str) -> str:
    """Return the name of the attribute that a field becomes."""
    return field.replace(" ", "_").replace("/", "_")
