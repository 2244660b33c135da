"""Frames as pydicom reads them: the oracle that references are compared with."""

from __future__ import annotations

import io
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, MissingDependencyError, UnsupportedError
from refmaker.io.source import Source
from refmaker.scanners.dicom.dicomweb import instance_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["PydicomFrames", "read_dataset"]

_LOSSY_JPEG = frozenset({f"1.2.840.10008.1.2.4.{n}" for n in (50, 51)})
_KEPT = 64 * 1024**2
"""Decoded bytes up to which all frames are read at once."""


def read_dataset(
    url: str, storage_options: Mapping[str, Any] | None = None, *, pixels: bool = False
) -> Any:
    """Return a file's data set as pydicom reads it.

    Parameters
    ----------
    url : str
        The file.
    storage_options : mapping, optional
        Passed to fsspec if it is not local; it is then read into memory.
    pixels : bool
        Whether pixel data are wanted.

    Raises
    ------
    MissingDependencyError
        If pydicom is not installed.
    FormatError
        If pydicom does not open the file.
    """
    try:
        import pydicom
    except ImportError as error:
        raise MissingDependencyError(
            "reading DICOM files natively needs pydicom", hint="pip install pydicom"
        ) from error
    whole = instance_bytes(url, storage_options)
    if whole is not None:
        where: Any = io.BytesIO(whole)
    else:
        with Source(url, storage_options) as source:
            where = source.path or io.BytesIO(source.read(0, source.size))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(where, force=True, stop_before_pixels=not pixels)
    except Exception as error:  # noqa: BLE001 - it raises what its decoders raise
        # The text may quote values, which may name a patient.
        raise FormatError(f"pydicom fails with {type(error).__name__}", url=url) from None


class PydicomFrames:
    """The frames of one file, decoded by pydicom and whatever decoders it finds.

    Parameters
    ----------
    url : str
        The file.
    storage_options : mapping, optional
        Passed to fsspec if it is not local; it is then read into memory.

    Raises
    ------
    MissingDependencyError
        If pydicom is not installed.
    FormatError
        If pydicom does not open the file.
    """

    def __init__(self, url: str, storage_options: Mapping[str, Any] | None = None) -> None:
        self._url = url
        self._dataset = read_dataset(url, storage_options, pixels=True)
        self._all: dict[bool, NDArray[Any]] = {}
        self._tell_syntax()

    def frame(self, number: int, photometric: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return one frame.

        Parameters
        ----------
        number : int
            Counted from 0.
        photometric : str
            The colours that are wanted: those that references decode to. Colours of JPEG streams
            are converted, those of other frames only if ``"RGB"`` is wanted.
        dtype : numpy.dtype
            The type that is wanted.

        Returns
        -------
        ndarray, shape (rows, columns) or (rows, columns, samples)

        Raises
        ------
        UnsupportedError
            If nothing that pydicom finds decodes the frame, with code ``no-oracle``.
        """
        from pydicom.pixels.utils import pixel_array

        dataset = self._dataset
        uid = str(dataset.file_meta.TransferSyntaxUID)
        told = str(dataset.get("PhotometricInterpretation", ""))
        raw = uid not in _LOSSY_JPEG and not (photometric == "RGB" and told != "RGB")
        count = int(dataset.get("NumberOfFrames") or 1)
        sides = [int(dataset.get(name) or 1) for name in ("Rows", "Columns", "SamplesPerPixel")]
        try:
            # Warnings quote values as errors do.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if math.prod(sides) * count * dtype.itemsize > _KEPT:
                    image = pixel_array(dataset, index=number, raw=raw)
                    return np.asarray(image).astype(dtype, copy=False)
                if raw not in self._all:
                    self._all[raw] = np.asarray(pixel_array(dataset, raw=raw))
        except Exception as error:  # noqa: BLE001 - it raises what its decoders raise
            # The text may quote values, which may name a patient.
            raise UnsupportedError(
                f"pydicom does not decode it: {type(error).__name__}",
                code="no-oracle",
                url=self._url,
            ) from None
        # Where the header does not tell, pydicom gives as many frames as there are.
        frames = self._all[raw].reshape(-1, *self._shape)
        return np.asarray(frames[number].astype(dtype, copy=False))

    @property
    def _shape(self) -> tuple[int, ...]:
        """Extents of one frame."""
        get = self._dataset.get
        plane = int(get("Rows") or 1), int(get("Columns") or 1)
        samples = int(get("SamplesPerPixel") or 1)
        return plane if samples == 1 else (*plane, samples)

    @property
    def lossy(self) -> bool:
        """Whether decoders may differ: inverse transforms of JPEG round as ITU-T T.83 allows."""
        return str(self._dataset.file_meta.TransferSyntaxUID) in _LOSSY_JPEG

    def _tell_syntax(self) -> None:
        """Fill in the transfer syntax where the file does not tell it."""
        import pydicom

        meta = self._dataset.file_meta
        if not getattr(meta, "TransferSyntaxUID", None):
            implicit, little = self._dataset.original_encoding
            meta.TransferSyntaxUID = (
                pydicom.uid.ImplicitVRLittleEndian
                if implicit
                else pydicom.uid.ExplicitVRLittleEndian
                if little
                else pydicom.uid.ExplicitVRBigEndian
            )
