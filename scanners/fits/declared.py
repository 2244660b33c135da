"""What is known of FITS before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration, Setting, unpacked

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if a file starts with the keyword SIMPLE and its value indicator, else 0.0."""
    return 1.0 if unpacked(head, 9) == b"SIMPLE  =" else 0.0


FORMAT = FormatDeclaration(
    "fits",
    (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz", ".fz"),
    _sniff,
    (
        Setting(
            "fits-wcs",
            "1d",
            "coordinates of FITS images: of linear axes that depend on no other one, longitude and "
            "latitude of every pixel by astropy besides, or none",
            ("1d", "2d", "none"),
        ),
        Setting(
            "fits-tiles",
            "auto",
            "chunks of compressed FITS images: neighbouring tiles together, or each tile where "
            "all have one shape and the same meaning, which images of many files can share",
            ("auto", "single"),
        ),
    ),
)
