"""Volumes as tensors of MONAI, with the affine that its transforms follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MissingDependencyError
from refmaker.publish.imaging.volume import find_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.reading.open import Refs

__all__ = ["tensor_parts", "to_monai"]

_SIGNED = {"uint16": np.int32, "uint32": np.int64, "float16": np.float32}
"""Types that few operations of torch know, and the smallest that hold their values."""


def to_monai(
    refs: Refs,
    path: str | None = None,
    *,
    scaled: bool = True,
    isel: Mapping[str, int] | None = None,
    affine: Any = None,
    fill_value: float | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **opening: Any,
) -> Any:
    """Return a volume as a tensor of MONAI, as its ``LoadImage`` returns those of NIfTI.

    Index order is (x, y, z), with one further dimension behind them; the affine maps it to
    millimetres in RAS. ``EnsureChannelFirst`` makes that dimension the channels, or adds one.

    Parameters
    ----------
    refs : ReferenceSet, Group, str, os.PathLike, or sequence of such names
        A reference set, or what can be scanned, such as a folder of DICOM: as for `open_store`.
    path : str, optional
        The array; not needed if there is one volume only.
    scaled : bool
        Whether values are quantities, such as Hounsfield units (slope and intercept applied), or
        as stored.
    isel : mapping of str to int, optional
        Places along dimensions before z to take, such as ``{"echo_time": 0}``.
    affine : array-like, shape (4, 4), optional
        Maps (z, y, x, 1) to millimetres in RAS, in place of what the set says.
    fill_value : float, optional
        Stored value of voxels that no file holds; without one they are refused.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    **opening
        Further options of `open_store`.

    Returns
    -------
    monai.data.MetaTensor
        With values in memory.

    Raises
    ------
    MetadataError
        If there is no such array, or several volumes and none is named.
    UnsupportedError
        As for `to_nibabel`.
    MissingDependencyError
        If MONAI is not installed.
    RefmakerError
        As of `open_store`.

    Examples
    --------
    >>> tensor = refmaker.to_monai("examples/ct")
    >>> tuple(tensor.shape)
    (32, 32, 5)
    """
    try:
        import torch
        from monai.data import MetaTensor
    except ImportError as error:
        raise MissingDependencyError(
            "tensors of MONAI need MONAI", hint="pip install monai"
        ) from error
    values, matrix, meta = tensor_parts(
        refs,
        path,
        scaled=scaled,
        isel=isel,
        affine=affine,
        fill_value=fill_value,
        storage_options=storage_options,
        opening=opening,
    )
    return MetaTensor(torch.from_numpy(values), affine=torch.from_numpy(matrix), meta=meta)


def tensor_parts(
    refs: Refs, path: str | None = None, **finding: Any
) -> tuple[NDArray[Any], NDArray[np.float64], dict[str, Any]]:
    """Return values, affine and metadata of the tensor that `to_monai` makes.

    Parameters
    ----------
    refs, path, **finding
        As for `find_volume`.

    Returns
    -------
    ndarray
        Values in the order (x, y, z), with one more dimension behind these, or colours.
    ndarray of float64, shape (4, 4)
        Maps (x, y, z, 1) to millimetres in RAS.
    dict
        ``space``, ``affine``, ``original_affine``, ``spatial_shape``, and
        ``original_channel_dim``: NaN for none, -1 for the last.
    """
    volume = find_volume(refs, path, **finding)
    values = volume.read()
    if volume.colours:
        values = np.moveaxis(values, -1, 0)
    values = values.T
    values = np.ascontiguousarray(values, _SIGNED.get(values.dtype.name, values.dtype))
    matrix = volume.millimetres[:, [2, 1, 0, 3]]
    meta = {
        "space": "RAS",
        "affine": matrix,
        "original_affine": matrix.copy(),
        "spatial_shape": np.array(values.shape[:3]),
        "original_channel_dim": float("nan") if values.ndim == 3 else -1,
    }
    return values, matrix, meta
