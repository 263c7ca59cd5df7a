"""What the service says: typed answers, and the OpenAPI document that is made from the same types.

Shape legend: B pictures, C classes, S sound parts, h × w cells of a grid over the picture.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

VERSION = "1"
Share = Annotated[float, Meta(ge=0, le=1)]


class Inspection(Struct, omit_defaults=True):
    """What the net sees in a picture."""

    label: Annotated[str, Meta(description="The most probable class.")] = msgspec.field(name="class")
    confidence: Annotated[Share, Meta(description="Its probability.")] = 0.0
    probabilities: Annotated[dict[str, Share], Meta(description="Of every class; they sum to 1.")] = {}
    map: Annotated[list[list[Share]], Meta(description="Rows of cells from the top: each one's probability of showing a defect. Absent where the net has no such output.")] = []
    batch: Annotated[int, Meta(ge=1, description="How many pictures were computed together with it, itself included.")] = 0


class Problem(Struct):
    """Why a request was not answered, in one sentence."""

    error: str
    status: int


class Numbers(Struct, forbid_unknown_fields=True):
    """A picture as numbers from 0 to 1: three channels of rows of columns."""

    picture: list[list[list[float]]]


class About(Struct):
    """What is served, and within which limits."""

    classes: list[str]
    input_shape: list[int]
    batches: list[int]
    max_body_bytes: int
    timeout_s: float
    source: str
    source_sha256: str
    pipeline: str
    target: str


class State(Struct):
    """How the service is."""

    status: str


encode = msgspec.json.Encoder().encode


def inspections(outputs: Any, classes: tuple[str, ...]) -> list[bytes]:
    """The answers to a batch, as JSON.

    Shapes: scores (B, C), or scores and cells (B, C + S, h, w) → B
    """
    scores, cells = (outputs[0], outputs[1]) if isinstance(outputs, tuple) else (outputs, None)
    p = softmax(scores.astype(np.float64)).round(5)  # (B, C), in doubles so that JSON is short
    best, top, n = p.argmax(1).tolist(), p.max(1).tolist(), len(p)
    maps = [[]] * n if cells is None else defect_map(cells, len(classes)).astype(np.float64).round(4).tolist()
    rows = zip(best, top, p.tolist(), maps)
    return [encode(Inspection(classes[k], share, dict(zip(classes, every)), map_, n)) for k, share, every, map_ in rows]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Scores along the second dimension as probabilities."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def defect_map(cells: np.ndarray, classes: int) -> np.ndarray:
    """Each cell's probability of showing a defect of any kind.

    Shapes: (B, C + S, h, w) → (B, h, w)
    """
    return softmax(cells)[:, 1:classes].sum(1).clip(0, 1)


def openapi(shape: tuple[int, ...], max_body_bytes: int) -> dict[str, Any]:
    """The service's OpenAPI 3.1 document."""
    types = (Inspection, Problem, Numbers, About, State)
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    ref = dict(zip((t.__name__ for t in types), schemas))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Visual inspection", "version": VERSION, "description": "A compiled inspection net: a picture in, its class, confidence and a map of its cells out."},
        "paths": {
            "/v1/inspect": {"post": _inspect(ref, shape, max_body_bytes)},
            "/v1/model": {"get": _get("What is served, and within which limits", ref["About"])},
            "/healthz": {"get": _get("Whether the process is sound", ref["State"], ref["Problem"])},
            "/readyz": {"get": _get("Whether it answers now: warmed up, and not shutting down", ref["State"], ref["Problem"])},
            "/metrics": {"get": {"summary": "Metrics in Prometheus format", "responses": {"200": {"description": "Text", "content": {"text/plain": {"schema": {"type": "string"}}}}}}},
        },
        "components": {"schemas": components},
    }


def _get(summary: str, answer: Any, problem: Any = None) -> dict[str, Any]:
    responses = {"200": _body("Yes" if problem else "The answer", answer)}
    if problem:
        responses["503"] = _body("No, and why", problem)
    return {"summary": summary, "responses": responses}


def _body(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


REFUSALS = {
    "400": "An empty or broken-off body",
    "408": "A body that came too slowly",
    "413": "A body or picture that is too large",
    "415": "Another content type",
    "422": "Not a picture, or numbers of another shape or range",
    "429": "Too many requests wait; Retry-After says when to come again",
    "500": "The net failed",
    "503": "Warming up or shutting down; Retry-After says when to come again",
    "504": "No answer in time",
}


def _inspect(ref: dict[str, Any], shape: tuple[int, ...], max_body_bytes: int) -> dict[str, Any]:
    size = 4 * int(np.prod(shape))
    binary = {"type": "string", "format": "binary"}
    content = {
        "image/png": {"schema": binary},
        "image/jpeg": {"schema": binary},
        "application/json": {"schema": ref["Numbers"]},
        "application/octet-stream": {"schema": {**binary, "minLength": size, "maxLength": size, "description": f"float32, little-endian, shape {shape}, values 0 to 1"}},
    }
    text = f"A picture of any size: turned as its EXIF says, resized to {shape[2]} × {shape[1]}. At most {max_body_bytes} bytes."
    problems = {status: _body(what, ref["Problem"]) for status, what in REFUSALS.items()}
    return {"summary": "Inspect one picture", "requestBody": {"required": True, "description": text, "content": content}, "responses": {"200": _body("What the net sees", ref["Inspection"]), **problems}}
