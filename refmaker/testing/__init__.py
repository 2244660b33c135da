"""What a scanner's tests are made of; for scanners of other packages, too.

Subclass `ScannerContract` in a test module and give it a few files.
"""

from refmaker.testing.contract import ScannerContract
from refmaker.testing.reading import decode_array, open_stock

__all__ = ["ScannerContract", "decode_array", "open_stock"]
