"""What the pages of a file mean together: images with axes, levels and channels.

Parsers of the various flavours make these values; `refmaker.scanners.tiff.hierarchy` turns
them into groups and arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.geo import Georeference

__all__ = ["AXIS_NAMES", "Axis", "Channel", "Image", "Level", "Position", "axis_names"]

AXIS_NAMES = {
    "T": "t", "C": "c", "Z": "z", "Y": "y", "X": "x", "S": "s", "I": "page", "A": "angle",
    "P": "phase", "R": "tile", "H": "lifetime", "E": "lambda", "L": "exposure", "V": "event",
    "M": "mosaic", "Q": "other", "J": "column", "K": "row", "B": "barcode",
}  # fmt: skip
"""Names of dimensions for the letters that OME, ImageJ and tifffile use."""


def axis_names(letters: Sequence[str]) -> tuple[str, ...]:
    """Return one distinct name for each axis letter."""
    names: list[str] = []
    for letter in letters:
        name = AXIS_NAMES.get(letter, "other")
        names.append(name if name not in names else f"{name}_{names.count(name) + len(names)}")
    return tuple(names)


class Axis(NamedTuple):
    """One dimension of an image.

    Parameters
    ----------
    name : str
        As in ``_ARRAY_DIMENSIONS``.
    size : int
        Its extent; of y and x 0, as the pages say theirs.
    scale : float, optional
        Distance of neighbours, in `unit`.
    unit : str, optional
        Full name, as UDUNITS and NGFF have it.
    labels : tuple of str
        One for each place; empty if there are none.
    values : tuple of float
        Coordinates where they are not a multiple of `scale`.
    """

    name: str
    size: int = 0
    scale: float | None = None
    unit: str | None = None
    labels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()


class Channel(NamedTuple):
    """How a channel is called and shown.

    Parameters
    ----------
    label : str
        Its name.
    color : str, optional
        ``RRGGBB``.
    window : tuple of float, optional
        Values shown as black and as full colour.
    """

    label: str = ""
    color: str | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A quantity that each plane has a value of, such as the time since the start.

    Parameters
    ----------
    name : str
        Of the array.
    values : ndarray of float64
        Over the leading axes of the image as the file orders them; NaN where unknown.
    unit : str, optional
        Full name.
    """

    name: str
    values: NDArray[np.float64]
    unit: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One resolution of an image.

    Parameters
    ----------
    numbers : ndarray of int64
        Pages over the leading axes of the image, in their shape; -1 where there is none. Of a
        stacked image the planes, counted from the first.
    mask : int
        The page that is this level's transparency mask; -1 if there is none.
    extent : tuple of int, optional
        Rows and columns that count, where pages are padded beyond them.
    """

    numbers: NDArray[np.int64]
    mask: int = -1
    extent: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One image of a file, at all its resolutions.

    Parameters
    ----------
    flavour : str
        Who wrote it so: ``"ome"``, ``"imagej"``, ``"shaped"``, ``"geo"``, ``"generic"``, ...
    axes : tuple of Axis
        The leading dimensions, slowest first; y, x and samples are of the pages.
    levels : tuple of Level
        Largest first.
    name : str
        What the file calls it.
    pixels : tuple of Axis
        y and x.
    channels : tuple of Channel
        One for each channel, or sample of a channel.
    role : str
        ``"label"``, ``"macro"``, ``"thumbnail"``, ... of images that go with another one.
    stacked : bool
        All planes lie behind each other where the file's first page has its data.
    positions : tuple of Position
        What planes have values of.
    attributes : mapping
        More that the file says of it; JSON values.
    geo : Georeference, optional
        Where on Earth it is.
    fill_value : float or int, optional
        Declared value of missing data.
    """

    flavour: str
    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    name: str = ""
    pixels: tuple[Axis, Axis] = (Axis("y"), Axis("x"))
    channels: tuple[Channel, ...] = ()
    role: str = ""
    stacked: bool = False
    positions: tuple[Position, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    geo: Georeference | None = None
    fill_value: Any = None

    @property
    def extents(self) -> tuple[int, ...]:
        """Extents of the leading axes."""
        return tuple(axis.size for axis in self.axes)

    @property
    def first(self) -> int:
        """The first page of the base level; -1 if all are missing."""
        if self.stacked:
            return 0
        numbers = self.levels[0].numbers
        found = numbers[numbers >= 0]
        return int(found[0]) if found.size else -1

    def squeezed(self) -> Image:
        """Return the image without leading axes of extent 1."""
        return self._kept([at for at, axis in enumerate(self.axes) if axis.size != 1])

    def ordered(self, rank: Mapping[str, int], other: int) -> Image:
        """Return the image with its leading axes in another order.

        Parameters
        ----------
        rank : mapping of str to int
            Ascending with the place that axes of a name take.
        other : int
            The rank of all others, which keep their order among themselves.
        """
        places = range(len(self.axes))
        return self._kept(sorted(places, key=lambda at: rank.get(self.axes[at].name, other)))

    def _kept(self, order: list[int]) -> Image:
        if order == list(range(len(self.axes))):
            return self
        dropped = [at for at in range(len(self.axes)) if at not in order]

        def moved(values: NDArray[Any]) -> NDArray[Any]:
            shape = tuple(self.axes[at].size for at in order)
            return np.transpose(values, [*dropped, *order]).reshape(shape)

        return replace(
            self,
            axes=tuple(self.axes[at] for at in order),
            levels=tuple(
                replace(level, numbers=moved(level.numbers.reshape(self.extents)))
                for level in self.levels
            ),
            positions=tuple(replace(one, values=moved(one.values)) for one in self.positions),
        )
