"""References of a document while they are collected: columns first, then a table for each array.

The keys of chunks are numbers behind a path, joined by dots, ``a/0.12``, or by slashes,
``a/0/12``, as NGFF has it. Where the path ends cannot be told from such a key: ``a/0`` may be an
array as well. The arrays that the document describes decide, once all of it is known.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import MetadataError, RefmakerError
from refmaker.model.chunk_table import ChunkTable, Reference, count
from refmaker.model.tree import joined_path
from refmaker.storage.json_windows import PAD, RANKS, Keys
from refmaker.storage.reference_index import (
    NUMERAL,
    OTHER_FORM,
    beyond,
    chunk_key,
    paths_by_front,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.storage.json_windows import Rows, Window
    from refmaker.storage.reference_index import ChunkGrid

__all__ = ["Columns", "Tables"]

_LARGEST = 2**62
_KEPT = 1 << 16
"""Texts that columns are compared with; further ones are looked up one by one."""
_WIDEST = PAD - 8
"""Bytes of the longest of them."""
_SLOT_BITS = 18
_FACTOR, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_SLOT = np.uint64(64 - _SLOT_BITS)


class Tables(NamedTuple):
    """References by array.

    Attributes
    ----------
    tables : dict of str to ChunkTable
        By path.
    slashed : set of str
        Paths of those with keys such as ``path/0/1``.
    others : dict of str to Reference
        References whose keys are no chunks.
    """

    tables: dict[str, ChunkTable]
    slashed: set[str]
    others: dict[str, Reference]


class _Part(NamedTuple):
    """Some references whose keys have the same form."""

    prefix: NDArray[np.int32]
    url: NDArray[np.int32]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    at: tuple[NDArray[np.int64], ...]

    def take(self, rows: NDArray[np.int64] | slice) -> _Part:
        return _Part(
            self.prefix[rows],
            self.url[rows],
            self.offset[rows],
            self.length[rows],
            tuple(column[rows] for column in self.at),
        )

    @classmethod
    def joined(cls, parts: Sequence[_Part]) -> _Part:
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.prefix for part in parts]),
            np.concatenate([part.url for part in parts]),
            np.concatenate([part.offset for part in parts]),
            np.concatenate([part.length for part in parts]),
            tuple(map(np.concatenate, zip(*(part.at for part in parts), strict=True))),
        )


def _words(
    window: Window, start: NDArray[np.int64], width: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return texts as words, shape (words, n); what is behind the end of one is 0."""
    count = max(1, -(-int(width.max(initial=0)) // 8))
    shape = (window.bytes.size - 8 * count + 1,)
    # One copy of all bytes of a text is a third of the work of one for each word.
    texts: NDArray[np.void] = np.ndarray(shape, f"V{8 * count}", window.bytes.data, strides=(1,))
    words = np.ascontiguousarray(texts[start].view("<u8").reshape(start.size, count).T)
    for number in range(max(int(width.min(initial=0)) // 8, 0), count):
        unused = ((8 - np.clip(width - 8 * number, 0, 8)) << 3).astype(np.uint64)
        words[number] <<= unused
        words[number] >>= unused
    return words


class _NumberedTexts:
    """Distinct insides of JSON strings, numbered as they come.

    A text that was seen is found by a hash, and is then compared with the one that was: equal
    numbers mean equal texts.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        # Zeros take memory only where something else is written: few texts cost little.
        self._slots = np.zeros(1 << _SLOT_BITS, np.int32)
        self._width = np.zeros(_KEPT, np.int64)
        self._words: list[NDArray[np.uint64]] = []

    def __len__(self) -> int:
        return len(self._known)

    def number(self, text: bytes) -> int:
        return self._known.setdefault(text, len(self._known))

    def numbers(
        self, window: Window, start: NDArray[np.int64], width: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the numbers of texts in a window.

        Parameters
        ----------
        start, width : ndarray of int64, shape (n,)
            Where they are.

        Returns
        -------
        ndarray of int32, shape (n,)
        """
        found = np.full(start.size, -1, np.int32)
        narrow = np.flatnonzero(width <= _WIDEST)
        if narrow.size == start.size:
            self._together(window, start, width, found)
        elif narrow.size:
            some = found[narrow]
            self._together(window, start[narrow], width[narrow], some)
            found[narrow] = some
        missing = np.flatnonzero(found < 0)
        if missing.size:
            texts = _texts(window, start[missing], width[missing])
            found[missing] = [self.number(text) for text in texts]
        return found

    def _together(
        self,
        window: Window,
        start: NDArray[np.int64],
        width: NDArray[np.int64],
        found: NDArray[np.int32],
    ) -> None:
        """Fill in the numbers of texts that can be compared with those that are kept."""
        words = _words(window, start, width)
        code = width.astype(np.uint64)
        for word in words:
            code ^= word
            code *= _FACTOR
            code ^= code >> _HALF
        slot = (code * _FACTOR >> _SLOT).astype(np.int64)
        found[:] = self._lookup(words, width, slot)
        missing = np.flatnonzero(found < 0)
        if missing.size and len(self._known) < _KEPT:
            heads = np.sort(missing[np.unique(code[missing], return_index=True)[1]])
            texts = _texts(window, start[heads], width[heads])
            number = np.array([self.number(text) for text in texts], np.int32)
            kept = number < _KEPT
            self._keep(number[kept], words[:, heads[kept]], width[heads[kept]])
            self._slots[slot[heads[kept]]] = number[kept] + 1
            found[missing] = self._lookup(words[:, missing], width[missing], slot[missing])

    def _lookup(
        self, words: NDArray[np.uint64], width: NDArray[np.int64], slot: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the numbers of texts that are kept, -1 for others."""
        found = self._slots[slot] - 1
        same = found >= 0
        same &= self._width[found] == width
        for ours, word in zip(self._words, words, strict=False):
            same &= ours[found] == word
        return np.where(same, found, np.int32(-1))

    def _keep(
        self, number: NDArray[np.int32], words: NDArray[np.uint64], width: NDArray[np.int64]
    ) -> None:
        """Keep texts that others can be compared with."""
        while len(self._words) < len(words):
            self._words.append(np.zeros(_KEPT, np.uint64))
        for ours, word in zip(self._words, words, strict=False):
            ours[number] = word
        self._width[number] = width

    def decoded(self) -> list[str]:
        """Return what the texts mean, by number.

        Raises
        ------
        MetadataError
            If one is no JSON string.
        """
        joined = b'"'.join(self._known)
        try:
            text = joined.decode()
            if "\\" not in text and text.isprintable():
                return text.split('"') if self._known else []
            return [_meaning(one) for one in self._known]
        except ValueError as error:
            raise MetadataError(f"not JSON: {error}") from error


def _texts(window: Window, start: NDArray[np.int64], width: NDArray[np.int64]) -> list[bytes]:
    """Return texts of a window one by one."""
    data = window.bytes.data
    ends = (start + width).tolist()
    return [data[a:b].tobytes() for a, b in zip(start.tolist(), ends, strict=True)]


def _meaning(quoted: bytes) -> str:
    text = quoted.decode()
    plain = "\\" not in text and text.isprintable()
    return text if plain else str(json.loads(f'"{text}"'))


class Columns:
    """References that were found so far."""

    def __init__(self) -> None:
        self._prefixes = _NumberedTexts()
        self._urls = _NumberedTexts()
        self._parts: dict[tuple[int, bool], list[_Part]] = {}
        self._single: dict[tuple[int, bool], list[tuple[int, ...]]] = {}
        self._others: dict[str, tuple[int, int, int]] = {}

    def add_rows(self, window: Window, rows: Rows) -> None:
        """Add references of a window.

        Raises
        ------
        MetadataError
            If one is a range of no bytes, or a key is there twice.
        """
        empty = np.flatnonzero(rows.ranged & (rows.offset == 0) & (rows.length == 0))
        if empty.size:
            key = _string(window, int(rows.first[empty[0]]))
            raise MetadataError("a range of no bytes", path=key)
        start = window.opens[rows.first + 1] + 1
        url = self._urls.numbers(window, start, window.closes[rows.first + 1] - start)
        offset, length = rows.offset.view(np.int64), rows.length.view(np.int64)
        keys = Keys.of(window, rows.first)
        for row in np.flatnonzero(~keys.good).tolist():
            key = _string(window, int(rows.first[row]))
            self._one(key, int(url[row]), int(offset[row]), int(length[row]))
        form = np.where(keys.good, keys.rank << 1 | keys.slashes, -1)
        for kind in np.unique(form[keys.good]).tolist():
            some = np.flatnonzero(form == kind)
            chosen = slice(None) if some.size == form.size else some
            begin = window.opens[rows.first[chosen]] + 1
            prefix = self._prefixes.numbers(window, begin, keys.stop[chosen] - begin)
            at = tuple(_narrow(column[chosen]) for column in reversed(keys.at[: kind >> 1]))
            span = _narrow(offset[chosen]), _narrow(length[chosen])
            parts = self._parts.setdefault((kind >> 1, bool(kind & 1)), [])
            parts.append(_Part(prefix, url[chosen], *span, at))

    def add(self, key: str, url: str, offset: int, length: int) -> None:
        """Add one reference.

        Raises
        ------
        MetadataError
            If the key is there twice.
        """
        self._one(key, self._urls.number(_quoted(url)), offset, length)

    def _one(self, key: str, url: int, offset: int, length: int) -> None:
        found = chunk_key(key)
        if found is None:
            if key in self._others:
                raise MetadataError("referenced twice", path=key)
            self._others[key] = url, offset, length
            return
        path, at, slashes = found
        lead = key[: len(path) + 1] if key[len(path)] == "/" else ""
        row = (self._prefixes.number(_quoted(lead)), url, offset, length, *at)
        self._single.setdefault((len(at), slashes), []).append(row)

    def settle(self) -> None:
        """Turn references that came one by one into columns."""
        for form, rows in self._single.items():
            prefix, url, offset, length, *at = np.array(rows, np.int64).T
            numbers = prefix.astype(np.int32), url.astype(np.int32)
            part = _Part(*numbers, _narrow(offset), _narrow(length), tuple(map(_narrow, at)))
            self._parts.setdefault(form, []).append(part)
        self._single.clear()

    def examples(self) -> list[str]:
        """Return a key of each path, and those that are none of chunks."""
        return [*(f"{prefix}0" for prefix in self._prefixes.decoded()), *self._others]

    def rename(self, end: str, name: Callable[[str], str]) -> None:
        """Give references other keys, where theirs end so and are none of chunks."""
        for key in [key for key in self._others if key.endswith(end)]:
            self._one(name(key), *self._others.pop(key))

    def tables(
        self, grids: Mapping[str, ChunkGrid], expand: Callable[[str], str] | None, limit: int
    ) -> Tables:
        """Return all references, and forget them.

        Parameters
        ----------
        grids : mapping of str to ChunkGrid
            The arrays that the document describes, by path.
        expand : callable, optional
            Returns the URL that a text with ``{{`` means; None if there are no templates.
        limit : int
            Paths; if there are more, references of those that are no array's are kept one by
            one.

        Raises
        ------
        MetadataError
            If a chunk is referenced twice or lies outside of its array's grid.
        """
        self.settle()
        urls = self._files(expand)
        texts, same = urls
        made = Tables({}, set(), {})
        for key, (url, *span) in self._others.items():
            made.others[key] = Reference(texts[int(same[url])], *span)
        paths, number = _distinct([text.removesuffix("/") for text in self._prefixes.decoded()])
        fronts = paths_by_front(grids)
        if len(paths) > limit:
            known = np.array([path in grids or path in fronts for path in paths])
            self._keep_single(made, paths, number, urls, known)
        groups: dict[str, list[tuple[bool, _Part]]] = {}
        for (path, _, slashes), parts in self._by_path(paths, number).items():
            part = _Part.joined(parts)
            split = _split(path, part, fronts.get(path, {})) if slashes else ((path, part),)
            for owner, one in split:
                groups.setdefault(owner, []).append((slashes and len(one.at) > 1, one))
            parts.clear()
        for path, found in groups.items():
            _add_table(made, path, found, grids.get(path), urls)
            found.clear()
        return made

    def _keep_single(
        self,
        made: Tables,
        paths: list[str],
        number: NDArray[np.int32],
        urls: tuple[list[str], NDArray[np.int32]],
        known: NDArray[np.bool_],
    ) -> None:
        """Keep the references of paths that are no array's one by one: tables would be many."""
        for (_, slashes), parts in self._parts.items():
            for place, part in enumerate(parts):
                used = known[number[part.prefix]]
                rest = part.take(np.flatnonzero(~used))
                prefix = number[rest.prefix].tolist()
                _add_others(made, [paths[i] for i in prefix], rest, urls, slashes=slashes)
                parts[place] = part.take(np.flatnonzero(used))

    def _by_path(
        self, paths: list[str], number: NDArray[np.int32]
    ) -> dict[tuple[str, int, bool], list[_Part]]:
        """Return the references of each path and form, and forget them."""
        found: dict[tuple[str, int, bool], list[_Part]] = {}
        while self._parts:
            (_, slashes), parts = self._parts.popitem()
            part = _Part.joined(parts)
            parts.clear()
            if not part.prefix.size:
                continue
            for prefix, rows in _by_number(number[part.prefix]):
                path, nested, one = _moved(paths[prefix], part.take(rows), slashes=slashes)
                found.setdefault((path, len(one.at), nested), []).append(one)
        return found

    def _files(self, expand: Callable[[str], str] | None) -> tuple[list[str], NDArray[np.int32]]:
        """Return distinct URLs, and which of them each text means."""
        texts = self._urls.decoded()
        if expand is not None:
            for number, text in enumerate(texts):
                if "{{" in text:
                    try:
                        texts[number] = expand(text)
                    except MetadataError as error:
                        raise error.located(path=self._key_with(number)) from error
        return _distinct(texts)

    def _key_with(self, url: int) -> str:
        """Return a key that has a URL, for a message."""
        for key, (number, *_) in self._others.items():
            if number == url:
                return key
        prefixes = self._prefixes.decoded()
        for (_, slashes), parts in self._parts.items():
            for part in parts:
                rows = np.flatnonzero(part.url == url)
                if rows.size:
                    return prefixes[int(part.prefix[rows[0]])] + _name(part, int(rows[0]), slashes)
        return ""


def _quoted(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()


def _string(window: Window, number: int) -> str:
    """Return what a string of a window means."""
    quoted = window.text(int(window.opens[number]), int(window.closes[number]) + 1)
    try:
        return str(json.loads(quoted))
    except ValueError as error:
        raise MetadataError(f"not JSON: {error}") from error


def _narrow(column: NDArray[np.int64] | NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return a column in four bytes a number, if they fit."""
    small = not column.size or int(column.max()) < 2**31
    narrow: NDArray[Any] = column.astype(np.int32 if small else np.int64)
    return narrow


def _distinct(texts: list[str]) -> tuple[list[str], NDArray[np.int32]]:
    """Return texts without those that are there already, and the number of each in them."""
    number = dict(zip(texts, range(len(texts)), strict=True))
    if len(number) == len(texts):
        return texts, np.arange(len(texts), dtype=np.int32)
    number = {text: place for place, text in enumerate(number)}
    return list(number), np.array([number[text] for text in texts], np.int32)


def _moved(path: str, part: _Part, *, slashes: bool) -> tuple[str, bool, _Part]:
    """Take the numbers off the end of a path: they were written with escapes."""
    while path and (slashes or len(part.at) == 1) and len(part.at) < RANKS:
        front, _, name = path.rpartition("/")
        if NUMERAL.fullmatch(name) is None:
            break
        column = np.full(part.url.size, int(name), np.int64)
        path, slashes, part = front, True, part._replace(at=(column, *part.at))
    return path, slashes, part


def _by_number(
    numbers: NDArray[Any],
) -> Iterator[tuple[int, NDArray[np.int64] | slice]]:
    """Yield each number and where it is."""
    if bool((numbers == numbers[0]).all()):
        yield int(numbers[0]), slice(None)
        return
    # Small integers are sorted digit by digit.
    keys = numbers.astype(np.uint16) if int(numbers.max()) < 1 << 16 else numbers
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order])) + 1
    for rows in np.split(order, edges):
        yield int(numbers[rows[0]]), rows


def _split(
    path: str, part: _Part, known: Mapping[int, Sequence[tuple[int, ...]]]
) -> Iterator[tuple[str, _Part]]:
    """Yield the references of each array that a path with numbers behind it may mean.

    The first numbers belong to the path if that is the path of an array; if none is, all of
    them are those of a chunk.
    """
    for lead in sorted(lead for lead in known if lead < len(part.at)):
        extents = [int(column.max()) + 1 for column in part.at[:lead]]
        inside = [
            one for one in known[lead] if all(a < b for a, b in zip(one, extents, strict=True))
        ]
        if not inside or count(extents) > _LARGEST:
            continue
        code = np.ravel_multi_index(part.at[:lead], extents) if lead else np.zeros(part.url.size)
        wanted = np.array([np.ravel_multi_index(one, extents) if lead else 0 for one in inside])
        order = np.argsort(wanted)
        place = np.minimum(np.searchsorted(wanted[order], code), wanted.size - 1)
        hit = wanted[order][place] == code
        rows = np.flatnonzero(hit)
        if rows.size:
            for which, some in _by_number(order[place[rows]]):
                one = part.take(rows[some])
                front = "/".join([path] * bool(path) + [str(i) for i in inside[which]])
                yield front, one._replace(at=one.at[lead:])
            part = part.take(~hit)
        if not part.url.size:
            return
    yield path, part


def _add_table(
    made: Tables,
    path: str,
    found: list[tuple[bool, _Part]],
    grid: ChunkGrid | None,
    urls: tuple[list[str], NDArray[np.int32]],
) -> None:
    """Add the references of one path: a table of those of one form, the rest one by one."""
    found.sort(key=lambda one: one[1].url.size, reverse=True)
    for slashes, part in found:
        if grid is not None:
            part = _inside(path, part, grid, slashes=slashes)  # noqa: PLW2901 - of it what is there
            if not part.url.size:
                continue
            shape = grid.shape
        else:
            shape = tuple(int(column.max()) + 1 for column in part.at)
            if path in made.tables or count(shape) > _LARGEST:
                _add_others(made, itertools.repeat(path), part, urls, slashes=slashes)
                continue
        try:
            table = _table(shape, part, urls)
        except RefmakerError as error:
            raise error.located(path=path or "/") from error
        if path in made.tables:
            raise MetadataError("a chunk is referenced twice", path=path)
        made.tables[path] = table
        if slashes:
            made.slashed.add(path)


def _inside(path: str, part: _Part, grid: ChunkGrid, *, slashes: bool) -> _Part:
    """Return the references of chunks that an array has; refuse keys of another form."""
    shape = grid.shape or (1,)
    other = len(shape) != len(part.at) or (slashes != grid.slashes and len(shape) > 1)
    if other or (not grid.shape and part.at[0].any()):
        why = f"{_name(part, 0, slashes)!r} is no chunk of a grid of {grid.shape}"
        raise MetadataError(why, path=path or "/", hint=OTHER_FORM)
    outside = np.zeros(part.url.size, bool)
    for column, extent in zip(part.at, shape, strict=True):
        outside |= column >= extent
    if not outside.any():
        return part
    beyond(path, _name(part, int(np.argmax(outside)), slashes), int(outside.sum()), grid)
    return part.take(~outside)


def _table(
    shape: tuple[int, ...], part: _Part, urls: tuple[list[str], NDArray[np.int32]]
) -> ChunkTable:
    texts, same = urls
    number = same[part.url]
    if bool((number == number[0]).all()):
        names: tuple[str, ...] = (texts[int(number[0])],)
        file: NDArray[Any] | None = None
    elif len(texts) > 4 * number.size:
        distinct, file = np.unique(number, return_inverse=True)
        names = tuple(texts[i] for i in distinct.tolist())
    else:
        present = np.zeros(len(texts), bool)
        present[number] = True
        used = np.flatnonzero(present)
        names = tuple(texts[i] for i in used.tolist())
        file = (np.cumsum(present, dtype=np.int32) - 1)[number]
    index = np.ravel_multi_index(part.at, shape or (1,))
    return ChunkTable.from_columns(
        shape, names, offset=part.offset, length=part.length, index=index, url=file
    )


def _add_others(
    made: Tables,
    paths: Iterable[str],
    part: _Part,
    urls: tuple[list[str], NDArray[np.int32]],
    *,
    slashes: bool,
) -> None:
    texts, same = urls
    joint = "/" if slashes else "."
    columns = zip(*(column.tolist() for column in part.at), strict=True)
    rows = zip(same[part.url].tolist(), part.offset.tolist(), part.length.tolist(), strict=True)
    for path, at, (url, offset, length) in zip(paths, columns, rows, strict=False):
        name = joint.join(map(str, at))
        key = joined_path(path, name)
        if key in made.others:
            raise MetadataError("referenced twice", path=key)
        made.others[key] = Reference(texts[url], offset, length)


def _name(part: _Part, row: int, slashes: bool) -> str:
    return ("/" if slashes else ".").join(str(int(column[row])) for column in part.at)
