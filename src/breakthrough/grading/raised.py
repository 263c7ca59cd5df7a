"""Errors between two processes: their class by name, their message, the steps in the learner's cells."""

from __future__ import annotations

import builtins
import traceback
from typing import Any

from breakthrough import errors
from breakthrough.grading.frames import safe_name

TEXT = 4000  # characters of a message that cross
FRAMES = 12


def described(error: BaseException, number: int) -> dict[str, Any]:
    """An error as data."""
    try:
        plain = all(type(arg) in (str, int, float, bool) for arg in error.args)
        args = [arg[:TEXT] if type(arg) is str else arg for arg in error.args] if plain else [str(error)[:TEXT]]
    except BaseException:  # noqa: BLE001 - a learner's error class may raise in its own text
        args = ["(its message cannot be shown)"]
    return {
        "names": [kind.__name__[:80] for kind in type(error).__mro__[:-1]][:20],
        "args": args[:3],
        "trace": _trace(error),
        "within": _within(error),
        "home": getattr(error, "_home", None) or 0,
        "number": number,
    }


def _trace(error: BaseException) -> str:
    try:
        frames = errors.own_frames(error)[-FRAMES:]
        lines = traceback.format_list(frames) + traceback.format_exception_only(error)
        return "".join(line[:400] for line in lines).rstrip()[:TEXT] if frames else ""
    except BaseException:  # noqa: BLE001
        return ""


def _within(error: BaseException) -> list[str]:
    """The names of the functions that the error went through."""
    return [frame.f_code.co_name[:80] for frame, _ in traceback.walk_tb(error.__traceback__)][-FRAMES:]


def passed_on(error: BaseException, told: dict[str, Any]) -> BaseException:
    """An error of this side that went through the other's code, whose steps it then has."""
    error.__dict__["there"] = str(told.get("trace") or "")[:TEXT]
    return error


def remade(told: dict[str, Any]) -> BaseException:
    """An error like the one that was described. One that would end this process becomes one that does not."""
    names = [str(name)[:80] for name in _some(told.get("names"), 20)] or ["Exception"]
    args = [arg if type(arg) in (int, float, bool) else str(arg)[:TEXT] for arg in _some(told.get("args"), 3)]
    made = _made(names, args)
    made.__dict__["there"] = str(told.get("trace") or "")[:TEXT]
    made.__dict__["within"] = tuple(str(name)[:80] for name in _some(told.get("within"), FRAMES))
    made.__dict__["_home"] = told.get("number")
    return made


def _some(told: Any, most: int) -> list:
    return list(told)[:most] if type(told) in (list, tuple) else []


def _made(names: list[str], args: list[Any]) -> Exception:
    first, base = names[0], Exception
    for name in names:
        kind = getattr(builtins, name, None) or getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            base = kind
            break
    try:
        if base.__name__ == first:
            return base(*args)
        return type(safe_name(first, "Error"), (base,), {})(*args)
    except Exception:  # noqa: BLE001 - UnicodeDecodeError wants five arguments
        return Exception(*args)
