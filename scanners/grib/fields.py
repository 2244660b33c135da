"""The fields of a file as they are found: places as columns, sections as rows of equal kind."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.scanners.grib.local_section import without_clock, without_noise
from refmaker.scanners.grib.plain_messages import IMAGES, UNSTRUCTURED, PlainHeaders
from refmaker.scanners.grib.whole_rows import whole_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FieldList", "ProductSections", "ProductTemplate"]

_PRODUCT2 = 9
"""Octets of section 4 before its template: length, number, coordinate values, template number."""
_FEW = 8
PACKING_WIDTH = 49
"""Octets of section 5 that are looked at: all of the templates that are decoded here."""
DATA_WIDTH = 42
"""Bytes of an image in section 7 that are looked at: its header."""
_WHOLE = (
    "a reduced_gg grid ends at another longitude than its rows do, of which all points are there: "
    "taken as a whole one"
)
_REST = 5
"""Octets after section 5 in a row of packings: bitmap indicator, length of section 7."""


class ProductTemplate(NamedTuple):
    """What fields have in common whose product definitions are of one layout.

    Parameters
    ----------
    edition : int
        1 or 2.
    discipline : int
        Octet 7 of section 0; 0 in edition 1.
    template : int
        Product definition template; 0 in edition 1.
    identification : int
        Bytes of section 1 in each row, which stand first.
    width : int
        Bytes of a row.
    local : int
        Number of the local section, see `FieldList.locals`.
    vertical : int
        Vertical coordinate values that stand at the end of a row, 4 bytes each.
    grid : int
        Number of the grid where names depend on it, else -1.
    """

    edition: int
    discipline: int
    template: int
    identification: int
    width: int
    local: int
    vertical: int = 0
    grid: int = -1


@dataclass(slots=True)
class ProductSections:
    """Product definitions of one kind, one row after the other."""

    number: int
    raw: bytearray = field(default_factory=bytearray)


class FieldList:
    """Takes fields one by one, and gives them back as columns.

    Attributes
    ----------
    piles : dict of ProductTemplate to ProductSections
        Sections 1 and 4 (edition 2: without the list of vertical coordinates; edition 1:
        section 1 alone) of all fields, by kind.
    grids : dict of (int, bytes) to int
        Edition and grid definition to its number. A message of edition 1 that has none stands
        with the grid's number and the centre in place of the section.
    grid_places : list of (int, int)
        Offset and length of each grid definition where it was first met; length 0 where there
        is no section.
    locals : dict of bytes to int
        Local section to its number; 0 is that of no section.
    coefficients : dict of (int, bytes) to int
        Edition and list of vertical coordinate values to its number; 0 is that of none.
    packings : dict of (int, int) to bytearray
        By edition and packing (template 5.N; flags of section 4 in edition 1): a row for each
        field, see `packing_rows`.
    notes : list of str
        What a reader should know.
    """

    def __init__(self) -> None:
        self.piles: dict[ProductTemplate, ProductSections] = {}
        self.grids: dict[tuple[int, bytes], int] = {}
        self.grid_places: list[tuple[int, int]] = []
        self.locals: dict[bytes, int] = {b"": 0}
        self.coefficients: dict[tuple[int, bytes], int] = {(0, b""): 0}
        self.packings: dict[tuple[int, int], bytearray] = {}
        self.notes: list[str] = []
        self._message, self._offset, self._length = array("Q"), array("Q"), array("Q")
        self._part, self._grid, self._pile = array("I"), array("I"), array("I")
        self._packing, self._vertical = array("H"), array("H")
        self._coefficients = array("I")

    def mark(self) -> int:
        """Return how many fields there are."""
        return len(self._message)

    def add1(self, at: int, length: int, product: bytes, grid: bytes, how: bytes) -> None:
        """Add the field of a message of edition 1.

        Parameters
        ----------
        product : bytes
            Section 1.
        grid : bytes
            Section 2; empty where there is none.
        how : bytes
            The first 11 octets of section 4.
        """
        whole = whole_rows(product, grid, how)
        place = at + 8 + len(product), len(grid)
        if whole != grid:
            # What is in the file is another definition.
            grid, place = whole, (place[0], 0)
            if _WHOLE not in self.notes:
                self.notes.append(_WHOLE)
        section = grid or bytes((product[6], product[4]))
        kind = ProductTemplate(1, 0, 0, 0, len(product), 0)
        vertical = grid[3] if len(grid) > 3 else 0
        number = self._grid_number((1, section), place)
        # Octet 8 of section 1 tells whether there is a bitmap.
        indicator = 0 if product[7] & 0x40 else 255
        packing = how[3] >> 4, how, indicator, int.from_bytes(how[:3], "big"), b""
        first = grid[4] - 1 if vertical else 0
        values = grid[first : first + 4 * vertical]
        self._add((at, at, length, 1), number, kind, product, (packing, vertical, values))

    def add2(
        self,
        place: tuple[int, int, int, int],
        sections: tuple[int, bytes, bytes, bytes, bytes],
        packing: tuple[int, bytes, int, int, bytes],
        grid_at: int,
    ) -> None:
        """Add a field of a message of edition 2.

        Parameters
        ----------
        place : tuple of int
            Offset of the message, offset and length of the chunk, number of the field.
        sections : tuple
            Discipline, and sections 1, 2 (empty if there is none), 3 and 4.
        packing : tuple
            Data representation template, the first octets of section 5, bitmap indicator,
            length of section 7, and the first bytes of its data where they are an image.
        grid_at : int
            Where section 3 begins.
        """
        discipline, product, local, grid, what = sections
        if local:
            local = without_clock(int.from_bytes(product[5:7], "big"), local)
        vertical = int.from_bytes(what[5:7], "big")
        # Few values describe a generalised vertical coordinate, on which names depend; many are
        # the coefficients of all levels.
        few = vertical if vertical <= _FEW else 0
        body = what[_PRODUCT2 : len(what) - 4 * (vertical - few)]
        template = int.from_bytes(what[7:9], "big")
        number = self.locals.setdefault(local, len(self.locals)) if local else 0
        width = len(product) + len(body)
        # The staggered grids of a model on an unstructured mesh have variables of their own.
        on = self._grid_number((2, grid), (grid_at, len(grid)))
        where = on if grid[12:14] == UNSTRUCTURED else -1
        kind = ProductTemplate(2, discipline, template, len(product), width, number, few, where)
        values = what[len(what) - 4 * vertical :] if vertical else b""
        self._add(place, on, kind, product + body, (packing, vertical, values))

    def add_plain(
        self, begins: NDArray[np.int64], lengths: NDArray[np.int64], of: PlainHeaders
    ) -> None:
        """Add the fields of messages of edition 2 that hold one each, in file order.

        Parameters
        ----------
        begins, lengths : ndarray of int64, shape (n,)
            Where the messages begin, and their bytes.
        of : PlainHeaders
            Their headers.
        """
        for column, values in (
            (self._message, begins), (self._offset, begins), (self._length, lengths),
            (self._part, np.ones(len(begins))), (self._grid, self._grid_numbers(begins, of)),
            (self._pile, self._pile_numbers(of)), (self._packing, of.packing),
            (self._vertical, np.zeros(len(begins))), (self._coefficients, np.zeros(len(begins))),
        ):  # fmt: skip
            column.frombytes(values.astype(column.typecode).tobytes())
        how = of.octets(5, 0, PACKING_WIDTH).copy()
        how[np.arange(PACKING_WIDTH) >= of.sizes[5][:, None]] = 0
        rows = np.hstack([how, of.indicator[:, None], of.octets(7, 0, 4)])
        for first, alike in _groups(of.packing):
            packed = self.packings.setdefault((2, int(of.packing[first])), bytearray())
            packed += rows[alike].tobytes()

    def _grid_numbers(self, begins: NDArray[np.int64], of: PlainHeaders) -> NDArray[np.int64]:
        """Return the numbers of grids; a message mostly has that of the one before."""
        at, size = of.starts[3], of.sizes[3]
        octets = of.octets(3, 0, int(size.max()))
        other = np.ones(len(begins), bool)
        other[1:] = (octets[1:] != octets[:-1]).any(axis=1) | (size[1:] != size[:-1])
        numbers = [
            self._grid_number(
                (2, octets[row, : size[row]].tobytes()),
                (int(begins[row] + at[row]), int(size[row])),
            )
            for row in np.flatnonzero(other).tolist()
        ]
        found: NDArray[np.int64] = np.repeat(numbers, np.diff([*np.flatnonzero(other), len(other)]))
        return found

    def _pile_numbers(self, of: PlainHeaders) -> NDArray[np.int64]:
        """Put product definitions on their piles, and return the numbers of those."""
        discipline = of.heads[:, 6].astype(np.int64)
        what = of.sizes[4] - _PRODUCT2
        layout = ((discipline << 16 | of.template) << 16 | of.sizes[1]) << 16 | what
        numbers = np.empty(len(layout), np.int64)
        for first, alike in _groups(layout):
            one, four = int(of.sizes[1][first]), int(what[first])
            kind = ProductTemplate(
                2, int(discipline[first]), int(of.template[first]), one, one + four, 0
            )
            pile = self.piles.setdefault(kind, ProductSections(len(self.piles)))
            rows = np.hstack([of.octets(1, 0, one), of.octets(4, _PRODUCT2, four)])
            pile.raw += rows[alike].tobytes()
            numbers[alike] = pile.number
        return numbers

    def _grid_number(self, grid: tuple[int, bytes], place: tuple[int, int]) -> int:
        number = self.grids.get(grid)
        if number is None:
            number = self.grids[grid] = len(self.grids)
            self.grid_places.append(place)
        return number

    def _add(
        self,
        place: tuple[int, int, int, int],
        grid: int,
        kind: ProductTemplate,
        row: bytes,
        rest: tuple[tuple[int, bytes, int, int, bytes], int, bytes],
    ) -> None:
        pile = self.piles.get(kind)
        if pile is None:
            pile = self.piles[kind] = ProductSections(len(self.piles))
        pile.raw += row
        self._message.append(place[0])
        self._offset.append(place[1])
        self._length.append(place[2])
        self._part.append(place[3])
        self._grid.append(grid)
        self._pile.append(pile.number)
        (template, how, indicator, size, data), vertical, values = rest
        key = (kind.edition, values) if values else (0, b"")
        self._coefficients.append(self.coefficients.setdefault(key, len(self.coefficients)))
        row = how.ljust(PACKING_WIDTH, b"\0") + bytes((indicator,)) + size.to_bytes(4, "big")
        packed = kind.edition, template
        if packed not in self.packings:
            self.packings[packed] = bytearray()
        self.packings[packed] += row + data.ljust(DATA_WIDTH, b"\0") if template in IMAGES else row
        self._packing.append(template)
        self._vertical.append(vertical)

    def column(self, name: str) -> NDArray[np.int64]:
        """Return a column, shape (fields,).

        Parameters
        ----------
        name : str
            ``message``, ``offset``, ``length``, ``part``, ``grid``, ``pile``, ``packing``,
            ``vertical`` or ``coefficients``.
            Offset of the message; offset and length of the chunk; number of the field in its
            message, from 1; number of the grid; number of the pile, whose rows stand in the
            order of the fields; template of the packing (edition 1: flags of section 4); number
            of vertical coordinate values, and the number of their list.
        """
        values: array[int] = getattr(self, f"_{name}")
        return np.frombuffer(values, values.typecode).astype(np.int64) if values else _NONE

    def editions(self) -> NDArray[np.int64]:
        """Return the edition of each field, shape (fields,)."""
        edition = np.array([kind.edition for kind in self.piles], np.int64)
        return edition[self.column("pile")] if len(edition) else _NONE

    def alike(self) -> dict[ProductTemplate, list[ProductTemplate]]:
        """Return the kinds of piles, each with those that it stands for.

        Kinds differ in a local section; where there are many, octets that nearly every message
        has of its own are blanked, and `notes` says so.
        """
        groups: dict[ProductTemplate, list[ProductTemplate]] = {}
        for kind in self.piles:
            groups.setdefault(kind._replace(local=0), []).append(kind)
        local = list(self.locals)
        found: dict[ProductTemplate, list[ProductTemplate]] = {}
        for kinds in groups.values():
            own = [local[kind.local] for kind in kinds]
            bare = without_noise(own)
            for kind, section in zip(kinds, bare, strict=True):
                number = self.locals.setdefault(section, len(self.locals))
                found.setdefault(kind._replace(local=number), []).append(kind)
            if len(set(bare)) < len(own):
                self.notes.append(
                    f"{len(own)} different local sections of fields that are alike: octets that"
                    " nearly every message has of its own tell none of them apart"
                )
        return found

    def rows(self, kind: ProductTemplate) -> NDArray[np.uint8]:
        """Return the rows of a pile, shape (n, width)."""
        return np.frombuffer(bytes(self.piles[kind].raw), np.uint8).reshape(-1, kind.width)

    def packing_rows(self, edition: int, template: int) -> NDArray[np.uint8]:
        """Return how the fields of one packing are packed, shape (n, width), in file order.

        Parameters
        ----------
        edition : {1, 2}
        template : int
            Template 5.N; in edition 1 the flags in octet 4 of section 4.

        Returns
        -------
        ndarray of uint8
            `PACKING_WIDTH` octets of section 5 (section 4 in edition 1), zeros where it is
            shorter; the bitmap indicator; 4 octets of the length of section 7 (section 4); of
            images `DATA_WIDTH` bytes of the data.
        """
        width = PACKING_WIDTH + _REST + (DATA_WIDTH if template in IMAGES else 0)
        raw = bytes(self.packings.get((edition, template), b""))
        return np.frombuffer(raw, np.uint8).reshape(-1, width)


def _groups(column: NDArray[np.int64]) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return where each value stands first, and where everywhere, in the order of the former."""
    values, firsts = np.unique(column, return_index=True)
    found = zip(firsts.tolist(), values.tolist(), strict=True)
    return [(first, column == value) for first, value in sorted(found)]


_NONE = np.empty(0, np.int64)
