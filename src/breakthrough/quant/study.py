"""Perplexity against bytes over all schemes: what a bit buys, seed by seed, with a control that should fail.

Both base models of a profile are stored in every scheme and foretell the same windows of files that they
never learned from. The control has the same bytes as the scheme beside it, but rounds by a coin. Every
result is kept by what it was made of, so that a study that is stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from breakthrough import devices, files
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.quant.affine import Affine
from breakthrough.quant.apply import quantize
from breakthrough.quant.ledger import BASE, Cell, Ledger
from breakthrough.quant.models import ARCHITECTURES, BASES, SEEDS, run_jobs, runs_folder, train_bases
from breakthrough.quant.perplexity import Perplexity, byte_windows, perplexity
from breakthrough.quant.schemes import SCHEMES, Scheme, scheme
from breakthrough.quant.table import Sizes, sizes_of
from breakthrough.seeds import derive, torch_generator
from breakthrough.train import checkpoint, corpus
from breakthrough.train.language import ByteLM
from breakthrough.workers import Job

# fewer bits than anyone would use, so that the curve has an end, and one more control
EXTRA = {
    one.name: one
    for one in (
        Scheme("int2", "4 levels, blocks of 64", Affine(bits=2, block=64)),
        Scheme("int4_random", "control: int4, rounded by a coin", Affine(bits=4, block=64, rounding="random")),
    )
}
KNOWN = {**SCHEMES, **EXTRA}
EVERY: tuple[str, ...] = ("fp32", "bf16", "fp16", "int8", "int8_tensor", "int8_block", "llm_int8", "int8_random")
EVERY += ("nf4", "nf4_single", "nf4_gptq", "nf4_awq", "fp4", "nf4_random", "int4", "int4_gptq", "int4_random", "int2")


@dataclass(frozen=True)
class Study:
    """One size of the study.

    Units:  windows of the model's context, of validation files; `calibration` windows of training files;
            workers are processes, 0 for one a core
    """

    name: str
    profile: str
    schemes: tuple[str, ...] = EVERY
    architectures: tuple[str, ...] = ARCHITECTURES
    windows: int = 256
    calibration: int = 64
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name in self.schemes:
            if name not in KNOWN:
                raise unknown("scheme", name, KNOWN)
        if BASE not in self.schemes:
            raise ConfigError(expected(f"{BASE!r} among the schemes: the rest is compared with it", list(self.schemes)))
        if self.profile not in BASES:
            raise unknown("profile", self.profile, BASES)


STUDIES = {
    "tiny": Study("tiny", "tiny", ("fp32", "int8", "int8_random", "nf4", "nf4_random", "nf4_gptq"), windows=64, calibration=16, workers=1),
    "quick": Study("quick", "quick"),
    "full": Study("full", "full"),
}


def run_study(
    study: Study | str = "quick",
    seeds: Sequence[int] = SEEDS,
    *,
    folder: str | Path | None = None,
    workers: int | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Ledger:
    """Run a study, or what is left of it; its models are trained first where they are not there.

    `folder` is where models and results are kept: `runs/quant` in the store of artifacts by default.

    Units:  workers are processes of one thread; by default the study's, else one per core, one on CUDA
    Raises: UnknownNameError for a study that does not exist; ConfigError without seeds
    """
    if isinstance(study, str) and study not in STUDIES:
        raise unknown("study", study, STUDIES)
    study = STUDIES[study] if isinstance(study, str) else study
    home, place = Path(folder or runs_folder()).resolve(), devices.choose(device).type
    workers = workers or study.workers
    bases = home / "models"
    paths = train_bases(study.profile, seeds, architectures=study.architectures, workers=workers, folder=bases, device=device, progress=progress)
    jobs = [_job(study, key, path, home, place) for key, path in paths.items()]
    left = [job | {"schemes": todo} for job in jobs if (todo := [one for one in job["schemes"] if not _kept(job, one).exists()])]
    run_jobs(measure_job, left, workers, place, bar={"total": sum(len(job["schemes"]) for job in left), "unit": "model", "desc": "quantizing"}, progress=progress)
    cells: dict[tuple[str, str], list[Cell]] = {(job["architecture"], name): [] for job in jobs for name in study.schemes}
    for job in jobs:
        for name in study.schemes:
            cells[job["architecture"], name].append(Cell(**json.loads(_kept(job, name).read_text(encoding="utf-8"))))
    return Ledger(study.name, tuple(seeds), {key: tuple(found) for key, found in cells.items()})


def measure_job(job: Job, report: Callable[[int], None]) -> None:
    """One model in the schemes of a job; each result is a file."""
    model = ByteLM.from_files(*checkpoint.load_model(job["model"])).to(devices.choose(job["device"])).eval()
    windows = byte_windows(model, count=job["windows"])
    batches = calibration_batches(model, job["calibration"], job["seed"])
    for name in job["schemes"]:
        found, sizes = measure_one(model, KNOWN[name], windows, batches, job["seed"])
        cell = {"nats": found.nats, "tokens": found.tokens, "sizes": vars(sizes)}
        files.write_text(_kept(job, name), json.dumps(cell))
        report(1)


def measure_one(
    model: ByteLM, chosen: Scheme | str, windows: torch.Tensor, batches: list[torch.Tensor], seed: int
) -> tuple[Perplexity, Sizes]:
    """A model in a scheme: its perplexity on windows, and its bytes. `seed` is that of the coin.

    Shapes: windows (W, T + 1), batches (B, T)
    """
    made = quantize(model, scheme(chosen, seed=derive(seed, "coin")), batches)
    return perplexity(made, windows), sizes_of(made)


def calibration_batches(model: ByteLM, count: int, seed: int) -> list[torch.Tensor]:
    """Windows of the training files, for the schemes that look at what a weight sees.

    Shapes: → one tensor (count, context)
    """
    data = corpus.to_tensor(corpus.load().train)
    batch = next(corpus.batches(data, count, model.config.context, torch_generator(seed, "calibration")))
    return [batch.to(next(model.parameters()).device)]


def _job(study: Study, key: tuple[str, int], model: Path, home: Path, device: str) -> Job:
    architecture, seed = key
    facts = {"windows": study.windows, "calibration": study.calibration, "seed": seed, "device": device}
    facts |= {"architecture": architecture, "model": str(model)}
    name = f"{study.name} {architecture}-{seed}"
    return facts | {"name": name, "schemes": list(study.schemes), "folder": str(home / "study" / model.stem)}


def _kept(job: Job, name: str) -> Path:
    """Where a result is kept: by its model and scheme, the windows, and the room's own code."""
    facts = [KNOWN[name].to_dict(), job["windows"], job["calibration"], job["device"], _code(), torch.__version__]
    return Path(job["folder"]) / f"{name}-{digest_of(facts, 12)}.json"


@cache
def _code() -> str:
    """A hash of what computes the results: other code, other results."""
    names: tuple[str, ...] = ("affine", "apply", "awq", "blockwise", "calibrate", "calibrated", "codebook", "gptq", "grid", "grouping", "hessian")
    names += ("keeping", "kernels", "linear", "nf4", "outliers", "packing", "perplexity", "quantized", "table", "weights")
    sources = [Path(__file__).with_name(f"{name}.py") for name in names]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources if path.exists())).hexdigest()
