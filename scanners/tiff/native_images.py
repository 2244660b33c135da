"""Images as tifffile, or a second reading of a file's own metadata, lays them out.

The oracle's side of the mapping from planes to pages: nothing here knows what the scanner made
of the file, but for the names of dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.image_model import axis_names
from refmaker.scanners.tiff.tifffile_series import shape_and_axes

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.model import Array

__all__ = ["NativeImage", "PlainPlanes", "of_series"]


@dataclass(frozen=True, slots=True)
class PlainPlanes:
    """Uncompressed planes behind each other, of which only the first may have a page.

    Parameters
    ----------
    handle : tifffile.FileHandle
        The file.
    offset : int
        First byte of the first plane.
    dtype : numpy.dtype
        Of the elements, in file byte order.
    shape : tuple of int
        Of a plane as it is stored, samples included.
    """

    handle: Any
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NativeImage:
    """One image at one resolution.

    Parameters
    ----------
    names, sizes : tuple
        The leading dimensions, slowest first, those of extent 1 included.
    keyframe : tifffile.TiffPage
        A page like all others.
    page : callable
        Returns the page of a plane, counted in C order of `sizes`; None if there is none.
    plain : PlainPlanes, optional
        Where planes lie that have no pages of their own.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    keyframe: Any
    page: Callable[[int], Any]
    plain: PlainPlanes | None = None

    @property
    def samples(self) -> int:
        """Samples of a pixel."""
        return int(self.keyframe.samplesperpixel)

    def fits(self, array: Array) -> bool:
        """Tell whether an array can be of this image: same dimensions, same extents."""
        names = array.dimension_names or ()
        if not {"y", "x"} <= set(names):
            return False
        rows, columns = (array.shape[names.index(name)] for name in "yx")
        page = int(self.keyframe.imagelength), int(self.keyframe.imagewidth)
        # Padding at the edges of slides is no part of the image.
        if rows > page[0] or columns > page[1]:
            return False
        extents = {
            name: extent
            for name, extent in zip(names, array.shape, strict=True)
            if name not in "yx" and extent != 1
        }
        own = {name: size for name, size in zip(self.names, self.sizes, strict=True) if size > 1}
        if self.samples > 1:
            merged = "c" in own and extents.get("c") == own["c"] * self.samples
            if merged:
                own["c"] *= self.samples
            else:
                sample = next((one for one in ("s", "band", "c") if one in extents), "s")
                if extents.pop(sample, 0) != self.samples:
                    return False
        if extents == own:
            return True
        # Dimensions may be called otherwise, if their order is the same.
        return list(extents.values()) == list(own.values()) and not set(extents) & set(own)

    def place(
        self, names: tuple[str, ...], shape: tuple[int, ...], at: tuple[int, ...]
    ) -> tuple[int, int | None]:
        """Return which plane and which sample a place of the leading dimensions means.

        Parameters
        ----------
        names, shape : tuple
            Leading dimensions of the array and their extents, samples among them.

        Returns
        -------
        plane : int
            In C order of `sizes`.
        sample : int or None
            None where pixels have but one.
        """
        index = dict(zip(names, at, strict=True))
        sample = None
        rest = [name for name in names if name not in self.names]
        if self.samples > 1:
            own = dict(zip(self.names, self.sizes, strict=True))
            if own.get("c", 1) > 1 and shape[names.index("c")] == own["c"] * self.samples:
                index["c"], sample = divmod(index["c"], self.samples)
            else:
                name = next(
                    one
                    for one in (*rest, *names)
                    if shape[names.index(one)] == self.samples and one in ("s", "band", "c")
                )
                sample = index.pop(name)
                rest = [one for one in rest if one != name]
        spare = iter(index[name] for name in rest)
        plane = [
            0 if size == 1 else index[name] if name in index else next(spare)
            for name, size in zip(self.names, self.sizes, strict=True)
        ]
        number = int(np.ravel_multi_index(plane, self.sizes)) if plane else 0
        return number, sample


def of_series(level: Any) -> NativeImage | None:
    """Return a level of a series of tifffile's; None if pages are not its planes."""
    shape, letters = shape_and_axes(level)
    inner = len(letters)
    while inner and letters[inner - 1] in "YXS":
        inner -= 1
    sizes, keyframe = shape[:inner], level.keyframe
    if math.prod(shape[inner:]) != math.prod(keyframe.shape):
        return None
    names = axis_names(letters[:inner])
    held = level._pages  # noqa: SLF001 - without frames that are made up
    if len(held) == 1 and math.prod(sizes) > 1 and level.dataoffset is not None:
        dtype = np.dtype(f"{level.parent.byteorder}{level.dtype.char}")
        stored = tuple(int(extent) for extent in keyframe.shape)
        plain = PlainPlanes(level.parent.filehandle, int(level.dataoffset), dtype, stored)
        return NativeImage(names, sizes, keyframe, lambda _: None, plain)

    def page(number: int) -> Any:
        return level._getitem(number) if len(held) == 1 else held[number]  # noqa: SLF001 - see above

    if len(held) not in (1, math.prod(sizes)):
        return None
    return NativeImage(names, sizes, keyframe, page)
