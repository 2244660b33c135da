"""The values of the tags of all pages, as columns: of one file, or of several.

A *page* is an image file directory (IFD), wherever it hangs: in the main chain or below
another page (SubIFDs). Pages are numbered from 0: first the main chain in its order, then
those below others. Nothing here interprets what the tags say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff import tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.tiff.directory import Directory

__all__ = ["PageColumns", "broadcast_constant"]

_DEFAULTS = {
    "width": (tags.WIDTH, 0),
    "length": (tags.LENGTH, 0),
    "samples": (tags.SAMPLES, 1),
    "bits": (tags.BITS, 1),
    "sample_format": (tags.SAMPLE_FORMAT, 1),
    "compression": (tags.COMPRESSION, 1),
    "predictor": (tags.PREDICTOR, 1),
    "photometric": (tags.PHOTOMETRIC, 0),
    "planar": (tags.PLANAR, 1),
    "fill_order": (tags.FILL_ORDER, 1),
    "orientation": (tags.ORIENTATION, 1),
}
_BROKEN = -2
"""In columns where a tag is there, but no number; nothing is taken for it."""
_WHOLE = 2**32 - 1


class PageColumns:
    """The pages of one file, or of several.

    Attributes
    ----------
    urls : tuple of str
        The files.
    sources : tuple of Source
        The same, to be read.
    byteorder : {"<", ">"}
        Of the first file.
    file : ndarray of int32, shape (n,)
        Position of each page's file in `urls`.
    main : ndarray of int64
        The pages of the main chains, in file order; of a single file 0, 1, 2, ...
    parent : ndarray of int64, shape (n,)
        The page below which each hangs; -1 for those of the main chain.
    offset : ndarray of int64, shape (n,)
        First byte of each directory.
    width, length, samples, bits, sample_format, compression, predictor, photometric, planar, \
    fill_order, orientation, subfile : ndarray of int64, shape (n,)
        The values of the baseline tags, the specification's default where a page has none; bits
        and sample_format are 0 where the samples of a page differ. `subfile` is NewSubfileType,
        or what the old SubfileType says in its terms: bit 0 reduced resolution, bit 1 page of
        many, bit 2 mask.
    tiled : ndarray of bool, shape (n,)
        Whether the page is stored in tiles, not in strips.
    tile_width, tile_length : ndarray of int64, shape (n,)
        Pixels of a tile; of a strip its width and RowsPerStrip, at most the page's length.

    Notes
    -----
    ``len(pages)`` is the number of pages. Tags are known by their code; values that lie outside
    of a directory are read when asked for. Text is a str, numbers of one value are int or float,
    several are an ndarray, rationals are float (ndarray of float64 if several), UNDEFINED and
    BYTE with more than one value are bytes.
    """

    width: NDArray[np.int64]
    length: NDArray[np.int64]
    samples: NDArray[np.int64]
    bits: NDArray[np.int64]
    sample_format: NDArray[np.int64]
    compression: NDArray[np.int64]
    predictor: NDArray[np.int64]
    photometric: NDArray[np.int64]
    planar: NDArray[np.int64]
    fill_order: NDArray[np.int64]
    orientation: NDArray[np.int64]

    def __init__(self, directories: Sequence[Directory]) -> None:
        self.directories = tuple(directories)
        self.sources: tuple[Source, ...] = tuple(part.source for part in directories)
        self.urls = tuple(source.url for source in self.sources)
        self.byteorder = directories[0].form.byteorder
        sizes = [len(part) for part in directories]
        self.first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.file = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self.offset = np.concatenate([part.offset for part in directories])
        self.main = np.concatenate(
            [
                np.arange(part.main) + start
                for part, start in zip(directories, self.first, strict=False)
            ]
        ).astype(np.int64)
        self.parent = np.concatenate(
            [
                np.where(part.parent >= 0, part.parent + start, -1)
                for part, start in zip(directories, self.first, strict=False)
            ]
        )
        for name, (code, default) in _DEFAULTS.items():
            setattr(self, name, self.column(code, default, _BROKEN))
        self._correct()
        for name in (*_DEFAULTS, "subfile", "tiled", "tile_width", "tile_length"):
            setattr(self, name, broadcast_constant(getattr(self, name)))

    def _correct(self) -> None:
        """Bring columns into the form that the class promises."""
        self.subfile = self.column(tags.NEW_SUBFILE_TYPE, 0)
        old = self.column(tags.SUBFILE_TYPE, 0)
        says = np.where(old == 2, 1, np.where(old == 3, 2, 0))
        self.subfile = np.where(self.subfile == 0, says, self.subfile)
        for code, column in ((tags.BITS, self.bits), (tags.SAMPLE_FORMAT, self.sample_format)):
            self._level(code, column)
        self.tiled = (self.column(tags.TILE_WIDTH, 0) > 0) & (self.column(tags.TILE_LENGTH, 0) > 0)
        rows = self.column(tags.ROWS_PER_STRIP, _WHOLE)
        rows = np.minimum(np.where(rows <= 0, _WHOLE, rows), np.maximum(self.length, 1))
        self.tile_width = np.where(self.tiled, self.column(tags.TILE_WIDTH, 0), self.width)
        self.tile_length = np.where(self.tiled, self.column(tags.TILE_LENGTH, 0), rows)

    def _level(self, code: int, column: NDArray[np.int64]) -> None:
        """Set 0 where the samples of a page differ in what should be one number for all."""
        several = np.flatnonzero((self.samples > 1) & self.has(code))
        for part, start, stop in zip(
            self.directories, self.first[:-1], self.first[1:], strict=True
        ):
            mine = several[(several >= start) & (several < stop)]
            _, count, kind = part.place(code, mine - start)
            pairs = np.stack([count, kind], 1)[count > 1]
            # With an index, numpy does not load masked arrays for this.
            for exact, form in np.unique(pairs, return_index=True, axis=0)[0]:
                there = mine[(count == exact) & (kind == form)]
                values = part.stacked(code, there - start)
                if values is None:
                    column[there] = 0
                    continue
                # Some writers list more of them than there are samples.
                excess = np.arange(int(exact)) >= self.samples[there][:, None]
                column[there[((values != values[:, :1]) & ~excess).any(axis=1)]] = 0

    def __len__(self) -> int:
        return int(self.first[-1])

    def _at(self, page: int) -> tuple[Directory, int]:
        file = int(self.file[page])
        return self.directories[file], page - int(self.first[file])

    def path(self, page: int) -> str:
        """Return what a page is called in reports: ``/page/7``, or ``/page/7/2``."""
        parent = int(self.parent[page])
        if parent < 0:
            return f"/page/{self._at(page)[1]}"
        return f"{self.path(parent)}/{int(np.flatnonzero(self.children(parent) == page)[0])}"

    def children(self, page: int) -> NDArray[np.int64]:
        """Return the pages directly below one, in the order of its SubIFDs tag."""
        return np.flatnonzero(self.parent == page)

    def column(self, code: int, default: int = -1, broken: int | None = None) -> NDArray[np.int64]:
        """Return the first value of an integer tag for every page, shape (n,).

        Where a page does not have it `default`, where its value cannot be read `broken`.
        """
        return np.concatenate([part.column(code, default, broken) for part in self.directories])

    def has(self, code: int) -> NDArray[np.bool_]:
        """Return for every page whether it has a tag, shape (n,)."""
        return np.concatenate([part.has(code) for part in self.directories])

    def tag(self, page: int, code: int, default: Any = None) -> Any:
        """Return the value of a page's tag; `default` where it has none or it cannot be read."""
        part, number = self._at(page)
        value = part.value(number, code)
        return default if value is None else value

    def integers(self, page: int, code: int, most: int = 2**16) -> tuple[int, ...]:
        """Return the first integers of a page's tag; none where it has no such."""
        value = self.tag(page, code)
        if isinstance(value, bytes):
            return tuple(value[:most])
        if isinstance(value, int) or (isinstance(value, np.ndarray) and value.dtype.kind in "iu"):
            return tuple(np.atleast_1d(value).reshape(-1)[:most].tolist())
        return ()

    def text(self, page: int, code: int = tags.DESCRIPTION) -> str:
        """Return a text tag, by default ImageDescription; ``""`` where there is none."""
        value = self.tag(page, code, "")
        if isinstance(value, bytes):
            value = value.rstrip(b"\0").decode("utf-8", "replace")
        return value if isinstance(value, str) else ""

    def tags(self, page: int) -> Mapping[int, Any]:
        """Return all of a page's tags by code, without those that say where the data lie."""
        part, number = self._at(page)
        codes = [int(code) for code in part.codes(number) if int(code) not in tags.PLACES]
        return {code: part.value(number, code) for code in codes}

    def varying(self, numbers: NDArray[np.int64]) -> list[int]:
        """Return the codes of tags that differ between some pages.

        Those that say where the data lie are left out, and those that not all pages have count
        as different. Pages of different files are not compared with one another.
        """
        numbers = np.asarray(numbers, np.int64)
        found: set[int] = set()
        for i, part in enumerate(self.directories):
            mine = numbers[self.file[numbers] == i] - self.first[i]
            if mine.size:
                found.update(part.differing(mine, tags.PLACES))
        return sorted(found)

    def values(self, code: int, numbers: NDArray[np.int64]) -> list[Any]:
        """Return one tag's value for many pages, read together; None where a page has none."""
        numbers = np.asarray(numbers, np.int64)
        found: list[Any] = [None] * numbers.size
        for i, part in enumerate(self.directories):
            mine = np.flatnonzero(self.file[numbers] == i)
            if mine.size:
                values = part.values(code, numbers[mine] - self.first[i])
                for at, value in zip(mine.tolist(), values, strict=True):
                    found[at] = value
        return found

    def shape(self, page: int) -> tuple[int, ...]:
        """Return a page's shape: (length, width), and the samples last if there are several.

        Whatever the planar configuration: `image_array` puts the samples where they are wanted.
        """
        samples = int(self.samples[page])
        plane = (int(self.length[page]), int(self.width[page]))
        return (*plane, samples) if samples > 1 else plane


def broadcast_constant(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column that takes no memory where all its values are equal."""
    if column.size and bool((column == column[0]).all()):
        return np.broadcast_to(column[0].copy(), column.shape)
    return column
