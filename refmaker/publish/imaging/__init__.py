"""Volumes of any format as images of the libraries that radiology uses.

`volume` finds the array of a set, its affine and its scaling; `nibabel_image`, `simpleitk_image`
and `monai_tensor` make an image of each library of it; `gradients` hands on what diffusion
weighting says. What a volume is follows from attributes alone, whatever its format: ``affine_ras``
(and ``affine_dimensions``, ``spatial_units``), ``scale_factor`` and ``add_offset``.
"""

from __future__ import annotations

from refmaker.publish.imaging.gradients import fsl_gradients
from refmaker.publish.imaging.monai_tensor import to_monai
from refmaker.publish.imaging.nibabel_image import to_nibabel
from refmaker.publish.imaging.simpleitk_image import to_sitk

__all__ = ["fsl_gradients", "to_monai", "to_nibabel", "to_sitk"]
