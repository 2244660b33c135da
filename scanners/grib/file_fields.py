"""The fields of one file, as compact as workers send and caches keep them.

What files of one kind have in common (the fields of a forecast hour, with their levels and
steps) is one string of bytes, equal for all of them; a file adds its reference time, and where
its fields lie. Nothing is called by a name yet: names are asked when files are joined, once.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.scanners.grib.field_rows import COLUMNS, FieldRows, FieldTemplate
from refmaker.scanners.grib.fields import ProductTemplate
from refmaker.scanners.grib.packings import check_packings
from refmaker.scanners.grib.products import ABSENT, Product, read_products, undated
from refmaker.scanners.grib.times import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.grib.fields import FieldList

__all__ = ["FileFields", "file_fields"]

_HEAD = struct.Struct("<qIIII")
"""Reference time, length of what is common, numbers of fields and of grids, width of offsets."""
_LEVEL = 1
_FLOATS = frozenset({"level", "bottom", "lower", "upper"})
"""Columns of numbers that need not be whole."""
_MOST = 2**30
"""Bytes that the common part of one file takes at most."""
# Odd multipliers without a pattern: multiples of the golden ratio, squared.
_GOLDEN = np.arange(1, 4097, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
_HASH = (_GOLDEN * (_GOLDEN >> np.uint64(29))) | np.uint64(1)


@dataclass(frozen=True, slots=True, eq=False)
class FileFields:
    """The fields of one file.

    Parameters
    ----------
    common : bytes
        What they are; equal for files that differ in nothing but the following.
    base : int
        Reference time of the file, seconds since 1970; 0 if no field has one.
    offset, length : ndarray, shape (n,)
        The chunk of each field.
    grid_places : list of (int, int)
        Offset and length of each grid definition; length 0 where there is none.
    """

    common: bytes
    base: int
    offset: NDArray[Any]
    length: NDArray[Any]
    grid_places: list[tuple[int, int]]

    def to_bytes(self) -> bytes:
        """Return it as bytes, for `from_bytes`."""
        columns = [self.offset, self.length]
        wide = any(int(column.max(initial=0)) >> 32 for column in columns)
        dtype = "<u8" if wide else "<u4"
        head = _HEAD.pack(
            self.base, len(self.common), len(self.offset), len(self.grid_places), 8 if wide else 4
        )
        places = np.array(self.grid_places, "<u8").tobytes()
        return b"".join(
            [head, self.common, places, *(column.astype(dtype).tobytes() for column in columns)]
        )

    @classmethod
    def from_bytes(cls, data: bytes, known: dict[bytes, bytes]) -> FileFields:
        """Return what `to_bytes` was given.

        Parameters
        ----------
        data : bytes
            From `to_bytes`.
        known : dict of bytes to bytes
            What files have in common, of which one copy is kept.

        Raises
        ------
        MetadataError
            If it is something else.
        """
        try:
            base, size, count, grids, width = _HEAD.unpack_from(data)
            at = _HEAD.size + size
            places = np.frombuffer(data, "<u8", 2 * grids, at).reshape(-1, 2).tolist()
            at += 16 * grids
            offset = np.frombuffer(data, f"<u{width}", count, at)
            length = np.frombuffer(data, f"<u{width}", count, at + width * count)
        except (struct.error, ValueError, TypeError) as error:
            raise MetadataError(f"not the fields of a GRIB file: {error}") from error
        common = data[_HEAD.size : _HEAD.size + size]
        common = known.setdefault(common, common)
        return cls(common, base, offset, length, [(int(o), int(n)) for o, n in places])

    def rows(self) -> FieldRows:
        """Return what the fields are, without names.

        Raises
        ------
        MetadataError
            If it cannot be told from `common`.
        """
        try:
            return _unpacked(self.common, len(self.offset))
        except (zlib.error, ValueError, TypeError, KeyError, IndexError, struct.error) as error:
            raise MetadataError(f"not the fields of a GRIB file: {error}") from error


def file_fields(found: FieldList) -> FileFields:
    """Return the fields of a file."""
    n = found.mark()
    pile = found.column("pile")
    columns: dict[str, NDArray[Any]] = {
        name: found.column(name) for name in ("grid", "packing", "vertical", "coefficients")
    }
    columns["values"], columns["problem"], reasons = check_packings(found)
    for name in ("template", "reference", "start", "end", "until", "member", "percentile"):
        columns[name] = np.full(n, ABSENT)
    for name in ("level", "bottom", "lower", "upper"):
        columns[name] = np.full(n, np.nan)
    for name in ("direction", "frequency"):
        columns[name] = np.full(n, ABSENT)
    templates: list[FieldTemplate] = []
    kinds = found.alike()
    local = list(found.locals)
    order = np.argsort(pile, kind="stable")
    bounds = np.searchsorted(pile[order], np.arange(len(found.piles) + 1))
    for kind, those in kinds.items():
        numbers = [found.piles[one].number for one in those]
        where = np.concatenate([order[bounds[n] : bounds[n + 1]] for n in numbers])
        rows = np.concatenate([found.rows(one) for one in those])
        product = read_products(kind, rows)
        for name in Product.__slots__:
            if name != "template":
                columns[name][where] = getattr(product, name)
        first, inverse = _distinct(product.template)
        columns["template"][where] = inverse + len(templates)
        for row in first.tolist():
            blanked = bytes(product.template[row])
            whole = undated(kind, bytes(rows[row]), blanked)
            templates.append(
                FieldTemplate(kind, whole, blanked, local[kind.local], int(where[row]))
            )
    known = columns["reference"][columns["reference"] != UNKNOWN]
    base = int(known.min()) if len(known) else 0
    for name in ("reference", "until"):
        times = columns[name]
        columns[name] = np.where(times == UNKNOWN, UNKNOWN, times - base)
    lists = {
        "grids": list(found.grids), "templates": templates, "lists": list(found.coefficients),
        "reasons": reasons,
    }  # fmt: skip
    return FileFields(
        _packed(columns, lists), base, found.column("offset"), found.column("length"),
        list(found.grid_places),
    )  # fmt: skip


def _distinct(rows: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first of equal rows, and for every row the number of its equal."""
    if rows.shape[1] <= len(_HASH):
        hashed = rows.astype(np.uint64) @ _HASH[: rows.shape[1]]
        _, first, inverse = np.unique(hashed, return_index=True, return_inverse=True)
        if bool((rows[first[inverse]] == rows).all()):
            return first, inverse
    whole = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").reshape(-1)
    numbers: dict[bytes, int] = {}
    inverse = np.array([numbers.setdefault(bytes(row), len(numbers)) for row in whole], np.int64)
    return np.unique(inverse, return_index=True)[1], inverse


def _packed(columns: dict[str, NDArray[Any]], lists: dict[str, Any]) -> bytes:
    """Return columns and lists as bytes."""
    told: list[list[Any]] = []
    body: list[bytes] = []
    for name in COLUMNS:
        # Floats, too, are equal if their bits are.
        bits = columns[name].view(np.int64)
        low = int(bits.min()) if len(bits) else 0
        spread = (bits - low).view(np.uint64)
        most = int(spread.max(initial=0))
        width = next(size for size in (0, 1, 2, 4, 8) if most < 256**size)
        told.append([low, width])
        if width:
            body.append(spread.astype(f"<u{width}").tobytes())
    head = {
        "columns": told,
        "grids": [[edition, _text(data)] for edition, data in lists["grids"]],
        "templates": [
            [list(one.kind), _text(one.row), _text(one.blanked), _text(one.local), one.first]
            for one in lists["templates"]
        ],
        "lists": [[edition, _text(data)] for edition, data in lists["lists"]],
        "reasons": lists["reasons"],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return zlib.compress(b"".join([struct.pack("<I", len(text)), text, *body]), _LEVEL)


def _unpacked(data: bytes, count: int) -> FieldRows:
    inflate = zlib.decompressobj()
    body = inflate.decompress(data, _MOST)
    (size,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + size])
    at = 4 + size
    columns: dict[str, Any] = {}
    for name, (low, width) in zip(COLUMNS, head["columns"], strict=True):
        bits = np.full(count, low, np.int64)
        if width:
            spread = np.frombuffer(body, f"<u{width}", count, at).astype(np.uint64)
            bits += spread.view(np.int64)
            at += width * count
        columns[name] = bits.view(np.float64) if name in _FLOATS else bits
    return FieldRows(
        **columns,
        grids=[(edition, _octets(text)) for edition, text in head["grids"]],
        templates=[
            FieldTemplate(
                ProductTemplate(*kind), _octets(row), _octets(blanked), _octets(local), first
            )
            for kind, row, blanked, local, first in head["templates"]
        ],
        names=[], sections=[], identities=[],
        lists=[(edition, _octets(text)) for edition, text in head["lists"]],
        reasons=head["reasons"],
    )  # fmt: skip


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _octets(text: str) -> bytes:
    return text.encode("latin-1")
