"""The version, for modules below the front door."""

__version__ = "0.2.0"
