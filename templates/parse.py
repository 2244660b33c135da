"""Template text to tree: a hand-written scanner and recursive descent, one pass, no regex.

The grammar is in the docstring of `refmaker.templates`. It is a subset of jinja's expressions,
in which every sentence means what jinja says it means (but for ``name:03d``, which jinja does
not have), and what would mean something else there, such as ``{{-i}}``, is refused.
"""

from __future__ import annotations

from typing import NoReturn

from refmaker.templates.errors import TemplateError, TemplateLimitError
from refmaker.templates.limits import DEFAULT_LIMITS, Limits
from refmaker.templates.tree import Argument, Call, NumberExpression, Part, Program

__all__ = ["parse"]

_SPACE = " \t\r\n"
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
_NAME = _LETTERS + _DIGITS
_LARGEST = 2**63 - 1
_HINTS = {
    ".": "attributes do not exist here",
    "[": "subscripts do not exist here",
    "|": "the only filter is '%0Nd' | format(number)",
    "/": "use // for whole division",
    "~": "texts cannot be joined inside an expression",
}


def parse(text: str, limits: Limits = DEFAULT_LIMITS) -> tuple[Part, ...]:
    """Parse one template.

    Parameters
    ----------
    text : str
        Text with ``{{ expression }}`` in it. Single braces and a lone ``}}`` are literal.
    limits : Limits, optional

    Returns
    -------
    tuple of str, NumberExpression and Call

    Raises
    ------
    TemplateError
        If the grammar does not have it, with the place.
    TemplateLimitError
        If it is too long or too deep.
    """
    if len(text) > limits.text_length:
        raise TemplateLimitError(
            f"a template of {len(text)} characters (allowed: {limits.text_length})", text, 0
        )
    return _Parser(text, limits).parts()


class _Parser:
    """A place in one text; every method consumes what it is named after."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.text = text
        self.limits = limits
        self.position = 0
        self.depth = 0

    def parts(self) -> tuple[Part, ...]:
        found: list[Part] = []
        while self.position < len(self.text):
            start = self.text.find("{{", self.position)
            stop = len(self.text) if start < 0 else start
            if stop > self.position:
                found.append(self.literal(stop))
            if start >= 0:
                found.append(self.placeholder())
        return tuple(found)

    def literal(self, stop: int) -> str:
        for mark in ("{%", "{#"):
            place = self.text.find(mark, self.position, stop)
            if place >= 0:
                self.fail(f"'{mark}': there are no statements and no comments", place)
        start, self.position = self.position, stop
        return self.text[start:stop]

    def placeholder(self) -> Part:
        self.position += 2
        if self.peek() in ("-", "+"):
            # Jinja reads this sign as whitespace control, not as part of the number.
            self.fail("a sign directly after '{{' (put a space between)")
        self.space()
        start = self.position
        value = self.value()
        if isinstance(value, str):
            self.fail("a quoted text alone (only arguments and formats are quoted)", start)
        if not self.accept("}}"):
            self.unexpected("'}}'")
        return value

    def value(self) -> Argument:
        """Quoted text, formatted number, call, or an expression with an optional format."""
        self.space()
        start = self.position
        if self.peek() in ("'", '"'):
            return self.quoted_value(start)
        if self.peek_in(_LETTERS):
            name = self.name()
            if self.accept("("):
                self.deeper()
                arguments = self.arguments()
                self.depth -= 1
                return Call(name, arguments, self.text, start)
            self.position = start
        program = self.expression()
        width = self.specification() if self.accept(":") else None
        return NumberExpression(program, width, self.text, start)

    def quoted_value(self, start: int) -> str | NumberExpression:
        quoted = self.quoted()
        if self.accept("%"):
            width = self.printf(quoted, start)
            code: list[int | str] = []
            self.unary(code)
            return NumberExpression(tuple(code), width, self.text, start)
        if self.accept("|"):
            width = self.printf(quoted, start)
            self.space()
            if not self.peek_in(_LETTERS) or self.name() != "format" or not self.accept("("):
                self.fail(_HINTS["|"], start)
            program = self.expression()
            if not self.accept(")"):
                self.unexpected("')'")
            return NumberExpression(program, width, self.text, start)
        return quoted

    def arguments(self) -> tuple[tuple[str, Argument], ...]:
        found: dict[str, Argument] = {}
        if self.accept(")"):
            return ()
        while True:
            self.space()
            place = self.position
            name = self.name() if self.peek_in(_LETTERS) else ""
            if not name or not self.accept("="):
                self.fail("an argument that is not name=value", place)
            if name in found:
                self.fail(f"argument {name} given twice", place)
            found[name] = self.value()
            if self.accept(")"):
                return tuple(found.items())
            if not self.accept(","):
                self.unexpected("',' or ')'")

    # Arithmetic: each method appends its operand to the program, in postfix order.

    def expression(self) -> Program:
        code: list[int | str] = []
        self.sum(code)
        return tuple(code)

    def sum(self, code: list[int | str]) -> None:
        self.product(code)
        while sign := self.accept_one("+", "-"):
            self.product(code)
            self.emit(code, sign)

    def product(self, code: list[int | str]) -> None:
        self.unary(code)
        while sign := self.accept_one("//", "*", "%"):
            self.unary(code)
            self.emit(code, sign)

    def unary(self, code: list[int | str]) -> None:
        signs = 0
        while self.accept("-"):
            signs += 1
            self.emit(code, 0)
        self.primary(code)
        for _ in range(signs):
            self.emit(code, "-")

    def primary(self, code: list[int | str]) -> None:
        self.space()
        if self.peek_in(_DIGITS):
            self.emit(code, self.integer())
        elif self.peek_in(_LETTERS):
            self.emit(code, self.name())
        elif self.accept("("):
            self.deeper()
            self.sum(code)
            if not self.accept(")"):
                self.unexpected("')'")
            self.depth -= 1
        else:
            self.unexpected("a number, a name or '('")

    def emit(self, code: list[int | str], item: int | str) -> None:
        if len(code) >= self.limits.operations:
            self.exceed(f"an expression of more than {self.limits.operations} operations")
        code.append(item)

    # Formats

    def specification(self) -> int:
        """``d`` or ``0Nd`` after a colon, as Python formats write it."""
        self.space()
        start = self.position
        while self.peek_in(_NAME):
            self.position += 1
        return self.width(self.text[start : self.position], start)

    def printf(self, quoted: str, start: int) -> int:
        """``%d`` or ``%0Nd`` as the whole of a quoted text."""
        if not quoted.startswith("%"):
            self.fail("a format must be '%d' or '%0Nd' and nothing else", start)
        return self.width(quoted[1:], start)

    def width(self, text: str, start: int) -> int:
        digits = text[1:-1]
        if text == "d":
            return 1
        if text[:1] != "0" or text[-1:] != "d" or not 1 <= len(digits) <= 3:
            self.fail(f"number format {text[:20]!r}, which is not 'd' or '0Nd'", start)
        if any(character not in _DIGITS for character in digits) or digits[0] == "0":
            self.fail(f"number format {text[:20]!r}, which is not 'd' or '0Nd'", start)
        if int(digits) > self.limits.width:
            self.exceed(f"padding to more than {self.limits.width} characters")
        return int(digits)

    # Tokens

    def quoted(self) -> str:
        start, mark = self.position, self.peek()
        stop = self.text.find(mark, start + 1)
        if stop < 0:
            self.fail("a quoted text that does not end", start)
        escape = self.text.find("\\", start, stop)
        if escape >= 0:
            self.fail("a backslash: there are no escapes in quoted texts", escape)
        self.position = stop + 1
        return self.text[start + 1 : stop]

    def integer(self) -> int:
        start = self.position
        while self.peek_in(_DIGITS):
            self.position += 1
        digits = self.text[start : self.position]
        if self.peek_in(_LETTERS) or self.peek() == "." or (digits[0] == "0" and digits != "0"):
            self.fail("a number that is not a plain decimal integer", start)
        if len(digits) > len(str(_LARGEST)) or int(digits) > _LARGEST:
            self.fail("a number of more than 64 bits", start)
        return int(digits)

    def name(self) -> str:
        start = self.position
        while self.peek_in(_NAME):
            self.position += 1
        return self.text[start : self.position]

    def space(self) -> None:
        while self.peek_in(_SPACE):
            self.position += 1

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def peek_in(self, characters: str) -> bool:
        return self.position < len(self.text) and self.text[self.position] in characters

    def accept(self, token: str) -> bool:
        self.space()
        if not self.text.startswith(token, self.position):
            return False
        self.position += len(token)
        return True

    def accept_one(self, *tokens: str) -> str:
        for token in tokens:
            if self.accept(token):
                return token
        return ""

    # Errors

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > self.limits.nesting:
            self.exceed(f"nesting deeper than {self.limits.nesting}")

    def unexpected(self, wanted: str) -> NoReturn:
        found = self.peek()
        hint = f" ({_HINTS[found]})" if found in _HINTS else ""
        self.fail(f"{found!r} instead of {wanted}{hint}" if found else f"the end before {wanted}")

    def fail(self, reason: str, position: int | None = None) -> NoReturn:
        raise TemplateError(reason, self.text, self.position if position is None else position)

    def exceed(self, reason: str) -> NoReturn:
        raise TemplateLimitError(reason, self.text, self.position)
