"""What is in a reference set of a FITS file, for people: a row for every image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model import Array, Group
from refmaker.scanners.fits.hdus import DATA

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["summary"]

_MAX_AXES = 99


def summary(root: Group) -> list[dict[str, Any]]:
    """Return a row for every unit with an image.

    Parameters
    ----------
    root : Group
        What a scan returned, or what was read of a written set.

    Returns
    -------
    list of dict
        ``unit``, ``object``, ``values`` (their unit), ``axes`` (CTYPE and CUNIT, NAXIS1 first)
        and ``frame`` (the celestial reference system).
    """
    rows = []
    for name, group in _groups(root):
        image = group.members.get(DATA)
        if not isinstance(image, Array):
            continue
        said = dict(root.attributes) | dict(group.attributes)
        rows.append(
            {
                "unit": name,
                "object": _text(said, "OBJECT"),
                "values": _text(dict(image.attributes), "units"),
                "axes": ", ".join(_axes(group.attributes, len(image.shape))),
                "frame": _frame(said),
            }
        )
    return rows


def _groups(root: Group) -> Iterator[tuple[str, Group]]:
    yield "/", root
    for name, member in root.members.items():
        if isinstance(member, Group):
            yield name, member


def _text(attributes: Any, name: str) -> str:
    value = attributes.get(name)
    return value.strip() if isinstance(value, str) else ""


def _axes(attributes: Any, rank: int) -> Iterator[str]:
    """Yield what each axis is, as far as the header says."""
    for axis in range(1, min(rank, _MAX_AXES) + 1):
        kind, unit = _text(attributes, f"CTYPE{axis}"), _text(attributes, f"CUNIT{axis}")
        if kind or unit:
            yield " ".join(filter(None, (kind, f"[{unit}]" if unit else "")))


def _frame(attributes: Any) -> str:
    """Return the celestial reference system, with its equinox."""
    system = _text(attributes, "RADESYS") or _text(attributes, "RADECSYS")
    equinox = attributes.get("EQUINOX")
    if not isinstance(equinox, int | float) or isinstance(equinox, bool):
        return system
    return f"{system} {equinox:g}".strip()
