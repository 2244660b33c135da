"""Which codec undoes which HDF5 filter: one small function per filter id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.codecs.hdf5_registry import IDENTITY_ON_READ
from refmaker.errors import MetadataError, RefmakerError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

__all__ = ["B3D_FILTER", "Config", "Stage", "direct_codec"]

#: A numcodecs configuration.
Config = dict[str, Any]

B3D_FILTER = 32016

#: Compressor names by the seventh client value of the Blosc filter. Snappy (3) is not among
#: them: the stock codec is built without it.
_BLOSC = {0: "blosclz", 1: "lz4", 2: "lz4hc", 4: "zlib", 5: "zstd"}


class Stage(NamedTuple):
    """What is known of the bytes that went into a filter when the chunk was written.

    Parameters
    ----------
    values : tuple of int
        The filter's client values (``cd_values``).
    size : int or None
        Number of bytes; None behind a filter whose output varies in size.
    dtype : numpy.dtype
        Type of an element in the file.
    chunk_shape : tuple of int
        Shape of the chunk.
    """

    values: tuple[int, ...]
    size: int | None
    dtype: np.dtype[Any]
    chunk_shape: tuple[int, ...]


def direct_codec(filter_id: int, stage: Stage) -> tuple[Config, ...] | None:
    """Return the codec that undoes one filter without HDF5.

    Parameters
    ----------
    filter_id : int
        HDF5 filter id.
    stage : Stage
        Client values and the size of what the filter was given.

    Returns
    -------
    tuple of dict or None
        One configuration; none, if the filter changes nothing when reading; None, if only HDF5
        can undo it.

    Raises
    ------
    UnsupportedError
        If a filter that refmaker decodes itself was used in a way that it cannot decode.
    """
    if filter_id in IDENTITY_ON_READ:
        return ()
    builder = _BUILDERS.get(filter_id)
    return None if builder is None else builder(stage)


def _one(config: Config) -> tuple[Config, ...]:
    return (config,)


def _value(stage: Stage, index: int, default: int) -> int:
    return stage.values[index] if len(stage.values) > index else default


def _signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


def _deflate(stage: Stage) -> tuple[Config, ...]:
    return _one({"id": "zlib", "level": min(_value(stage, 0, 6), 9)})


def _shuffle(stage: Stage) -> tuple[Config, ...] | None:
    # The element size is the filter's own: for compound and array types it is not numpy's.
    size = _value(stage, 0, 0)
    if size == 1:
        return ()
    if size == 0 or stage.size is None or stage.size % size:
        return None  # HDF5 leaves the odd bytes at the end alone, the stock codec refuses them
    return _one({"id": "shuffle", "elementsize": size})


def _fletcher32(_stage: Stage) -> tuple[Config, ...]:
    return _one({"id": "fletcher32"})


def _szip(stage: Stage) -> tuple[Config, ...] | None:
    if len(stage.values) != 4:
        return None
    names = ("options_mask", "pixels_per_block", "bits_per_pixel", "pixels_per_scanline")
    return _one({"id": "imagecodecs_szip"} | dict(zip(names, stage.values, strict=True)))


def _nbit(stage: Stage) -> tuple[Config, ...] | None:
    # Client values: their number, nothing was packed (1), elements, class, then for the atomic
    # class (1): size, byte order, precision, offset.
    values = stage.values
    if len(values) > 1 and values[1] == 1:
        return ()
    if len(values) < 8 or values[0] != len(values) or values[3] != 1 or not 0 < values[4] <= 8:
        return None
    size, order, precision, offset = values[4:8]
    if values[2] * size != stage.size or order > 1:
        return None
    config = {
        "id": "refmaker.hdf5_nbit",
        "size": size,
        "precision": precision,
        "offset": offset,
        "byteorder": "<>"[order],
        "count": values[2],
    }
    return _one(config)


def _scaleoffset(stage: Stage) -> tuple[Config, ...] | None:
    if len(stage.values) != 20:  # files of HDF5 1.8 betas; no release reads them
        raise UnsupportedError(
            f"scaleoffset (HDF5 filter 6) with {len(stage.values)} client values instead of 20",
            code="filter-undecodable",
        )
    scale, bits, _, _, size = stage.values[:5]
    if scale == 2 and bits == 8 * size:
        return ()  # full precision: the filter leaves chunks as they are, without a header
    # Here and below: codecs load numcodecs, which few files need while they are scanned.
    from refmaker.codecs.hdf5_scaleoffset import HDF5ScaleOffset

    try:
        codec = HDF5ScaleOffset(stage.values)
    except MetadataError:
        return None
    if codec.values[2] * codec.values[4] != stage.size:
        return None
    return _one(codec.get_config())


def _bzip2(stage: Stage) -> tuple[Config, ...]:
    return _one({"id": "bz2", "level": min(max(_value(stage, 0, 9), 1), 9)})


def _lzf(stage: Stage) -> tuple[Config, ...] | None:
    size = stage.size or _value(stage, 2, 0)
    return _one({"id": "refmaker.hdf5_lzf", "nbytes": size}) if size else None


def _blosc(stage: Stage) -> tuple[Config, ...] | None:
    name = _BLOSC.get(_value(stage, 6, 0))
    if name is None:
        return None
    # The stream describes itself; the settings are those that wrote it, for whoever asks.
    level, shuffle = min(_value(stage, 4, 5), 9), min(_value(stage, 5, 1), 2)
    return _one({"id": "blosc", "cname": name, "clevel": level, "shuffle": shuffle, "blocksize": 0})


def _lz4(_stage: Stage) -> tuple[Config, ...]:
    return _one({"id": "imagecodecs_lz4h5"})


def _bitshuffle(stage: Stage) -> tuple[Config, ...] | None:
    itemsize, block, compression = (_value(stage, index, 0) for index in (2, 3, 4))
    name = {0: "none", 2: "lz4", 3: "zstd"}.get(compression)
    if name is None or itemsize == 0 or block % 8 or stage.size is None or stage.size % itemsize:
        return None
    config = {
        "id": "refmaker.hdf5_bitshuffle",
        "itemsize": itemsize,
        "compression": name,
        "nbytes": stage.size,
        "blocksize": block if compression == 0 else 0,
    }
    return _one(config)


def _zfp(stage: Stage) -> tuple[Config, ...] | None:
    from refmaker.codecs.hdf5_zfp import zfp_size

    header = stage.values[1:]
    try:
        if zfp_size(header) != stage.size:
            return None
    except MetadataError:
        return None
    if stage.dtype.kind not in "iuf" or stage.dtype.byteorder == ">":
        return None
    return _one({"id": "refmaker.hdf5_zfp", "header": list(header), "nbytes": stage.size})


def _zstd(stage: Stage) -> tuple[Config, ...]:
    return _one({"id": "zstd", "level": min(_signed(_value(stage, 0, 3)), 22)})


def _b3d(stage: Stage) -> tuple[Config, ...]:
    from refmaker.codecs.b3d import B3D

    config = {"id": "refmaker.b3d", "cd_values": list(stage.values)}
    try:
        codec = B3D(cd_values=list(stage.values))
    except UnsupportedError:
        raise
    except (RefmakerError, ValueError, TypeError) as error:
        raise UnsupportedError(
            f"B3D (HDF5 filter {B3D_FILTER}): {error}", code="filter-undecodable"
        ) from error
    # The vendor's plugin takes elements that are no integers for single bytes.
    if stage.size is not None and codec.nbytes != stage.size:
        raise UnsupportedError(
            f"B3D (HDF5 filter {B3D_FILTER}): its settings stand for {codec.nbytes} bytes, a chunk "
            f"has {stage.size}",
            code="filter-undecodable",
        )
    return _one(config)


def _gray_image(stage: Stage) -> bool:
    # Planes and interleaved colours are stored in orders that only the filters themselves know.
    wide = sum(1 for length in stage.chunk_shape if length > 1)
    return wide <= 2 and stage.dtype.kind in "iu" and stage.dtype.itemsize <= 2


def _jpegls(stage: Stage) -> tuple[Config, ...] | None:
    return _one({"id": "imagecodecs_jpegls"}) if _gray_image(stage) else None


def _htj2k(stage: Stage) -> tuple[Config, ...] | None:
    return _one({"id": "imagecodecs_htj2k"}) if _gray_image(stage) else None


def _blosc2(stage: Stage) -> tuple[Config, ...] | None:
    if stage.size is None:
        return None
    return _one({"id": "refmaker.hdf5_blosc2", "nbytes": stage.size})


_BUILDERS: dict[int, Callable[[Stage], tuple[Config, ...] | None]] = {
    1: _deflate,
    2: _shuffle,
    3: _fletcher32,
    4: _szip,
    5: _nbit,
    6: _scaleoffset,
    307: _bzip2,
    32000: _lzf,
    32001: _blosc,
    32004: _lz4,
    32008: _bitshuffle,
    32013: _zfp,
    32015: _zstd,
    B3D_FILTER: _b3d,
    32018: _jpegls,
    32026: _blosc2,
    32033: _htj2k,
}
