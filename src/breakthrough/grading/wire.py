"""Values between the examiner and a student's process: JSON with raw arrays behind it, and nothing that runs.

A frame is a length, the length of its JSON, the JSON, and the bytes of its arrays. Reading one is bounded in
bytes, in depth and in the number of its parts; what is no plain data crosses as a name only (`Opaque`), or as a
handle that the other side may call (see `remote`). No pickle.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from breakthrough.errors import expected
from breakthrough.grading import wire_arrays, wire_packages
from breakthrough.grading.frames import HEAD, Limits, WireError, safe_name

Node = Any
DIGITS = 3500  # hexadecimal ones of an int: no more than Python prints in decimal
DEPTH = 60


class Record:
    """A dataclass of the other side: its fields as attributes."""

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.__dict__.update(values)
        self._name = name

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name != "_name")
        return f"{self._name}({inside})"


class Opaque:
    """Something of the other side that is no data: its class's name is all that is known."""


def opaque(name: str) -> Opaque:
    """An `Opaque` whose class has that name, so that messages can say what came."""
    return type(name, (Opaque,), {})()


Given = Callable[[Any], Node | None]  # what to send for a value that is no plain data
Found = Callable[[list], Any]  # what such a node stands for here


class Writer:
    """Turns one value into a frame."""

    def __init__(self, given: Given | None = None, *, trusting: bool = False) -> None:
        self.blobs: list[bytes] = []
        self.given, self.trusting = given, trusting  # whether the side that reads this one's frames is to be trusted

    def frame(self, value: Any) -> bytes:
        """The frame of a value.

        Raises: WireError for a value that nests too deeply or holds itself
        """
        try:
            text = json.dumps(self.node(value), separators=(",", ":")).encode()
        except RecursionError:
            raise WireError(expected(f"data nested up to {DEPTH} deep", "deeper, or a list that holds itself")) from None
        body = b"".join(self.blobs)
        return HEAD.pack(len(text) + len(body), len(text)) + text + body

    def node(self, value: Any, depth: int = 0) -> Node:
        """The JSON of a value."""
        if depth > DEPTH:
            raise WireError(expected(f"data nested up to {DEPTH} deep", "deeper, or a list that holds itself"))
        kind = type(value)
        if value is None or kind in (bool, str, float):
            return value
        if kind is int:
            return value if abs(value) < 1 << 62 else ["i", _hex(value)]
        base: Any = next((one for one in BASES if isinstance(value, one)), None)
        if base in SEQUENCES:  # a namedtuple, too, is its values
            return [SEQUENCES[base], [self.node(part, depth + 1) for part in base.__iter__(value)]]
        if base is dict:
            return ["d", [[self.node(k, depth + 1), self.node(v, depth + 1)] for k, v in dict.items(value)]]
        if base is not None and kind.__module__.partition(".")[0] != "numpy":
            return self.node(base(value), depth + 1)
        if kind in (bytes, bytearray):
            return ["b", kind is bytearray, self.blob(bytes(value))]
        if kind is complex:
            return ["c", value.real, value.imag]
        return self._other(value, kind, depth)

    def blob(self, data: bytes) -> int:
        """The length of bytes that follow the JSON; the order of blobs is that of their nodes."""
        self.blobs.append(data)
        return len(data)

    def _other(self, value: Any, kind: type, depth: int) -> Node:
        node = wire_arrays.node(self, value, depth) or wire_packages.node(self, value, depth)
        if node is None and self.given is not None:
            node = self.given(value)
        if node is not None:
            return node
        parts = _fields(value)
        if parts is not None:
            return ["D", kind.__name__[:80], [[name, self.node(part, depth + 1)] for name, part in parts.items()]]
        return ["o", kind.__name__[:80]]


BASES = (list, tuple, set, frozenset, dict, int, str)  # whose subclasses cross as what they are made of
SEQUENCES = {list: "l", tuple: "t", set: "s", frozenset: "z"}
MAKERS = {"l": list, "t": tuple, "s": set, "z": frozenset}


def _hex(value: int) -> str:
    if value.bit_length() > 4 * DIGITS:
        raise WireError(expected(f"a whole number of up to {4 * DIGITS} bits", f"{value.bit_length()} bits"))
    return hex(value)


def _fields(value: Any) -> dict[str, Any] | None:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name, None) for f in fields(value)}
    return None


class Reader:
    """Turns a frame's JSON and blobs into a value, and refuses whatever is not as it should be."""

    def __init__(self, text: bytes, body: memoryview, limits: Limits, found: Found | None = None, *, trusting: bool = False) -> None:
        self.body, self.at, self.left, self.found = body, 0, limits.parts, found
        self.trusting = trusting  # whether the side that wrote the frame is to be trusted
        try:
            self.tree = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WireError(expected("a frame with JSON", f"{type(error).__name__}")) from None

    def value(self) -> Any:
        """The value.

        Raises: WireError for a frame that lies about what it holds
        """
        try:
            made = self.read(self.tree)
        except WireError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever else is wrong with it, it is the other side's frame
            raise WireError(expected("a value of plain data", f"{type(error).__name__}: {str(error)[:200]}")) from None
        if self.at != len(self.body):
            raise WireError(expected(f"{self.at} bytes of arrays", len(self.body)))
        return made

    def read(self, node: Node, depth: int = 0) -> Any:
        """The value of a node."""
        self.left -= 1
        if self.left < 0 or depth > DEPTH + 2:
            raise WireError(expected("a value of fewer parts, less deep", "more"))
        if type(node) is str:
            return node if node.isascii() else node.encode("utf-8", "replace").decode()  # half a character cannot be printed
        if node is None or type(node) in (bool, int, float):
            return node
        if type(node) is not list or not node or type(node[0]) is not str:
            raise WireError(expected("a node", repr(node)[:80]))
        tag = node[0]
        if tag in MAKERS:
            return MAKERS[tag]([self.read(part, depth + 1) for part in node[1]])
        if tag == "d":
            return {self.read(k, depth + 1): self.read(v, depth + 1) for k, v in node[1]}
        if tag in PLAIN:
            return PLAIN[tag](self, node)
        if tag == "D":
            return Record(str(node[1])[:80], {str(name): self.read(part, depth + 1) for name, part in node[2] if not str(name).startswith("__")})
        return self._other(tag, node, depth)

    def take(self, size: int) -> memoryview:
        """The next bytes of the body."""
        if type(size) is not int or size < 0 or self.at + size > len(self.body):
            raise WireError(expected("an array as long as its frame says", f"{size} of {len(self.body) - self.at} bytes"))
        self.at += size
        return self.body[self.at - size : self.at]

    def _other(self, tag: str, node: list, depth: int) -> Any:
        for kinds in (wire_arrays.READERS, wire_packages.READERS):
            if tag in kinds:
                return kinds[tag](self, node, depth)
        if self.found is not None:
            return self.found(node)
        raise WireError(expected("a node of plain data", repr(tag)[:40]))


def _int(reader: Reader, node: list) -> int:
    if len(node[1]) > DIGITS + 3:
        raise WireError(expected(f"an int of up to {DIGITS} digits", len(node[1])))
    return int(node[1], 16)


def _bytes(reader: Reader, node: list) -> bytes | bytearray:
    return (bytearray if node[1] else bytes)(reader.take(node[2]))


PLAIN: dict[str, Callable[[Reader, list], Any]] = {
    "i": _int,
    "b": _bytes,
    "c": lambda reader, node: complex(float(node[1]), float(node[2])),
    "o": lambda reader, node: opaque(safe_name(node[1], "object")),
}
