"""NIfTI and Analyze: one array, orientation as attributes, coordinates where they are exact."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from refmaker.codecs.checks import library
from refmaker.errors import FormatError, RefmakerError
from refmaker.io.related_files import RelatedFiles
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.nifti.declared import FORMAT, is_analyze
from refmaker.scanners.nifti.header import read_header
from refmaker.scanning.compressed_file import UnpackedHead, unpacked_file
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.ngff_volumes import with_ngff
from refmaker.scanning.protocol import setting_values
from refmaker.scanning.raw_data import (
    DATA,
    Block,
    RawData,
    add_coordinate,
    finite,
    open_beside,
    scan_raw_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array, Group
    from refmaker.scanners.nifti.header import Header
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["NIfTIScanner"]

_NAMES = ("x", "y", "z", "t", "u", "v", "w")
_COLOURS = {128: 3, 2304: 4}
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 32: "c8", 64: "f8", 128: "u1", 256: "i1", 512: "u2",
    768: "u4", 1024: "i8", 1280: "u8", 1792: "c16", 2304: "u1",
}  # fmt: skip
_ANALYZE_TYPES = (2, 4, 8, 16, 32, 64)
_REFUSED = {1: "bits", 1536: "float128", 2048: "complex256"}
_SPACE = {1: "m", 2: "mm", 3: "um"}
_TIME = {8: "s", 16: "ms", 24: "us", 32: "Hz", 40: "ppm", 48: "rad/s"}
_KINDS = {
    0: "of no kind", 2: "DICOM", 4: "AFNI", 6: "a comment", 8: "XCEDE", 18: "MIND", 30: "Caret",
    32: "CIFTI", 38: "Eval", 40: "MATLAB", 42: "quantiphyse", 44: "MRS",
}  # fmt: skip
_CIFTI = 32
_EXTENSIONS = 1000
"""Extensions that are looked at."""


class NIfTIScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of NIfTI-1, NIfTI-2 and Analyze 7.5."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a volume.

        Parameters
        ----------
        source : Source
            The file, or the header of a pair, whose data lie beside it.
        options : ScanOptions
            Data of up to ``inline_threshold`` bytes are inlined, others cut towards
            ``chunk_bytes``; compressed ones are one chunk.

        Returns
        -------
        Group
            The array ``data`` with the dimensions ``w v u t z y x``, as many as there are, stored
            values and CF's ``scale_factor`` and ``add_offset``; a last dimension ``rgb`` of
            colours; coordinates where the affine is diagonal.
        ScanReport
            A row for the group, every array and every extension.

        Raises
        ------
        FormatError, TruncatedError
            If the header is damaged or incomplete.
        """
        report = ScanReport(source.url, format=self.name)
        head = UnpackedHead(source)
        header = read_header(head, source.url)
        group = scan_raw_file(
            source,
            report,
            options,
            lambda files: _data(header, head, source, files, report),
            lambda members, _: _coordinates(header, members, report),
        )
        _extensions(header, head, report)
        return with_ngff(group, setting_values(self, options)["ngff"], report), report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with nibabel.

        Raises
        ------
        MissingDependencyError
            If nibabel is not installed.
        FormatError
            If nibabel does not open it.
        """
        nibabel = library("nibabel", purpose="to read NIfTI natively")
        with ExitStack() as stack:
            start = unpacked_file(source, stack).read(540)
            second = start[4:6] in (b"n+", b"ni")
            kinds = (
                (nibabel.Nifti1Image, nibabel.Nifti1Pair),
                (nibabel.Nifti2Image, nibabel.Nifti2Pair),
            )[second]
            analyze = is_analyze(start[:348], source.url)
            kind = kinds[(start[5:6] if second else start[345:346]) == b"i"]
            kind = nibabel.AnalyzeImage if analyze else kind
            image = source
            if analyze or kind is kinds[1]:
                files = stack.enter_context(RelatedFiles(source))
                image = open_beside(files, source, (".img", ".img.gz"))
            try:
                header = cast(Any, kind.header_class).from_fileobj(unpacked_file(source, stack))
            except (nibabel.spatialimages.HeaderDataError, ValueError) as error:
                raise FormatError(f"nibabel refuses it: {error}", url=source.url) from error
            yield _NibabelReader(header, unpacked_file(image, stack))


class _NibabelReader:
    """A volume that nibabel has opened."""

    def __init__(self, header: Any, file: Any) -> None:
        from nibabel import arrayproxy

        self._header = header
        # Slope 1, intercept 0: the stored values.
        stored = (header.get_data_shape(), header.get_data_dtype(), header.get_data_offset(), 1, 0)
        proxy: Any = arrayproxy.ArrayProxy
        self._values = proxy(file, stored)

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the stored values of a region, or a coordinate from nibabel's affine."""
        name = path.strip("/")
        if name == "t":
            step, start = self._header["pixdim"][4], self._header["toffset"]
            return (np.arange(array.shape[0]) * np.float64(step) + np.float64(start))[region]
        if name != DATA:
            affine, axis = self._header.get_best_affine(), _NAMES.index(name)
            return np.asarray(
                (np.arange(array.shape[0]) * affine[axis, axis] + affine[axis, 3])[region]
            )
        rank = len(self._values.shape)
        values: Any = np.asarray(self._values[tuple(reversed(region[:rank]))]).T
        if values.dtype.names:
            values = values[..., None].view("u1")[(..., *region[rank:])]
        return np.asarray(values, array.dtype)


def _data(
    header: Header, head: UnpackedHead, source: Source, files: RelatedFiles, report: ScanReport
) -> RawData:
    """Return where the data of a file lie, and what they are."""
    fields = header.fields
    code = int(fields["datatype"])
    if not header.version and code not in _ANALYZE_TYPES:
        told = f"its data type is {code}, on which programs that read Analyze 7.5 disagree"
        raise _unsupported(told, "nifti-datatype", source.url)
    if code not in _TYPES:
        told = _REFUSED.get(code, "which nifti1.h does not know")
        raise _unsupported(f"its data type is {code}, {told}", "nifti-datatype", source.url)
    dtype = np.dtype(_TYPES[code]).newbyteorder(header.order)
    shape, names = header.shape[::-1], _NAMES[: len(header.shape)][::-1]
    colours = _COLOURS.get(code)
    bits = 8 * dtype.itemsize * (colours or 1)
    if int(fields["bitpix"]) != bits:
        report.warn(f"/{DATA}: bitpix is {int(fields['bitpix'])}, its data type has {bits} bits")
    if colours:
        shape, names = (*shape, colours), (*names, "rgb")
    offset, file, codec = header.offset, source, head.codec
    if header.single:
        least = header.size + 4
        if offset < least:
            told = f"its data begin at byte {offset}, inside the header, which ends at {least}"
            raise FormatError(told, url=source.url)
    else:
        file = open_beside(files, source, (".img", ".img.gz"))
        codec = UnpackedHead(file).codec
    attributes = _attributes(header, report, scaled=not colours)
    return RawData((Block(file, offset),), dtype, shape, names, attributes, codec)


def _unsupported(message: str, code: str, url: str) -> RefmakerError:
    from refmaker.errors import UnsupportedError

    hint = "rewrite it with nibabel: header.set_data_dtype('float64')"
    return UnsupportedError(message, code=code, url=url, hint=hint)


def _attributes(header: Header, report: ScanReport, *, scaled: bool) -> dict[str, Any]:
    """Return what the header says of the data as attributes."""
    fields = header.fields
    if not header.version:
        return _of_analyze(header, report)
    found: dict[str, Any] = {"nifti_version": header.version}
    scaling = header.scaling() if scaled else None
    if scaling is not None and scaling != (1.0, 0.0):
        if not finite(scaling):
            raise FormatError(f"scl_slope and scl_inter are {scaling}")
        found["scale_factor"], found["add_offset"] = scaling
    found["pixdim"] = _numbers(fields["pixdim"][1 : len(header.shape) + 1])
    units = int(fields["xyzt_units"])
    for name, table, mask in (("spatial_units", _SPACE, 7), ("temporal_units", _TIME, 56)):
        if units & mask in table:
            found[name] = table[units & mask]
    return found | _orientation(header, report) | _remarks(fields)


def _of_analyze(header: Header, report: ScanReport) -> dict[str, Any]:
    """Return what a header of Analyze 7.5 says; scales are a matter of programs, as is space."""
    fields = header.fields
    report.warn(
        f"/{DATA}: Analyze 7.5 tells no orientation, and programs scale its values differently: "
        "they are as stored, without an affine"
    )
    found: dict[str, Any] = {
        "analyze_version": "7.5",
        "pixdim": _numbers(fields["pixdim"][1 : len(header.shape) + 1]),
    }
    if fields["scl_slope"] and finite(fields["scl_slope"]):
        found["spm_scale"] = float(fields["scl_slope"])
    return found | _remarks(fields)


def _orientation(header: Header, report: ScanReport) -> dict[str, Any]:
    """Return both affines with their codes, and the one that counts."""
    found: dict[str, Any] = {}
    for name, affine in (("sform", header.sform()), ("qform", header.qform())):
        code = int(header.fields[f"{name}_code"])
        found[f"{name}_code"] = code
        if affine is not None:
            found[name] = affine.tolist()
        elif code > 0:
            report.warn(f"/{DATA}: its {name} holds no affine; it is left out")
    best = header.affine()
    if best is None:
        return found
    found |= {"affine": best.tolist(), "space": "right-anterior-superior"}
    if len(header.shape) >= 3:
        # Of the last three dimensions in the order of the array, as other volumes have it.
        found["affine_ras"] = best[:, [2, 1, 0, 3]].tolist()
    return found


def _remarks(fields: Any) -> dict[str, Any]:
    """Return intent, texts, display range and slice timing, as far as they are set."""
    found: dict[str, Any] = {}
    if int(fields["intent_code"]):
        found["intent_code"] = int(fields["intent_code"])
        found["intent_parameters"] = _numbers(fields["intent_p"])
    for name in ("intent_name", "descrip", "aux_file"):
        if text := bytes(fields[name]).partition(b"\0")[0].decode("latin-1").strip():
            found[name] = text
    for name in ("cal_min", "cal_max", "slice_duration", "toffset"):
        if fields[name] and finite(fields[name]):
            found[name] = float(fields[name])
    for name in ("dim_info", "slice_code", "slice_start", "slice_end"):
        if fields[name]:
            found[name] = int(fields[name])
    return found


def _numbers(values: Any) -> list[float | None]:
    """Return numbers as JSON has them; None for those that it has not."""
    return [float(value) if finite(value) else None for value in values]


def _coordinates(header: Header, members: dict[str, Any], report: ScanReport) -> None:
    """Add coordinates of space, if the affine is diagonal, and of time, if it has a unit."""
    fields, shape = header.fields, header.shape
    units = int(fields["xyzt_units"])
    affine = header.affine()
    if affine is not None and np.array_equal(affine[:3, :3], np.diag(np.diag(affine[:3, :3]))):
        space = {"units": _SPACE[units & 7]} if units & 7 in _SPACE else {}
        for axis, extent in enumerate(shape[:3]):
            step, origin = float(affine[axis, axis]), float(affine[axis, 3])
            add_coordinate(members, _NAMES[axis], step, origin, extent, space, report)
    if len(shape) > 3 and units & 56 in _TIME:
        step, origin = float(fields["pixdim"][4]), float(fields["toffset"])
        time = {"units": _TIME[units & 56]}
        add_coordinate(members, "t", step, origin, shape[3], time, report)


def _extensions(header: Header, head: UnpackedHead, report: ScanReport) -> None:
    """Tell of every extension between header and data (``nifti1.h``, "extended header")."""
    flag = head.read_upto(header.size, 4) if header.version else b""
    if flag[:1] in (b"", b"\0"):
        return
    at = header.size + 4
    order = {"<": "little", ">": "big"}[header.order]
    for number in range(_EXTENSIONS):
        if header.single and at + 8 > header.offset:
            return
        raw = head.read_upto(at, 8)
        size = int.from_bytes(raw[:4], order)  # type: ignore[arg-type]
        code = int.from_bytes(raw[4:], order)  # type: ignore[arg-type]
        if len(raw) < 8 or size < 8:
            return
        if code == _CIFTI:
            report.warn(
                f"/{DATA}: it is CIFTI; an extension says which vertices, voxels or times its "
                "indices stand for, and is not kept"
            )
        kind = _KINDS.get(code, "which is not known here")
        reason = f"an extension of code {code} ({kind}), {size} bytes at byte {at}, is not kept"
        report.add(f"/@extension/{number}", Outcome.SKIPPED, reason, "nifti-extension")
        at += size
