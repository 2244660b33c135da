"""What tifffile says of a series of pages, in whatever release."""

from __future__ import annotations

from typing import Any

__all__ = ["shape_and_axes"]


def shape_and_axes(series: Any) -> tuple[tuple[int, ...], str]:
    """Return a series' shape and the letters of its axes, those of extent 1 included.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        Of any release: since 2026.5 nothing is left out unless asked for.
    """
    if hasattr(series, "get_shape"):
        shape, axes = series.get_shape(squeeze=False), series.get_axes(squeeze=False)
    else:
        shape, axes = series.shape, series.axes
    return tuple(int(extent) for extent in shape), str(axes)
