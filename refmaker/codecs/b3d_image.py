"""From B3D residuals to pixels: the predictor within tiles and the inverse of the lossy step.

The predictor of a pixel is the mean of its left and its upper neighbour, in tiles that are
independent of each other. Pixels on an antidiagonal do not depend on each other either, so each
antidiagonal of all tiles is one numpy operation.

Lossy modes quantise the square root of the photon count. Its inverse is computed in float32 as
the filter does on the GPU, one rounding per operation, and one fused multiply-add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Camera", "fused_multiply_add", "restore_pixels", "undo_prediction"]

_T = TypeVar("_T", np.int16, np.float32)

# Pixels handled at once by the lossy step: its temporaries stay in the cache.
_PIECE = 1 << 15
# What the GPU's conversion to unsigned 32-bit integers saturates at.
_UINT32_MAX = float((1 << 32) - 1)


@dataclass(frozen=True)
class Camera:
    """Parameters of the lossy modes, as float32.

    Parameters
    ----------
    mode : int
        1, 2, 3, 7, 11 or 17.
    step : float32
        Quantisation step, in units of the noise.
    conversion : float32
        Camera conversion, digital numbers per electron. Positive.
    background : float32
        Background level, digital numbers.
    read_noise : float32
        Read noise, electrons.
    """

    mode: int
    step: np.float32
    conversion: np.float32
    background: np.float32
    read_noise: np.float32


def undo_prediction(residuals: NDArray[_T], tile: int) -> NDArray[_T]:
    """Add up residuals and predictions, tile by tile.

    Parameters
    ----------
    residuals : ndarray, shape (height, width)
        int16: sums wrap, the mean of two neighbours is rounded down. float32: plain float32
        arithmetic. Changed in place.
    tile : int
        Width and height of a tile; those at the right and lower edge are cut.

    Returns
    -------
    ndarray, shape (height, width)
        `residuals`.
    """
    if tile == 1:
        return residuals
    for top, bottom, rows in _spans(residuals.shape[0], tile):
        for left, right, columns in _spans(residuals.shape[1], tile):
            part = residuals[top:bottom, left:right]
            tiles = part.reshape(-1, rows, part.shape[1] // columns, columns)
            stack = np.ascontiguousarray(tiles.transpose(1, 3, 0, 2))
            _undo_in_tiles(stack.reshape(rows, columns, -1))
            # Assigned through `part`, for `tiles` may be a copy.
            part[...] = stack.transpose(2, 0, 3, 1).reshape(part.shape)
    return residuals


def _spans(size: int, tile: int) -> Iterator[tuple[int, int, int]]:
    """Split an axis into the part of whole tiles and the rest: start, stop, size of a tile."""
    whole = size - size % tile
    if whole:
        yield 0, whole, tile
    if whole < size:
        yield whole, size, size - whole


def _undo_in_tiles(stack: NDArray[_T]) -> None:
    """Undo the prediction in place in tiles of one shape, stacked along the last axis."""
    height, width, tiles = stack.shape
    for edge in (stack[0], stack[:, 0]):
        np.add.accumulate(edge, axis=0, out=edge, dtype=stack.dtype)
    pixels = stack.reshape(height * width, tiles)
    for diagonal in range(2, height + width - 1 if min(height, width) > 1 else 0):
        first = max(1, diagonal - width + 1)
        start = first * width + diagonal - first
        # From one row to the next, a diagonal moves one column to the left.
        stop = start + (min(diagonal - 1, height - 1) - first) * (width - 1) + 1
        here = pixels[start : stop : width - 1]
        left = pixels[start - 1 : stop - 1 : width - 1]
        above = pixels[start - width : stop - width : width - 1]
        here += _mean(left, above)


def _mean(left: NDArray[Any], above: NDArray[Any]) -> NDArray[Any]:
    """Compute the mean: of float32, or of int16 and rounded down."""
    mean: NDArray[Any]
    if left.dtype == np.float32:
        mean = (left + above) * np.float32(0.5)
    else:
        # No wider type is needed: the bits that both have, and half of those that one has.
        mean = (left & above) + ((left ^ above) >> 1)
    return mean


def restore_pixels(
    values: NDArray[np.float32] | NDArray[np.uint16], camera: Camera
) -> NDArray[np.uint16]:
    """Turn quantised values back into digital numbers.

    Parameters
    ----------
    values : ndarray of float32 or uint16
        What the predictor gives, in steps of quantisation.

    Returns
    -------
    ndarray of uint16, shape (values.size,)
        Digital numbers, rounded half up; those above 65,535 wrap, as they do in the filter.
    """
    flat = values.reshape(-1)
    pixels = np.empty(flat.size, dtype=np.uint16)
    # Only absurd parameters overflow, and infinity ends as the largest integer.
    with np.errstate(over="ignore"):
        for first in range(0, flat.size, _PIECE):
            piece = slice(first, first + _PIECE)
            numbers = _invert(flat[piece].astype(np.float32), camera).astype(np.float64)
            numbers += 0.5
            np.clip(numbers, 0, _UINT32_MAX, out=numbers)
            pixels[piece] = numbers.astype(np.int64).astype(np.uint16)
    return pixels


def _invert(values: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """Invert the square root of a mode; every operation is rounded to float32."""
    scaled = values * camera.step
    if camera.mode in {7, 17}:
        numbers = scaled * scaled
        if camera.mode == 7:
            numbers *= camera.conversion
        numbers += camera.background
        return numbers
    noise = camera.read_noise
    scaled += np.float32(2) * noise
    below = scaled < np.float32(2) * noise
    electrons = scaled * scaled
    electrons *= np.float32(0.25)
    electrons -= noise * noise
    numbers = fused_multiply_add(electrons, camera.conversion, camera.background)
    numbers[below] = camera.background
    if camera.mode == 3:
        # The filter's host code computes the bias in double precision, but for its numerator.
        bias = float(-camera.step * camera.step) / (12.0 * float(camera.conversion))
        numbers += np.float32(bias)
    return numbers


def fused_multiply_add(
    factor: NDArray[np.float32], scale: np.float32, addend: np.float32
) -> NDArray[np.float32]:
    """Compute ``factor * scale + addend`` with one rounding, as the GPU's instruction does.

    Returns
    -------
    ndarray of float32
        The correctly rounded results (but for results in float32's subnormal range, where the
        last bit may differ).
    """
    product = factor.astype(np.float64)  # 24 + 24 bits: exact
    product *= np.float64(scale)
    addend64 = np.float64(addend)
    total: NDArray[np.float64] = product + addend64
    # The sum has been rounded to 53 bits. Rounding again to 24 bits errs only where the first
    # rounding has met the middle of two float32: there, its error decides.
    low = total.view(np.int64) & ((1 << 29) - 1)
    middle = np.flatnonzero(low == 1 << 28)
    if middle.size:
        exact, near = product[middle], total[middle]
        virtual = near - exact
        error = (exact - (near - virtual)) + (addend64 - virtual)
        aside = np.nextafter(near, np.copysign(np.inf, error))
        total[middle] = np.where(error == 0, near, aside)
    return total.astype(np.float32)
