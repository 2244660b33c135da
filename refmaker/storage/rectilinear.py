"""Zarr reads chunks of different lengths once it is told to.

zarr 3.2 and later have the chunk grid ``rectilinear`` (zarr-extensions) behind a setting, which
counts when a document is parsed, and for the whole process.
"""

from __future__ import annotations

from importlib.metadata import version

from refmaker.errors import MissingDependencyError

__all__ = ["SETTING", "allow_rectilinear"]

SETTING = "array.rectilinear_chunks"
"""zarr's setting; the environment variable is ``ZARR_ARRAY__RECTILINEAR_CHUNKS``."""


def allow_rectilinear(url: str | None = None) -> None:
    """Have zarr read chunks of different lengths from now on.

    Parameters
    ----------
    url : str, optional
        What is to be read, for the message.

    Raises
    ------
    MissingDependencyError
        If this zarr has no such chunks.
    """
    import zarr

    if zarr.config.get(SETTING, None) is None:
        raise MissingDependencyError(
            f"chunks of different lengths need zarr 3.2 or later, here is {version('zarr')}",
            url=url,
            hint="with Python 3.12 or later, pip install 'zarr>=3.2'",
        )
    if not zarr.config.get(SETTING):
        zarr.config.set({SETTING: True})
