"""One header: its keywords, and where its data begin and end.

Implements sections 3.3, 3.4 and 4.4 of the FITS Standard 4.0: blocks of 2,880 bytes, cards up to
``END``, and the size of the data, |BITPIX| / 8 x GCOUNT x (PCOUNT + NAXIS1 x NAXIS2 x ...).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from refmaker.errors import FormatError, LimitError, TruncatedError
from refmaker.scanners.fits.cards import CARD, parse_card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.io.source import Source
    from refmaker.scanners.fits.cards import Card, Value
    from refmaker.scanners.fits.packed import PackedSource

__all__ = ["BLOCK", "Header", "read_header"]

BLOCK: Final = 2880
"""Bytes of a block; headers and data are whole numbers of blocks."""
_BITPIX: Final = (8, 16, 32, 64, -32, -64)
_MAX_AXES: Final = 999
_COMPRESSED: Final = "COMPRESSED_IMAGE"
"""What compressing programs call an extension that has no name."""
_FIRST_READ, _LARGEST_READ = 4 * BLOCK, 128 * BLOCK


@dataclass(frozen=True, slots=True)
class Header:
    """The keywords of one header and data unit.

    Parameters
    ----------
    start, data : int
        First byte of the header, and of the data.
    keywords : mapping of str to Value
        The first value of each keyword, in file order.
    comments : mapping of str to str
        Lines of ``COMMENT``, ``HISTORY`` and cards without a keyword, joined.
    repeated, unclear : sequence of str
        Keywords that come again with another value, and those whose value breaks the standard
        and was kept as text.
    """

    start: int
    data: int
    keywords: Mapping[str, Value]
    comments: Mapping[str, str]
    repeated: Sequence[str]
    unclear: Sequence[str]

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer keyword.

        Raises
        ------
        FormatError
            If it is missing without a default, or no integer.
        """
        value = self.keywords.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise FormatError(f"{name} is {value!r}, no integer", offset=self.start)
        return value

    def text(self, name: str, default: str = "") -> str:
        """Return a keyword as text without trailing blanks."""
        value = self.keywords.get(name)
        return value.strip() if isinstance(value, str) else default

    @property
    def bitpix(self) -> int:
        """Bits of an element; negative for IEEE floats.

        Raises
        ------
        FormatError
            If it is none of the six values that exist.
        """
        value = self.integer("BITPIX")
        if value not in _BITPIX:
            raise FormatError(f"BITPIX is {value}, none of {_BITPIX}", offset=self.start)
        return value

    @property
    def axes(self) -> tuple[int, ...]:
        """NAXIS1, NAXIS2, ...: the first one varies fastest.

        Raises
        ------
        FormatError
            If one is missing or negative.
        """
        number = self.integer("NAXIS")
        if not 0 <= number <= _MAX_AXES:
            raise FormatError(f"NAXIS is {number}", offset=self.start)
        axes = tuple(self.integer(f"NAXIS{i}") for i in range(1, number + 1))
        if min(axes, default=0) < 0:
            raise FormatError(f"an axis is negative: {axes}", offset=self.start)
        return axes

    @property
    def groups(self) -> bool:
        """Whether the data are random groups (section 6)."""
        return self.keywords.get("GROUPS") is True and self.axes[:1] == (0,)

    @property
    def nbytes(self) -> int:
        """Bytes of the data without padding.

        Raises
        ------
        FormatError
            If the keywords that tell are missing or make no sense.
        """
        axes = self.axes[1:] if self.groups else self.axes
        parameters, count = self.integer("PCOUNT", 0), self.integer("GCOUNT", 1)
        if parameters < 0 or count < 0:
            raise FormatError(f"PCOUNT is {parameters}, GCOUNT {count}", offset=self.start)
        elements = math.prod(axes) if axes else 0
        return abs(self.bitpix) // 8 * count * (parameters + elements)


def read_header(source: Source | PackedSource, start: int, budget: int) -> Header:
    """Read the header that starts at a byte.

    Parameters
    ----------
    source : Source or PackedSource
        The file.
    start : int
        First byte of the header.
    budget : int
        Bytes that it may have at most.

    Raises
    ------
    TruncatedError
        If the file ends before ``END``.
    LimitError
        If it is longer than the budget.
    """
    keeper = _Keywords()
    at, step = start, _FIRST_READ
    while True:
        raw = source.read_upto(at, min(step, source.size - at)) if at < source.size else b""
        for first in range(0, len(raw) - CARD + 1, CARD):
            card = parse_card(raw[first : first + CARD].decode("latin-1"))
            if card.kind == "end":
                used = at + first + CARD - start
                return keeper.header(start, start + used + -used % BLOCK)
            keeper.add(card)
        if len(raw) < step:
            raise TruncatedError(
                f"the header that starts at byte {start} has no END",
                offset=source.size,
                hint="the file is incomplete or damaged",
            )
        at, step = at + step, min(2 * step, _LARGEST_READ)
        if at - start > budget:
            raise LimitError(f"the header takes more than {budget} bytes", offset=start)


class _Keywords:
    """Collects the cards of a header."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._comments: dict[str, list[str]] = {}
        self._repeated: dict[str, None] = {}
        self._unclear: dict[str, None] = {}
        self._pieces: list[str] = []
        self._open: str | None = None
        """The keyword whose text ended in ``&``: a CONTINUE card may follow."""

    def add(self, card: Card) -> None:
        if card.kind == "continue" and self._open is not None:
            self._continue(str(card.value))
            return
        self._close()
        if card.kind != "value":
            self._comments.setdefault(card.keyword, []).append(str(card.value or ""))
            return
        if card.keyword == "EXTNAME" and self._values.get("EXTNAME") == _COMPRESSED:
            del self._values["EXTNAME"]  # the name of the image that was compressed follows
        if card.keyword in self._values:
            if self._values[card.keyword] != card.value:
                self._repeated[card.keyword] = None
            return
        self._values[card.keyword] = card.value
        if not card.clean:
            self._unclear[card.keyword] = None
        if isinstance(card.value, str) and card.value.endswith("&"):
            self._open, self._pieces = card.keyword, [card.value]

    def _continue(self, text: str) -> None:
        self._pieces[-1] = self._pieces[-1][:-1]
        self._pieces.append(text)
        if not text.endswith("&"):
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._values[self._open] = "".join(self._pieces)
        self._open = None

    def header(self, start: int, data: int) -> Header:
        self._close()
        comments = {name: "\n".join(lines).rstrip() for name, lines in self._comments.items()}
        return Header(
            start, data, self._values, comments, tuple(self._repeated), tuple(self._unclear)
        )
