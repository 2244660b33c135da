"""LERC segments of TIFF files, with their masks of valid pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, input_bytes, library
from refmaker.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TIFFLERC"]


class TIFFLERC(DecodeOnly):
    """Decode LERC as libtiff does: the mask of valid pixels is part of the values.

    Where floats are not valid they are NaN. A last sample of 8 bits that is unassociated alpha
    may be the mask itself.

    Parameters
    ----------
    width : int
        Pixels of a row.
    samples : int
        Samples side by side in each pixel.
    dtype : str
        Of the samples, little-endian.
    alpha : bool
        Whether the last sample may be left out of the image and stand in its mask.
    """

    codec_id: ClassVar[str] = "refmaker.tiff_lerc"
    fields: ClassVar[tuple[str, ...]] = ("width", "samples", "dtype", "alpha")

    def __init__(self, width: int, samples: int, dtype: str, *, alpha: bool = False) -> None:
        self.width = bounded("width", width, 1, 2**31 - 1)
        self.samples = bounded("samples", samples, 1, 65535)
        try:
            self._dtype = np.dtype(dtype)
        except TypeError as error:
            raise MetadataError(f"codec setting 'dtype' is {dtype!r}") from error
        self.dtype = dtype
        self.alpha = bool(alpha)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the samples, shape (rows * width * samples,)."""
        imagecodecs = library("imagecodecs")
        try:
            values, mask = imagecodecs.lerc_decode(input_bytes(buf), masks=True)
        except (RuntimeError, ValueError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        if values.dtype.newbyteorder("<") != self._dtype.newbyteorder("<"):
            raise CodecError(f"{self.codec_id}: samples of {values.dtype}, expected {self.dtype}")
        pixels = self._pixels(values, mask)
        flat = np.ascontiguousarray(pixels).astype(self._dtype, copy=False).reshape(-1)
        return deliver(self.codec_id, flat, out)

    def _pixels(self, values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
        """Return samples last, with what the mask says of them."""
        valid = None if mask is None else np.asarray(mask, bool)
        shape = values.shape
        if values.ndim == 3 and shape[0] == self.samples and shape[2] == self.width:
            # Bands with masks of their own are images one after another.
            values = np.moveaxis(values, 0, -1)
            if valid is not None and valid.ndim == 3:
                valid = np.moveaxis(valid, 0, -1)
        elif values.ndim == 2:
            values = values[..., None]
        if valid is not None and valid.ndim == 2:
            valid = valid[..., None]
        stored = values.shape[-1]
        hidden = self.alpha and stored == self.samples - 1
        if values.ndim != 3 or values.shape[1] != self.width or stored + hidden != self.samples:
            raise CodecError(
                f"{self.codec_id}: an image of shape {shape}, expected rows of {self.width} "
                f"pixels of {self.samples} samples"
            )
        if hidden:
            opaque = np.uint8(255)
            shown = np.where(True if valid is None else valid, opaque, np.uint8(0))
            shown = np.broadcast_to(shown, (*values.shape[:2], 1))
            return np.concatenate([values, shown.astype(values.dtype)], axis=-1)
        if valid is not None and values.dtype.kind == "f":
            return np.where(valid, values, values.dtype.type(np.nan))
        return values
