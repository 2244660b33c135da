"""STAC items and collections whose assets are reference sets, as xpystac opens them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, MissingDependencyError
from refmaker.publish.catalog.datacube import cube, instants
from refmaker.publish.catalog.footprint import footprint, of_box

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pystac
    import xarray as xr

    from refmaker.publish.catalog.entry import Entry

__all__ = ["stac_collection", "stac_item"]

_ASSET = "references"
_SOURCE = "data"
_ZARR = "application/vnd+zarr"
"""What xpystac opens by the engine that the asset names."""
_DATACUBE = "https://stac-extensions.github.io/datacube/v2.2.0/schema.json"
_PROJECTION = "https://stac-extensions.github.io/projection/v1.2.0/schema.json"
"""The last version that has ``proj:epsg``, which stackstac reads, beside ``proj:code``."""


def stac_item(  # noqa: PLR0913 - each is a choice of its own
    refs: str | os.PathLike[str],
    *,
    id: str | None = None,  # noqa: A002 - the word of STAC
    href: str | None = None,
    group: str = "",
    bbox: Sequence[float] | None = None,
    times: tuple[datetime, datetime] | None = None,
    properties: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> pystac.Item:
    """Return a STAC item for a reference set.

    Parameters
    ----------
    refs : str or os.PathLike
        Path or URL of the reference set.
    id : str, optional
        By default from the set's name.
    href : str, optional
        Where others find the set; by default `refs`.
    group : str
        Path of the group that is described and opened, such as ``0``, the largest level of a
        pyramid; by default the root.
    bbox : sequence of float, shape (4,), optional
        West, south, east, north in degrees, west greater than east over the antimeridian; by
        default from the grid mapping, or the coordinates of latitude and longitude. Without any
        of these the item has no geometry.
    times : tuple of datetime, optional
        Start and end, in UTC unless they say; by default from the coordinate of time.
    properties : mapping, optional
        More properties of the item.
    storage_options : mapping, optional
        fsspec's options for the files that hold the data, kept with the asset.

    Returns
    -------
    pystac.Item
        With the fields of the datacube extension (2.2.0) and, for what has a grid mapping, of the
        projection extension (1.2.0). The asset ``references`` is the set as xpystac opens it: by
        kerchunk's engine, where it lies behind HTTP, stock readers can read it and the root is
        opened; else by that of refmaker. The asset ``data`` is the file itself, if that is one
        GeoTIFF.

    Raises
    ------
    MetadataError
        If the set has no times and none are given, `times` end before they start, `bbox` is no
        box, or the group has no arrays.
    MissingDependencyError
        If pystac is not installed, or pyproj, and there is a grid mapping.
    RefmakerError
        If the set cannot be opened.

    Examples
    --------
    >>> refmaker.scan("examples/air.nc").write("air.json")
    >>> item = refmaker.catalog.stac_item("air.json")
    >>> item.id, item.bbox
    ('air', [-110.0, 50.0, -60.0, 75.0])
    >>> item.properties["start_datetime"]
    '2014-10-01T00:00:00Z'
    """
    pystac = _pystac()
    from refmaker.publish.catalog.entry import describe_entry
    from refmaker.reading.open import open_dataset

    where = os.fspath(refs)
    entry = describe_entry(where, where, group=group, storage_options=storage_options)
    inside = entry.group or None
    with open_dataset(where, storage_options=storage_options, chunks=None, group=inside) as data:
        place = footprint(data)
        if bbox is not None:
            place = of_box(bbox, place.projection)
        span = _times(data) if times is None else _in_utc(times)
        if span is None:
            raise MetadataError(
                "an item needs a time, and the set has no coordinate of time",
                url=where,
                hint="say when it was: `times=...`",
            )
        dimensions = cube(data, place)
    # One instant is told as such: those who stack items order them by it.
    when = (
        {"datetime": span[0]}
        if span[0] == span[1]
        else {"start_datetime": span[0], "end_datetime": span[1]}
    )
    item = pystac.Item(
        id=id or entry.name,
        geometry=place.geometry,
        bbox=place.bbox,
        **{"datetime": None, **when},
        properties={**dimensions, **place.projection, **(properties or {})},
        stac_extensions=[
            *([_DATACUBE] if dimensions else []),
            *([_PROJECTION] if place.projection else []),
        ],
    )
    item.add_asset(_ASSET, _asset(entry, href or where))
    if entry.tiff and "proj:shape" in place.projection:
        kind, roles = pystac.MediaType.GEOTIFF, ["data"]
        file = pystac.Asset(entry.tiff, title="File", media_type=kind, roles=roles)
        item.add_asset(_SOURCE, file)
    return item  # type: ignore[no-any-return]  # imported where it is needed, it has no type


def _asset(entry: Entry, href: str) -> Any:
    """Return the asset that xpystac opens."""
    pystac = _pystac()
    fields: dict[str, Any]
    # kerchunk's engine shows any group but the root as empty.
    if entry.stock and not entry.group and href.startswith(("http://", "https://")):
        options: dict[str, Any] = {"remote_protocol": entry.remote_protocol}
        if entry.target_options:
            options["remote_options"] = entry.target_options
        fields = {
            # kerchunk's engine would otherwise make dask arrays, and xarray those of dask.
            "xarray:open_kwargs": {"open_dataset_options": {"chunks": None}},
            "xarray:storage_options": options,
        }
        kind = pystac.MediaType.JSON
    else:
        group = {"group": entry.group} if entry.group else {}
        fields = {"xarray:open_kwargs": {"engine": "refmaker", **group}}
        if entry.remote_options:
            fields["xarray:storage_options"] = dict(entry.remote_options)
        kind = _ZARR
    return pystac.Asset(
        href=href,
        title="Reference set",
        media_type=kind,
        roles=["references", "index", "data"],
        extra_fields=fields,
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

    Examples
    --------
    >>> refmaker.scan("examples/air.nc").write("air.json")
    >>> item = refmaker.catalog.stac_item("air.json")
    >>> months = refmaker.catalog.stac_collection("months", [item], description="Air, by month")
    >>> months.extent.spatial.bboxes
    [[-110.0, 50.0, -60.0, 75.0]]
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


def _in_utc(times: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    from datetime import UTC

    first, last = (
        time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC) for time in times
    )
    if last < first:
        raise MetadataError(f"the times {first} to {last} end before they start")
    return first, last


def _times(data: xr.Dataset) -> tuple[datetime, datetime] | None:
    """Return the first and the last time: of what CF calls time, else of any coordinate."""
    known = [variable for variable in data.coords.values() if variable.dtype.kind == "M"]
    known.sort(key=lambda variable: variable.attrs.get("standard_name") != "time")
    return next((span for span in map(instants, known) if span), None)
