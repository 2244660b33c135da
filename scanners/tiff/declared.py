"""What is known of TIFF before its scanner is loaded."""

from __future__ import annotations

import re

from refmaker.scanning.declaration import FormatDeclaration, Setting

__all__ = ["FORMAT", "is_companion", "is_tiff"]

_BIG = (b"\x08\0\0\0", b"\0\x08\0\0")


def is_tiff(head: bytes) -> bool:
    """Tell whether a file starts like a TIFF or BigTIFF file."""
    if head[:4] in (b"II+\0", b"MM\0+"):
        return head[4:8] in _BIG
    return head[:4] in (b"II*\0", b"MM\0*")


def is_companion(head: bytes, url: str) -> bool:
    """Tell whether a file starts like OME-XML that stands in a file of its own."""
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not start.startswith(b"<"):
        return False
    named = url.lower().endswith((".companion.ome", ".ome.xml")) and start.startswith(b"<?xml")
    return named or re.search(rb"<(?:\w+:)?OME\b", start) is not None


def _sniff(head: bytes, url: str) -> float:
    """Return 0.9 for TIFF or BigTIFF, 0.5 if the file is DICOM as well, 0.8 for a companion."""
    if not is_tiff(head):
        return 0.8 if is_companion(head, url) else 0.0
    return 0.5 if head[128:132] == b"DICM" else 0.9


FORMAT = FormatDeclaration(
    "tiff",
    (".tif", ".tiff", ".btf", ".tf8", ".svs", ".lsm", ".stk", ".ndpi", ".companion.ome"),
    _sniff,
    (
        Setting(
            "infer-ifds",
            "no",
            "infer TIFF directories at equal distances in remote files from a sample of them",
            ("no", "yes"),
            former=("trust-stride",),
        ),
        Setting(
            "tiff-axes",
            "auto",
            "order of dimensions: as NGFF has it, as stored, or what fits the image",
            ("auto", "ngff", "native"),
            former=("layout",),
        ),
        Setting(
            "ngff",
            "0.4",
            "version of the NGFF metadata of TIFF pyramids; 0.5 and 0.6 go with Zarr version 3",
            ("0.4", "0.5", "0.6"),
        ),
        Setting(
            "geozarr",
            "no",
            "describe GeoTIFFs by the GeoZarr conventions spatial, proj and multiscales, which go "
            "with Zarr version 3",
            ("no", "yes"),
        ),
        Setting(
            "missing-files",
            "error",
            "what a file missing from a multi-file OME-TIFF is",
            ("error", "fill"),
            former=("missing-siblings",),
        ),
        Setting(
            "probe",
            "auto",
            "how many chunks are decoded while scanning, so that what cannot be is refused by "
            "name: a few, all or none",
            ("auto", "all", "none"),
        ),
        Setting(
            "damaged-pages",
            "refuse",
            "what a page with damaged data costs a TIFF image with axes such as time and channel: "
            "the image, or absent chunks",
            ("refuse", "absent"),
        ),
    ),
)
