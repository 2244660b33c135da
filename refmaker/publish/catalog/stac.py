"""STAC items and collections whose assets are reference sets, as xpystac opens them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pystac
    import xarray as xr

    from refmaker.publish.catalog.entry import Entry

__all__ = ["stac_collection", "stac_item"]

_ASSET = "references"
_LATITUDES = ("latitude", "degrees_north")
_LONGITUDES = ("longitude", "degrees_east")


def stac_item(
    refs: str | os.PathLike[str],
    *,
    id: str | None = None,  # noqa: A002 - the word of STAC
    href: str | None = None,
    bbox: Sequence[float] | None = None,
    times: tuple[datetime, datetime] | None = None,
    properties: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> pystac.Item:
    """Return a STAC item for a reference set.

    Parameters
    ----------
    refs : str or os.PathLike
        Path or URL of the reference set, as JSON that stock readers can read.
    id : str, optional
        By default from the set's name.
    href : str, optional
        Where others find the set; by default `refs`.
    bbox : sequence of float, shape (4,), optional
        West, south, east, north in degrees; by default from the coordinates of latitude and
        longitude. Without either the item has no geometry.
    times : tuple of datetime, optional
        Start and end; by default from the coordinate of time.
    properties : mapping, optional
        More properties of the item.
    storage_options : mapping, optional
        fsspec's options for the files that hold the data, kept with the asset.

    Returns
    -------
    pystac.Item
        With the properties of the datacube extension and an asset of the role ``references``.

    Raises
    ------
    MetadataError
        If the set has no times and none are given, or stock readers cannot read it.
    MissingDependencyError
        If pystac is not installed.
    RefmakerError
        If the set cannot be opened.
    """
    pystac = _pystac()
    from refmaker.publish.catalog.entry import describe_entry
    from refmaker.reading.open import open_dataset

    where = os.fspath(refs)
    entry = describe_entry(where, where, stock=True, storage_options=storage_options)
    with open_dataset(where, storage_options=storage_options, chunks=None) as data:
        box = list(bbox) if bbox is not None else _box(data)
        span = times or _times(data)
        if span is None:
            raise MetadataError(
                "an item needs a time, and the set has no coordinate of time",
                url=where,
                hint="give `times=(start, end)`",
            )
        cube = _cube(data)
    item = pystac.Item(
        id=id or entry.name,
        geometry=None if box is None else _polygon(box),
        bbox=box,
        datetime=None,
        start_datetime=span[0],
        end_datetime=span[1],
        properties={**cube, **(properties or {})},
        stac_extensions=["https://stac-extensions.github.io/datacube/v2.2.0/schema.json"],
    )
    item.add_asset(_ASSET, _asset(entry, href or where))
    return item  # type: ignore[no-any-return]  # imported where it is needed, it has no type


def _asset(entry: Entry, href: str) -> Any:
    """Return the asset that xpystac opens."""
    pystac = _pystac()
    options: dict[str, Any] = {"remote_protocol": entry.remote_protocol}
    if entry.target_options:
        options["remote_options"] = entry.target_options
    return pystac.Asset(
        href=href,
        title="Reference set",
        media_type=pystac.MediaType.JSON,
        roles=["references", "index", "data"],
        extra_fields={
            # kerchunk's engine would otherwise make dask arrays, and xarray those of dask.
            "xarray:open_kwargs": {"open_dataset_options": {"chunks": None}},
            "xarray:storage_options": options,
        },
    )


def stac_collection(
    id: str,  # noqa: A002 - the word of STAC
    items: Sequence[pystac.Item],
    *,
    description: str,
    license: str = "other",  # noqa: A002 - as above
) -> pystac.Collection:
    """Return a STAC collection of items, with the extent that they have together.

    Parameters
    ----------
    id : str
        Of the collection.
    items : sequence of pystac.Item
        As `stac_item` gives them.
    description : str
        For people.
    license : str
        Identifier of SPDX, or ``other``.

    Returns
    -------
    pystac.Collection

    Raises
    ------
    MissingDependencyError
        If pystac is not installed.
    """
    pystac = _pystac()
    collection = pystac.Collection(
        id=id, description=description, license=license, extent=pystac.Extent.from_items(items)
    )
    collection.add_items(items)
    return collection  # type: ignore[no-any-return]  # as above


def _pystac() -> Any:
    try:
        import pystac
    except ImportError as error:
        raise MissingDependencyError(
            "STAC needs pystac", hint="pip install pystac, or 'refmaker[catalog]'"
        ) from error
    return pystac


def _find(data: xr.Dataset, meanings: tuple[str, str]) -> xr.DataArray | None:
    for variable in data.coords.values():
        named = variable.attrs.get("standard_name"), variable.attrs.get("units")
        if variable.size and (named[0] == meanings[0] or named[1] == meanings[1]):
            return variable  # type: ignore[no-any-return]  # of the same kind, whatever its name
    return None


def _box(data: xr.Dataset) -> list[float] | None:
    """Return west, south, east, north of the coordinates; None where they say nothing."""
    latitude, longitude = _find(data, _LATITUDES), _find(data, _LONGITUDES)
    if latitude is None or longitude is None:
        return None
    south, north = float(latitude.min()), float(latitude.max())
    west, east = float(longitude.min()), float(longitude.max())
    if east > 180:
        # Counted from 0 to 360: either all of it is shifted, or it goes around the globe.
        west, east = (-180.0, 180.0) if west < 180 else (west - 360, east - 360)
    return [west, south, east, north]


def _polygon(box: Sequence[float]) -> dict[str, Any]:
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _times(data: xr.Dataset) -> tuple[datetime, datetime] | None:
    from datetime import UTC, datetime

    import numpy as np

    for variable in data.coords.values():
        if variable.size and variable.dtype.kind == "M":
            ends = variable.min().to_numpy(), variable.max().to_numpy()
            seconds = (end.astype("datetime64[us]") - np.datetime64(0, "us") for end in ends)
            first, last = (
                datetime.fromtimestamp(float(value.astype(np.int64)) / 1e6, UTC)
                for value in seconds
            )
            return first, last
    return None


def _cube(data: xr.Dataset) -> dict[str, Any]:
    """Return dimensions and variables as the datacube extension has them."""
    dimensions: dict[str, Any] = {}
    for name, size in data.sizes.items():
        known = data.coords.get(name)
        kind = "temporal" if known is not None and known.dtype.kind == "M" else "other"
        extent: list[Any] = [0, size - 1]
        if known is not None and known.size and known.dtype.kind in "iufM":
            ends = [known.min().item(), known.max().item()]
            span = _times(data) if kind == "temporal" else None
            extent = [end.isoformat() for end in span] if span else ends
        dimensions[str(name)] = {"type": kind, "extent": extent}
    variables = {
        str(name): {
            "type": "data",
            "dimensions": [str(dim) for dim in variable.dims],
            **({"unit": str(variable.attrs["units"])} if "units" in variable.attrs else {}),
        }
        for name, variable in data.data_vars.items()
    }
    return {"cube:dimensions": dimensions, "cube:variables": variables}
