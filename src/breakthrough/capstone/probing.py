"""The stage that serves: the compiled net behind HTTP, asked for every held-out picture, then put under load."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.capstone.order import Order
from breakthrough.capstone.shrinking import held_out
from breakthrough.deploy.handover import version_folder
from breakthrough.deploy.load import Load
from breakthrough.deploy.served import Running, loaded, started
from breakthrough.errors import BreakthroughError, expected

KIND, FILE = "served", "served.npz"
CLIENTS = 8  # while pictures are asked for: so many connections


def served(order: Order) -> Artifact:
    """What the service answers for each held-out picture, sent as PNG, and how it bears load."""
    compiled, (pictures, _) = order.input("compiled"), held_out(order.those("test"), "test")
    total = len(pictures) + len(order.spec.clients)
    with started(version_folder(compiled, "int8")) as running:
        said = np.empty(len(pictures), np.int64)
        with ThreadPoolExecutor(CLIENTS) as pool:
            parts = np.array_split(np.arange(len(pictures)), CLIENTS)
            for done, (i, name) in enumerate(chain.from_iterable(pool.map(lambda part: list(_answers(running, pictures.images, part)), parts))):
                said[i] = pictures.classes.index(name)
                order.tell(done, total)
        outcomes = _under_load(order, running, png(pictures.images[0]))
    told = {"load": outcomes, "accuracy": float((said == pictures.labels).mean())}
    parents = [compiled, *order.those("test")]
    return artifacts.save(KIND, {FILE: lambda path: np.savez_compressed(path, said=said)}, metrics=order.metrics() | told, parents=tuple(parents), profile=order.profile)


def png(image: np.ndarray) -> bytes:
    """A picture as PNG. Shapes: (H, W, 3) uint8."""
    aside = io.BytesIO()
    Image.fromarray(image).save(aside, "PNG")
    return aside.getvalue()


def _answers(running: Running, images: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[int, str]]:
    where = urlsplit(running.inspect)
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)) as connection:
        for i in chosen.tolist():
            connection.request("POST", where.path, png(images[i]), {"content-type": "image/png"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise BreakthroughError(expected(f"an answer for picture {i}", f"{answer.status}: {body[:200]!r}"))
            yield i, json.loads(body)["class"]


def _under_load(order: Order, running: Running, body: bytes) -> list[dict]:
    """An outcome for each number of clients; the body is one picture, as the camera sends it."""
    path = Path(order.folder, "picture.png")
    path.write_bytes(body)
    found = []
    for clients in order.spec.clients:
        load = Load(running.inspect, path, "image/png", clients=clients, seconds=order.spec.seconds)
        found.append(asdict(loaded(running, load)))
    return [{key: value if value == value else None for key, value in one.items()} for one in found]
