"""FITS by astropy: what ``verify`` compares with.

Units are found by astropy's own view of a file, and elements come unscaled but for unsigned
integers, which astropy makes itself.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["AstropyReader", "open_fits"]

_SHIFTS = ("fixedscaleoffset", "refmaker.fits_unsigned")
"""Codecs of integers that astropy makes of others when it scales."""


@contextmanager
def open_fits(source: Source) -> Iterator[AstropyReader]:
    """Open a file with astropy, scaled and not.

    Parameters
    ----------
    source : Source
        Read into memory.

    Raises
    ------
    MissingDependencyError
        If astropy is not installed.
    FormatError
        If astropy does not open the file.
    """
    try:
        from astropy.io import fits
    except ImportError as error:
        raise MissingDependencyError(
            "reading FITS natively needs astropy",
            hint="pip install astropy, or 'refmaker[fits]'",
        ) from error
    content = source.read(0, source.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy warns of every card that it would write otherwise
        try:
            raw = fits.open(BytesIO(content), do_not_scale_image_data=True, lazy_load_hdus=False)
            scaled = fits.open(BytesIO(content), uint=True, lazy_load_hdus=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"astropy refuses it: {error}", url=source.url) from error
        with raw, scaled:
            yield AstropyReader(raw, scaled)


class AstropyReader:
    """A file opened by astropy twice: with elements as stored, and with unsigned integers.

    Parameters
    ----------
    raw, scaled : astropy.io.fits.HDUList
        The file, without and with scaling.
    """

    def __init__(self, raw: Any, scaled: Any) -> None:
        self._raw = raw
        self._scaled = scaled

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype."""
        group, _, name = path.strip("/").rpartition("/")
        number = self._number(group)
        if not self._raw[number].is_image:
            return self._column(number, name, array)[region or ...]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if any(config["id"] in _SHIFTS for config in array.filters):
                values = np.asarray(self._scaled[number].data)
            else:
                values = np.asarray(self._raw[number].data)
        kinds = values.dtype.kind, values.dtype.itemsize
        if kinds != (array.dtype.kind, array.dtype.itemsize) and values.size:
            raise FormatError(f"astropy reads {values.dtype}, not {array.dtype}", path=path)
        return values.reshape(array.shape)[region or ...].astype(array.dtype, copy=False)

    def _column(self, number: int, name: str, array: Array) -> NDArray[Any]:
        """Return a column of a binary table, unscaled but for unsigned integers."""
        unit = self._raw[number]
        names = [re.sub(r"[/\\\x00-\x1f]", "_", column.name) for column in unit.columns]
        told = re.search(r"_col([0-9]+)$", name)
        at = names.index(name) if name in names else int(told[1]) - 1 if told else -1
        if not 0 <= at < len(names):
            raise FormatError("astropy has no such column", path=name)
        records = unit.data.view(np.ndarray)
        values = records[records.dtype.names[at]]
        bits = re.match(r"([0-9]*)X", str(unit.columns[at].format))
        if bits:  # with TDIM, astropy takes bits for bytes: of these, those of the column
            flat = np.ascontiguousarray(values).reshape(len(values), -1)
            values = flat[:, : -(-int(bits[1] or 1) // 8)]
        elif array.filters:
            values = np.asarray(self._scaled[number].data.field(at))
        if values.dtype.itemsize != array.dtype.itemsize and values.size:
            raise FormatError(f"astropy reads {values.dtype}, not {array.dtype}", path=name)
        if array.dtype.kind == "S":
            return np.ascontiguousarray(values).view(array.dtype).reshape(array.shape)
        found: NDArray[Any] = values.reshape(array.shape).astype(array.dtype, copy=False)
        return found

    def _number(self, group: str) -> int:
        """Return which unit a group stands for."""
        if not group:
            return 0
        told = re.search(r"(?:^|_)HDU([0-9]+)$", group)
        if told and int(told[1]) < len(self._raw):
            return int(told[1])
        for number, unit in enumerate(self._raw[1:], start=1):
            # The conventional name of compressed images is left out of their headers.
            name = str(unit.header.get("EXTNAME") or unit.name).strip()
            version = unit.header.get("EXTVER", 1)
            names = {name, f"{name}_{version}"} if version == 1 else {f"{name}_{version}"}
            if re.sub(r"[/\\]", "_", group) in {re.sub(r"[/\\]", "_", one) for one in names}:
                return number
        raise FormatError("astropy has no such unit", path=group)
