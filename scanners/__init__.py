"""One room per file format, found through the entry points ``refmaker.scanners``."""
