"""Where the data of a variable lie, by column, and how they are encoded.

Implements the elements ``chunks``, ``chunk`` and ``block`` of DMR++ 1.0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.codecs.filter_masks import mask_policy
from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.dmrpp.document import DMRPP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dmrpp.document import Element

    Rows = Sequence[Mapping[str, str]]

__all__ = ["Pieces", "Storage", "filters_of", "masked", "storage_of", "whole_size"]

_KNOWN = ("deflate", "shuffle", "fletcher32")
_LIMIT = 2**62
_DIGITS = 18
"""Of a number of bytes."""


class Storage(NamedTuple):
    """How the data of a variable are stored.

    Parameters
    ----------
    filters : tuple of str
        Names in the order in which they encoded.
    levels : tuple of int
        Those of deflate, in order.
    order : {"<", ">"}
        Byte order.
    fill : str or None
        The text of the fill value.
    chunk_shape : tuple of int or None
        Elements of a chunk; None where the data are in one piece.
    offsets : str
        Where the members of a structure lie.
    rows : sequence of mapping
        Chunks, or the one piece, as they stand.
    blocks : sequence of mapping
        Parts that are to be put together before they are decoded.
    """

    filters: tuple[str, ...]
    levels: tuple[int, ...]
    order: str
    fill: str | None
    chunk_shape: tuple[int, ...] | None
    offsets: str
    rows: Rows
    blocks: Rows


def storage_of(element: Element, *, versioned: bool) -> Storage | None:
    """Return how a variable is stored; None if the document does not say.

    Parameters
    ----------
    element : Element
        The variable.
    versioned : bool
        Whether the document names the version of its writer: others name filters in any order.

    Raises
    ------
    FormatError
        If a number is none.
    """
    found = element.child(f"{DMRPP}chunks")
    if found is None:
        if not element.chunks:
            return None
        return Storage((), (), "<", None, None, "", element.chunks, ())
    told = found.attributes
    filters = tuple(told.get("compressionType", "").split())
    if not versioned:
        # What was shuffled was so before it was compressed.
        filters = tuple(sorted(filters, key=lambda name: name != "shuffle"))
    sizes = found.child(f"{DMRPP}chunkDimensionSizes")
    chunk_shape = None if sizes is None else tuple(_numbers(sizes.text.split(), 1))
    return Storage(
        filters,
        tuple(_numbers(told.get("deflateLevel", "").split(), 0)),
        ">" if told.get("byteOrder") == "BE" else "<",
        told.get("fillValue"),
        chunk_shape,
        told.get("structOffset", ""),
        found.chunks,
        [child.attributes for child in found.children if child.tag == f"{DMRPP}block"],
    )


def _numbers(texts: Sequence[str], least: int) -> list[int]:
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in texts):
        raise FormatError(f"{texts!r:.80} are not numbers")
    found = [int(text) for text in texts]
    if found and min(found) < least:
        raise FormatError(f"{texts!r:.80} are not all {least} or more")
    return found


def filters_of(storage: Storage, itemsize: int) -> list[dict[str, Any] | None]:
    """Return the codec of each filter of a pipeline; None for one that does nothing.

    Raises
    ------
    UnsupportedError
        If a filter is of another kind; code ``dmrpp-filter``.
    """
    levels = list(storage.levels)
    found: list[dict[str, Any] | None] = []
    for name in storage.filters:
        if name not in _KNOWN:
            raise UnsupportedError(
                f"the filter {name!r}, of which the document does not tell enough",
                code="dmrpp-filter",
                hint="scan the data file itself",
            )
        if name == "deflate":
            found.append({"id": "zlib", "level": min(levels.pop(0), 9) if levels else 4})
        elif name == "fletcher32":
            found.append({"id": "fletcher32"})
        else:
            found.append({"id": "shuffle", "elementsize": itemsize} if itemsize > 1 else None)
    return found


class Pieces:
    """Chunks or other parts of the data, by column.

    Parameters
    ----------
    rows : sequence of mapping
        Attributes as they stand.

    Attributes
    ----------
    offset, length : ndarray of int64, shape (n,)
        Bytes of each.
    hrefs : list of str or None
        Names of other files, where there are some.

    Raises
    ------
    FormatError
        If a number is none.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._names = frozenset[str]().union(*rows)
        self.offset = self._column("offset")
        self.length = self._column("nBytes")
        self.hrefs = [row.get("href", "") for row in rows] if "href" in self._names else None

    def _column(self, name: str, default: str = "") -> NDArray[np.int64]:
        texts = [row.get(name) or default for row in self._rows]
        text = "\n".join(texts)
        if not texts:
            return np.zeros(0, np.int64)
        digits = text.replace("\n", "")
        if not (digits.isdigit() and digits.isascii()) or max(map(len, texts)) > _DIGITS:
            raise FormatError(f"chunks whose {name!r} is no number")
        found = np.fromstring(text, np.int64, sep="\n")
        if found.size != len(texts):
            raise FormatError(f"chunks whose {name!r} is no number")
        return found

    @property
    def masks(self) -> NDArray[np.uint32]:
        """Bits of the filters that each chunk skipped."""
        if "fm" not in self._names:
            return np.zeros(len(self._rows), np.uint32)
        return self._column("fm", "0").astype(np.uint32)

    @property
    def placed(self) -> bool:
        """Whether any has a position."""
        return "chunkPositionInArray" in self._names

    @property
    def linked(self) -> bool:
        """Whether some are parts of a chunk that lies in several places."""
        return "LinkedBlockIndex" in self._names

    def positions(self, rank: int) -> NDArray[np.int64]:
        """Return the first element of each chunk, shape (n, rank).

        Raises
        ------
        FormatError
            If one is no position of so many dimensions.
        """
        texts = [row.get("chunkPositionInArray", "") for row in self._rows]
        if not any(texts) and len(texts) <= 1:
            return np.zeros((len(texts), rank), np.int64)
        joined = ",".join(texts).replace("],[", ",")
        inner = joined[1:-1]
        plain = inner.replace(",", "").replace(" ", "")
        shaped = joined[:1] == "[" and joined[-1:] == "]" and plain.isascii()
        numbers = np.zeros(0, np.int64)
        if shaped and (plain.isdigit() or (not rank and not plain)):
            numbers = np.fromstring(inner, np.int64, sep=",") if inner else numbers
        if numbers.size != len(texts) * rank or (not shaped and rank):
            raise FormatError(f"a chunk whose place is not one in {rank} dimensions")
        return numbers.reshape(len(texts), rank)

    def joined(self) -> list[tuple[str, int, int]]:
        """Return file, offset and length of runs of parts that follow each other."""
        runs: list[tuple[str, int, int]] = []
        names = self.hrefs or [""] * len(self._rows)
        for name, start, size in zip(
            names, self.offset.tolist(), self.length.tolist(), strict=True
        ):
            if runs and runs[-1][0] == name and runs[-1][1] + runs[-1][2] == start:
                runs[-1] = name, runs[-1][1], runs[-1][2] + size
            else:
                runs.append((name, start, size))
        return runs


def masked(
    filters: Sequence[dict[str, Any] | None],
    lengths: NDArray[np.int64],
    masks: NDArray[np.uint32],
    nbytes: int,
) -> tuple[dict[str, Any], ...]:
    """Return codecs for chunks of which some skipped filters.

    Parameters
    ----------
    filters : sequence of dict or None
        As of `filters_of`.
    lengths, masks : ndarray, shape (n,)
        Stored bytes of each chunk, and the bits of the filters that it skipped.
    nbytes : int
        Bytes of a decoded chunk.

    Raises
    ------
    UnsupportedError
        If that cannot be told from their lengths; code ``dmrpp-filter-mask``.
    """
    codecs = [codec for codec in filters if codec is not None]
    bits = np.zeros(masks.shape, np.uint32)
    place = 0
    for number, codec in enumerate(filters):
        if codec is not None:
            bits |= (masks >> np.uint32(number) & np.uint32(1)) << np.uint32(place)
            place += 1
    policy = mask_policy(lengths.astype(np.uint64), bits, nbytes)
    if policy.inline.size:
        raise UnsupportedError(
            "filters were skipped in some chunks, which have the length of others",
            code="dmrpp-filter-mask",
            hint="scan the data file itself",
        )
    if policy.masks:
        table = {str(length): mask for length, mask in policy.masks.items()}
        return ({"id": "refmaker.hdf5_masked", "filters": codecs, "masks": table},)
    return tuple(codec for bit, codec in enumerate(codecs) if not policy.uniform >> bit & 1)


def whole_size(shape: Sequence[int], itemsize: int) -> int:
    """Return the bytes of elements; refuse more than any file has."""
    size = math.prod(shape) * itemsize
    if size >= _LIMIT:
        raise FormatError(f"an array of shape {tuple(shape)}")
    return size
