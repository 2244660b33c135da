"""How slices lie in the pictures of a mosaic."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mosaic"]


@dataclass(frozen=True, slots=True)
class Mosaic:
    """How slices lie in a picture.

    Parameters
    ----------
    across : int
        Tiles beside one another, and as many below one another.
    count : int
        How many of them are slices.
    normal : tuple of float or None
        From one slice to the next, unit length, LPS; None where the file does not say. It need
        not be the cross product of rows and columns, but may be its opposite.
    step : float or None
        Millimetres between two slices.
    """

    across: int
    count: int
    normal: tuple[float, ...] | None
    step: float | None
