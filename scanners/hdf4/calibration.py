"""Calibration: what ``scale_factor`` and ``add_offset`` mean, in HDF4 and in CF.

``SDsetcal`` of the HDF library means ``scale_factor * (stored - add_offset)``, CF means
``scale_factor * stored + add_offset``. Nothing is applied here: readers are told in CF's terms.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from refmaker.scanners.hdf4.odl import find_values, parse_odl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf4.attributes import Attributes

__all__ = ["Calibration"]

_ATMOSPHERE: Final = re.compile(r"(MOD|MYD)(0[4-8]|35|ATML2|CSR)")
"""Short names of the products that have the library's meaning without its marks."""
_ORIGINAL: Final = "hdf4_add_offset"


class Calibration:
    """Looks at the calibration of the data sets of a file.

    Parameters
    ----------
    attributes : mapping
        Of the file; the metadata in them name the product.
    report : ScanReport
        Told of what was changed, and of what may mean something else.
    """

    def __init__(self, attributes: Mapping[str, Any], report: ScanReport) -> None:
        self._attributes = attributes
        self._report = report
        self._product: str | None = None

    def state(self, path: str, found: Attributes) -> None:
        """Spell the offset of a data set as CF does, where the library wrote it.

        Parameters
        ----------
        path : str
            The data set, for messages.
        found : Attributes
            Its attributes; ``add_offset`` is changed.
        """
        scale, offset = (_number(found, name) for name in ("scale_factor", "add_offset"))
        if scale is None or not offset:
            return
        if "calibrated_nt" in found and _ORIGINAL not in found:
            found.add(_ORIGINAL, found.numbers["add_offset"])
            found.replace("add_offset", -scale * offset)
            self._report.warn(
                f"{path}: add_offset is {-scale * offset!r} here, in the terms of CF; the file's, "
                f"{offset!r}, is to be subtracted first, and stands in {_ORIGINAL}"
            )
        elif _ATMOSPHERE.match(self._short_name()):
            self._report.warn(
                f"{path}: products like {self._short_name()} mean scale_factor * (stored - "
                "add_offset), which the file does not say: add_offset is left as it is, and "
                "readers that follow CF add it"
            )

    def _short_name(self) -> str:
        if self._product is None:
            self._product = ""
            for name in ("CoreMetadata.0", "coremetadata.0", "coremetadata"):
                text = self._attributes.get(name)
                names = find_values(parse_odl(text), "SHORTNAME") if isinstance(text, str) else []
                if names:
                    self._product = str(names[0])
                    break
        return self._product


def _number(found: Attributes, name: str) -> float | None:
    values = found.numbers.get(name)
    if values is None or values.size != 1:
        return None
    value = float(values.reshape(-1)[0])
    return value if math.isfinite(value) else None
