"""The grid definition of a GRIB message, whatever edition it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GridDefinition"]


@dataclass(frozen=True, slots=True, eq=False)
class GridDefinition:
    """A grid definition, whatever edition it comes from.

    Parameters
    ----------
    kind : str
        ecCodes' name of the grid type, or ``template_N``, ``type_N``.
    edition : {1, 2}
        Edition of the section.
    template : int
        Template 3.x, or data representation type.
    columns, rows : int
        Points along x and y; 0 where there is no rectangle.
    points : int
        All points.
    row_lengths : ndarray of int64 or None
        Points of each row of a reduced grid.
    scanning : int
        Scanning mode (flag table 3.4).
    flags : int
        Resolution and component flags (flag table 3.3).
    axes : tuple of float
        Semi-major and semi-minor axis of the earth in metres; equal for a sphere, 0 where
        they are not known.
    values : mapping of str to float
        What else describes the grid: angles in degrees, lengths in metres. Names are those of
        the specification: ``La1``, ``Lo1``, ``La2``, ``Lo2``, ``Di``, ``Dj``, ``LaD``, ``LoV``,
        ``Latin1`` and so on.
    """

    kind: str
    edition: int
    template: int
    columns: int
    rows: int
    points: int
    row_lengths: NDArray[np.int64] | None
    scanning: int
    flags: int
    axes: tuple[float, float]
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns), or (points,) where there is no rectangle."""
        return (self.rows, self.columns) if self.columns else (self.points,)
