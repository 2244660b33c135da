"""Swaths of HDF-EOS2: which geolocation fields belong to a data field.

Implements the swath interface of the HDF-EOS Library User's Guide, volume 1. Geolocation fields
keep their own dimensions: where a dimension map makes them coarser than the data, nothing is
interpolated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.hdf4.eos import Structure

__all__ = ["geolocation_of", "map_notes"]


def geolocation_of(swath: Structure, name: str, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """Return the attribute ``coordinates`` of a data field.

    Parameters
    ----------
    swath : Structure
        The swath.
    name : str
        The field.
    dimensions : tuple of str
        Its dimensions.

    Returns
    -------
    dict
        The geolocation fields whose dimensions the field has; empty if there are none.
    """
    if name in swath.geolocation:
        return {}
    found = [
        field
        for field, axes in swath.geolocation.items()
        if axes and set(axes) <= set(dimensions) and not any(c.isspace() for c in field)
    ]
    return {"coordinates": " ".join(found)} if found else {}


def map_notes(structure: Structure) -> dict[str, Any]:
    """Return the dimension maps of a swath as an attribute of its group.

    Parameters
    ----------
    structure : Structure
        A swath; others have none.
    """
    if not structure.maps:
        return {}
    notes = [
        {
            "geolocation_dimension": one.geolocation,
            "data_dimension": one.data,
            "offset": one.offset,
            "increment": one.increment,
        }
        for one in structure.maps
    ]
    return {"dimension_maps": notes}
