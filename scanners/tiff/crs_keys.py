"""GeoKeys: their names, and values that are what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY_NAMES", "USER", "Key", "RefusedKeyError", "known_code", "number"]

Key = int | float | str | tuple[int, ...] | tuple[float, ...]
"""The value of a GeoKey."""
USER = 32767
"""The code of what is defined by the user, that is, by other keys."""
KEY_NAMES = {
    1024: "GTModelTypeGeoKey", 1025: "GTRasterTypeGeoKey", 1026: "GTCitationGeoKey",
    2048: "GeodeticCRSGeoKey", 2049: "GeodeticCitationGeoKey", 2050: "GeodeticDatumGeoKey",
    2051: "PrimeMeridianGeoKey", 2052: "GeogLinearUnitsGeoKey", 2053: "GeogLinearUnitSizeGeoKey",
    2054: "GeogAngularUnitsGeoKey", 2055: "GeogAngularUnitSizeGeoKey", 2056: "EllipsoidGeoKey",
    2057: "EllipsoidSemiMajorAxisGeoKey", 2058: "EllipsoidSemiMinorAxisGeoKey",
    2059: "EllipsoidInvFlatteningGeoKey", 2060: "GeogAzimuthUnitsGeoKey",
    2061: "PrimeMeridianLongitudeGeoKey", 2062: "GeogTOWGS84GeoKey",
    3072: "ProjectedCRSGeoKey", 3073: "ProjectedCitationGeoKey", 3074: "ProjectionGeoKey",
    3075: "ProjMethodGeoKey", 3076: "ProjLinearUnitsGeoKey", 3077: "ProjLinearUnitSizeGeoKey",
    3078: "ProjStdParallel1GeoKey", 3079: "ProjStdParallel2GeoKey",
    3080: "ProjNatOriginLongGeoKey", 3081: "ProjNatOriginLatGeoKey",
    3082: "ProjFalseEastingGeoKey", 3083: "ProjFalseNorthingGeoKey",
    3084: "ProjFalseOriginLongGeoKey", 3085: "ProjFalseOriginLatGeoKey",
    3086: "ProjFalseOriginEastingGeoKey", 3087: "ProjFalseOriginNorthingGeoKey",
    3088: "ProjCenterLongGeoKey", 3089: "ProjCenterLatGeoKey", 3090: "ProjCenterEastingGeoKey",
    3091: "ProjCenterNorthingGeoKey", 3092: "ProjScaleAtNatOriginGeoKey",
    3093: "ProjScaleAtCenterGeoKey", 3094: "ProjAzimuthAngleGeoKey",
    3095: "ProjStraightVertPoleLongGeoKey", 3096: "ProjRectifiedGridAngleGeoKey",
    4096: "VerticalGeoKey", 4097: "VerticalCitationGeoKey", 4098: "VerticalDatumGeoKey",
    4099: "VerticalUnitsGeoKey", 5120: "CoordinateEpochGeoKey",
}  # fmt: skip
"""Names of GeoKeys."""


class RefusedKeyError(ValueError):
    """A key whose meaning is not known, or that contradicts others."""


def known_code(keys: Mapping[int, Key], key: int) -> int | None:
    """Return a code of EPSG; None where there is none."""
    value = keys.get(key)
    return value if isinstance(value, int) and 0 < value < USER else None


def number(keys: Mapping[int, Key], *codes: int) -> float | None:
    """Return the first of some keys that is there, as a number.

    Raises
    ------
    RefusedKeyError
        If it is none.
    """
    for code in codes:
        if code in keys:
            value = keys[code]
            if isinstance(value, tuple | str):
                raise RefusedKeyError(f"{KEY_NAMES[code]} {value!r} is no number")
            return float(value)
    return None
