"""Volumes as images of nibabel, whose values are read when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from refmaker.errors import MissingDependencyError, UnsupportedError
from refmaker.publish.imaging.volume import Volume, find_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nibabel.nifti1 import Nifti1Image

    from refmaker.reading.open import Refs

__all__ = ["to_nibabel"]

_RANK = 7
"""Dimensions that NIfTI has."""
_SECONDS = {"s": 1.0, "ms": 0.001, "us": 1e-6, "seconds": 1.0}
_SPACE = {"mm": "mm", "m": "meter", "um": "micron"}


def to_nibabel(
    refs: Refs,
    path: str | None = None,
    *,
    scaled: bool = True,
    isel: Mapping[str, int] | None = None,
    affine: Any = None,
    fill_value: float | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **opening: Any,
) -> Nifti1Image:
    """Return a volume as an image of nibabel.

    Index order is (x, y, z, ...), that of NIfTI; the affine maps it to RAS. The fourth dimension
    is what stands before z in the set, such as time, diffusion or echo time, the fifth what
    stands before that. Even times give the distance of volumes; `fsl_gradients` gives b-values
    and directions.

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
    nibabel.Nifti1Image
        Its ``dataobj`` is a proxy: only chunks that are asked for are read. Sheared affines, such
        as those of tilted gantries, are kept (sform).

    Raises
    ------
    MetadataError
        If there is no such array, or several volumes and none is named.
    UnsupportedError
        If it is no volume with an affine, its values cannot be scaled as a whole, or no file
        holds some of them.
    MissingDependencyError
        If nibabel is not installed.
    RefmakerError
        As of `open_store`.

    Examples
    --------
    >>> image = refmaker.to_nibabel("examples/ct")
    >>> image.shape
    (32, 32, 5)
    >>> image.affine.diagonal().tolist()
    [-0.5, -0.5, 2.5, 1.0]
    """
    try:
        import nibabel as nib
    except ImportError as error:
        raise MissingDependencyError(
            "images of nibabel need nibabel", hint="pip install nibabel"
        ) from error
    volume = find_volume(
        refs,
        path,
        scaled=scaled,
        isel=isel,
        affine=affine,
        fill_value=fill_value,
        storage_options=storage_options,
        opening=opening,
    )
    data = _Proxy(volume)
    if data.ndim > _RANK:
        told = f"it has {data.ndim} dimensions, {_RANK} are possible"
        raise UnsupportedError(told, code="rank", path=volume.path, hint=_places(volume))
    library: Any = nib
    image = library.Nifti1Image(data, volume.affine[:, [2, 1, 0, 3]], dtype=data.dtype)
    header = image.header
    time = _seconds(volume)
    header.set_xyzt_units(_SPACE[volume.units], "sec" if time else None)
    if time:
        header.set_zooms((*header.get_zooms()[:3], time, *header.get_zooms()[4:]))
    return cast("Nifti1Image", image)


def _places(volume: Volume) -> str:
    return f"take a place along some, such as `isel={{{volume.leading[0]!r}: 0}}`"


def _seconds(volume: Volume) -> float:
    """Return the distance of volumes in time, 0 if it is none or not even."""
    step = volume.step(volume.leading[-1]) if volume.leading else None
    return 0.0 if step is None or step[1] not in _SECONDS else step[0] * _SECONDS[step[1]]


class _Proxy:
    """The values of a volume as nibabel's images have them: reversed dimensions, on demand."""

    is_proxy = True

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._rank = len(volume.names) - bool(volume.colours)
        self.dtype = volume.dtype
        if volume.colours:
            # As nibabel has colours: a voxel is a record.
            self.dtype = np.dtype([(name, "u1") for name in "RGBA"[: volume.colours]])

    @property
    def shape(self) -> tuple[int, ...]:
        return self._volume.shape[: self._rank][::-1]

    @property
    def ndim(self) -> int:
        return self._rank

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        values = self._read([slice(None)] * self._rank)
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        from nibabel import fileslice

        library: Any = fileslice
        try:
            parts = library.canonical_slicers(key, self.shape, check_inds=True)
        except (TypeError, ValueError):
            # Anything but integers and slices.
            return np.asarray(self)[key]
        extents = iter(self.shape)
        region: list[slice] = []
        rest: list[Any] = []
        for part in parts:
            if part is None:
                rest.append(None)
                continue
            extent = next(extents)
            if not isinstance(part, slice):
                region.append(slice(int(part), int(part) + 1))
                rest.append(0)
                continue
            places = range(*part.indices(extent))
            forward = places if places.step > 0 else places[::-1]
            region.append(slice(forward.start, forward.stop, forward.step))
            rest.append(slice(None, None, 1 if places.step > 0 else -1))
        return self._read(region)[tuple(rest)]

    def _read(self, region: list[slice]) -> Any:
        colours = [slice(None)] * bool(self._volume.colours)
        values = self._volume.read([*region[::-1], *colours])
        if self._volume.colours:
            values = np.ascontiguousarray(values).view(self.dtype)[..., 0]
        return values.T
