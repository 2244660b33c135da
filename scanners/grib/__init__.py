"""GRIB editions 1 and 2: every field of every message, found by headers alone."""

from refmaker.scanners.grib.scanner import GRIBScanner

__all__ = ["GRIBScanner"]
