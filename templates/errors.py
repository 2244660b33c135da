"""The two errors of the template language.

::

    ValueError
    └── TemplateError          text, position, reason
        └── TemplateLimitError a cap of `Limits` would be exceeded
"""

from __future__ import annotations

__all__ = ["TemplateError", "TemplateLimitError"]

_EXCERPT = 60


class TemplateError(ValueError):
    """A template, or a rule made of templates, means nothing in this language.

    Parameters
    ----------
    reason : str
        What is wrong, in one line.
    text : str, optional
        The template that it is about.
    position : int, optional
        Character in `text` (counted from 0) at which it was noticed.
    """

    def __init__(self, reason: str, text: str = "", position: int | None = None) -> None:
        # All three are arguments of the exception, so that it survives pickling.
        super().__init__(reason, text, position)
        self.reason = reason
        self.text = text
        self.position = position

    def __str__(self) -> str:
        if not self.text:
            return self.reason
        if self.position is None:
            return f"{self.reason} in {_excerpt(self.text, 0)}"
        return f"{self.reason} at character {self.position} of {_excerpt(self.text, self.position)}"


class TemplateLimitError(TemplateError):
    """A cap of `refmaker.templates.Limits` would be exceeded; nothing was made."""


def _excerpt(text: str, position: int) -> str:
    start = max(0, min(position - _EXCERPT // 2, len(text) - _EXCERPT))
    stop = start + _EXCERPT
    before = "..." if start else ""
    after = "..." if stop < len(text) else ""
    return f"{before}{text[start:stop]!r}{after}"
