"""Zarr reads chunks of different lengths once it is told to.

zarr 3.2 and later have the chunk grid ``rectilinear`` (zarr-extensions) behind a setting, which
counts when a document is parsed, and for the whole process.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from refmaker.errors import MissingDependencyError

if TYPE_CHECKING:
    from refmaker.model import Group

__all__ = ["SETTING", "allow_rectilinear", "uneven_note"]

SETTING = "array.rectilinear_chunks"
"""zarr's setting; the environment variable is ``ZARR_ARRAY__RECTILINEAR_CHUNKS``."""


def allow_rectilinear(url: str | None = None) -> None:
    """Have zarr read chunks of different lengths from now on.

    Parameters
    ----------
    url : str, optional
        What is to be read, for the message.

    Raises
    ------
    MissingDependencyError
        If this zarr has no such chunks.
    """
    import zarr

    if zarr.config.get(SETTING, None) is None:
        raise MissingDependencyError(
            f"chunks of different lengths need zarr 3.2 or later, here is {version('zarr')}",
            url=url,
            hint="with Python 3.12 or later, pip install 'zarr>=3.2'",
        )
    if not zarr.config.get(SETTING):
        zarr.config.set({SETTING: True})


def uneven_note(group: Group) -> str | None:
    """Return in one line what has chunks of different lengths, and who reads that.

    Returns
    -------
    str or None
        None where all chunks are of one length.
    """
    named: dict[str, list[str]] = {}
    padded = []
    for path, array in group.arrays():
        edges = array.edges or ()
        names = array.dimension_names or tuple(f"dimension {k}" for k in range(len(edges)))
        along = ", ".join(name for name, one in zip(names, edges, strict=False) if one is not None)
        if along:
            named.setdefault(along, []).append(path)
        if any(one is not None and one.padded for one in edges):
            padded.append(path)
    if not named:
        return None
    what = "; ".join(f"along {along} ({_some(paths)})" for along, paths in named.items())
    note = (
        f"chunks have different lengths {what}: that is Zarr version 3, which refmaker reads, and"
        f" zarr 3.2 or later and xarray with the setting {SETTING}"
    )
    if padded:
        note += f", where refmaker is installed (padded chunks: {_some(padded)})"
    return note


def _some(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
