"""The order in which a field's values stand in a message, undone.

Implements flag table 3.4 of GRIB 2 and table 8 of GRIB 1: adjacent points along j, and rows that
run forth and back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ALTERNATING_ROWS", "J_CONSECUTIVE", "arrange"]

J_CONSECUTIVE, ALTERNATING_ROWS = 0x20, 0x10


def arrange(values: NDArray[Any], shape: Sequence[int], scanning: int) -> NDArray[Any]:
    """Put values that come in scanning order into rows.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Values in the order of the message.
    shape : sequence of int
        (rows, columns), possibly after dimensions of length 1, of n elements in all.

    Returns
    -------
    ndarray
        Of the wanted shape, in C order; a view of `values` where their order is that already.
    """
    rows, columns = (*shape[-2:],) if len(shape) > 1 else (1, shape[0])
    lines = values.reshape((columns, rows) if scanning & J_CONSECUTIVE else (rows, columns))
    if scanning & ALTERNATING_ROWS and len(lines) > 1:
        lines = lines.copy()
        lines[1::2] = lines[1::2, ::-1].copy()
    if scanning & J_CONSECUTIVE:
        lines = np.ascontiguousarray(lines.T)
    return lines.reshape(tuple(shape))
