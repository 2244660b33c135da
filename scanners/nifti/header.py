"""The header of NIfTI-1 and NIfTI-2 files, and of Analyze 7.5, which NIfTI-1 grew out of.

Implements ``nifti1.h``, ``nifti2.h`` and, of Analyze's ``dbh.h``, what both have in common: the
fields that say where the data lie, what they are, and how their indices map to millimetres
(methods 2 and 3 of the orientation information).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.nifti.declared import is_analyze
from refmaker.scanning.raw_data import finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanning.compressed_file import UnpackedHead

__all__ = ["Header", "read_header"]

_FIELDS_1 = (
    ("sizeof_hdr", "i4"), ("data_type", "S10"), ("db_name", "S18"), ("extents", "i4"),
    ("session_error", "i2"), ("regular", "u1"), ("dim_info", "u1"), ("dim", "i2", 8),
    ("intent_p", "f4", 3), ("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"),
    ("slice_start", "i2"), ("pixdim", "f4", 8), ("vox_offset", "f4"), ("scl_slope", "f4"),
    ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1"), ("xyzt_units", "u1"),
    ("cal_max", "f4"), ("cal_min", "f4"), ("slice_duration", "f4"), ("toffset", "f4"),
    ("glmax", "i4"), ("glmin", "i4"), ("descrip", "S80"), ("aux_file", "S24"),
    ("qform_code", "i2"), ("sform_code", "i2"), ("quatern", "f4", 3), ("qoffset", "f4", 3),
    ("srow", "f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4"),
)  # fmt: skip
_FIELDS_2 = (
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"),
    ("dim", "i8", 8), ("intent_p", "f8", 3), ("pixdim", "f8", 8), ("vox_offset", "i8"),
    ("scl_slope", "f8"), ("scl_inter", "f8"), ("cal_max", "f8"), ("cal_min", "f8"),
    ("slice_duration", "f8"), ("toffset", "f8"), ("slice_start", "i8"), ("slice_end", "i8"),
    ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i4"), ("sform_code", "i4"),
    ("quatern", "f8", 3), ("qoffset", "f8", 3), ("srow", "f8", (3, 4)), ("slice_code", "i4"),
    ("xyzt_units", "i4"), ("intent_code", "i4"), ("intent_name", "S16"), ("dim_info", "u1"),
    ("unused", "S15"),
)  # fmt: skip
_ANALYZE = (
    "sizeof_hdr", "dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "cal_max",
    "cal_min", "descrip", "aux_file",
)  # fmt: skip
_LAYOUTS = {1: np.dtype(list(_FIELDS_1)), 2: np.dtype(list(_FIELDS_2))}
_MAGIC = {
    0: (b"", b""),
    1: (b"n+1", b"ni1"),
    2: (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"),
}
"""Signatures of single files, and of headers with their data in another one."""
_SIZES = {348: 1, 540: 2}
_QUATERNION = 3 * np.finfo(np.float32).eps
"""How far the square of a quaternion's first part may be from 0 to be taken for it."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header.

    Parameters
    ----------
    version : int
        1 or 2; 0 for Analyze 7.5, whose other fields are those of version 1, and 0 where it has
        something else there.
    single : bool
        Whether the data lie in the same file.
    order : {"<", ">"}
        Byte order of header and data.
    fields : numpy.void
        The fields, by the names of ``nifti1.h``.
    """

    version: int
    single: bool
    order: Literal["<", ">"]
    fields: Any

    @property
    def size(self) -> int:
        """Bytes of the header, before any extension."""
        return int(self.fields["sizeof_hdr"])

    @property
    def offset(self) -> int:
        """First byte of the data in their file; -1 where the header gives no number."""
        value = float(self.fields["vox_offset"]) if self.version < 2 else None
        if value is None:
            return int(self.fields["vox_offset"])
        return int(value) if finite(value) else -1

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents, the fastest dimension first, as in ``dim``.

        Surfaces of FreeSurfer have more vertices than NIfTI-1 can count, and say so in two ways.
        """
        dim = [int(extent) for extent in self.fields["dim"]]
        shape = tuple(dim[1 : dim[0] + 1])
        if self.version == 1 and shape[:3] == (-1, 1, 1):
            return (int(self.fields["glmin"]), *shape[1:])
        if self.version == 1 and shape[:3] == (27307, 1, 6):
            return (163842, 1, 1, *shape[3:])
        return shape

    def scaling(self) -> tuple[float, float] | None:
        """Return slope and intercept; None if the stored values are the true ones."""
        slope, inter = float(self.fields["scl_slope"]), float(self.fields["scl_inter"])
        return None if slope == 0 or not finite(slope) else (slope, inter)

    def sform(self) -> NDArray[np.float64] | None:
        """Return the affine of method 3, shape (4, 4), in the units of space; None if not set."""
        if int(self.fields["sform_code"]) <= 0:
            return None
        affine = np.eye(4)
        affine[:3] = self.fields["srow"]
        return affine if finite(affine) else None

    def qform(self) -> NDArray[np.float64] | None:
        """Return the affine of method 2, shape (4, 4), in the units of space; None if not set."""
        if int(self.fields["qform_code"]) <= 0:
            return None
        b, c, d = (float(part) for part in self.fields["quatern"])
        zooms = np.array(self.fields["pixdim"][1:4], np.float64)
        zooms[zooms == 0] = 1.0  # as nifti1_io and nibabel take steps that are not set
        offset = np.array(self.fields["qoffset"], np.float64)
        square = 1.0 - (b * b + c * c + d * d)
        if not finite([b, c, d, *zooms, *offset]) or square < -_QUATERNION or min(zooms) < 0:
            return None
        a = 0.0 if abs(square) < _QUATERNION else float(np.sqrt(square))
        scale = 2.0 / (a * a + b * b + c * c + d * d)
        rotation = np.eye(3) + scale * np.array(
            [
                [-(c * c + d * d), b * c - a * d, b * d + a * c],
                [b * c + a * d, -(b * b + d * d), c * d - a * b],
                [b * d - a * c, c * d + a * b, -(b * b + c * c)],
            ]
        )
        if float(self.fields["pixdim"][0]) == -1:
            zooms[2] = -zooms[2]
        affine = np.eye(4)
        affine[:3, :3] = rotation * zooms
        affine[:3, 3] = offset
        return affine

    def affine(self) -> NDArray[np.float64] | None:
        """Return the affine that counts, shape (4, 4): sform before qform."""
        return self.sform() if int(self.fields["sform_code"]) > 0 else self.qform()


def read_header(head: UnpackedHead, url: str) -> Header:
    """Return the header of a file.

    Raises
    ------
    FormatError
        If it is none of NIfTI.
    TruncatedError
        If the file ends inside of it.
    """
    start = head.read(0, 4)
    little, big = (int.from_bytes(start, order) for order in ("little", "big"))
    version = _SIZES.get(little) or _SIZES.get(big)
    if version is None:
        raise FormatError("no header of NIfTI: its size is neither 348 nor 540", url=url, offset=0)
    order: Literal["<", ">"] = "<" if little in _SIZES else ">"
    layout = _LAYOUTS[version].newbyteorder(order)
    fields = np.frombuffer(head.read(0, layout.itemsize), layout)[0]
    magic = bytes(fields["magic"])
    if version == 1 and is_analyze(head.read(0, 348), url):
        version, fields = 0, _analyze_fields(fields, layout)
    known = _MAGIC[version]
    if magic not in known:
        raise FormatError(f"the signature is {magic!r}", url=url, offset=344)
    rank = int(fields["dim"][0])
    if not 1 <= rank <= 7:
        raise FormatError(f"it has {rank} dimensions, 1 to 7 are possible", url=url, offset=40)
    return Header(version, bool(version) and magic == known[0], order, fields)


def _analyze_fields(fields: Any, layout: np.dtype[Any]) -> Any:
    """Return the fields that Analyze 7.5 and NIfTI-1 have in common, and nothing else."""
    found = np.zeros((), layout)
    for name in _ANALYZE:
        found[name] = fields[name]
    return found[()]
