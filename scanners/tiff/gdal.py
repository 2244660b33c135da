"""What GDAL adds to TIFF files: metadata items (tag 42112) and the nodata value (tag 42113)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError
from refmaker.scanners.tiff.markup import children, parse
from refmaker.scanners.tiff.units import number

if TYPE_CHECKING:
    from refmaker.model.report import ScanReport
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["Metadata", "nodata", "read_metadata"]

_METADATA, _NODATA = 42112, 42113
_ROLES = ("scale", "offset", "description", "unittype")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata items say.

    Parameters
    ----------
    items : dict of str to str
        Of the image, in GDAL's default domain.
    domains : dict of str to dict
        Of the image, in other domains.
    bands : dict of int to dict
        Of each band, in the default domain, from band 0.
    roles : dict of str to dict
        ``scale``, ``offset``, ``description`` and ``unittype`` by band.
    """

    items: dict[str, str] = field(default_factory=dict)
    domains: dict[str, dict[str, str]] = field(default_factory=dict)
    bands: dict[int, dict[str, str]] = field(default_factory=dict)
    roles: dict[str, dict[int, str]] = field(default_factory=dict)

    def attributes(self, bands: int) -> dict[str, Any]:
        """Return attributes of an array, of CF where CF has them."""
        found: dict[str, Any] = dict(self.items)
        if self.domains:
            found["gdal_domains"] = self.domains
        if self.bands:
            found["gdal_bands"] = {str(band + 1): items for band, items in self.bands.items()}
        for role, one, many in (
            ("description", "long_name", "long_name"),
            ("unittype", "units", "band_units"),
        ):
            told = self.roles.get(role, {})
            texts = [told.get(band, "") for band in range(bands)]
            if any(texts):
                found[one if bands == 1 else many] = texts[0] if bands == 1 else texts
        for role, one, many, neutral in (
            ("scale", "scale_factor", "scales", 1.0),
            ("offset", "add_offset", "offsets", 0.0),
        ):
            told = self.roles.get(role, {})
            read = [number(told.get(band)) for band in range(bands)]
            values = [neutral if value is None else value for value in read]
            if all(value == neutral for value in values):
                continue
            # CF has one number for all bands; several stay attributes that nobody applies.
            same = len(set(values)) == 1
            found[one if same else many] = values[0] if same else values
        return found


def read_metadata(pages: Pages, page: int, report: ScanReport) -> Metadata:
    """Return what a page's metadata items say.

    Parameters
    ----------
    report : ScanReport
        Gets a warning if they cannot be read.
    """
    text = pages.tag(page, _METADATA)
    found = Metadata()
    if not isinstance(text, str):
        return found
    try:
        root = parse(text, "the GDAL metadata")
    except (FormatError, LimitError) as error:
        report.warn(f"/page/{page}: {error.message}")
        return found
    for item in children(root, "Item"):
        # GDAL escapes values before it writes them as XML, which escapes them again.
        value = _unescaped(item.text or "")
        name, domain = item.get("name", ""), item.get("domain", "")
        role = item.get("role", "")
        band = number(item.get("sample"))
        if band is not None and 0 <= band < 2**16:
            if role in _ROLES:
                found.roles.setdefault(role, {})[int(band)] = value
            elif not domain:
                found.bands.setdefault(int(band), {})[name] = value
            else:
                found.domains.setdefault(f"{domain}:{int(band) + 1}", {})[name] = value
        elif domain:
            found.domains.setdefault(domain, {})[name] = value
        else:
            found.items[name] = value
    return found


def nodata(pages: Pages, page: int, report: ScanReport) -> Any:
    """Return a page's nodata value as a number of its dtype, or None if there is none.

    Parameters
    ----------
    report : ScanReport
        Gets a warning if the dtype cannot hold it.
    """
    text = pages.tag(page, _NODATA)
    if text is None:
        return None
    # Some writers take the decimal point of their place, which GDAL understands.
    told = str(text).strip("\0 ").lower().replace(",", ".")
    try:
        value = float(told.replace("1.#inf", "inf").replace("1.#qnan", "nan"))
        exact = int(told) if told.lstrip("+-").isdigit() else value
    except ValueError:
        report.warn(f"/page/{page}: its nodata value {text!r} is no number")
        return None
    dtype = pages.dtype(page)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        whole = math.isfinite(value) and value == int(value)
        if not whole or not bounds.min <= int(exact) <= bounds.max:
            report.warn(f"/page/{page}: no {dtype} has the nodata value {text!r}; it is not used")
            return None
        return dtype.type(int(exact))
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(exact)
    return None


def _unescaped(text: str) -> str:
    """Undo the escapes of XML that GDAL writes into the texts of its items once more."""
    for escaped, plain in (("&quot;", '"'), ("&apos;", "'"), ("&gt;", ">"), ("&lt;", "<")):
        text = text.replace(escaped, plain)
    return text.replace("&amp;", "&")
