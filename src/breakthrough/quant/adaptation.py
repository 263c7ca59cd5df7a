"""A trained model learns a new domain: all of its weights, or adapters beside a frozen base in fp32 or in NF4.

The new domain is the standard library's `encodings`, tables written by programs, which the base models never
saw. Asked after training: how well the new text is foretold, how much worse the old, and what a step took.

The control learns from the old text: what falls on the new domain without having seen it is no adaptation.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from breakthrough import devices, files
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.quant.adapted import Adaptation, Run
from breakthrough.quant.lora import LoraConfig, adapt, trained
from breakthrough.quant.memory import Bytes, measure
from breakthrough.quant.models import ARCHITECTURES, BASES, SEEDS, run_jobs, runs_folder, train_bases
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.optimizer import AdamW8, grouped
from breakthrough.quant.perplexity import byte_windows, perplexity
from breakthrough.seeds import torch_generator
from breakthrough.train import checkpoint, corpus
from breakthrough.train.language import ByteLM
from breakthrough.train.loop import TrainConfig, train_step
from breakthrough.workers import Job

BETAS, DECAY = (0.9, 0.95), 0.0


@dataclass(frozen=True)
class Method:
    """One way to adapt a model: which weights are trained, on what base, by which optimizer.

    Units:  `rank` of the adapters, 0 for all weights and no adapters; `new` is whether the new text is learned
    """

    says: str
    rank: int = 0
    stored: bool = False
    eight_bit: bool = False
    new: bool = True

    def prepare(self, model: ByteLM, study: AdaptationStudy, seed: int) -> torch.optim.Optimizer:
        """Bring a model into this form, in place, and give its optimizer."""
        if self.rank:
            config = LoraConfig(rank=study.rank, alpha=2.0 * study.rank, format=FourBit() if self.stored else None)
            adapt(model, config, torch_generator(seed, "adapters"))
        lr = study.lr_adapters if self.rank else study.lr
        weights = trained(model) if self.rank else list(model.parameters())
        if self.eight_bit:
            return AdamW8(weights if self.rank else grouped(model), lr=lr, betas=BETAS, weight_decay=DECAY)
        return torch.optim.AdamW(weights, lr=lr, betas=BETAS, weight_decay=DECAY)


METHODS = {
    "full": Method("every weight, 32-bit Adam"),
    "full, 8-bit Adam": Method("every weight, Adam's state in 8 bits", eight_bit=True),
    "LoRA": Method("adapters beside an fp32 base", rank=1),
    "QLoRA": Method("adapters beside an NF4 base, Adam's state in 8 bits", rank=1, stored=True, eight_bit=True),
    "QLoRA, old text": Method("control: QLoRA that sees only the old domain", rank=1, stored=True, eight_bit=True, new=False),
}


@dataclass(frozen=True)
class AdaptationStudy:
    """One size of the adaptation.

    Units:  windows of the model's context for each evaluation; lr of full fine-tuning, lr_adapters of adapters, the
            best of those tried on another seed; workers are processes, 0 for one a core
    Raises: UnknownNameError for methods, architectures and profiles that there are not
    """

    name: str
    profile: str
    steps: int
    evaluations: int = 5
    batch_size: int = 16
    windows: int = 128
    rank: int = 8
    lr: float = 2e-3
    lr_adapters: float = 1e-2
    methods: tuple[str, ...] = tuple(METHODS)
    architectures: tuple[str, ...] = ("dense",)
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for kind, names, known in (("method", self.methods, METHODS), ("architecture", self.architectures, ARCHITECTURES), ("profile", (self.profile,), BASES)):
            for name in names:
                if name not in known:
                    raise unknown(kind, name, known)
        if min(self.steps, self.evaluations, self.batch_size, self.windows, self.rank) < 1:
            raise ConfigError(expected("steps, evaluations, batch size, windows and rank of at least 1", self))


ADAPTATIONS = {
    "tiny": AdaptationStudy("tiny", "tiny", steps=20, evaluations=2, batch_size=8, windows=32, workers=1),
    "quick": AdaptationStudy("quick", "quick", steps=150),
    "full": AdaptationStudy("full", "full", steps=300, architectures=ARCHITECTURES),
}


def run_adaptation(
    study: AdaptationStudy | str = "quick",
    seeds: Sequence[int] = SEEDS,
    *,
    folder: str | Path | None = None,
    workers: int | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Adaptation:
    """Adapt every base model by every method, or what is left of it; base models are trained where they are not there.

    Units:  workers are processes of one thread; by default the study's, else one per core, one on CUDA
    Raises: UnknownNameError for a study that does not exist; ConfigError without seeds
    """
    if isinstance(study, str) and study not in ADAPTATIONS:
        raise unknown("adaptation", study, ADAPTATIONS)
    study = ADAPTATIONS[study] if isinstance(study, str) else study
    home, place = Path(folder or runs_folder()).resolve(), devices.choose(device).type
    workers = workers or study.workers
    bases = home / "models"
    paths = train_bases(study.profile, seeds, architectures=study.architectures, workers=workers, folder=bases, device=device, progress=progress)
    jobs = [_job(study, key, path, method, home, place) for key, path in paths.items() for method in study.methods]
    left = [job for job in jobs if not Path(job["path"]).exists()]
    run_jobs(adapt_job, left, workers, place, bar={"total": len(left) * study.steps, "unit": "step", "desc": "adapting"}, progress=progress)
    found = [Run.from_dict(json.loads(Path(job["path"]).read_text(encoding="utf-8"))) for job in jobs]
    keys = [(job["architecture"], job["method"]) for job in jobs]
    return Adaptation(study.name, tuple(seeds), {key: tuple(run for run, other in zip(found, keys) if other == key) for key in keys})


def new_domain() -> corpus.Corpus:
    """The standard library's `encodings`, split by file."""
    return corpus.load(root=Path(sysconfig.get_path("stdlib")) / "encodings")


def adapt_job(job: Job, report: Callable[[int], None]) -> None:
    """Adapt one model by one method; the result is a file."""
    told: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in job["study"].items()}
    study = AdaptationStudy(**told)
    method, seed, place = METHODS[job["method"]], job["seed"], devices.choose(job["device"])

    def fresh() -> ByteLM:
        return ByteLM.from_files(*checkpoint.load_model(job["model"])).to(place)

    run = adapt_one(fresh(), method, study, seed, report)
    files.write_text(Path(job["path"]), json.dumps(replace(run, bytes=step_bytes(fresh(), method, study, seed)).to_dict()))


def adapt_one(model: ByteLM, method: Method, study: AdaptationStudy, seed: int, report: Callable[[int], None] = lambda n: None) -> Run:
    """Adapt a model in place, with evaluations before, on the way and after."""
    optimizer = method.prepare(model, study, seed)
    config = TrainConfig(steps=study.steps, batch_size=study.batch_size, lr=optimizer.param_groups[0]["lr"], warmup=study.steps // 10)
    texts = {"new": new_domain(), "old": corpus.load()}
    windows = {name: byte_windows(model, text.valid.tobytes(), study.windows) for name, text in texts.items()}
    batches = _batches(model, texts["new" if method.new else "old"], study.batch_size, seed)
    steps, curve = [0], {name: [perplexity(model, x).nats] for name, x in windows.items()}
    every = -(-study.steps // study.evaluations)
    for step in range(1, study.steps + 1):
        train_step(model, optimizer, next(batches), config, step)
        report(1)
        if step % every == 0 or step == study.steps:
            steps.append(step)
            for name, x in windows.items():
                curve[name].append(perplexity(model, x).nats)
        model.train()
    count = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return Run(tuple(steps), tuple(curve["new"]), tuple(curve["old"]), count)


def step_bytes(model: ByteLM, method: Method, study: AdaptationStudy, seed: int) -> Bytes:
    """What a step of a method takes, measured; the model is changed by it."""
    optimizer = method.prepare(model.train(), study, seed)
    batch = next(_batches(model, new_domain(), study.batch_size, seed))
    return measure(partial(_loss, model, batch), model, optimizer)


def _loss(model: ByteLM, batch: Tensor) -> Tensor:
    return model.loss(batch)[0]


def _batches(model: ByteLM, text: corpus.Corpus, size: int, seed: int):
    data = corpus.to_tensor(text.train, model.embedding.weight.device)
    return corpus.batches(data, size, model.config.context + 1, torch_generator(seed, "adaptation"))


def _job(study: AdaptationStudy, key: tuple[str, int], model: Path, method: str, home: Path, device: str) -> Job:
    architecture, seed = key
    size = {name: value for name, value in asdict(study).items() if name not in ("name", "methods", "architectures", "workers")}
    facts = [size, asdict(METHODS[method]), seed, device, model.name, new_domain().digest, torch.__version__]
    path = home / "adaptation" / model.stem / f"{digest_of(facts, 12)}.json"
    job = {"name": f"{method}, {architecture}-{seed}", "architecture": architecture, "method": method, "seed": seed}
    return job | {"study": asdict(study), "device": device, "model": str(model), "path": str(path)}
