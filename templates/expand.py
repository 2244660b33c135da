"""Templates put into texts: names and calls replaced, with their cost counted first."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from refmaker.templates.errors import TemplateError, TemplateLimitError
from refmaker.templates.evaluate import evaluate
from refmaker.templates.limits import DEFAULT_LIMITS, Limits
from refmaker.templates.parse import parse
from refmaker.templates.tree import OPERATORS, Call, NumberExpression, Part, Program

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Segments", "Templates", "expand", "render"]

Segments: TypeAlias = "tuple[str | NumberExpression, ...]"
"""A text in which only numbers are still open: literals, and expressions of variables."""

_INTEGER_LENGTH = 20
"""Characters of the longest 64-bit integer, with its sign."""


class Templates:
    """The ``templates`` member of a reference document.

    A value without ``{{`` is a plain text. A value with ``{{`` is a function: inside it, names
    are its arguments first and other templates second. Functions are parsed when first used.

    Parameters
    ----------
    templates : mapping of str to str, optional
    limits : Limits, optional

    Raises
    ------
    TemplateError
        If a value is not a text or there are too many.
    """

    __slots__ = ("_parsed", "_plain", "_texts", "limits")

    def __init__(
        self, templates: Mapping[str, str] | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.limits = limits
        self._texts = dict(templates) if templates else {}
        self._parsed: dict[str, tuple[Part, ...]] = {}
        if len(self._texts) > limits.templates:
            raise TemplateLimitError(f"{len(self._texts)} templates (allowed: {limits.templates})")
        for name, text in self._texts.items():
            if not isinstance(name, str) or not isinstance(text, str):
                raise TemplateError(f"template {name!r} is not a text")
        self._plain = {
            name: text
            for name, text in self._texts.items()
            if name.isascii() and name.isidentifier() and "{{" not in text
        }

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __len__(self) -> int:
        return len(self._texts)

    def expand(self, text: str) -> str:
        """Replace every ``{{...}}`` in a text.

        Parameters
        ----------
        text : str
            A text without ``{{`` comes back as it is, whatever else is in it.

        Returns
        -------
        str

        Raises
        ------
        TemplateError
            If a name is not known, the grammar is broken, or a cap is exceeded.
        """
        start = text.find("{{")
        if start < 0:
            return text
        stop = text.find("}}", start)
        value = self._plain.get(text[start + 2 : stop]) if stop > 0 else None
        if (
            value is not None
            and text.find("{", stop) < 0
            and text.find("{", 0, start) < 0
            and len(text) + len(value) <= self.limits.output_length
        ):
            # One plain template and nothing else that could have a meaning: nearly all URLs.
            return f"{text[:start]}{value}{text[stop + 2 :]}"
        return render(self.link(text), {})

    def link(self, text: str, variables: Collection[str] = ()) -> Segments:
        """Parse a text and put all templates in, so that only variables are left.

        Parameters
        ----------
        text : str
        variables : collection of str, optional
            Names that stand for integers known later.

        Returns
        -------
        tuple of str and NumberExpression
            Literals are never adjacent.

        Raises
        ------
        TemplateError
        """
        scope: dict[str, Segments] = {
            name: (NumberExpression((name,), None, text, 0),) for name in variables
        }
        linker = _Linker(self, text)
        return _joined(linker.link(parse(text, self.limits), scope, ()))

    def parts(self, name: str) -> tuple[Part, ...] | None:
        """Tree of a function, or None for a plain text or an unknown name.

        Parameters
        ----------
        name : str

        Returns
        -------
        tuple of str, NumberExpression and Call, or None
        """
        found = self._parsed.get(name)
        if found is None and "{{" in self._texts.get(name, ""):
            found = self._parsed[name] = parse(self._texts[name], self.limits)
        return found

    def plain(self, name: str) -> str | None:
        """Value of a plain template, or None.

        Parameters
        ----------
        name : str

        Returns
        -------
        str or None
        """
        return self._plain.get(name)


class _Linker:
    """One text being linked; counts what all its templates together come to."""

    def __init__(self, templates: Templates, text: str) -> None:
        self.templates = templates
        self.limits = templates.limits
        self.text = text
        self.left = self.limits.output_length

    def link(
        self, parts: tuple[Part, ...], scope: Mapping[str, Segments], active: tuple[str, ...]
    ) -> Segments:
        found: list[str | NumberExpression] = []
        for part in parts:
            value = self.value(part, scope, active)
            self.spend(value)
            found.extend(value)
        return tuple(found)

    def value(self, part: Part, scope: Mapping[str, Segments], active: tuple[str, ...]) -> Segments:
        if isinstance(part, str):
            return (part,)
        if isinstance(part, Call):
            arguments: dict[str, Segments] = {}
            for name, argument in part.arguments:
                arguments[name] = self.value(argument, scope, active)
                self.spend(arguments[name])
            return self.call(part.name, arguments, part, active)
        first = part.program[0]
        if len(part.program) == 1 and isinstance(first, str) and part.width is None:
            return self.name(first, scope, part, active)
        return (
            NumberExpression(
                self.program(part, scope, active), part.width, part.text, part.position
            ),
        )

    def name(
        self,
        name: str,
        scope: Mapping[str, Segments],
        place: NumberExpression,
        active: tuple[str, ...],
    ) -> Segments:
        value = scope.get(name)
        if value is not None:
            return value
        plain = self.templates.plain(name)
        return (plain,) if plain is not None else self.call(name, {}, place, active)

    def call(
        self,
        name: str,
        arguments: Mapping[str, Segments],
        place: NumberExpression | Call,
        active: tuple[str, ...],
    ) -> Segments:
        parts = self.templates.parts(name)
        if parts is None:
            kind = "is not a function" if name in self.templates else "is not known"
            raise TemplateError(f"{name} {kind}", place.text, place.position)
        if name in active:
            circle = " -> ".join((*active[active.index(name) :], name))
            raise TemplateError(f"templates that need themselves: {circle}", place.text, 0)
        if len(active) >= self.limits.call_depth:
            raise TemplateLimitError(
                f"templates in templates deeper than {self.limits.call_depth}",
                place.text,
                place.position,
            )
        return self.link(parts, arguments, (*active, name))

    def program(
        self, field: NumberExpression, scope: Mapping[str, Segments], active: tuple[str, ...]
    ) -> Program:
        code: list[int | str] = []
        for item in field.program:
            piece: Program = (item,)
            if isinstance(item, str) and item not in OPERATORS:
                value = self.name(item, scope, field, active)
                number = value[0] if len(value) == 1 else ""
                if isinstance(number, str) or number.width is not None:
                    raise TemplateError(
                        f"{item} is a text, not a number", field.text, field.position
                    )
                piece = number.program
            if len(code) + len(piece) > self.limits.operations:
                raise TemplateLimitError(
                    f"an expression of more than {self.limits.operations} operations",
                    field.text,
                    field.position,
                )
            self.left -= len(piece)
            code.extend(piece)
        return tuple(code)

    def spend(self, value: Segments) -> None:
        """Count characters, and one more for each piece, against the one cap of all."""
        self.left -= 1
        for item in value:
            self.left -= 1 + (len(item) if isinstance(item, str) else _length(item))
        if self.left < 0:
            raise TemplateLimitError(
                f"an expansion of more than {self.limits.output_length} characters", self.text, 0
            )


def expand(text: str, templates: Templates | Mapping[str, str]) -> str:
    """Replace every ``{{...}}`` in a text, as in the URLs of a reference document.

    Parameters
    ----------
    text : str
    templates : Templates or mapping of str to str
        Make a `Templates` once where many texts are expanded.

    Returns
    -------
    str

    Raises
    ------
    TemplateError

    Examples
    --------
    >>> expand("{{u}}/a.nc", {"u": "s3://bucket"})
    's3://bucket/a.nc'
    """
    if "{{" not in text:
        return text
    if not isinstance(templates, Templates):
        templates = Templates(templates)
    return templates.expand(text)


def render(segments: Segments, values: Mapping[str, int]) -> str:
    """Text of a linked template for one combination of variables.

    Parameters
    ----------
    segments : tuple of str and NumberExpression
    values : mapping of str to int

    Returns
    -------
    str

    Raises
    ------
    TemplateError
        If a number cannot be computed.
    """
    return "".join(
        item if isinstance(item, str) else f"{evaluate(item, values):0{item.width or 1}d}"
        for item in segments
    )


def _length(field: NumberExpression) -> int:
    return max(_INTEGER_LENGTH, field.width or 0)


def _joined(segments: Segments) -> Segments:
    """Adjacent literals as one."""
    found: list[str | NumberExpression] = []
    run: list[str] = []
    for item in segments:
        if isinstance(item, str):
            run.append(item)
            continue
        if run:
            found.append("".join(run))
            run = []
        found.append(item)
    if run:
        found.append("".join(run))
    return tuple(found)
