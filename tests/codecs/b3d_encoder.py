"""A small B3D encoder: it writes the streams that the tests and the benchmark decode.

It follows the description of the bitstream, not the speed or the tie-breaking of the filter, so
its chunks differ from the filter's in bytes, not in meaning.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TYPES = {"uint8": 0, "uint16": 1, "int8": 4, "int16": 5}
LONGEST_RUN = 255
BLOCK = 128


def parameters(image, *, mode=1, tile=24, step=0, conversion=1000, background=0, noise=0):
    """The 11 client data values for a 2-D or 3-D image."""
    depth = image.shape[0] if image.ndim == 3 else 1
    height, width = image.shape[-2:]
    kind = TYPES[image.dtype.name]
    return [step, mode, conversion, background, noise, tile, 1, width, height, depth, kind]


def encode(image: NDArray, cd_values: Sequence[int]) -> bytes:
    """Encode a chunk, lossless in any mode, lossy in modes 1 and 2."""
    step, mode, conversion, background, noise, tile = cd_values[:6]
    pixels = image.reshape(-1, image.shape[-1])
    numbers = pixels.view(f"u{pixels.dtype.itemsize}").astype(np.uint16)
    if step == 0:
        predicted = mode in {1, 2, 7}
        values = numbers.view(np.int16)
        return encode_residuals(predict(values, tile) if predicted else values)
    scale, sigma = conversion / 1000, noise / 1000
    electrons = np.maximum(numbers - float(background), 0) / scale
    roots = (2 * np.sqrt(electrons + sigma**2) - 2 * sigma) / (step / 1000)
    if mode == 1:
        return encode_residuals(predict_and_quantise(roots.astype(np.float32), tile)[0])
    return encode_residuals(predict(np.floor(roots + 0.5).astype(np.uint16).view(np.int16), tile))


def predict(values: NDArray[np.int16], tile: int) -> NDArray[np.int16]:
    """Residuals of the integer predictor, shape (height, width)."""
    wide = values.astype(np.int32)
    left, above = np.zeros_like(wide), np.zeros_like(wide)
    left[:, 1:], above[1:] = wide[:, :-1], wide[:-1]
    rows, columns = np.indices(wide.shape)
    top, side = rows % tile == 0, columns % tile == 0
    mean = np.where(top, left, np.where(side, above, (left + above) >> 1))
    return (wide - np.where(top & side, 0, mean)).astype(np.int16)


def predict_and_quantise(roots, tile):
    """Residuals of the float predictor, and what a decoder reconstructs from them."""
    height, width = roots.shape
    residuals = np.zeros(roots.shape, dtype=np.int16)
    known = np.zeros(roots.shape, dtype=np.float32)
    half = np.float32(0.5)
    for v in range(min(tile, height)):
        for u in range(min(tile, width)):
            here = (slice(v, None, tile), slice(u, None, tile))
            rows, columns = roots[here].shape
            left = known[v::tile, max(u - 1, 0) :: tile][:rows, :columns]
            above = known[max(v - 1, 0) :: tile, u::tile][:rows, :columns]
            if u and v:
                mean = (left + above) * half
            elif u:
                mean = left
            else:
                mean = above if v else np.zeros_like(left)
            difference = np.rint(roots[here] - mean).astype(np.int16)
            residuals[here] = difference
            known[here] = difference.astype(np.float32) + mean
    return residuals, known


def encode_residuals(residuals: NDArray[np.int16]) -> bytes:
    """Write the container around residuals."""
    flat = residuals.reshape(-1)
    symbols = ((flat << 1) ^ (flat >> 15)).view(np.uint16)
    values, zeros = run_lengths(symbols)
    return container(values, zeros)


def run_lengths(symbols: NDArray[np.uint16]) -> tuple[NDArray, NDArray]:
    """Values, and the number of zeros before each of them (at most 255)."""
    kept = np.flatnonzero(symbols)
    values: list[int] = []
    zeros: list[int] = []
    for gap, value in zip(np.diff(kept, prepend=-1) - 1, symbols[kept], strict=True):
        whole, rest = divmod(int(gap), LONGEST_RUN + 1)
        values += [0] * whole + [int(value)]
        zeros += [LONGEST_RUN] * whole + [rest]
    return np.array(values, dtype=np.uint16), np.array(zeros, dtype=np.uint16)


def container(values: NDArray, zeros: NDArray, lengths: dict[int, int] | None = None) -> bytes:
    """A chunk of given values and runs; `lengths` overrides the code lengths of values."""
    return number(len(values)) + part(values, lengths) + part(zeros)


def number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def part(symbols: NDArray, lengths: dict[int, int] | None = None) -> bytes:
    """A table, codewords and the lengths of blocks."""
    if lengths is None:
        lengths = code_lengths(symbols)
    order = sorted(lengths, key=lambda symbol: (lengths[symbol], symbol))
    codes = canonical_codes([lengths[symbol] for symbol in order])
    code_of = np.zeros(1 << 16, dtype=np.uint64)
    length_of = np.zeros(1 << 16, dtype=np.int64)
    code_of[order] = codes
    length_of[order] = [lengths[symbol] for symbol in order]
    widths = length_of[symbols]
    bits = join_bits(code_of[symbols], widths)
    sizes = np.add.reduceat(widths, np.arange(0, len(widths), BLOCK)) if len(widths) else widths
    offsets = np.concatenate([[0], sizes[:-1]]) if len(sizes) else sizes
    halves = offsets.astype("<u2").tobytes()
    return (
        table([lengths[symbol] for symbol in order], order)
        + number(len(bits))
        + pack(bits)
        + halves
        + bytes(-len(halves) % 4)
    )


def table(lengths: Sequence[int], symbols: Sequence[int], width: int | None = None) -> bytes:
    """A Huffman table of symbols that are ordered by the length of their codes."""
    longest = max(lengths, default=0)
    if width is None:
        width = int(max(symbols, default=0)).bit_length()
    counts = [list(lengths).count(length) % (1 << 16) for length in range(1, longest + 1)]
    values = [longest, *counts, len(symbols) % (1 << 16), width % 16, *symbols]
    widths = [5, *[16] * longest, 16, 4, *[width] * len(symbols)]
    return pack(join_bits(np.array(values, dtype=np.uint64), np.array(widths)))


def code_lengths(symbols: NDArray) -> dict[int, int]:
    """Lengths of a Huffman code; a single symbol has length 0."""
    found, counts = np.unique(symbols, return_counts=True)
    heap = [(int(n), i, [int(s)]) for i, (s, n) in enumerate(zip(found, counts, strict=True))]
    lengths = dict.fromkeys((int(symbol) for symbol in found), 0)
    heapq.heapify(heap)
    while len(heap) > 1:
        (n, _, left), (m, tie, right) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in left + right:
            lengths[symbol] += 1
        heapq.heappush(heap, (n + m, tie, left + right))
    return lengths


def canonical_codes(lengths: Sequence[int]) -> list[int]:
    """Codes for non-decreasing lengths."""
    codes: list[int] = []
    for index, length in enumerate(lengths):
        previous = (codes[-1] + 1) << (length - lengths[index - 1]) if index else 0
        codes.append(previous)
    return codes


def join_bits(values: NDArray[np.uint64], widths: NDArray) -> NDArray[np.uint8]:
    """The bits of fields of different widths, most significant bit first."""
    ends = np.cumsum(widths)
    total = int(ends[-1]) if len(ends) else 0
    place = np.repeat(ends, widths) - np.arange(total) - 1
    return ((np.repeat(values, widths) >> place.astype(np.uint64)) & np.uint64(1)).astype(np.uint8)


def pack(bits: NDArray[np.uint8]) -> bytes:
    """Bits as 32-bit words, filled with zeros."""
    padded = np.concatenate([bits, np.zeros(-len(bits) % 32, dtype=np.uint8)])
    return np.packbits(padded).view(">u4").astype("<u4").tobytes()
