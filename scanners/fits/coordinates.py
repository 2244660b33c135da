"""World coordinates of images whose axes are linear and depend on no other one.

Implements section 8.2 of the FITS Standard 4.0 (``CRPIX``, ``CRVAL``, ``CDELT``, ``PCi_j``,
``CDi_j``, ``CROTA``) as far as a coordinate is CRVAL + CDELT x (pixel - CRPIX); what a projection
or an algorithm makes of an axis is for the libraries that know them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.hdus import HDU
    from refmaker.scanners.fits.header import Header
    from refmaker.scanning.options import ScanOptions

__all__ = ["linear_coordinates"]

_SETS: Final = re.compile(r"(?:CRVAL|CDELT|CRPIX|CTYPE)[0-9]+|CD[0-9]+_[0-9]+")
_MATRIX: Final = re.compile(r"(PC|CD)([0-9]+)_([0-9]+)")
_OLD_MATRIX: Final = re.compile(r"(PC|CD)([0-9]{3})([0-9]{3})")
_DISTORTED: Final = re.compile(r"(?:CPDIS|CQDIS|CPERR|CQERR|DP|DQ)([0-9]+).*")
_FRAME: Final = re.compile(r"(?:FREQ|VELO)-(?:LSR|LSD|HEL|OBS|GEO|GAL|EAR)")
_STANDARD_NAMES: Final = {
    "FREQ": "radiation_frequency",
    "WAVE": "radiation_wavelength",
    "AWAV": "radiation_wavelength",
}
"""Names of the CF conventions, by CTYPE."""
_MAX_VALUES: Final = 2**20


class _Axis(NamedTuple):
    """One axis of an image: coordinate = value + step x (pixel - reference), pixels from 1."""

    value: float
    step: float
    reference: float


def linear_coordinates(
    hdu: HDU, array: Array, options: ScanOptions, report: ScanReport
) -> dict[str, Array]:
    """Return the coordinates of an image's axes, by the names of their dimensions.

    Parameters
    ----------
    hdu : HDU
        The unit.
    array : Array
        Its image.
    options : ScanOptions
        ``inline_budget`` bounds what a coordinate may take.
    report : ScanReport
        Gets their rows.

    Returns
    -------
    dict of str to Array
        For each linear axis that depends on no other one, float64 values, shape (extent,), with
        ``units``, ``long_name`` and, where there is one, the ``standard_name`` of CF.
    """
    header, rank = hdu.header, len(array.shape)
    dimensions = array.dimension_names or ()
    if not any(_SETS.fullmatch(name) for name in header.keywords):
        return {}
    coupled = _coupled(header, rank)
    lone = set(range(1, rank + 1)) - coupled
    if any(_element(header, axis, axis) == ("CD", 0.0) for axis in lone):
        return {}  # no matrix that any library inverts
    found: dict[str, Array] = {}
    for number in sorted(lone):
        extent, name = array.shape[rank - number], dimensions[rank - number]
        axis = _axis(header, number)
        if axis is None or not 0 < extent <= min(_MAX_VALUES, options.inline_budget // 8):
            continue
        pixels = np.arange(1, extent + 1, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            values = axis.value + axis.step * (pixels - axis.reference)
        if not bool(np.isfinite(values).all()):
            continue
        found[name] = inline_array(values, (name,), _attributes(header, number))
        reason = "its values follow from the header"
        report.add(hdu.below(name), Outcome.INLINED, reason, "coordinate")
    return found


def _axis(header: Header, number: int) -> _Axis | None:
    """Return what the keywords of an axis say; None if they say nothing, or nothing linear."""
    kind = header.keywords.get(f"CTYPE{number}", "")
    if not isinstance(kind, str) or not _is_linear(kind) or header.keywords.get("DC-FLAG"):
        return None
    names = [f"{name}{number}" for name in ("CRVAL", "CDELT", "CRPIX")]
    matrix = _element(header, number, number)
    if not any(name in header.keywords for name in names[:2]) and matrix is None:
        return None
    numbers = [_number(header.keywords.get(name, default)) for name, default in zip(
        names, (0, 1, 0), strict=True)]  # fmt: skip
    if matrix is not None:
        family, value = matrix
        numbers[1] = value if family == "CD" else _product(numbers[1], value)
    value, step, reference = numbers
    if value is None or step is None or reference is None or step == 0:
        return None
    return _Axis(value, step, reference)


def _is_linear(kind: str) -> bool:
    """Tell whether CTYPE names no projection and no algorithm."""
    if _FRAME.fullmatch(kind):  # the AIPS convention: what follows the dash is a frame
        return True
    return kind[4:5] != "-" and kind != "MULTISPE"


def _product(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other


def _number(value: Any) -> float | None:
    """Return a keyword's value as a finite number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _element(header: Header, row: int, column: int) -> tuple[str, float | None] | None:
    """Return an element of the matrix, and whether it is one of ``CD`` or of ``PC``."""
    for name in (f"CD{row}_{column}", f"CD{row:03}{column:03}"):
        if name in header.keywords:
            return "CD", _number(header.keywords[name])
    if any(name.startswith("CD") and _MATRIX.fullmatch(name) for name in header.keywords):
        return "CD", 0.0  # where some elements are given, the others are 0
    for name in (f"PC{row}_{column}", f"PC{row:03}{column:03}"):
        if name in header.keywords:
            return "PC", _number(header.keywords[name])
    return None


def _coupled(header: Header, rank: int) -> set[int]:
    """Return the axes that the matrix, a rotation or a distortion ties to others."""
    found: set[int] = set()
    for name, value in header.keywords.items():
        matrix = _MATRIX.fullmatch(name) or _OLD_MATRIX.fullmatch(name)
        if matrix and int(matrix[2]) != int(matrix[3]) and value != 0:
            found |= {int(matrix[2]), int(matrix[3])}
        rotated = re.fullmatch(r"CROTA([0-9]+)", name)
        if rotated and value != 0:
            found |= {int(rotated[1]), *_sky(header, rank)}
        distorted = _DISTORTED.fullmatch(name)
        if distorted:
            found.add(int(distorted[1]))
    return found


def _sky(header: Header, rank: int) -> set[int]:
    """Return the axes of a celestial pair, or the first two, which a rotation turns."""
    kinds = {axis: header.text(f"CTYPE{axis}") for axis in range(1, rank + 1)}
    pair = {axis for axis, kind in kinds.items() if kind[4:5] == "-"}
    return pair if len(pair) > 1 else {1, 2}


def _attributes(header: Header, number: int) -> dict[str, Any]:
    """Return unit and names of an axis."""
    kind, name = header.text(f"CTYPE{number}"), header.text(f"CNAME{number}")
    made = {
        "units": header.text(f"CUNIT{number}"),
        "long_name": name or kind,
        "standard_name": _STANDARD_NAMES.get(kind, ""),
    }
    return {key: value for key, value in made.items() if value}
