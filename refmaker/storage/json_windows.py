"""Members of a JSON object, a window of text at a time: references as columns, the rest parsed.

A document with a million references is the same few bytes a million times, with other names and
numbers in between. A window is cut into strings and the gaps between them; where two neighbouring
gaps are, byte by byte, those of a reference (``:[`` and ``,1,2],``), its key, URL and numbers are
taken by column, eight bytes of all rows at once. Depth decides what is a reference: brackets of
all other gaps are counted. Everything else goes to a JSON parser, together, so that a document
is accepted here exactly if a JSON parser accepts it.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import LimitError, MetadataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PAD",
    "RANKS",
    "DamagedTextError",
    "Keys",
    "Piece",
    "Rows",
    "Window",
    "loads",
    "nesting",
    "next_piece",
    "not_json",
]

RANKS = 32
"""Numbers of a key that are taken for its place in a grid."""
STEP = np.zeros(256, np.int8)
"""How much deeper each byte leads, outside of strings."""
STEP[[0x5B, 0x7B]], STEP[[0x5D, 0x7D]] = 1, -1

WINDOW = 1 << 21
"""Bytes looked at together: what is computed of them stays in the processor's cache."""
PAD = 264
"""Bytes before and behind a window's text, so that words may be read past its ends."""
_STYLES = 4
"""Ways to set blanks, and kinds of references, that are tried in one window."""
_BLANK = rb"[ \t\r\n]*+"
_COLON = re.compile(rb'"(%b:%b\[%b)"' % ((_BLANK,) * 3))
"""What stands between the strings of a reference, with their quotes."""
_SPAN = re.compile(
    rb'"(?:(%b,%b)[0-9]++(%b,%b)[0-9]++)?(%b\]%b,%b)"' % ((_BLANK,) * 7),
)
"""What stands behind the second one."""
_REFS = re.compile(rb'"refs"[ \t\r\n]*:[ \t\r\n]*\{')
_SPACE = b" \t\r\n"
_SLASH, _DOT, _BACKSLASH = 0x2F, 0x2E, 0x5C
_COMMA, _QUOTE, _BACKSLASH = 0x2C, 0x22, 0x5C


class DamagedTextError(ValueError):
    """Text that is not JSON: why, and the byte where it is noticed."""

    def __init__(self, why: str, place: int) -> None:
        super().__init__(f"{why} at byte {place}")
        self.why = why
        self.place = place


def loads(text: bytes) -> Any:
    """Parse JSON.

    Raises
    ------
    DamagedTextError
        If it is not JSON.
    """
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise DamagedTextError("no UTF-8", error.start) from error
    try:
        return json.loads(decoded)
    except json.JSONDecodeError as error:
        raise DamagedTextError(error.msg, len(decoded[: error.pos].encode())) from error
    except (ValueError, RecursionError) as error:
        raise DamagedTextError(str(error), 0) from error


def nesting(text: bytes) -> int:
    """Return how deep the values of a JSON text nest; nothing is parsed."""
    if text.count(b"[") + text.count(b"{") <= 1:
        return text.count(b"[") + text.count(b"{")
    parts = re.sub(rb"\\.", b"", text, flags=re.DOTALL).split(b'"')
    bare = np.frombuffer(b"".join(parts[::2]), np.uint8)
    return int(np.cumsum(STEP[bare], dtype=np.int64).max(initial=0))


def _u(number: int) -> np.uint64:
    return np.uint64(number)


_ONES, _LOW, _TOP = _u(0x3030303030303030), _u(0x7F7F7F7F7F7F7F7F), _u(0x8080808080808080)
_CARRY, _PAIRS = _u(0x7676767676767676), _u(0x000000FF000000FF)
_HUNDREDS, _UNITS = _u(0x000F424000000064), _u(0x0000271000000001)


class Rows(NamedTuple):
    """References of a window, by column.

    Attributes
    ----------
    first : ndarray of int64, shape (n,)
        Number of the string that is the key; the next one is the URL.
    offset, length : ndarray of uint64, shape (n,)
        Bytes; both 0 where the whole file is meant.
    ranged : ndarray of bool, shape (n,)
        Whether the range was written.
    """

    first: NDArray[np.int64]
    offset: NDArray[np.uint64]
    length: NDArray[np.uint64]
    ranged: NDArray[np.bool_]

    def take(self, which: Any) -> Rows:
        """Return some of the rows."""
        return Rows(*(column[which] for column in self))


class Piece(NamedTuple):
    """Leading members of a window.

    Attributes
    ----------
    window : Window
    rows : Rows
        References.
    rest : dict
        All other members.
    stop : int
        Where in the document the next member begins, or what follows the object.
    closed : bool
        Whether the object ends here.
    inner : bool
        Whether `stop` is the first member of the object ``refs``.
    """

    window: Window
    rows: Rows
    rest: dict[str, Any]
    stop: int
    closed: bool
    inner: bool


class Window:
    """A piece of a document, and where strings begin and end in it.

    Parameters
    ----------
    text : bytes
        The document.
    start, stop : int
        The piece; it begins outside of any string.

    Attributes
    ----------
    bytes : ndarray of uint8
        The piece, with `PAD` bytes before and behind it.
    words : ndarray of uint64
        Its eight bytes from every byte on, the first of them lowest.
    opens, closes : ndarray of int64, shape (n,)
        The quotes of all whole strings, as positions in `bytes`.
    base : int
        Position in the document of ``bytes[0]``.
    """

    def __init__(self, text: bytes, start: int, stop: int) -> None:
        size = stop - start
        self.base = start - PAD
        self.end = PAD + size
        self.bytes = np.zeros(size + 2 * PAD, np.uint8)
        self.bytes[PAD : self.end] = np.frombuffer(text, np.uint8, size, start)
        shape = (self.bytes.size - 7,)
        self.words: NDArray[np.uint64] = np.ndarray(shape, "<u8", self.bytes.data, strides=(1,))
        quotes = np.flatnonzero(self.bytes == _QUOTE)
        if text.find(b"\\", start, stop) >= 0:
            quotes = self._unescaped(quotes)
        self.cut_string = int(quotes[-1]) if quotes.size % 2 else None
        whole = quotes.size // 2 * 2
        self.opens = np.ascontiguousarray(quotes[0:whole:2])
        self.closes = np.ascontiguousarray(quotes[1:whole:2])

    def _unescaped(self, quotes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the quotes without those that follow an odd number of backslashes."""
        back = np.flatnonzero(self.bytes == _BACKSLASH)
        behind = self.bytes[back + 1]
        if not bool(((behind == _QUOTE) | (behind == _BACKSLASH)).any()):
            return quotes
        first = np.flatnonzero(np.diff(back, prepend=-2) != 1)
        run = np.diff(first, append=back.size)
        escaped = (back[first] + run)[run % 2 == 1]
        return quotes[~np.isin(quotes, escaped, assume_unique=True)]

    def text(self, start: int, stop: int) -> bytes:
        """Return what stands there."""
        return self.bytes[start:stop].tobytes()

    def equal(self, at: NDArray[np.int64], pattern: bytes) -> NDArray[np.bool_]:
        """Tell at which places a text stands."""
        same = np.ones(at.size, bool)
        for begin in range(0, len(pattern), 8):
            part = pattern[begin : begin + 8]
            mask, word = _u(2 ** (8 * len(part)) - 1), _u(int.from_bytes(part, "little"))
            same &= (self.words[at + begin] & mask) == word
        return same

    def numbers(
        self, stop: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.bool_]]:
        """Read the decimal numbers that end at some places.

        Returns
        -------
        values : ndarray of uint64, shape (n,)
        widths : ndarray of int64, shape (n,)
            Digits; 16 means that there may be more.
        good : ndarray of bool, shape (n,)
            Whether there are digits, and none of them is a zero that stands before a number.
        """
        value, width, lead = self._eight(stop)
        long = np.flatnonzero(width == 8)
        if long.size:
            upper, more, front = self._eight(stop[long] - 8)
            value[long] += upper * _u(10**8)
            width[long] += more
            lead[long] = np.where(more > 0, front, lead[long])
        return value, width, (width > 0) & ((width == 1) | (lead != 0))

    def _eight(
        self, stop: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64]]:
        """Return value, width and first digit of the last digits, up to eight."""
        word = self.words[stop - 8] ^ _ONES
        # The top bit of each byte that is no digit; nothing is carried from byte to byte.
        other = (((word & _LOW) + _CARRY) | word) & _TOP | _u(1)
        highest = other.astype(np.float64).view(np.uint64) >> _u(52)
        width = (_u(64 + 1023) - highest) >> _u(3)
        unused = _u(64) - (width << _u(3))
        word >>= unused
        lead = word & _u(0x0F)
        word <<= unused
        word = word * _u(10) + (word >> _u(8))
        pairs = (word & _PAIRS) * _HUNDREDS + ((word >> _u(16)) & _PAIRS) * _UNITS
        return pairs >> _u(32), width.astype(np.int64), lead

    def rows(self) -> Rows:
        """Return whatever looks like a reference, at any depth."""
        found: list[Rows] = []
        gap = self.opens[1:] - self.closes[:-1] - 1
        colon = self._first_colon()
        if colon is not None:
            open_ones = np.flatnonzero(gap[:-1] == len(colon))
            open_ones = open_ones[self.equal(self.closes[open_ones] + 1, colon)]
            for _ in range(_STYLES):
                if not open_ones.size:
                    break
                first = int(open_ones[0])
                span = self.text(int(self.closes[first + 1]), int(self.opens[first + 2]) + 1)
                match = _SPAN.fullmatch(span)
                if match is None:
                    open_ones = open_ones[1:]
                    continue
                rows, others = self._alike(open_ones, gap, match)
                found.append(rows)
                open_ones = open_ones[others]
        if not found:
            none = np.empty(0, np.uint64)
            return Rows(none.astype(np.int64), none, none, none.astype(bool))
        if len(found) == 1:
            return found[0]
        rows = Rows(*map(np.concatenate, zip(*found, strict=True)))
        return rows.take(np.argsort(rows.first, kind="stable"))

    def _first_colon(self) -> bytes | None:
        """Return what stands between key and URL of the first reference."""
        for match in itertools.islice(_COLON.finditer(self.bytes.data, PAD, self.end), _STYLES):
            if self.closes.size and self.closes[_find(self.closes, match.start())] == match.start():
                return match[1]
        return None

    def _alike(
        self, first: NDArray[np.int64], gap: NDArray[np.int64], match: re.Match[bytes]
    ) -> tuple[Rows, NDArray[np.bool_]]:
        """Return the rows with the same blanks as a given one; and which are left."""
        before, between, behind = match.groups()
        width, stop = gap[first + 1], self.opens[first + 2] - len(behind)
        good = width == len(behind)
        if before is not None:
            good = width > len(before) + len(between) + len(behind) + 1
        good[good] = self.equal(stop[good], behind)
        left = ~good
        chosen = np.flatnonzero(good)
        zero = np.zeros(chosen.size, np.uint64)
        offset, length = zero, zero
        if before is not None:
            stop = stop[chosen]
            length, digits, good = self.numbers(stop)
            stop = np.maximum(stop - digits - len(between), PAD)
            good &= self.equal(stop, between)
            offset, digits, fine = self.numbers(stop)
            begin = self.closes[first[chosen] + 1] + 1
            good &= fine & (stop - digits == begin + len(before)) & self.equal(begin, before)
            if not bool(good.all()):
                left[chosen[~good]] = True
                chosen, offset, length = chosen[good], offset[good], length[good]
        ranged = np.full(chosen.size, before is not None)
        return Rows(first[chosen], offset, length, ranged), left


def _find(places: NDArray[np.int64], place: int) -> int:
    """Return the position of the first that is not smaller, or the last one."""
    return min(int(np.searchsorted(places, place)), places.size - 1)


class Keys(NamedTuple):
    """Keys of a window, split into paths and numbers."""

    good: NDArray[np.bool_]
    stop: NDArray[np.int64]
    rank: NDArray[np.int64]
    slashes: NDArray[np.bool_]
    at: list[NDArray[np.uint64]]
    """The last number of each key, then the one before it, and so on."""

    @classmethod
    def of(cls, window: Window, first: NDArray[np.int64]) -> Keys:
        """Split keys from their ends; see `chunk_key`."""
        begin, stop = window.opens[first] + 1, window.closes[first].copy()
        size = first.size
        good, slashes = np.ones(size, bool), np.zeros(size, bool)
        rank, tail = np.zeros(size, np.int64), stop.copy()
        at: list[NDArray[np.uint64]] = []
        rows = np.arange(size)
        while rows.size and len(at) < RANKS:
            value, width, fine = window.numbers(stop[rows])
            low = stop[rows] - width
            before = window.bytes[low - 1]
            nested = slashes[rows]
            dot, slash = before == _DOT, before == _SLASH
            ends = low == begin[rows]
            fine &= ends | slash | (dot & ~nested)
            if not bool(fine.all()):
                good[rows[~fine & ~nested]] = False
                rows, value, low = rows[fine], value[fine], low[fine]
                dot, slash, nested = dot[fine], slash[fine], nested[fine]
            column = np.zeros(size, np.uint64)
            column[rows] = value
            at.append(column)
            tail[rows] = low
            rank[rows] += 1
            # A slash may itself be written with a backslash, which is not escaped in turn.
            escaped = slash & (window.bytes[low - 2] == _BACKSLASH)
            slash &= (rank[rows] == 1) | nested
            slash &= ~(escaped & (window.bytes[low - 3] == _BACKSLASH))
            more = dot | slash
            stop[rows] = low - 1 - escaped
            rows, slash = rows[more], slash[more]
            slashes[rows[slash]] = True
        good[rows] &= slashes[rows]
        return cls(good, tail, rank, slashes & (rank > 1), at)


class _Brackets(NamedTuple):
    """Brackets and commas outside of strings and references, and the depth behind each."""

    at: NDArray[np.int64]
    comma: NDArray[np.bool_]
    depth: NDArray[np.int64]

    @classmethod
    def of(cls, window: Window, rows: Rows) -> _Brackets:
        """Return those of a window; whether rows are references is not settled yet."""
        start = np.concatenate([[PAD], window.closes + 1])
        last = window.end if window.cut_string is None else window.cut_string
        stop = np.concatenate([window.opens, [last]])
        # Gap i stands before string i; those of a reference close themselves.
        kept = np.ones(start.size, bool)
        kept[rows.first + 1] = kept[rows.first + 2] = False
        start, width = start[kept], (stop - start)[kept]
        ends = np.cumsum(width)
        at = np.repeat(start - (ends - width), width) + np.arange(int(ends[-1]))
        byte = window.bytes[at]
        step = STEP[byte]
        used = np.flatnonzero((step != 0) | (byte == _COMMA))
        depth = np.cumsum(step[used], dtype=np.int64)
        return cls(at[used], byte[used] == _COMMA, depth)

    def depth_at(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the depth at some places outside of strings."""
        if not bool(self.depth.any()):
            return np.zeros(place.size, np.int64)
        before = np.searchsorted(self.at, place)
        return np.where(before > 0, self.depth[np.maximum(before, 1) - 1], 0)


def next_piece(text: bytes, start: int, limit: int, *, first: bool, find_refs: bool) -> Piece:
    """Return the next members of an object.

    Parameters
    ----------
    start : int
        Where the first of them begins, in the object or behind a comma.
    limit : int
        How deep values may nest.
    first : bool
        Whether nothing of the object stands before: only then it may end here.
    find_refs : bool
        Whether to stop inside of a member ``refs`` that is an object.

    Raises
    ------
    MetadataError
        If this is not JSON; says where.
    LimitError
        If values nest too deep.
    """
    # The members of a whole document are few, or it is all one object.
    size = WINDOW // 32 if find_refs and first else WINDOW
    while True:
        stop = min(len(text), start + size)
        window = Window(text, start, stop)
        rows = window.rows()
        brackets = _Brackets.of(window, rows)
        piece = _cut(text, window, rows, brackets, (first, find_refs, limit))
        if piece is not None:
            return piece
        if brackets.depth.size and int(brackets.depth.max()) > limit:
            raise _too_deep(limit)
        if stop == len(text):
            raise not_json("the object does not end", len(text))
        size *= 2


def _cut(
    text: bytes, window: Window, rows: Rows, brackets: _Brackets, how: tuple[bool, bool, int]
) -> Piece | None:
    """Return the whole members of a window; None if there is not even one."""
    first, find_refs, limit = how
    ends = np.flatnonzero(brackets.depth < 0)
    closed, inner = bool(ends.size), None
    rows = rows.take(brackets.depth_at(window.opens[rows.first]) == 0)
    stop = int(brackets.at[ends[0]]) if closed else None
    if stop is not None and text[window.base + stop : window.base + stop + 1] != b"}":
        raise not_json("the object ends as an array does", window.base + stop)
    if find_refs:
        inner = _inner(text, window, brackets, stop)
    if inner is not None:
        stop, closed = inner.start() - window.base, False
    elif stop is None:
        commas = np.flatnonzero(brackets.comma & (brackets.depth == 0))
        stop = int(brackets.at[commas[-1]]) + 1 if commas.size else PAD
        stop = max(stop, int(window.opens[rows.first[-1] + 2])) if rows.first.size else stop
        if stop == PAD:
            return None
    rows = rows.take(window.opens[rows.first] < stop)
    inside = brackets.at < stop
    if inside.any() and int(brackets.depth[inside].max()) >= limit:
        raise _too_deep(limit)
    members = int(np.count_nonzero(inside & brackets.comma & (brackets.depth == 0)))
    rest = _rest(window, rows, stop, (first, closed, members))
    if inner is not None:
        return Piece(window, rows, rest, inner.end(), closed=False, inner=True)
    return Piece(window, rows, rest, window.base + stop + closed, closed, inner=False)


def _inner(
    text: bytes, window: Window, brackets: _Brackets, stop: int | None
) -> re.Match[bytes] | None:
    """Find the member ``refs`` of the object itself, if it is an object."""
    end = window.base + (window.end if stop is None else stop)
    for match in _REFS.finditer(text, window.base + PAD, end):
        at = np.array([match.start() - window.base])
        if (
            window.opens.size
            and window.opens[_find(window.opens, int(at[0]))] == at[0]
            and brackets.depth_at(at)[0] == 0
        ):
            return match
    return None


def _rest(window: Window, rows: Rows, stop: int, how: tuple[bool, bool, int]) -> dict[str, Any]:
    """Parse what stands between references; check that all of it is whole members."""
    first, closed, members = how
    start = np.concatenate([[PAD], window.opens[rows.first + 2]])
    ends = np.concatenate([window.opens[rows.first], [stop]])
    used = np.flatnonzero(start < ends)
    spans = list(zip(start[used].tolist(), ends[used].tolist(), strict=True))
    parts = [window.text(*span) for span in spans]
    if parts and not parts[0].strip(_SPACE):
        parts, spans = parts[1:], spans[1:]
    if not parts:
        if closed and not first:
            raise not_json("a comma before the end of the object", window.base + stop)
        return {}
    for part, (_, end) in zip(parts[:-1] if closed else parts, spans, strict=False):
        if not part.rstrip(_SPACE).endswith(b","):
            raise not_json("a comma is missing", window.base + end)
    if not closed:
        parts[-1] = parts[-1].rstrip(_SPACE)[:-1]
    found = _parsed(parts, [window.base + begin for begin, _ in spans], window.base + stop)
    if len(found) != members + closed:
        raise MetadataError("referenced twice", path=_twice(b"{" + b"".join(parts) + b"}"))
    return found


def _parsed(parts: list[bytes], places: list[int], stop: int) -> dict[str, Any]:
    """Parse members that stand at some places of the document."""
    try:
        found: dict[str, Any] = loads(b"{" + b"".join(parts) + b"}")
    except DamagedTextError as error:
        at = error.place - 1
        for part, place in zip(parts, places, strict=True):
            if at <= len(part):
                raise not_json(error.why, place + max(at, 0)) from error
            at -= len(part)
        raise not_json(error.why, stop) from error
    return found


def _twice(text: bytes) -> str:
    """Return the name of the member of an object that is there twice."""
    # Objects are made from the innermost out; the last call is that of the object itself.
    names: list[str] = []

    def hook(pairs: list[tuple[str, Any]]) -> None:
        names[:] = [name for name, _ in pairs]

    json.loads(text, object_pairs_hook=hook)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name[:200]
        seen.add(name)
    return ""


def _too_deep(limit: int) -> LimitError:
    return LimitError(f"values nested more than {limit} deep")


def not_json(why: str, place: int) -> MetadataError:
    """Return the error of a document that breaks off or is damaged at some byte."""
    return MetadataError(f"not JSON: {why} at byte {place}")
