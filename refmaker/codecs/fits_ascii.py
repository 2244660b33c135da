"""Numbers of one column out of whole rows of a FITS ASCII table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FITSASCIIColumn"]

_WIDEST: Final = 4096
_BLANK: Final = 32


class FITSASCIIColumn(DecodeOnly):
    """A column of numbers that are written as text.

    Section 7.2.5 of the FITS Standard 4.0: fields of fixed width hold a number with blanks before
    and behind; ``D`` stands for ``E``; without a decimal point it lies before the last `decimals`
    digits; an empty field is 0.

    Parameters
    ----------
    row : int
        Bytes of a row.
    start, width : int
        First byte of the field in a row, and its bytes.
    dtype : {"<i8", "<f8"}
        Type of the numbers.
    decimals : int
        Digits behind the decimal point where it is not written.
    null : str, optional
        The field, without blanks around it, that stands for no value.
    missing : int
        What integers without a value become; floats become NaN.
    """

    codec_id = "refmaker.fits_ascii"
    fields = ("row", "start", "width", "dtype", "decimals", "null", "missing")

    def __init__(
        self,
        row: int,
        start: int,
        width: int,
        dtype: str,
        decimals: int = 0,
        null: str | None = None,
        missing: int = 0,
    ) -> None:
        self.row = bounded("row", row, 1, MAX_CHUNK)
        self.start = bounded("start", start, 0, self.row)
        self.width = bounded("width", width, 1, min(self.row - self.start, _WIDEST))
        if dtype not in ("<i8", "<f8"):
            raise MetadataError(f"{self.codec_id}: numbers of the type {dtype!r}")
        self.dtype = dtype
        self.decimals = bounded("decimals", decimals, 0, 300)
        self.null = None if null is None else str(null)
        self.missing = bounded("missing", missing, -(2**63), 2**63 - 1)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the numbers of all rows.

        Raises
        ------
        CodecError
            If the chunk is not a whole number of rows, or a field holds no number.
        """
        raw = input_bytes(buf)
        if raw.size % self.row:
            raise CodecError(
                f"{self.codec_id}: {raw.size} bytes are no whole number of rows of {self.row}"
            )
        field = raw.reshape(-1, self.row)[:, self.start : self.start + self.width].copy()
        field[field == 0] = _BLANK
        texts = np.char.strip(np.ascontiguousarray(field).view(f"S{self.width}")[:, 0])
        missing = np.zeros(texts.size, np.bool_)
        if self.null is not None:
            missing = texts == self.null.encode("latin-1", "replace")
        texts = np.where(missing | (texts == b""), b"0", texts)
        values = self._integers(texts) if self.dtype == "<i8" else self._floats(texts)
        values[missing] = self.missing if self.dtype == "<i8" else np.nan
        return deliver(self.codec_id, values.view(np.uint8), out)

    def _integers(self, texts: NDArray[np.bytes_]) -> NDArray[np.int64]:
        self._check(texts, b"0123456789+-")
        try:
            return texts.astype(np.int64).astype("<i8", copy=False)
        except (ValueError, OverflowError) as error:
            raise CodecError(f"{self.codec_id}: a field holds no integer: {error}") from error

    def _floats(self, texts: NDArray[np.bytes_]) -> NDArray[np.float64]:
        texts = np.char.replace(np.char.upper(texts), b"D", b"E")
        self._check(texts, b"0123456789+-.E")
        try:
            values = texts.astype(np.float64).astype("<f8", copy=False)
        except ValueError as error:
            raise CodecError(f"{self.codec_id}: a field holds no number: {error}") from error
        if self.decimals:
            whole = np.char.find(texts, b".") < 0
            values[whole] /= 10.0**self.decimals
        return values

    def _check(self, texts: NDArray[np.bytes_], letters: bytes) -> None:
        """Refuse what Python takes for a number, and the standard does not."""
        known = np.zeros(256, np.bool_)
        known[list(letters)] = known[0] = True
        if not bool(known[np.ascontiguousarray(texts).view(np.uint8)].all()):
            raise CodecError(f"{self.codec_id}: a field holds no number")
