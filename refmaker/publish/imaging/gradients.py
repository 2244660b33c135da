"""b-values and directions of a diffusion series, in the conventions of libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.publish.imaging.volume import Volume, find_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.reading.open import Refs

__all__ = ["directions_of", "fsl_gradients"]

_RAS = np.array([-1.0, -1.0, 1.0])


def fsl_gradients(
    refs: Refs,
    path: str | None = None,
    *,
    isel: Mapping[str, int] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **opening: Any,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return b-values and directions of a diffusion series, as in FSL's ``bval`` and ``bvec``.

    Directions are along the axes of the image that `to_nibabel` returns, the first one negated
    where its affine has a positive determinant, as FSL wants it; 0 where a file tells none.

    Parameters
    ----------
    refs : ReferenceSet, Group, str, os.PathLike, or sequence of such names
        As for `to_nibabel`.
    path : str, optional
        The array; not needed if there is one volume only.
    isel : mapping of str to int, optional
        Places along dimensions before z to take, so that diffusion alone is left.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    **opening
        Further options of `open_store`.

    Returns
    -------
    ndarray of float64, shape (n,)
        b-value of each volume, s/mm2.
    ndarray of float64, shape (n, 3)
        Its direction, as stored: not normalised.

    Raises
    ------
    MetadataError
        If there is no such array, or several volumes and none is named.
    UnsupportedError
        If it has no b-values along the one dimension before space.
    RefmakerError
        As of `open_store`.

    Examples
    --------
    >>> import sys
    >>> sys.path.append("examples")
    >>> from phantom import write_study
    >>> study = write_study("study")
    >>> b_values, directions = refmaker.fsl_gradients(study, "study-1/series-2")
    >>> b_values.tolist(), directions.shape
    ([0.0, 1000.0, 1000.0, 1000.0, 1000.0], (5, 3))
    """
    volume = find_volume(
        refs, path, scaled=False, isel=isel, fill_value=0, storage_options=storage_options,
        opening=opening,
    )  # fmt: skip
    values, vectors = directions_of(volume)
    columns = volume.affine[:3, [2, 1, 0]]
    axes = columns / np.linalg.norm(columns, axis=0)
    along = np.linalg.solve(axes, vectors.T).T
    if np.linalg.det(axes) > 0:
        along[:, 0] *= -1
    return values, along + 0.0


def directions_of(volume: Volume) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return b-values, and directions in RAS, of each place along the dimension before space.

    Raises
    ------
    UnsupportedError
        If there are none.
    """
    known = volume.coordinates.get("b_value")
    if known is None or len(volume.leading) != 1 or known.names != volume.leading:
        told = ", ".join(volume.leading) or "none"
        raise UnsupportedError(
            f"it has no b-values along one dimension before space; its dimensions there: {told}",
            code="no-diffusion",
            path=volume.path,
        )
    values = np.nan_to_num(np.asarray(known.values, np.float64))
    vectors = volume.coordinates.get("b_vector")
    if vectors is None or vectors.names[:1] != known.names or vectors.values.ndim != 2:
        return values, np.zeros((values.size, 3))
    return values, np.nan_to_num(np.asarray(vectors.values, np.float64)) * _RAS
