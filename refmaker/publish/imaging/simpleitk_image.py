"""Volumes as images of SimpleITK, read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from refmaker.errors import MetadataError, MissingDependencyError, UnsupportedError
from refmaker.publish.imaging.gradients import directions_of
from refmaker.publish.imaging.volume import Volume, find_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    import SimpleITK

    from refmaker.reading.open import Refs

__all__ = ["to_sitk"]

_SHEAR = float(np.sin(np.radians(0.02)))
"""Cosine between axes that rounded positions can cause, as for DICOM's ``is_sheared``."""
_LPS = np.diag([-1.0, -1.0, 1.0])


def to_sitk(
    refs: Refs,
    path: str | None = None,
    *,
    scaled: bool = True,
    isel: Mapping[str, int] | None = None,
    affine: Any = None,
    fill_value: float | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **opening: Any,
) -> SimpleITK.Image:
    """Return a volume as an image of SimpleITK, in millimetres and LPS.

    Values, spacing, origin and direction are those of SimpleITK's own reader of series. One
    dimension before z, such as time, makes an image of four dimensions, whose spacing along it
    is 1 unless its values are even. Colours are components.
    Of a diffusion series the b-value and the directions stand in the metadata as in NRRD files
    of diffusion (``DWMRI_b-value``, ``DWMRI_gradient_0000`` in LPS, scaled by the root of each
    volume's share of the largest b-value).

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
    SimpleITK.Image
        With values in memory.

    Raises
    ------
    MetadataError
        If there is no such array, or several volumes and none is named.
    UnsupportedError
        If it is no volume with an affine; if the affine is sheared, as of a tilted gantry, which
        directions cannot say; if it has more than four dimensions, its values cannot be scaled
        as a whole, or no file holds some of them.
    MissingDependencyError
        If SimpleITK is not installed.
    RefmakerError
        As of `open_store`.

    Examples
    --------
    >>> image = refmaker.to_sitk("examples/ct")
    >>> image.GetSize(), image.GetSpacing()
    ((32, 32, 5), (0.5, 0.5, 2.5))
    """
    try:
        import SimpleITK as sitk  # noqa: N813 - as everybody calls it
    except ImportError as error:
        raise MissingDependencyError(
            "images of SimpleITK need SimpleITK", hint="pip install SimpleITK"
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
    if len(volume.leading) > 1:
        names = ", ".join(volume.leading)
        raise UnsupportedError(
            f"it has the dimensions {names} besides space, one is possible",
            code="rank",
            path=volume.path,
            hint=f"take a place along the others, such as `isel={{{volume.leading[0]!r}: 0}}`",
        )
    directions, spacing, origin = _axes(volume)
    image: Any = sitk.GetImageFromArray(_known(volume), isVector=bool(volume.colours))
    if volume.leading:
        step = volume.step(volume.leading[0])
        spacing, origin = [*spacing, step[0] if step else 1.0], [*origin, 0.0]
        whole = np.eye(4)
        whole[:3, :3] = directions
        directions = whole
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(directions.ravel().tolist())
    for key, text in _diffusion(volume).items():
        image.SetMetaData(key, text)
    return cast("SimpleITK.Image", image)


def _axes(volume: Volume) -> tuple[Any, list[float], list[float]]:
    """Return unit vectors as columns, spacing and origin, in the order (x, y, z) and in LPS."""
    matrix = volume.millimetres[:, [2, 1, 0, 3]]
    columns = _LPS @ matrix[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    if not bool((spacing > 0).all()):
        raise UnsupportedError("its affine has a step of 0", code="affine", path=volume.path)
    directions = columns / spacing
    shear = np.abs(directions.T @ directions - np.eye(3)).max()
    if float(shear) > _SHEAR:
        raise UnsupportedError(
            "its slices are sheared, as those of a tilted gantry: directions at right angles "
            "cannot say where its voxels lie",
            code="sheared",
            path=volume.path,
            hint="refmaker.to_nibabel keeps the shear; resample it there",
        )
    # No negative zeros in what people read.
    return directions + 0.0, spacing.tolist(), (_LPS @ matrix[:3, 3] + 0.0).tolist()


def _known(volume: Volume) -> Any:
    """Return the values in a type that SimpleITK has."""
    values = volume.read()
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    return np.ascontiguousarray(values)


def _diffusion(volume: Volume) -> dict[str, str]:
    """Return what NRRD files of diffusion say."""
    try:
        found = directions_of(volume)
    except (UnsupportedError, MetadataError):
        return {}
    values, vectors = found
    top = float(values.max())
    if top <= 0:
        return {}
    shares = np.sqrt(values / top)[:, None] * (vectors @ _LPS)
    told = {"modality": "DWMRI", "DWMRI_b-value": f"{top:.10g}"}
    return told | {
        f"DWMRI_gradient_{at:04d}": " ".join(f"{part + 0.0:.10g}" for part in vector)
        for at, vector in enumerate(shares)
    }
