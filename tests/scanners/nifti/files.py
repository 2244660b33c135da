"""Writes NIfTI files with nibabel."""

import nibabel
import numpy as np

AFFINE = np.diag([-2.0, 3.0, 4.0, 1.0])
AFFINE[:3, 3] = [10.0, -5.5, 7.25]
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def write(path, values, version, order, *, affine=AFFINE, pair=False, **fields):
    kind = {
        (1, False): nibabel.Nifti1Image,
        (2, False): nibabel.Nifti2Image,
        (1, True): nibabel.Nifti1Pair,
        (2, True): nibabel.Nifti2Pair,
    }[version, pair]
    image = kind(values, affine, kind.header_class(endianness=order), dtype=values.dtype)
    image.header.set_data_dtype(values.dtype)
    image.header.set_xyzt_units("mm", "sec")
    for name, value in fields.items():
        if name not in ("scl_slope", "scl_inter"):
            image.header[name] = value
    if "scl_slope" in fields:
        image.header.set_slope_inter(fields["scl_slope"], fields["scl_inter"])
    nibabel.save(image, path)
    return path


def write_colours(path, values):
    """Write a volume of colours whose channels differ."""
    colours = np.zeros(values.shape, RGB)
    for at, name in enumerate(RGB.names):
        colours[name] = values + at
    image = nibabel.Nifti1Image(colours, AFFINE)
    nibabel.save(image, path)
    return path
