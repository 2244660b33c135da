"""Pages known by where the chunks of an array lie, for images that nobody lays out.

That a stack's pages follow one another as in the file is looked at; what each page holds is the
word of its own tags and of its decoder.
"""

from __future__ import annotations

import itertools
import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Reference
from refmaker.scanners.tiff.native_images import NativeImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.model import Array
    from refmaker.scanners.tiff.native_files import NativeFiles

__all__ = ["image_by_place"]

log = logging.getLogger("refmaker.scanners")

_SAMPLES = ("s", "band")


def image_by_place(files: NativeFiles, array: Array) -> NativeImage | None:
    """Return the image that an array is, by the pages that its chunks lie in.

    Parameters
    ----------
    array : Array
        Where its chunks lie counts, but not what the scanner takes them for.

    Returns
    -------
    NativeImage or None
        None if pages do not follow one another as in the file, or cannot be told.
    """
    names = array.dimension_names or ()
    if not {"y", "x"} <= set(names):
        return None
    axes = [at for at, name in enumerate(names) if name not in ("y", "x", *_SAMPLES)]
    pages = _Pages(files)
    for merged in (False, True):
        lead = [at for at in axes if not (merged and names[at] == "c")]
        sizes = tuple(array.shape[at] for at in lead)
        found = [_page(pages, array, lead, at) for at in np.ndindex(*sizes)]
        there = [one for one in found if one is not None]
        if not there or (math.prod(sizes) > 1 and not _ascending(there)):
            continue
        names_of = tuple(names[at] for at in lead)
        image = NativeImage(names_of, sizes, there[0], found.__getitem__)
        if image.fits(array):
            return image
    return None


def _ascending(pages: list[Any]) -> bool:
    """Tell whether pages of one file follow one another as in the file."""
    numbers = [page.index if isinstance(page.index, tuple) else (page.index,) for page in pages]
    one = all(page.parent is pages[0].parent for page in pages)
    return one and all(a < b for a, b in itertools.pairwise(numbers))


def _page(pages: _Pages, array: Array, lead: list[int], at: tuple[int, ...]) -> Any:
    """Return the page that a plane's chunks lie in; None if it has none, or they are inlined."""
    grid = array.chunks.grid
    place = [0] * len(grid)
    inner = 0
    for axis, index in zip(lead, at, strict=True):
        place[axis], rest = divmod(index, array.chunk_shape[axis])
        inner += rest * math.prod(array.chunk_shape[axis + 1 :])
    others = [axis for axis in range(len(grid)) if axis not in lead]
    for spare in np.ndindex(*(min(grid[axis], 8) for axis in others)):
        for axis, index in zip(others, spare, strict=True):
            place[axis] = index
        found = array.chunks.get(tuple(place))
        if isinstance(found, Reference):
            return pages.at(found.url, found.offset + inner * array.dtype.itemsize)
    return None


class _Pages:
    """All pages of some files by where their data lie."""

    def __init__(self, files: NativeFiles) -> None:
        self._files = files
        self._known: dict[str, tuple[Any, list[int], list[Any]]] = {}

    def at(self, url: str, offset: int) -> Any:
        """Return the page whose data have a byte of a file; None if none has."""
        if url not in self._known:
            file = self._files.by_url(url)
            found = [] if file is None else sorted(_segments(file), key=lambda one: one[:2])
            starts = np.array([one[0] for one in found], np.int64)
            self._known[url] = starts, [one[1] for one in found], [one[2] for one in found]
        starts, ends, pages = self._known[url]
        last = int(np.searchsorted(starts, offset, side="right")) - 1
        return pages[last] if last >= 0 and offset < max(ends[last], starts[last] + 1) else None


def _segments(file: Any) -> Iterator[tuple[int, int, Any]]:
    for page in _all_pages(file):
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            if offset > 0:
                needed = page.nbytes if page.compression == 1 and len(page.dataoffsets) == 1 else 0
                yield int(offset), int(offset) + max(int(count), int(needed)), page


def _all_pages(file: Any) -> Iterator[Any]:
    from tifffile import TiffPage

    for number in range(len(file.pages)):
        try:
            file.pages.useframes = False
            page = file.pages[number]
            todo: list[tuple[Any, tuple[int, ...]]] = [(page, (number,))]
            while todo:
                page, index = todo.pop()
                yield page
                for below, offset in enumerate(getattr(page, "subifds", None) or ()):
                    file.filehandle.seek(offset)
                    todo.append((TiffPage(file, (*index, below)), (*index, below)))
        except Exception as error:  # noqa: BLE001 - a damaged page is none that can be compared
            log.info("tifffile does not read page %d: %s", number, error)
