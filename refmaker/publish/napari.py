"""A reader for napari: reference sets, and images that are scanned on the fly, as layers.

``napari.yaml`` beside this module is the manifest that napari finds by the entry point group
``napari.manifest``; nothing here imports napari. Values stay where they are until they are shown:
data are dask arrays, of pyramids one for each level.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, UnknownFormatError, UnsupportedError
from refmaker.model import Group
from refmaker.publish.images import image_layers, pictures
from refmaker.storage.detect import detect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr

    from refmaker.publish.images import ImageLayer, Picture

__all__ = ["layers", "napari_get_reader"]

Layer = tuple[Any, dict[str, Any], str]
"""What napari takes: data, keywords of a layer, the kind of layer."""


def napari_get_reader(path: str | Sequence[str]) -> Callable[[Any], list[Layer]] | None:
    """Return what opens a path as layers, or None if it is neither references nor an image.

    Parameters
    ----------
    path : str or sequence of str
        A reference set, a file that can be scanned, a folder or several files that are one
        object together, such as a series of DICOM.

    Returns
    -------
    callable
        `layers`.
    """
    names = [path] if isinstance(path, str) else list(path)
    try:
        readable = bool(names) and all(map(_is_ours, names))
    except (RefmakerError, OSError, ValueError):
        return None
    return layers if readable else None


def layers(path: str | Sequence[str]) -> list[Layer]:
    """Return the images of a reference set, or of what can be scanned, as layers of napari.

    Colours side by side are one RGB layer; up to 32 other channels are a layer each. The first
    image is shown, the others are there to be switched on.

    Parameters
    ----------
    path : str or sequence of str
        As for `napari_get_reader`.

    Returns
    -------
    list of tuple
        Data (a dask array, or a list of them, largest first), keywords of a layer, and ``image``
        or ``labels``.

    Raises
    ------
    UnsupportedError
        If it has no image: no numbers over rows and columns.
    RefmakerError
        If it cannot be opened.
    """
    import xarray as xr

    from refmaker.reading.open import loaded, open_store
    from refmaker.reading.xarray_store import StoreBackend

    held = loaded(path)
    opened = xr.open_groups(open_store(held), engine=StoreBackend, chunks={})  # type: ignore[arg-type]
    root = held if isinstance(held, Group) else held.group
    found = pictures({name.strip("/"): group for name, group in opened.items()}, root)
    if not found:
        where = path if isinstance(path, str) else path[0]
        raise UnsupportedError("there is no image: no numbers over rows and columns", url=where)
    for picture in found:
        for dim in picture.uneven:
            warnings.warn(
                f"{picture.name}: places along {dim} are not at even distances, but are shown so",
                stacklevel=2,
            )
    images = [picture for picture in found if picture.labels is None]
    shown: list[Layer] = [
        _layer(picture, layer, visible=at == 0)
        for at, picture in enumerate(images)
        for layer in image_layers(picture)
    ]
    return shown + [_label_layer(one, one.labels) for one in found if one.labels is not None]


def _is_ours(name: str) -> bool:
    if os.path.isdir(name):
        return detect(name).kind in ("references", "icechunk") or _holds_dicom(name)
    found = detect(name, format_of=_format)
    return (found.kind == "references" and found.sure) or bool(found.format)


def _holds_dicom(folder: str) -> bool:
    """Whether the first files of a folder are of DICOM; any other folder is left to others."""
    with os.scandir(folder) as entries:
        files = sorted(entry.path for entry in entries if entry.is_file())[:8]
    return any(detect(file, format_of=_format).format == "dicom" for file in files)


def _format(head: bytes, url: str) -> str:
    from refmaker.scanning.protocol import SNIFF_BYTES, choose

    try:
        return choose(head[:SNIFF_BYTES], url).name
    except UnknownFormatError:
        return ""


def _layer(picture: Picture, shown: ImageLayer, *, visible: bool) -> Layer:
    """Return what napari takes for a layer."""
    first = picture.levels[0]
    keywords: dict[str, Any] = {
        "scale": [picture.scale[at] for at in shown.axes],
        "translate": [picture.translate[at] for at in shown.axes],
        "units": [picture.units[at] for at in shown.axes],
        "axis_labels": [str(first.dims[at]) for at in shown.axes],
        "metadata": {"attributes": dict(first.attrs)},
        "name": shown.name,
        "visible": visible,
    }
    if shown.rgb:
        keywords["rgb"] = True
    if shown.channel is not None:
        keywords["blending"] = "additive"
    told = {"colormap": shown.colormap, "contrast_limits": shown.contrast_limits}
    keywords |= {name: value for name, value in told.items() if value is not None}
    return _data(shown.levels), keywords, "image"


def _label_layer(picture: Picture, told: Mapping[str, Any]) -> Layer:
    """Return a label image as a layer: whole numbers, with colours and names where it has some."""
    first = picture.levels[0]
    stored = first.encoding.get("dtype", first.dtype)
    # What no file holds is 0, and was masked.
    whole = [level.fillna(0).astype(stored) for level in picture.levels]
    keywords: dict[str, Any] = {
        "name": picture.name,
        "scale": picture.scale,
        "translate": picture.translate,
        "units": picture.units,
        "axis_labels": [str(dim) for dim in first.dims],
        "metadata": {"attributes": dict(first.attrs)},
        "visible": False,
    }
    colours = {
        int(one["label-value"]): [part / 255 for part in one["rgba"]]
        for one in told.get("colors") or ()
        if "rgba" in one
    }
    if colours:
        clear = [0.0] * 4
        keywords["colormap"] = {None: clear, 0: clear, **colours}
    rows = list(told.get("properties") or ())
    if rows:
        names = list(dict.fromkeys(key for row in rows for key in row if key != "label-value"))
        columns = {name: [row.get(name) for row in rows] for name in names}
        keywords["features"] = {"index": [row["label-value"] for row in rows], **columns}
    return _data(whole), keywords, "labels"


def _data(levels: Sequence[xr.DataArray]) -> Any:
    arrays = [level.data for level in levels]
    return arrays if len(arrays) > 1 else arrays[0]
