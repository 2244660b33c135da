"""What is known of HDF5 before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration, Setting

__all__ = ["FORMAT", "SIGNATURE", "USER_BLOCKS"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCKS = (0, 512, 1024, 2048)


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1 if the signature stands where the specification allows it.

    HDF5 File Format Specification, II.A: at byte 0, or behind a user block of 512, 1024,
    2048, ... bytes, as far as the head reaches.
    """
    return float(any(head[at : at + 8] == SIGNATURE for at in USER_BLOCKS))


FORMAT = FormatDeclaration(
    "hdf5",
    (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nc4", ".cdf", ".h5ad", ".mat", ".nwb", ".cxi"),
    _sniff,
    (
        Setting(
            "missing-sources",
            "refuse",
            "HDF5: virtual datasets with sources that are not there are refused, or have fill "
            "values in their place",
            ("refuse", "fill"),
        ),
    ),
)
