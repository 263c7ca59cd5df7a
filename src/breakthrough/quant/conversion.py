"""A model found, quantized, measured before and after, and saved: what `breakthrough quantize` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from breakthrough import artifacts
from breakthrough.errors import InputError, expected
from breakthrough.quant import apply, saving, schemes
from breakthrough.quant.loading import Source, open_model
from breakthrough.quant.perplexity import Perplexity, perplexity
from breakthrough.quant.schemes import Scheme
from breakthrough.quant.table import Sizes, sizes_of, weights_of
from breakthrough.scenes.handover import Scenes, load_scenes
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import torch_generator
from breakthrough.train import corpus
from breakthrough.train.inspection import Score, evaluate
from breakthrough.train.inspector import Inspector
from breakthrough.train.language import ByteLM
from breakthrough.train.pictures import Pictures, to_input

CALIBRATION = 64  # windows or pictures in a batch
BATCHES = 4
Answers = Perplexity | Score


@dataclass(frozen=True)
class Conversion:
    """A model before and after.

    Units:  answers are a language model's perplexity, an inspector's score, or None without pictures
    """

    name: str
    model: str
    scheme: Scheme
    sizes: tuple[Sizes, Sizes]
    answers: tuple[Answers, Answers] | None
    kept: tuple[str, ...]
    folder: Path

    def lines(self) -> Iterator[str]:
        """A table of bytes and answers, then what stayed and why."""
        before, after = self.sizes
        was = after.codes_count * before.bytes // before.count
        yield f"{self.name}: {self.model} in {self.scheme.name} ({self.scheme.says})"
        yield f"{'':22}{'before':>14}{'after':>14}"
        if after.codes_count:
            yield _row("quantized weights", was, after.codes_bytes, f"{8 * after.codes_bytes / after.codes_count:.2f} bits a weight, scales included")
        yield _row("what stays", before.bytes - was, after.rest_bytes)
        yield _row("whole model, bytes", before.bytes, after.bytes)
        yield from self._answers()
        for reason, count in Counter(self.kept).items():
            yield f"  {count:>4} kept: {reason}"
        yield f"{self.folder}: {saving.WEIGHTS} and {saving.FACTS}; breakthrough.quant.saving.load reads them"

    def _answers(self) -> Iterator[str]:
        if self.answers is None:
            return
        before, after = self.answers
        if isinstance(before, Perplexity) and isinstance(after, Perplexity):
            yield f"{'nats a token':22}{before.nats:>14.4f}{after.nats:>14.4f}"
            yield f"{'perplexity':22}{before.value:>14.3f}{after.value:>14.3f}{after.rise(before):>+9.2%}   on {after.tokens:,} tokens"
        elif isinstance(before, Score) and isinstance(after, Score):
            yield f"{'accuracy':22}{before.accuracy:>14.1%}{after.accuracy:>14.1%}   on {np.sum(before.confusion):,} pictures"


def convert(
    model: str | Path,
    scheme: str,
    folder: str | Path,
    *,
    text: str | Path | None = None,
    pictures: str | Path | None = None,
    device: torch.device | str = "cpu",
) -> Conversion:
    """Quantize a model that `loading.open_model` finds, and save it; nothing is written when something fails.

    `text` is a file to measure a language model on, `pictures` an artifact of scenes to measure an inspector
    on: the latest there is unless given.

    Raises: UnknownNameError, InputError, ArtifactError for what is not there or does not fit
    """
    chosen, target = schemes.scheme(scheme), Path(folder)
    saving.check_folder(target)
    source = open_model(model)
    measure = _measure(source, text, pictures)
    source.model.to(device)
    before = measure(source.model)
    batches = [batch.to(device) for batch in _batches(source, pictures)] if chosen.calibration else None
    made = apply.quantize(source.model, chosen, batches, device=device)
    after = measure(made)
    saving.save(made, target)
    rows = weights_of(made)
    return Conversion(
        source.name,
        type(source.model).__name__,
        chosen,
        (sizes_of(source.model), sizes_of(made)),
        (before, after) if before is not None else None,
        tuple(row.reason for row in rows if row.reason),
        target,
    )


def _measure(source: Source, text: str | Path | None, pictures: str | Path | None) -> Any:
    """The function that measures a model like the source's."""
    if isinstance(source.model, Inspector):
        if text is not None:
            raise InputError(expected("a language model to measure on a text", "an inspector", "--pictures"))
        found = _pictures(pictures, "test")
        return (lambda model: evaluate(model, found)) if found is not None else (lambda model: None)
    if pictures is not None:
        raise InputError(expected("an inspector to measure on pictures", type(source.model).__name__, "--text"))
    windows = source.windows(_read(text) if text is not None else None)
    return lambda model: perplexity(model, windows)


def _batches(source: Source, pictures: str | Path | None) -> list[Tensor]:
    """What a calibrated scheme is calibrated on: training text, training pictures."""
    generator = torch_generator(0, "calibration")
    if isinstance(source.model, Inspector):
        found = _pictures(pictures, "train")
        if found is None:
            raise InputError(expected("pictures to calibrate with", "no scenes", "--pictures SCENES"))
        chosen = torch.randperm(len(found), generator=generator)[: CALIBRATION * BATCHES].numpy()
        return list(to_input(torch.from_numpy(found.images[chosen])).split(CALIBRATION))
    train = corpus.load().train
    if isinstance(source.model, ByteLM):
        stream = corpus.batches(corpus.to_tensor(train), CALIBRATION, source.model.config.context, generator)
        return [next(stream) for _ in range(BATCHES)]
    return list(source.windows(train[: len(train) // 20].tobytes(), CALIBRATION)[:, :-1].split(CALIBRATION // BATCHES))


def _pictures(where: str | Path | None, part: str) -> Pictures | None:
    scenes = _scenes(where)
    if scenes is None:
        return None
    arrays = scenes.arrays(part)
    return Pictures(arrays.rgb, arrays.classes, DEFECTS, arrays.scenes)


def _scenes(where: str | Path | None) -> Scenes | None:
    if where is not None:
        return load_scenes(where)
    there = any((artifacts.store() / "scenes").glob("[0-9]*"))
    return load_scenes(artifacts.latest("scenes")) if there else None


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(expected("a text file", f"{path}: {error.strerror}")) from error


def _row(name: str, before: int, after: int, note: str = "") -> str:
    share = f"{after / before - 1:>+9.1%}" if before else ""
    return f"{name:22}{before:>14,}{after:>14,}{share}{'   ' + note if note else ''}"
