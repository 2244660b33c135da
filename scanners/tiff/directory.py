"""The directories of a TIFF file, and the values of their tags.

The one module of this package that other scanners may use: files of other formats carry TIFF
directories, too. Implements sections 2 and 8 of TIFF 6.0, BigTIFF, and Technical Note 1
(SubIFDs). Everything is done for all pages at once; what a file claims is compared with its
size before anything is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refmaker.errors import FormatError, LimitError
from refmaker.scanners.tiff.blocks import read_rows
from refmaker.scanners.tiff.declared import is_tiff
from refmaker.scanners.tiff.ifd_chain import read_below, walk
from refmaker.scanners.tiff.ifd_entries import RATIONALS, SIZES, TYPES, Format, layouts
from refmaker.scanners.tiff.raw_directories import RawDirectories, Trouble
from refmaker.scanners.tiff.values import distinct, plain, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.tiff.ifd_entries import IFDEntryColumns

__all__ = ["SUBIFDS", "Directory", "read_directory"]

SUBIFDS = 330
_DEPTH = 8
"""Levels of SubIFDs below SubIFDs that are followed."""
_BLOCK = 1024
"""Bytes of a remote file's cache block; directories lie far from each other, among the data."""
_LAYOUTS = 4096
"""Different structures of directories in one file; real files have a handful."""
_MAGIC: dict[bytes, tuple[Literal["<", ">"], bool]] = {
    b"II*\0": ("<", False), b"MM\0*": (">", False),
    b"II+\0": ("<", True), b"MM\0+": (">", True),
}  # fmt: skip

ValueLocation = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]
"""Of each page the first byte of a tag's values, their number and their type."""


def read_directory(source: Source, *, trust_stride: bool = False) -> Directory:
    """Read all directories of a file: the main chain, and SubIFDs below it.

    Parameters
    ----------
    trust_stride : bool
        Whether directories of a remote file that lie at equal distances and differ regularly may
        be inferred from a sample of them.

    Raises
    ------
    FormatError, TruncatedError
        If the file does not start like TIFF or its first directory cannot be read.
    """
    head = source.read_upto(0, 16)
    if not is_tiff(head):
        raise FormatError("it does not start like a TIFF file", url=source.url, offset=0)
    form = Format(*_MAGIC[head[:4]])
    start = form.integer(head[8:16] if form.big else head[4:8])
    if start == 0:
        raise FormatError("a TIFF file without a directory", url=source.url, offset=0)
    source.sparse(_BLOCK)
    pile = RawDirectories(source, form)
    try:
        walk(pile, start, trust_stride)
        return _with_subifds(source, pile)
    except FormatError as error:
        error.located(url=source.url)
        raise


def _with_subifds(source: Source, pile: RawDirectories) -> Directory:
    found = Directory(source, pile)
    main, first = pile.count, 0
    for _ in range(_DEPTH):
        last = pile.count
        if not bool(found.has(SUBIFDS)[first:].any()):
            break
        wanted = [
            np.atleast_1d(value).astype(np.int64).tolist()
            if isinstance(value, int | np.ndarray)
            else []
            for value in found.values(SUBIFDS, np.arange(first, last))
        ]
        # The pile cannot grow as long as somebody looks at its bytes.
        del found
        read_below(pile, first, wanted)
        found = Directory(source, pile)
        first = last
    found.main = main
    return found


class Directory:
    """The directories of one file, as columns.

    Attributes
    ----------
    source : Source
        The file.
    form : Format
        Byte order, and whether it is BigTIFF.
    main : int
        Number of pages of the main chain, which are numbered first.
    offset, parent : ndarray of int64, shape (n,)
        First byte of each directory; the page it hangs below, or -1.
    troubles : list of Trouble
        Directories that the file names and that cannot be read.
    inferred : int
        How many were not read but inferred from others.
    """

    def __init__(self, source: Source, pile: RawDirectories) -> None:
        self.source = source
        self.form = pile.form
        self.offset = pile.offsets()
        self.parent = pile.parents()
        self.main = pile.count
        self.troubles: list[Trouble] = pile.troubles
        self.inferred = pile.inferred
        self.layouts = [
            layout
            for numbers, rows, size in pile.sorted()
            for layout in layouts(rows, numbers, size, pile.form)
        ]
        if len(self.layouts) > _LAYOUTS:
            raise LimitError(f"directories of {len(self.layouts)} different structures")
        self._layout_of = np.zeros(len(self.offset), np.int64)
        self._row_of = np.zeros(len(self.offset), np.int64)
        for i, layout in enumerate(self.layouts):
            self._layout_of[layout.pages] = i
            self._row_of[layout.pages] = np.arange(layout.pages.size)

    def __len__(self) -> int:
        return int(self.offset.size)

    def codes(self, page: int) -> NDArray[np.uint16]:
        """Return the tags of a page, in file order."""
        return self.layouts[int(self._layout_of[page])].codes

    def has(self, code: int) -> NDArray[np.bool_]:
        """Return for every page whether it has a tag, shape (n,)."""
        found = np.zeros(len(self), bool)
        for layout in self.layouts:
            if layout.find(code) >= 0:
                found[layout.pages] = True
        return found

    def _groups(self, numbers: NDArray[np.int64]) -> Iterator[tuple[IFDEntryColumns, Any, Any]]:
        """Yield each layout among some pages, their positions in `numbers`, their rows in it."""
        which = self._layout_of[numbers]
        if which.size and bool((which == which[0]).all()):
            yield self._group(int(which[0]), numbers, slice(None))
            return
        order = np.argsort(which, kind="stable")
        edges = np.flatnonzero(np.diff(which[order])) + 1
        for part in np.split(order, edges):
            if part.size:
                step = int(part[-1]) - int(part[0]) + 1 == part.size
                where = slice(int(part[0]), int(part[-1]) + 1) if step else part
                yield self._group(int(which[part[0]]), numbers, where)

    def _group(
        self, number: int, numbers: NDArray[np.int64], where: Any
    ) -> tuple[IFDEntryColumns, Any, Any]:
        """Return a layout, the positions of its pages, their rows: a slice if all are asked for."""
        layout, mine = self.layouts[number], numbers[where]
        whole = mine.size == layout.pages.size and np.array_equal(mine, layout.pages)
        return layout, where, slice(None) if whole else self._row_of[mine]

    def place(self, code: int, numbers: NDArray[np.int64]) -> ValueLocation:
        """Return where the values of a tag lie.

        Parameters
        ----------
        numbers : ndarray of int64, shape (m,)
            The pages.

        Returns
        -------
        offset, count, type : ndarray of int64, shape (m,)
            First byte of the values, their number, their field type; -1, 0 and 0 where a page
            does not have the tag.

        Notes
        -----
        What a damaged file claims is passed on: compare with its size before reading.
        """
        offset = np.full(numbers.size, -1, np.int64)
        count, kind = np.zeros((2, numbers.size), np.int64)
        form = self.form
        for layout, where, rows in self._groups(numbers):
            at = layout.find(code)
            if at < 0:
                continue
            kind[where] = layout.types[at]
            # A count beyond any file is one all the same when it is cut.
            n = np.minimum(layout.counts[rows, at], np.uint64(2**40)).astype(np.int64)
            count[where] = n
            raw = np.ascontiguousarray(layout.raw[rows, at])
            away = raw.view(f"{form.byteorder}u{form.word}")[:, 0]
            away = np.minimum(away.astype(np.uint64), np.uint64(2**62)).astype(np.int64)
            here = self.offset[numbers[where]] + (form.lead + at * form.entry + 4 + form.word)
            inside = n * SIZES[layout.types[at]] <= form.word
            offset[where] = np.where(inside, here, away)
        return offset, count, kind

    def column(self, code: int, default: int = -1, broken: int | None = None) -> NDArray[np.int64]:
        """Return the first value of an integer tag for every page, shape (n,).

        Parameters
        ----------
        default : int
            Value for pages that do not have it.
        broken : int, optional
            Value for pages whose tag is no integer or lies outside of the file; `default` if
            not given.
        """
        found = np.full(len(self), default, np.int64)
        form = self.form
        broken = default if broken is None else broken
        for layout in self.layouts:
            at = layout.find(code)
            if at < 0:
                continue
            found[layout.pages] = broken
            dtype = np.dtype(TYPES.get(int(layout.types[at]), "V1")).newbyteorder(form.byteorder)
            if dtype.kind not in "iu" or int(layout.types[at]) in RATIONALS:
                continue
            # Where all are the same, the first speaks for them.
            some = slice(1) if layout.same[at] else slice(None)
            values, there = self._firsts(layout.counts[some, at], layout.raw[some, at], dtype)
            if layout.same[at]:
                found[layout.pages] = values[0] if there[0] else broken
            else:
                found[layout.pages[there]] = values[there]
        return found

    def _firsts(
        self, counts: NDArray[Any], raw: NDArray[np.uint8], dtype: np.dtype[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the first values of entries of one tag, and which of them can be read."""
        size, form = dtype.itemsize, self.form
        inside = (counts.astype(np.float64) * size <= form.word) & (size <= form.word)
        if size <= form.word:
            values = signed(np.ascontiguousarray(raw[:, :size]).view(dtype)[:, 0])
        else:
            values = np.zeros(len(raw), np.int64)
        if bool(inside.all()):
            return values, counts > 0
        far = np.flatnonzero(~inside & (counts > 0))
        away = np.ascontiguousarray(raw[far]).view(f"{form.byteorder}u{form.word}")[:, 0]
        there = away.astype(np.float64) + size <= self.source.size
        blocks = read_rows(self.source, away[there].astype(np.int64), size)
        values[far[there]] = signed(blocks.view(dtype)[:, 0])
        good = inside & (counts > 0)
        good[far[there]] = True
        return values, good

    def stacked(
        self,
        code: int,
        numbers: NDArray[np.int64],
        most: int = 2**40,
        place: ValueLocation | None = None,
    ) -> NDArray[Any] | None:
        """Return the values of a tag that has equally many of one type on all of some pages.

        Parameters
        ----------
        numbers : ndarray of int64, shape (m,)
            The pages.
        most : int
            Values of each page to read at most.
        place : tuple of ndarray, optional
            What `place` says of these pages, where that is known.

        Returns
        -------
        ndarray, shape (m, count)
            The values in the machine's byte order, rationals as pairs along a third dimension;
            None if the pages differ in type or count, or values lie outside of the file.

        Raises
        ------
        LimitError
            If pages share values so much that together they are far larger than the file.
        """
        offset, count, kind = place or self.place(code, numbers)
        if numbers.size == 0 or int(kind[0]) not in TYPES:
            return None
        if bool((count != count[0]).any()) or bool((kind != kind[0]).any()) or count[0] == 0:
            return None
        whole = int(count[0]) * int(SIZES[kind[0]])
        nbytes = min(int(count[0]), most) * int(SIZES[kind[0]])
        if int(offset.max()) + nbytes > self.source.size:
            return None
        if whole <= self.form.word:
            blocks = self._inside(code, numbers)[:, :nbytes]
        else:
            blocks = self._away(numbers, offset, nbytes)
        dtype = np.dtype(TYPES[int(kind[0])]).newbyteorder(self.form.byteorder)
        if dtype.kind != "S":
            values = np.ascontiguousarray(blocks).view(dtype)
            values = values.astype(dtype.newbyteorder("="), copy=False)
        else:
            values = np.ascontiguousarray(blocks)
        if int(kind[0]) in RATIONALS:
            values = values.reshape(len(blocks), -1, 2)
        return values

    def _inside(self, code: int, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the fields of entries that hold their values themselves, shape (m, word)."""
        blocks = np.empty((numbers.size, self.form.word), np.uint8)
        for layout, where, rows in self._groups(numbers):
            blocks[where] = layout.raw[rows, layout.find(code)]
        return blocks

    def _away(
        self, numbers: NDArray[np.int64], offset: NDArray[np.int64], nbytes: int
    ) -> NDArray[np.uint8]:
        """Return values outside of directories, shape (m, nbytes)."""
        blocks = np.empty((numbers.size, nbytes), np.uint8)
        for layout, where, rows in self._groups(numbers):
            behind = offset[where] - self.offset[numbers[where]] - layout.size
            at = int(behind[0])
            near = 0 <= at <= layout.tail.shape[1] - nbytes and bool((behind == at).all())
            blocks[where] = (
                layout.tail[rows, at : at + nbytes]
                if near
                else read_rows(self.source, offset[where], nbytes)
            )
        return blocks

    def differing(
        self, numbers: NDArray[np.int64], without: frozenset[int] = frozenset()
    ) -> list[int]:
        """Return the tags whose values differ between some pages, or that only some have.

        Parameters
        ----------
        numbers : ndarray of int64, shape (m,)
            The pages.
        """
        groups = list(self._groups(numbers))
        first = groups[0][0]
        row = int(self._row_of[numbers[groups[0][1]][0]])
        count, word = first.counts[row], first.words[row]
        constant = np.ones(first.codes.size, bool)
        codes = {int(code) for layout, _, _ in groups for code in layout.codes}
        for layout, _, rows in groups:
            if not np.array_equal(layout.codes, first.codes):
                constant[:] = False
                break
            constant &= layout.types == first.types
            if layout is first and isinstance(rows, slice):
                constant &= layout.same
            else:
                constant &= (layout.counts[rows] == count).all(axis=0)
                constant &= (layout.words[rows] == word).all(axis=0)
        codes -= {int(code) for code in first.codes[constant]}
        return sorted(code for code in codes - without if self._differs(code, numbers))

    def _differs(self, code: int, numbers: NDArray[np.int64]) -> bool:
        offset, count, kind = self.place(code, numbers)
        if bool((offset == offset[0]).all()):
            return False
        if bool((count != count[0]).any()) or bool((kind != kind[0]).any()):
            return True
        nbytes = int(count[0]) * int(SIZES[kind[0]])
        if nbytes <= self.form.word:
            rows = self._inside(code, numbers)[:, :nbytes]
            return bool((rows != rows[0]).any())
        # The first ones tell most; all are read only where those agree.
        for part in (slice(16), slice(None)):
            here = offset[part], count[part], kind[part]
            values = self.stacked(code, numbers[part], place=here)
            if values is None or bool((values != values[0]).any()):
                return True
        return False

    def value(self, page: int, code: int) -> Any:
        """Return the value of one page's tag, None if it has none or it cannot be read.

        Text is a str (up to the first null that ends it), one number an int or float, several
        an ndarray; rationals are float; UNDEFINED, and BYTE with more than one value, bytes.
        """
        return self.values(code, np.array([page]))[0]

    def values(self, code: int, numbers: NDArray[np.int64]) -> list[Any]:
        """Return the value of one tag for many pages, read together; see `value`."""
        found: list[Any] = [None] * numbers.size
        offset, count, kind = self.place(code, numbers)
        size = self.source.size
        nbytes = count * SIZES[np.clip(kind, 0, SIZES.size - 1)]
        there = (nbytes > 0) & (offset + nbytes <= size)
        if int(nbytes[there].sum()) > self.source.fingerprint.revisit_limit:
            raise LimitError(f"values of tag {code} overlap", url=self.source.url)
        pairs = np.where(there, count * 256 + np.minimum(kind, 255), -1)
        for pair in distinct(pairs):
            if pair < 0:
                continue
            mine = np.flatnonzero(pairs == pair)
            here = offset[mine], count[mine], kind[mine]
            rows = self.stacked(code, numbers[mine], place=here)
            if rows is not None:
                form = int(pair) % 256
                for at, row in zip(mine.tolist(), rows, strict=True):
                    found[at] = plain(row, form)
        return found
