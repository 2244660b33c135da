"""What users may choose about the meaning of TIFF files."""

from __future__ import annotations

from refmaker.scanning.protocol import Setting

__all__ = ["SETTINGS"]

SETTINGS = (
    Setting(
        "layout",
        "auto",
        "order of a TIFF's dimensions: as NGFF has it, as stored, or what fits the image",
        ("auto", "ngff", "native"),
    ),
    Setting(
        "ngff",
        "0.4",
        "version of the NGFF metadata of TIFF pyramids; 0.5 goes with Zarr version 3",
        ("0.4", "0.5"),
    ),
    Setting(
        "missing-siblings",
        "error",
        "what a file missing from a multi-file OME-TIFF is",
        ("error", "fill"),
    ),
    Setting(
        "probe",
        "auto",
        "how many chunks are decoded while scanning, so that what cannot be is refused by name: "
        "a few, all or none",
        ("auto", "all", "none"),
    ),
    Setting(
        "damaged-pages",
        "refuse",
        "what a page with damaged data costs a TIFF image with axes such as time and channel: "
        "the image, or absent chunks",
        ("refuse", "absent"),
    ),
)
