"""Numcodecs codecs that reference sets need, and which package provides which codec id.

References use the codec ids of numcodecs and imagecodecs wherever those decode a chunk exactly;
ids that begin with ``refmaker.`` exist for encodings that no other codec reads. The tables here
are data only: importing this module loads neither numpy nor numcodecs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from refmaker.codecs.entry_points import entry_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CODECS",
    "ENCODE_ONLY",
    "FOREIGN",
    "NOTES",
    "PACKAGES",
    "decoding",
    "package_of",
    "register",
    "requirements",
    "scanner_codecs",
]

_REGISTERED = "numcodecs.codecs"
"""Group of entry points by which numcodecs finds codecs."""
_SCANNERS = ("refmaker.scanners", "refmaker.formats")

#: Codec ids of this package: ``id -> "module:Class"``.
CODECS: dict[str, str] = {
    "refmaker.b3d": "refmaker.codecs.b3d:B3D",
    "refmaker.crop": "refmaker.codecs.crop:Crop",
    "refmaker.dicom": "refmaker.codecs.dicom:DICOM",
    "refmaker.file": "refmaker.patterns.whole_file:WholeFile",
    "refmaker.fits_ascii": "refmaker.codecs.fits_ascii:FITSASCIIColumn",
    "refmaker.fits_column": "refmaker.codecs.table_column:TableColumn",  # its name until 0.1
    "refmaker.fits_tiles": "refmaker.codecs.fits_tiles:FITSTiles",
    "refmaker.fits_unsigned": "refmaker.codecs.fits_unsigned:FITSUnsigned",
    "refmaker.grib": "refmaker.codecs.grib:GRIB",
    "refmaker.grib_coordinates": "refmaker.codecs.grib_coordinates:GRIBCoordinates",
    "refmaker.hdf4_nbit": "refmaker.codecs.hdf4_nbit:HDF4Nbit",
    "refmaker.hdf4_rle": "refmaker.codecs.hdf4_rle:HDF4RLE",
    "refmaker.hdf4_skphuff": "refmaker.codecs.hdf4_skphuff:HDF4SkippingHuffman",
    "refmaker.hdf4_szip": "refmaker.codecs.hdf4_szip:HDF4Szip",
    "refmaker.hdf5_bits": "refmaker.codecs.hdf5_bits:HDF5Bits",
    "refmaker.hdf5_bitshuffle": "refmaker.codecs.hdf5_bitshuffle:HDF5Bitshuffle",
    "refmaker.hdf5_blosc2": "refmaker.codecs.hdf5_blosc2:HDF5Blosc2",
    "refmaker.hdf5_convert": "refmaker.codecs.hdf5_convert:HDF5Convert",
    "refmaker.hdf5_filters": "refmaker.codecs.hdf5_stub:HDF5Filters",
    "refmaker.hdf5_lzf": "refmaker.codecs.hdf5_lzf:HDF5Lzf",
    "refmaker.hdf5_masked": "refmaker.codecs.hdf5_masked:HDF5Masked",
    "refmaker.hdf5_nbit": "refmaker.codecs.hdf5_nbit:HDF5Nbit",
    "refmaker.hdf5_scaleoffset": "refmaker.codecs.hdf5_scaleoffset:HDF5ScaleOffset",
    "refmaker.hdf5_zfp": "refmaker.codecs.hdf5_zfp:HDF5Zfp",
    "refmaker.n5": "refmaker.codecs.n5:N5",
    "refmaker.table_column": "refmaker.codecs.table_column:TableColumn",
    "refmaker.tiff_complexint": "refmaker.codecs.tiff_complexint:TIFFComplexInt",
    "refmaker.tiff_fax": "refmaker.codecs.tiff_fax:TIFFFax",
    "refmaker.tiff_lerc": "refmaker.codecs.tiff_lerc:TIFFLERC",
    "refmaker.tiff_pad": "refmaker.codecs.tiff_pad:TIFFPad",
    "refmaker.tiff_predictor": "refmaker.codecs.tiff_predictor:TIFFPredictor",
    "refmaker.tiff_samples_first": "refmaker.codecs.tiff_samples_first:TIFFSamplesFirst",
}

#: Codec ids of other packages that this one reads where those are not installed.
FOREIGN: dict[str, str] = {
    "grib": "refmaker.codecs.grib_foreign:KerchunkGRIB",
    "gribscan.rawgrib": "refmaker.codecs.grib_foreign:GribscanGRIB",
}

#: What has to be installed, besides refmaker itself for its own ids, to decode each codec id.
PACKAGES: dict[str, str] = {
    "blosc": "numcodecs",
    "bz2": "numcodecs",
    "fletcher32": "numcodecs",
    "shuffle": "numcodecs",
    "lzma": "numcodecs",
    "zlib": "numcodecs",
    "zstd": "numcodecs",
    "grib": "refmaker",
    "gribscan.rawgrib": "refmaker",
    "imagecodecs_htj2k": "imagecodecs-numcodecs",
    "imagecodecs_jpegls": "imagecodecs-numcodecs",
    "imagecodecs_lz4h5": "imagecodecs-numcodecs",
    "imagecodecs_szip": "imagecodecs-numcodecs",
    "refmaker.b3d": "refmaker",
    "refmaker.crop": "refmaker",
    "refmaker.dicom": "imagecodecs",
    "refmaker.file": "refmaker",
    "refmaker.fits_ascii": "refmaker",
    "refmaker.fits_column": "refmaker",
    "refmaker.fits_tiles": "imagecodecs",
    "refmaker.fits_unsigned": "refmaker",
    "refmaker.grib": "imagecodecs",
    "refmaker.grib_coordinates": "refmaker",
    "refmaker.hdf4_nbit": "refmaker",
    "refmaker.hdf4_rle": "refmaker",
    "refmaker.hdf4_skphuff": "refmaker",
    "refmaker.hdf4_szip": "imagecodecs",
    "refmaker.hdf5_bits": "refmaker",
    "refmaker.hdf5_bitshuffle": "imagecodecs",
    "refmaker.hdf5_blosc2": "blosc2",
    "refmaker.hdf5_convert": "h5py",
    "refmaker.hdf5_filters": "h5py",
    "refmaker.hdf5_lzf": "imagecodecs",
    "refmaker.hdf5_masked": "refmaker",
    "refmaker.hdf5_nbit": "refmaker",
    "refmaker.hdf5_scaleoffset": "refmaker",
    "refmaker.hdf5_zfp": "imagecodecs",
    "refmaker.n5": "imagecodecs",
    "refmaker.table_column": "refmaker",
    "refmaker.tiff_complexint": "refmaker",
    "refmaker.tiff_fax": "imagecodecs",
    "refmaker.tiff_lerc": "imagecodecs",
    "refmaker.tiff_pad": "refmaker",
    "refmaker.tiff_predictor": "refmaker",
    "refmaker.tiff_samples_first": "refmaker",
}

#: Settings of codecs that only encoding looks at; ``*`` are those of every codec.
ENCODE_ONLY: dict[str, frozenset[str]] = {
    "*": frozenset({"level"}),
    "blosc": frozenset({"blocksize", "clevel", "cname", "shuffle", "typesize"}),
    "lz4": frozenset({"acceleration"}),
    "lzma": frozenset({"check", "preset"}),
    "zstd": frozenset({"checksum"}),
}

#: What should be known before relying on a codec.
NOTES: dict[str, str] = {
    "refmaker.b3d": "equal to the vendor's code run under emulation; never tried on files that a "
    "GPU wrote",
}


def package_of(codec_id: str) -> str:
    """Name the package that has to be installed to decode a codec id.

    Parameters
    ----------
    codec_id : str
        The ``id`` of a numcodecs configuration.

    Returns
    -------
    str
        A distribution name. For ids of this package that need another library it is that
        library. Ids outside the table belong to the installed package that registers them; where
        none does, to the package whose name they begin with, and to numcodecs when they begin
        with none.
    """
    if codec_id in PACKAGES:
        return PACKAGES[codec_id]
    if codec_id.startswith("imagecodecs_"):
        return "imagecodecs-numcodecs"
    for point in entry_points(_REGISTERED):
        if point.name == codec_id:
            return point.package
    prefix, dot, _ = codec_id.partition(".")
    return prefix if dot and prefix else "numcodecs"


def scanner_codecs() -> Mapping[str, str]:
    """Return the codec ids that packages with a scanner register, and the package of each.

    Who installs a scanner trusts its package to decode what the scanner finds: documents may
    name these codecs, as they may name those of `PACKAGES`.
    """
    homes = {point.package for group in _SCANNERS for point in entry_points(group)}
    points = entry_points(_REGISTERED)
    return {point.name: point.package for point in points if point.package in homes}


def decoding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a codec's configuration decoding depends on.

    Parameters
    ----------
    config : mapping
        A numcodecs configuration.

    Returns
    -------
    dict
        Without compression levels and the like: chunks of equal ones are decoded alike.
    """
    ignored = ENCODE_ONLY["*"] | ENCODE_ONLY.get(str(config.get("id")), frozenset())
    return {name: value for name, value in config.items() if name not in ignored}


def requirements(configs: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Name every package that a list of codec configurations needs, nested ones included.

    Parameters
    ----------
    configs : iterable of mapping
        Numcodecs configurations: the ``filters`` of an array and its ``compressor``.

    Returns
    -------
    tuple of str
        Distribution names in alphabetical order. ``refmaker`` is among them as soon as one id
        begins with ``refmaker.``.
    """
    names: set[str] = set()
    for config in configs:
        codec_id = str(config["id"])
        names.add(package_of(codec_id))
        if codec_id.startswith("refmaker."):
            names.add("refmaker")
        inner = config.get("filters", ())
        if codec_id == "refmaker.hdf5_masked":
            names.update(requirements(inner))
        elif codec_id == "refmaker.hdf5_filters" and any(int(entry[0]) > 255 for entry in inner):
            names.add("hdf5plugin")
    return tuple(sorted(names))


def register() -> None:
    """Register every codec of this package with numcodecs.

    Installing refmaker does the same through entry points; this is for programs that run from a
    source tree or a frozen bundle, where entry points are not seen. Codecs of `FOREIGN` have no
    entry points: they are registered here alone, and only where nobody else has that id.
    """
    registry = import_module("numcodecs.registry")
    taken = {*registry.codec_registry, *registry.entries}
    wanted = CODECS | {key: value for key, value in FOREIGN.items() if key not in taken}
    for codec_id, target in wanted.items():
        module, _, name = target.partition(":")
        registry.register_codec(getattr(import_module(module), name), codec_id)
