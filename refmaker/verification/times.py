"""Times of files in the units of a set, whose joining may have written them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.verification.compare import NotComparableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["in_units_of", "time_attributes"]


def time_attributes(arrays: Mapping[str, Array], path: str) -> dict[str, str]:
    """Return units and calendar of an array of times, which boundaries take from another one.

    Returns
    -------
    dict
        Empty if it holds no times.
    """
    own = arrays[path].attributes
    if "units" not in own:
        group, _, name = path.rpartition("/")
        for other, array in arrays.items():
            bounds = (array.attributes.get(word) for word in ("bounds", "climatology"))
            if other.rpartition("/")[0] == group and name in bounds:
                own = array.attributes
    if " since " not in str(own.get("units", "")):
        return {}
    calendar = str(own.get("calendar", "standard")).lower()
    return {
        "units": str(own["units"]),
        "calendar": "standard" if calendar == "gregorian" else calendar,
    }


def in_units_of(
    values: NDArray[Any], theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> NDArray[Any]:
    """Return times in other units.

    Parameters
    ----------
    theirs, ours : mapping
        Units and calendar that they have, and that are wanted.

    Raises
    ------
    NotComparableError
        If one of them are no units of times.
    """
    import cftime

    try:
        dates = cftime.num2date(np.asarray(values), theirs["units"], theirs["calendar"])
        found = cftime.date2num(dates, ours["units"], ours["calendar"])
    except (ValueError, TypeError, OverflowError) as error:
        raise NotComparableError(f"its times cannot be compared: {error}") from error
    return np.asarray(found)
