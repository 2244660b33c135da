"""The codec ``refmaker.file``: a file's bytes in, the values of one of its variables out."""

from __future__ import annotations

import math
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.base import DecodeOnly, deliver, input_bytes
from refmaker.errors import CodecError, MetadataError, RefmakerError, UnknownFormatError
from refmaker.io.source import Source
from refmaker.model import Array
from refmaker.model.dtypes import dtype_from_document, encode_dtype, encode_fill_value
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import choose

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CODEC_ID", "DECODING", "WholeFile", "config_of", "difference"]

CODEC_ID = "refmaker.file"
DECODING = (
    "scale_factor", "add_offset", "_FillValue", "missing_value", "units", "calendar", "_Unsigned",
    "valid_min", "valid_max", "valid_range", "flag_values", "flag_masks",
)  # fmt: skip
"""Attributes without which numbers mean something else."""
_SIZE_LIMIT = 2**34
_OPTIONS = ScanOptions(inline_threshold=0, chunk_bytes=None)
# Libraries such as HDF5 work for one thread at a time anyway; some are not safe for more.
_lock = threading.Lock()


def config_of(path: str, array: Array, scanner: str) -> dict[str, Any]:
    """Return the configuration that reads one variable of files like the one that was scanned.

    Parameters
    ----------
    array : Array
        What the scanned file says of it.
    """
    return {
        "id": CODEC_ID,
        "format": scanner,
        "path": path,
        "dtype": encode_dtype(array.dtype),
        "shape": [int(extent) for extent in array.shape],
        "fill_value": encode_fill_value(array.fill_value, array.dtype),
        "attributes": {k: array.attributes[k] for k in DECODING if k in array.attributes},
    }


def difference(array: Array, config: Mapping[str, Any]) -> str | None:
    """Say in which respect a variable is not what a configuration promises; None if it is."""
    found = config_of(str(config["path"]), array, str(config["format"]))
    for name in ("dtype", "shape", "fill_value"):
        if found[name] != config[name]:
            return f"its {name} is {found[name]}, not {config[name]}"
    for name in DECODING:
        here, there = found["attributes"].get(name), config["attributes"].get(name)
        if here != there:
            return f"its attribute {name!r} is {here!r}, not {there!r}"
    return None


class WholeFile(DecodeOnly):
    """Files that are one chunk each, read by their format's own library.

    A file is only read if the variable has the type, shape, fill value and the attributes that
    decide what its numbers mean; all others raise.

    Parameters
    ----------
    format : str
        Name of the scanner.
    path : str
        The variable in the file.
    dtype : str or list
        Its element type, as in ``.zarray``.
    shape : list of int
        Its shape.
    fill_value : object
        Its fill value, as in ``.zarray``.
    attributes : dict
        Those of its attributes that are in `DECODING`.
    """

    codec_id = CODEC_ID
    fields = ("format", "path", "dtype", "shape", "fill_value", "attributes")

    def __init__(
        self,
        format: str,  # noqa: A002 - the word users know
        path: str,
        dtype: Any,
        shape: list[int],
        fill_value: Any = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        self.format, self.path, self.dtype = str(format), str(path), dtype
        self.shape, self.fill_value = [int(extent) for extent in shape], fill_value
        self.attributes = dict(attributes or {})
        self._dtype = dtype_from_document(dtype)
        nbytes = math.prod(self.shape) * self._dtype.itemsize
        if min(self.shape, default=0) < 0 or nbytes > _SIZE_LIMIT or self._dtype.hasobject:
            raise MetadataError(f"{CODEC_ID}: a variable {self._dtype} of shape {self.shape}")

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the values of the variable, in C order.

        Raises
        ------
        CodecError
            If the bytes are no such file, or the variable is another than promised.
        """
        raw = input_bytes(buf)
        try:
            values = self._read(raw)
        except CodecError:
            raise
        except (RefmakerError, OSError, KeyError) as error:
            raise CodecError(f"{CODEC_ID}: {self.path}: {error}") from error
        return deliver(CODEC_ID, values, out)

    def _read(self, raw: Any) -> Any:
        head = bytes(raw[:4096])
        scanner = choose(head, "", self.format)
        if scanner.sniff(head, "") <= 0:
            raise UnknownFormatError(f"not a file of the format {self.format}")
        # The libraries read files, not buffers.
        with _lock, tempfile.NamedTemporaryFile(suffix=scanner.suffixes[0]) as file:
            file.write(raw)
            file.flush()
            with Source(file.name) as source:
                group, _ = scanner.scan(source, _OPTIONS)
                try:
                    array = group[self.path]
                except KeyError:
                    raise CodecError(f"{CODEC_ID}: the file has no {self.path}") from None
                if not isinstance(array, Array):
                    raise CodecError(f"{CODEC_ID}: {self.path} is a group")
                wrong = difference(array, self.get_config())
                if wrong is not None:
                    raise CodecError(f"{CODEC_ID}: {self.path}: {wrong}")
                region = tuple(slice(0, extent) for extent in array.shape)
                with scanner.native(source) as native:
                    values = native.read(self.path, array, region)
        values = np.ascontiguousarray(values, self._dtype)
        if list(values.shape) not in (self.shape, self.shape or [1]):
            raise CodecError(f"{CODEC_ID}: {self.path}: {values.shape} values")
        return values
