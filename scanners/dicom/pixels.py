"""What the pixels of an instance are: cells, samples, bits, colours.

Implements the image pixel module (PS3.3, C.7.6.3) with the constraints of PS3.5, section 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.scanners.dicom.tags import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    DOUBLE_FLOAT_PIXEL_DATA,
    EXTENDED_OFFSET_TABLE,
    FLOAT_PIXEL_DATA,
    HIGH_BIT,
    NUMBER_OF_FRAMES,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_DATA_PROVIDER_URL,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
)
from refmaker.scanners.dicom.transfer import PixelEncoding, transfer_syntax
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from refmaker.scanners.dicom.header import Header, PixelElement
    from refmaker.scanners.dicom.transfer import TransferSyntax

__all__ = ["DECISIVE", "PixelDescription", "frame_count", "is_told", "layout"]

_STANDARD = "1.2.840.10008.1.2."
_HALVED = ("YBR_FULL_422", "YBR_PARTIAL_422")
"""Two pixels share their chrominance (PS3.3, C.7.6.3.1.2)."""
_FLOATS = {FLOAT_PIXEL_DATA: "f4", DOUBLE_FLOAT_PIXEL_DATA: "f8"}
_CELLS = {1: 1, 8: 1, 12: 2, 16: 2, 32: 4, 64: 8}
"""Bytes of a decoded sample by the bits of a cell."""
_PACKED = (1, 12)
_ITEM = b"\xfe\xff\x00\xe0"
_WORD = 16
"""Bits below which a frame is not told apart from padding."""


class PixelDescription(NamedTuple):
    """What has to be equal in instances whose frames make one array.

    Parameters
    ----------
    kind : PixelEncoding
        How frames are compressed.
    rows, columns, samples : int
        Of a frame.
    allocated, stored : int
        Bits of a cell, and how many of them count.
    dtype : str
        numpy type string of a decoded sample, in the byte order of the file.
    photometric : str
        PhotometricInterpretation as the header says.
    planar : bool
        Whether uncompressed frames hold one plane per sample.
    swapped : bool
        Whether samples of 8 bits were written as big-endian words.
    skip : int, optional
        Inflated bytes in front of the pixels, if the data set is deflated.
    """

    kind: PixelEncoding
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    dtype: str
    photometric: str
    planar: bool
    swapped: bool
    skip: int | None = None

    @property
    def type(self) -> np.dtype[Any]:
        """The numpy type of a decoded sample."""
        return np.dtype(self.dtype)

    @property
    def signed(self) -> bool:
        """Whether samples are two's complement."""
        return self.type.kind == "i"

    @property
    def packed(self) -> int | None:
        """Bits of a cell, where cells lie without gaps."""
        cells = self.plain or self.kind is PixelEncoding.RLE
        return self.allocated if cells and self.allocated in _PACKED else None

    @property
    def halved(self) -> bool:
        """Whether uncompressed frames hold half of the chrominance."""
        return self.plain and self.samples == 3 and self.photometric in _HALVED

    @property
    def plain(self) -> bool:
        """Whether frames are cells, once they are inflated."""
        return self.kind in (PixelEncoding.NATIVE, PixelEncoding.RAW, PixelEncoding.DEFLATED_FRAMES)

    @property
    def pixels(self) -> int:
        """Samples of a decoded frame."""
        return self.rows * self.columns * self.samples

    @property
    def frame_bits(self) -> int:
        """Bits of an uncompressed frame as it is stored."""
        return self.pixels * self.allocated * (2 if self.halved else 3) // 3

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns, and samples where there are several."""
        plane = (self.rows, self.columns)
        return plane if self.samples == 1 else (*plane, self.samples)

    def chunk_bytes(self, frames: int) -> int:
        """Return the bytes of uncompressed frames as they are stored; whole words if swapped."""
        nbytes = -(-self.frame_bits * frames // 8)
        return nbytes + nbytes % 2 if self.swapped else nbytes


def frame_count(header: Header) -> int:
    """Return the number of frames of an instance.

    Where NumberOfFrames is missing or blank, it is what the pixel data hold: a whole number of
    uncompressed frames, or the entries of an offset table; else it is 1.

    Raises
    ------
    FormatError
        If NumberOfFrames is not a positive number.
    UnsupportedError
        If it is missing, and the image cannot be referenced at all.
    """
    form = header.form
    # All that decides is the same in the headers of a form, unless there is a blank for it.
    shared = form is not None and DECISIVE.isdisjoint(form.blanks)
    known = form.frames if form is not None and shared else header.frames
    if known is None:
        told = header.integer(NUMBER_OF_FRAMES)
        if told is not None and told < 1:
            raise FormatError("there are no frames", path=tag_text(NUMBER_OF_FRAMES))
        # Every frame takes at least a bit; a deflated one at least a 1032nd of that.
        most = header.size * 8 * (1 if header.deflated is None else 1032)
        if told is not None and header.size and told > most:
            what = f"{told} frames are more than the file can hold"
            raise TruncatedError(what, path=tag_text(NUMBER_OF_FRAMES))
        known = header.frames = told or _untold(header)
        if form is not None and shared and (told or (header.pixels and header.pixels.length)):
            form.frames = known
    return known


def is_told(header: Header) -> bool:
    """Tell whether an instance says how many frames it has."""
    return bool((header.raw(NUMBER_OF_FRAMES) or b"").strip(b" \0"))


def _untold(header: Header) -> int:
    """Return how many frames the pixel data hold, 1 if that cannot be said."""
    pixels = header.pixels
    if pixels is None:
        return 1
    if pixels.length is None:
        extended = len(header.raw(EXTENDED_OFFSET_TABLE) or b"") // 8
        table = header.tail[:8]
        basic = int.from_bytes(table[4:], "little") // 4 if table[:4] == _ITEM else 0
        return max(1, extended or min(basic, header.size // 8))
    found = layout(header)
    if found.halved or found.frame_bits < _WORD:
        return 1
    held = (header.size - pixels.offset) if header.deflated is None else header.size * 1032
    if header.size and pixels.length > held:
        return 1
    frames = pixels.length // found.chunk_bytes(1)
    # A value of odd length is padded by one byte.
    return frames if frames > 1 and pixels.length - found.chunk_bytes(frames) in (0, 1) else 1


def layout(header: Header) -> PixelDescription:
    """Return what the pixels of an instance are; of instances that say the same, only once.

    Raises
    ------
    UnsupportedError
        If references cannot express them, or nothing decodes them: ``no-pixels``, ``video``,
        ``jpip``, ``transfer-syntax``, ``pixel-layout``, ``encapsulation``.
    FormatError
        If the header contradicts itself.
    """
    pixels = header.pixels
    if pixels is None:
        _expressible(header, pixels, transfer_syntax(header.transfer_syntax))
        raise UnsupportedError("the file has no pixel data", code="no-pixels")
    get = header.elements.get
    key = (
        header.transfer_syntax,
        pixels.tag,
        pixels.vr,
        pixels.length and 1,
        header.big,
        None if header.deflated is None else pixels.offset,
        *[get(tag) for tag in _DECIDING],
    )
    found = _known.get(key)
    if found is None:
        found = _layout(header, pixels)
        if len(_known) >= _REMEMBERED:
            _known.clear()
        _known[key] = found
    return found


_DECIDING = (
    ROWS,
    COLUMNS,
    SAMPLES_PER_PIXEL,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    PIXEL_REPRESENTATION,
    PIXEL_DATA_PROVIDER_URL,
)
DECISIVE = frozenset({*_DECIDING, NUMBER_OF_FRAMES})
"""Elements that decide what the pixels of an instance are, and how many frames it has."""
_REMEMBERED = 64
_known: dict[tuple[Any, ...], PixelDescription] = {}


def _expressible(header: Header, pixels: PixelElement | None, syntax: TransferSyntax) -> None:
    """Refuse pixel data that are not there, or not as frames that something decodes."""
    if syntax.kind is PixelEncoding.JPIP or PIXEL_DATA_PROVIDER_URL in header:
        raise UnsupportedError("the pixel data lie on a JPIP server", code="jpip")
    if pixels is None or pixels.length == 0:
        raise UnsupportedError("the file has no pixel data", code="no-pixels")
    if syntax.kind is PixelEncoding.VIDEO:
        raise UnsupportedError(
            f"{syntax.name}: frames of a video stream have no byte ranges", code="video"
        )
    if syntax.kind is PixelEncoding.UNKNOWN:
        # What is no identifier of the standard is a value of the file, which is not told.
        told = syntax.uid if syntax.uid.startswith(_STANDARD) else "that the file names"
        raise UnsupportedError(
            f"nothing decodes the transfer syntax {told} ({syntax.name})", code="transfer-syntax"
        )
    if pixels.encapsulated != (syntax.kind is not PixelEncoding.NATIVE):
        what = "are" if pixels.encapsulated else "are not"
        raise UnsupportedError(
            f"the pixel data {what} encapsulated, which contradicts the transfer syntax "
            f"{syntax.name}",
            code="encapsulation",
        )


def _layout(header: Header, pixels: PixelElement) -> PixelDescription:
    syntax = transfer_syntax(header.transfer_syntax)
    _expressible(header, pixels, syntax)
    rows, columns = _extent(header, ROWS), _extent(header, COLUMNS)
    samples = header.integer(SAMPLES_PER_PIXEL) or 1
    photometric = header.text(PHOTOMETRIC_INTERPRETATION)
    swapped = False
    order = ">" if syntax.big_pixels and syntax.kind is PixelEncoding.NATIVE else "<"
    allocated = _extent(header, BITS_ALLOCATED)
    stored = header.integer(BITS_STORED) or allocated
    name = _FLOATS.get(pixels.tag)
    if name is None:
        sign = "i" if header.integer(PIXEL_REPRESENTATION) == 1 else "u"
        if allocated not in _CELLS or not 1 <= stored <= allocated:
            raise _odd(f"cells of {allocated} bits of which {stored} are stored")
        name = f"{sign}{_CELLS[allocated]}"
        swapped = allocated == 8 and order == ">" and pixels.vr == "OW"
        if allocated == 1:
            name = "u1"
    elif allocated != 8 * int(name[1]):
        raise FormatError("floats of another size", path=tag_text(BITS_ALLOCATED))
    else:
        # All bits of a float count, whatever is said of integers.
        stored = allocated
    if samples not in (1, 3, 4) or (samples > 1 and allocated in _PACKED):
        raise _odd(f"{samples} samples in a pixel")
    planar = samples > 1 and header.integer(PLANAR_CONFIGURATION) == 1
    found = PixelDescription(
        syntax.kind,
        rows,
        columns,
        samples,
        allocated,
        stored,
        np.dtype(f"{order}{name}").str,
        photometric,
        planar,
        swapped,
        None if header.deflated is None else pixels.offset,
    )
    _check(found)
    _check_high_bit(found, header.integer(HIGH_BIT))
    return found


def _check(found: PixelDescription) -> None:
    """Refuse what the specification does not define."""
    if found.kind is PixelEncoding.NATIVE and found.photometric == "YBR_PARTIAL_420":
        raise _odd("uncompressed YBR_PARTIAL_420")
    if found.halved and (found.columns % 2 or found.planar or found.allocated != 8):
        raise _odd("halved chrominance in such a frame")
    if found.allocated in _PACKED and found.kind is PixelEncoding.JPEG:
        raise _odd(f"compressed cells of {found.allocated} bits")


def _check_high_bit(found: PixelDescription, high: int | None) -> None:
    """Refuse cells whose stored bits are not the lowest ones.

    Editions up to 2013 allowed them to end at any High Bit, later ones do not (PS3.5, 8.1.1), and
    decoders differ in which bits they take.
    """
    cells = found.plain or found.kind is PixelEncoding.RLE
    if cells and high is not None and found.stored <= high < found.allocated:
        raise _odd(
            f"cells of {found.allocated} bits of which {found.stored} are stored below High Bit "
            f"{high}: which of them count has more than one reading"
        )


def _odd(what: str) -> UnsupportedError:
    return UnsupportedError(f"nothing decodes {what}", code="pixel-layout")


def _extent(header: Header, tag: int) -> int:
    found = header.integer(tag)
    if found is None or not 1 <= found <= 1 << 16:
        raise FormatError("the image has no such extent", path=tag_text(tag))
    return found
