"""FITS by astropy: what ``verify`` compares with.

Units are found by astropy's own view of a file, and elements come unscaled but for unsigned
integers, which astropy makes itself.
"""

from __future__ import annotations

import re
import warnings
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, MissingDependencyError
from refmaker.scanners.fits.astropy_tables import column_values
from refmaker.scanners.fits.checksums import wrong_sums
from refmaker.scanning.compressed_file import unpacked_file
from refmaker.scanning.protocol import Tolerance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["AstropyReader", "open_fits"]

_SHIFTS = ("fixedscaleoffset", "refmaker.fits_unsigned")
"""Codecs of integers that astropy makes of others when it scales."""
_AXIS = re.compile(r"(?:.*_)?NAXIS([0-9]+)")
_ROUNDING = 1e-12
"""How far coordinates may be off, as a part of the largest one: astropy converts units."""


@contextmanager
def open_fits(source: Source) -> Iterator[AstropyReader]:
    """Open a file with astropy, scaled and not.

    Parameters
    ----------
    source : Source
        Read into memory, unpacked if it is a gzip stream.

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
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy warns of cards that it would write otherwise
        try:
            content = unpacked_file(source, stack).read()
            raw, scaled, plain = (
                stack.enter_context(fits.open(BytesIO(content), lazy_load_hdus=False, **how))
                for how in (
                    {"do_not_scale_image_data": True},
                    {"uint": True},
                    {"disable_image_compression": True},
                )
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"astropy refuses it: {error}", url=source.url) from error
        yield AstropyReader(raw, scaled, plain, content)


class AstropyReader:
    """A file opened by astropy three times.

    Parameters
    ----------
    raw, scaled, plain : astropy.io.fits.HDUList
        The file without scaling, with unsigned integers, and with compressed images as tables.
    content : bytes
        The file, unpacked.
    """

    def __init__(self, raw: Any, scaled: Any, plain: Any, content: bytes) -> None:
        self._raw, self._scaled, self._plain = raw, scaled, plain
        self._content = content
        self._wrong: dict[int, str] = {}
        """What is wrong with the checksums of the units that were looked at."""

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array, in the array's dtype.

        Raises
        ------
        FormatError
            If astropy has no such array, or one of another type.
        """
        group, _, name = path.strip("/").rpartition("/")
        number = self._number(group)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._is_groups(number):
                values = self._group_values(number, name, array)
            elif not self._raw[number].is_image:
                tables = self._raw[number], self._scaled[number]
                values = column_values(*tables, self._heap(number), name, array)
            elif name == "data":
                values = self._image(number, array)
            else:
                values = self._coordinate(number, name, array)
        if values.dtype.kind != array.dtype.kind and values.size:
            raise FormatError(f"astropy reads {values.dtype}, not {array.dtype}", path=path)
        found = values.reshape(array.shape)[region or ...]
        return found.astype(array.dtype, copy=False)

    def tolerance(self, path: str, array: Array) -> Tolerance | None:
        """Return how far coordinates may be off; everything else is equal bit for bit."""
        group, _, name = path.strip("/").rpartition("/")
        number = self._number(group)
        if not self._raw[number].is_image or name == "data" or self._is_groups(number):
            return None
        largest = np.abs(self._coordinate(number, name, array)).max(initial=0.0)
        return Tolerance(absolute=float(largest) * _ROUNDING)

    def remark(self, path: str) -> str:
        """Return whether DATASUM or CHECKSUM of an array's unit contradict the file."""
        number = self._number(path.strip("/").rpartition("/")[0])
        if number not in self._wrong:
            self._wrong[number] = wrong_sums(self._plain[number], self._content)
        return self._wrong[number]

    def _heap(self, number: int) -> bytes:
        """Return the bytes behind the rows of a table, as its offsets count."""
        header, place = self._plain[number].header, self._plain[number].fileinfo()
        rows = header["NAXIS1"] * header["NAXIS2"]
        start = place["datLoc"] + header.get("THEAP", rows)
        return self._content[start : place["datLoc"] + place["datSpan"]]

    def _is_groups(self, number: int) -> bool:
        from astropy.io import fits

        return isinstance(self._raw[number], fits.GroupsHDU)

    def _group_values(self, number: int, name: str, array: Array) -> NDArray[Any]:
        """Return the data or a parameter of random groups, unscaled but for unsigned integers."""
        unit = self._raw[number]
        records = unit.data.view(np.ndarray)
        names = [unit.header.get(f"PTYPE{at}", "") for at in range(1, len(records.dtype))]
        told = re.search(r"(?:_col|^parameter)([0-9]+)$", name)
        if name == "data":
            at = -1
        elif name in names:
            at = names.index(name)
        elif told and int(told[1]) <= len(names):
            at = int(told[1]) - 1
        else:
            raise FormatError("astropy has no such parameter", path=name)
        values: NDArray[Any] = records[records.dtype.names[at]]
        if any(config["id"] in _SHIFTS for config in array.filters):
            # Half of the range is added, which turns the highest bit over.
            half = 1 << (8 * values.dtype.itemsize - 1)
            plain = values.astype(values.dtype.newbyteorder("="))
            bits = np.ascontiguousarray(plain).view(f"u{plain.dtype.itemsize}")
            values = (bits ^ bits.dtype.type(half)).view(array.dtype.newbyteorder("="))
        return values

    def _image(self, number: int, array: Array) -> NDArray[Any]:
        """Return an image, unscaled but for unsigned integers."""
        shifted = any(config["id"] in _SHIFTS for config in array.filters)
        plain = self._plain[number].header
        if plain.get("ZCMPTYPE") == "HCOMPRESS_1" and plain["ZBITPIX"] in (8, 16):
            return self._rounded(number, array, shifted=shifted)
        if plain.get("ZCMPTYPE") == "PLIO_1" and array.dtype.kind == "u" and not shifted:
            # Of these, BZERO says nothing: so cfitsio, which writes them.
            return np.asarray(self._raw[number].data).view(array.dtype.newbyteorder("="))
        values = np.asarray((self._scaled if shifted else self._raw)[number].data)
        if values.dtype.itemsize != array.dtype.itemsize and values.size:
            raise FormatError(f"astropy reads {values.dtype}, not {array.dtype}")
        return values

    def _rounded(self, number: int, array: Array, *, shifted: bool) -> NDArray[Any]:
        """Return a lossy image of small integers: in wider ones, which do not overflow."""
        from astropy.io import fits

        stored: Any = {8: np.uint8, 16: np.int16}[self._plain[number].header["ZBITPIX"]]
        with fits.open(BytesIO(self._content), disable_image_compression=True) as opened:
            table = opened[number]
            table.header["ZBITPIX"] = 32
            for name in ("BSCALE", "BZERO"):
                table.header.remove(name, ignore_missing=True)
            values = np.asarray(fits.CompImageHDU(bintable=table).data)
        limits = np.iinfo(stored)
        values = np.clip(values, limits.min, limits.max)
        if shifted:
            values = values + int(self._plain[number].header["BZERO"])
        return np.asarray(values, array.dtype)

    def _coordinate(self, number: int, name: str, array: Array) -> NDArray[Any]:
        """Return coordinates as astropy.wcs computes them, in the units of the header."""
        from astropy.wcs import WCS

        header = self._raw[number].header
        shape = self._raw[number].shape
        world = WCS(header)
        axis = _AXIS.fullmatch(name)
        if axis:
            at = int(axis[1]) - 1
            pixels = np.zeros((array.shape[0], world.naxis))
            pixels[:, at] = np.arange(array.shape[0])
            values = world.all_pix2world(pixels, 0)[:, at]
            unit = str(header.get(f"CUNIT{at + 1}", ""))
            return np.asarray(values / _factor(unit, world.wcs.cunit[at]))
        sides = len(shape) - 1 - world.wcs.lng, len(shape) - 1 - world.wcs.lat
        grid = np.meshgrid(*(np.arange(shape[side]) for side in sides), indexing="ij")
        plane = world.celestial.all_pix2world(*grid, 0)[int(name != "longitude")]
        return np.asarray(plane if sides[0] < sides[1] else plane.T)

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


def _factor(given: str, made: Any) -> float:
    """Return by how much astropy's values are larger than those in the unit of the header."""
    from astropy import units

    if not given.strip() or made == units.dimensionless_unscaled:
        return 1.0
    return float(units.Unit(given.strip(), parse_strict="silent").to(made))
