"""Skipping Huffman encoding of HDF4."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError

__all__ = ["HDF4SkippingHuffman"]

_INNER: Final = 256
"""Nodes of a tree that are not leaves, from 0, the root, on; a leaf is this plus its byte."""


class HDF4SkippingHuffman(DecodeOnly):
    """Prefix codes that adapt to what was read, one set for every n-th byte.

    Coder 3 of the compression headers (HDF Specification 4.2, section 3.6.3, ``cskphuff.c``):
    Jones, "Application of splay trees to data compression" (1988). Each byte of an element has a
    tree of its own, which is splayed after each code.

    Parameters
    ----------
    size : int
        Bytes of the decoded chunk.
    lanes : int
        Bytes of an element, and number of trees.
    """

    codec_id = "refmaker.hdf4_skphuff"
    fields = ("size", "lanes")

    def __init__(self, size: int, lanes: int) -> None:
        self.size = bounded("size", size, 0, MAX_CHUNK)
        self.lanes = bounded("lanes", lanes, 1, 256)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode a chunk, some megabytes a second.

        Raises
        ------
        CodecError
            If the chunk ends before the elements do.
        """
        raw = input_bytes(buf)
        # Every code has at least a bit.
        if 8 * raw.size < self.size:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes do not hold {self.size}")
        found = _decoded(np.unpackbits(raw).tobytes(), self.size, self.lanes)
        if len(found) < self.size:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes do not hold {self.size}")
        return deliver(self.codec_id, np.frombuffer(found, np.uint8), out)


def _decoded(bits: bytes, size: int, lanes: int) -> bytearray:
    """Return what a string of bits, one in each byte, decodes to; less if it ends too early."""
    trees = [
        ([2 * n for n in range(_INNER)], [2 * n + 1 for n in range(_INNER)],
         [n >> 1 for n in range(2 * _INNER)])
        for _ in range(lanes)
    ]  # fmt: skip
    found = bytearray()
    at, end = 0, len(bits)
    for number in range(size):
        left, right, parent = trees[number % lanes]
        node = 0
        while node < _INNER:
            if at == end:
                return found
            node = right[node] if bits[at] else left[node]
            at += 1
        found.append(node - _INNER)
        _splay(node, left, right, parent)
    return found


def _splay(node: int, left: list[int], right: list[int], parent: list[int]) -> None:
    """Bring a leaf nearer to the root: exchange it, and every second node above it."""
    while node:
        above = parent[node]
        if not above:
            return
        top = parent[above]
        other = left[top]
        if other == above:
            other = right[top]
            right[top] = node
        else:
            left[top] = node
        if left[above] == node:
            left[above] = other
        else:
            right[above] = other
        parent[node], parent[other] = top, above
        node = top
