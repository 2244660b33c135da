"""A study of a patient that does not exist, made of formulas and a seed: CT, labels, MR, a slide.

`write_study` and `write_slide` write DICOM files with pydicom; `anatomy` holds what they show.
"""

from phantom.slide import write_slide
from phantom.study import write_study

__all__ = ["write_slide", "write_study"]
