"""What the codecs of this package share: checked input, checked output, no encoder."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar, NoReturn

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray
from numpy.typing import NDArray

from refmaker.errors import CodecError, MetadataError, MissingDependencyError, UnsupportedError

__all__ = [
    "MAX_CHUNK",
    "Buffer",
    "DecodeOnly",
    "bounded",
    "deliver",
    "expect",
    "input_bytes",
    "library",
]

#: What the codecs work on: a flat run of bytes.
Buffer = NDArray[np.uint8]

#: Largest chunk that HDF5 can store, in bytes (the size is kept in 32 bits).
MAX_CHUNK = 2**32 - 1


class DecodeOnly(Codec):  # type: ignore[misc]  # numcodecs carries no types
    """A codec that reads what another library wrote.

    Subclasses list the names of their configuration in `fields`, keep each as an attribute of
    the same name in a form that JSON can hold, and implement ``decode``.
    """

    codec_id: ClassVar[str]
    fields: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> dict[str, Any]:
        """Return the configuration: the codec id and what JSON needs to rebuild the codec."""
        return {"id": self.codec_id} | {name: getattr(self, name) for name in self.fields}

    @property
    def rewrites(self) -> bool:
        """Whether chunks hold more of a file than values, so that `shareable` changes them."""
        return False

    def shareable(self, buf: Any) -> bytes:
        """Return a chunk that decodes to the same values, and holds nothing else of the file.

        Parameters
        ----------
        buf : bytes-like
            A chunk as it lies in the file.

        Raises
        ------
        CodecError
            If the chunk cannot be decoded.
        """
        return bytes(buf)

    def encode(self, buf: Any) -> NoReturn:  # noqa: ARG002 - the name is part of the interface
        """Refuse: references are read, their targets are never written.

        Raises
        ------
        UnsupportedError
            Always, with code ``codec-decode-only``.
        """
        raise UnsupportedError(f"{self.codec_id} only decodes", code="codec-decode-only")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({values})"


def library(module: str, package: str | None = None) -> Any:
    """Import what a codec needs, at the time when it first decodes.

    Parameters
    ----------
    module : str
        Name to import.
    package : str, optional
        Name to install, where it is another one.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = package or module.partition(".")[0]
        raise MissingDependencyError(
            f"the package {name} is needed to decode this chunk: {error}",
            hint=f"pip install {name}",
        ) from error


def bounded(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an integer inside ``low..high``, or refuse the configuration.

    Raises
    ------
    MetadataError
        If the value is not an integer, or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise MetadataError(f"codec setting {name!r} is not an integer: {value!r}")
    if not low <= value <= high:
        raise MetadataError(f"codec setting {name!r} is {value}, not in {low}..{high}")
    return int(value)


def input_bytes(buf: Any) -> Buffer:
    """View any contiguous buffer as flat bytes, shape (length,), without a copy."""
    flat: Buffer = ensure_contiguous_ndarray(buf).view(np.uint8)
    return flat


def expect(codec_id: str, found: int, wanted: int, what: str) -> None:
    """Refuse a chunk in which a size is not what it has to be.

    Raises
    ------
    CodecError
        If `found` differs from `wanted`.
    """
    if found != wanted:
        raise CodecError(f"{codec_id}: {what} is {found} bytes, expected {wanted}")


def deliver(codec_id: str, decoded: NDArray[Any], out: Any) -> Any:
    """Hand a decoded chunk to the caller, in `out` if one was given.

    Raises
    ------
    CodecError
        If `out` has another size than the decoded chunk.
    """
    if out is None:
        return decoded
    target = ensure_contiguous_ndarray(out).view(np.uint8)
    expect(codec_id, decoded.nbytes, target.nbytes, "the decoded chunk")
    target[:] = decoded.reshape(-1).view(np.uint8)
    return out
