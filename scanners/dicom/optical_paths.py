"""Optical paths of slides: what light each channel was taken with, and its colour profile.

Implements the Optical Path Module (PS3.3, C.8.12.5) and ICC Profile (C.11.15). Identifiers are
short texts of a writer's choice: they are written if they look like codes. Descriptions are not.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.codes import code_text
from refmaker.scanners.dicom.metadata import presentable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.values import Dataset

__all__ = ["colour_profile", "optical_paths"]

PATH_SEQUENCE, IDENTIFIER = 0x00480105, 0x00480106
ICC_PROFILE, COLOR_SPACE = 0x00282000, 0x00282002
_WAVELENGTH, _ILLUMINATION, _COLOR = 0x00220055, 0x00220016, 0x00480108
_HEADER, _SIGNATURE = 128, b"acsp"
"""Bytes of the header of an ICC profile, and what stands at 36 of them (ICC.1, 7.2)."""


def optical_paths(
    header: Header, identifiers: Sequence[str], dimension: str | None
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return what is known of the optical paths of an image.

    Parameters
    ----------
    header : Header
        The instance.
    identifiers : sequence of str
        Optical Path Identifier of each channel, in their order.
    dimension : str or None
        Name of the dimension of channels, None if there is but one.

    Returns
    -------
    dict of str to Array
        Along the channels: ``optical_path`` (identifiers), ``illumination_wavelength`` (nm),
        ``illumination_type`` and ``illumination_color`` (codes such as ``DCM:111744``), those
        that any path has.
    dict of str to object
        The same as attributes where there is but one channel.
    """
    try:
        known = {item.text(IDENTIFIER): item for item in header.items(PATH_SEQUENCE)}
        rows = [_described(known.get(name), name) for name in identifiers]
    except FormatError:
        # What a channel is, is no reason to lose it.
        return {}, {}
    arrays: dict[str, Array] = {}
    attributes: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        if all(value is None or value == "" for value in values):
            continue
        if dimension is None:
            attributes[name] = values[0]
        elif name == "illumination_wavelength":
            lengths = np.array(values, np.float64)
            arrays[name] = inline_array(lengths, (dimension,), {"units": "nm"})
        else:
            arrays[name] = inline_array(np.array(values), (dimension,))
    return arrays, attributes


def _described(item: Dataset | None, identifier: str) -> dict[str, Any]:
    shown = identifier if presentable(identifier) else ""
    return {
        "optical_path": shown,
        "illumination_wavelength": None if item is None else item.number(_WAVELENGTH),
        "illumination_type": "" if item is None else _code(item, _ILLUMINATION),
        "illumination_color": "" if item is None else _code(item, _COLOR),
    }


def _code(item: Dataset, tag: int) -> str:
    return next(map(code_text, item.items(tag)), "")


def colour_profile(header: Header) -> dict[str, Any]:
    """Return what is said of the colour of pixels: of an instance, or of its first optical path.

    Returns
    -------
    dict
        ``icc_profile``: the model, such as ``RGB``, and the length of the profile, which is not
        applied; ``color_space``, such as ``SRGB``. Empty for grey images.
    """
    holders: list[Dataset] = [header]
    with contextlib.suppress(FormatError):
        holders += header.items(PATH_SEQUENCE)[:1]
    found: dict[str, Any] = {}
    for holder in holders:
        raw = holder.raw(ICC_PROFILE) or b""
        if len(raw) >= _HEADER and raw[36:40] == _SIGNATURE and "icc_profile" not in found:
            model = raw[16:20].decode("latin-1").strip()
            told = model if presentable(model) and model else "unknown"
            found["icc_profile"] = f"{told}, {len(raw)} bytes, not applied"
        space = holder.text(COLOR_SPACE)
        if space and presentable(space):
            found.setdefault("color_space", space)
    return found
