"""The account of an experiment, told with figures of its own: as it should be, or with one thing wrong.

Figures are drawn from their ranges, rounded as they are shown, and derived ones worked out from what is shown, so that a
reader who calculates finds the same. The same generator gives the same figures with a flaw and without.
"""

from __future__ import annotations

import ast
import math
import operator
import string
from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

from breakthrough.course.exchange.rubric import Account, Flaw
from breakthrough.errors import ConfigError, expected

_SIGNS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_CALLS: dict[str, Callable] = {"round": round, "min": min, "max": max, "sqrt": math.sqrt}
_SHOWN = ("", "+")  # {gain} or, with its sign, {gain:+}


class Draws(Protocol):
    """What figures are drawn with: `random.Random` and numpy's generators both do."""

    def uniform(self, low: float, high: float) -> float:
        """A number between two ends."""


def tell(account: Account, generator: Draws, flaw: Flaw | None = None) -> dict[str, str]:
    """The account's sections as Markdown, with figures in the place of {names}; with a flaw, its sections instead.

    Raises: ConfigError for a text with a name that is no figure, or a derived figure that cannot be worked out
    """
    shown = figures(account, generator)
    texts = account.sections | (flaw.changes if flaw else {})
    return {name: _filled(texts[name], shown, name) for name in account.sections}


def figures(account: Account, generator: Draws) -> dict[str, tuple[float, int]]:
    """Every figure, drawn and derived, with the digits that it is shown with.

    Raises: ConfigError for a derived figure that cannot be worked out
    """
    found: dict[str, tuple[float, int]] = {}
    for name, one in account.figures.items():
        found[name] = round(float(generator.uniform(one.low, one.high)), one.digits), one.digits
    left = dict(account.derived)
    while left:
        ready = {name: text for name, text in left.items() if _names(name, text) <= found.keys()}
        if not ready:
            name, text = next(iter(left.items()))
            missing = ", ".join(sorted(_names(name, text) - found.keys()))
            raise ConfigError(f"derived figure {name}: " + expected("names of figures, none of which needs itself", missing))
        for name, text in ready.items():
            digits = _digits(text, found)
            found[name] = round(evaluate(text, {one: value for one, (value, _) in found.items()}), digits), digits
            del left[name]
    return found


def evaluate(text: str, values: Mapping[str, float]) -> float:
    """Work out plain arithmetic over names: + − * /, round, min, max and sqrt, and nothing else.

    Raises: ConfigError for anything else, an unknown name, a division by zero or the root of a number below it
    """
    try:
        return float(_value(_parsed(text), values))
    except ConfigError:
        raise
    except (ZeroDivisionError, ValueError, OverflowError) as error:
        raise ConfigError(f"{text}: " + expected("arithmetic that can be done", str(error))) from None


@cache
def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{text}: " + expected("arithmetic", str(error).split(" (")[0])) from None


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name() if node.id in values:
            return values[node.id]
        case ast.BinOp() if type(node.op) in _SIGNS:
            return _SIGNS[type(node.op)](_value(node.left, values), _value(node.right, values))
        case ast.UnaryOp() if type(node.op) in _SIGNS:
            return _SIGNS[type(node.op)](_value(node.operand, values))
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS and node.args and not node.keywords:
            first, *more = (_value(one, values) for one in node.args)
            match name:
                case "round":
                    return round(first, *(int(one) for one in more[:1]))
                case "sqrt" if not more:
                    return math.sqrt(first)
                case "min" | "max":
                    return _CALLS[name]([first, *more])
    raise ConfigError(expected("names of figures, numbers, + - * /, round, min, max or sqrt", ast.unparse(node)))


@cache
def _names(figure: str, text: str) -> frozenset[str]:
    try:
        return frozenset(node.id for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name) and node.id not in _CALLS)
    except ConfigError as error:
        raise ConfigError(f"derived figure {figure}: {error}") from None


def _digits(text: str, found: Mapping[str, tuple[float, int]]) -> int:
    """The digits asked for by an outermost round(…, digits); else the most of the figures that are in it."""
    node = _parsed(text)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "round":
        return int(_value(node.args[1], {})) if len(node.args) > 1 else 0
    return max((found[name][1] for name in _names(text, text)), default=0)


@cache
def _parts(text: str) -> tuple:
    return tuple(string.Formatter().parse(text))


def _filled(text: str, shown: Mapping[str, tuple[float, int]], section: str) -> str:
    try:
        parts = _parts(text)
    except ValueError as error:
        raise ConfigError(f"section {section}: " + expected("figures as {name}", str(error))) from None
    told = []
    for before, name, form, turned in parts:
        told.append(before)
        if name is None:
            continue
        if name not in shown or turned or form not in _SHOWN:
            raise ConfigError(f"section {section}: " + expected("the name of a figure", "{" + name + (f":{form}" if form else "") + "}", ", ".join(sorted(shown))))
        told.append(_written(*shown[name], form))
    return "".join(told).strip()


def _written(value: float, digits: int, form: str | None) -> str:
    """A number as the course writes it: 1,348 and −0.14."""
    return f"{value + 0.0:{form or ''},.{max(digits, 0)}f}".replace("-", "−")
