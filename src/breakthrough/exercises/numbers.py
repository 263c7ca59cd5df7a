"""Numbers as people write them: read from an answer, written into a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:[,_]\d{3})+(?:\.\d+)?")  # 352,321,536
COMMA = re.compile(r"[+-]?\d+,\d+")  # 0,8 as much of Europe writes it
UP = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def read(value: Any, units: str = "") -> float | None:
    """The number that an answer is: 352, "352,321,536", "0,8", "1/3", "352 million"; none when it is no number.

    `units` is a pattern of the words that may follow it.
    """
    if hasattr(value, "item") and getattr(value, "size", None) is not None:
        with suppress(RuntimeError, ValueError, TypeError):  # of numpy or torch, but not of one element
            value = value.item()
    if isinstance(value, bool):  # or True would be 1
        return None
    if isinstance(value, (int, float)):
        with suppress(OverflowError):
            return float(value)
    return _from_text(value, units) if isinstance(value, str) else None


def _from_text(text: str, units: str) -> float | None:
    text = text.strip().lower().replace("−", "-").lstrip("≈~= ")
    if units:
        text = re.sub(rf"(?:\s*(?:{units}))+\.?$", "", text)
    read = [_one(part.strip().rstrip(".)")) for part in text.split("/")]
    parts = [part for part in read if part is not None]
    if len(parts) < len(read) or len(parts) > 2 or 0 in parts[1:]:
        return None
    return parts[0] / parts[1] if len(parts) == 2 else parts[0]


def _one(text: str) -> float | None:
    if GROUPS.fullmatch(text):
        text = re.sub("[,_]", "", text)
    elif COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if not re.match(r"[+-]?[\d.]", text):  # float would read inf and nan
        return None
    try:
        return float(text)
    except ValueError:
        return None


def write(value: float) -> str:
    """A number in digits, with as many as it needs up to six: 4,096, −0.16, 12.5."""
    text = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
    return text.replace("-", "−")


def power(value: float) -> str:
    """A large number as a multiple of a power of ten: 2 · 10¹²."""
    digits, exponent = f"{value:e}".split("e")
    factor = f"{float(digits):g}"
    ten = f"10{raised(int(exponent))}"
    return ten if factor == "1" else f"{factor} · {ten}"


def raised(exponent: int) -> str:
    """An exponent in small raised digits."""
    return str(exponent).translate(UP)


def word(count: int) -> str:
    """A small count as a word."""
    return WORDS[count] if 0 <= count < len(WORDS) else write(count)


def listed(parts: Sequence[str]) -> str:
    """Words in a row: a, b and c."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
