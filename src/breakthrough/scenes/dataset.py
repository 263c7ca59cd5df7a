"""Make a dataset on any number of workers, go on with one after a kill, and open it.

    DIR/manifest.json      settings, ranges, counts, shards with their SHA-256 (manifest.py)
    DIR/shards/000000.tar  pictures, depths and labels (shards.py)
    DIR/annotations.json   COCO, written when all shards are (coco.py)

The shard is the unit of work, of resuming and of determinism: what is in it depends on the settings
and its number alone, so a shard made again is the same bytes, and two workers write what one does.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from breakthrough import workers as processes
from breakthrough.artifacts import sha256
from breakthrough.errors import ArtifactError, ConfigError, InputError, expected
from breakthrough.scenes import coco, disk, manifest, shards
from breakthrough.scenes.manifest import NAME, SHARDS, Manifest, Settings, Shard
from breakthrough.scenes.pipeline import Made, Producer
from breakthrough.scenes.reader import Dataset, open_dataset
from breakthrough.scenes.spec import DEFECTS

__all__ = ["Dataset", "Made", "Producer", "Settings", "make", "open_dataset"]
PIPELINE = "breakthrough.scenes.pipeline:Pipeline"


def make(
    folder: str | Path,
    settings: Settings | None = None,
    *,
    workers: int = 1,
    resume: bool = False,
    progress: bool = False,
    producer: str = PIPELINE,
) -> Dataset:
    """Make a dataset, or what is left of it.

    Units:  workers are processes of one thread; with one, the work is done in this process
    Raises: InputError for a folder that holds something else, other settings (it names them), an
            unfinished dataset without `resume`, or that cannot be written;
            ArtifactError for a damaged shard without `resume`, and for a full disk;
            BreakthroughError when a worker fails or is killed: finished shards stay
    """
    home, settings = Path(folder).resolve(), settings or Settings()
    if workers < 1:
        raise ConfigError(expected("at least one worker", workers))
    with disk.told(home), disk.alone(home):
        state = _begin(home, settings, resume)
        if not state.complete:
            state = _work(home, state, workers, progress, producer)
            coco.write_annotations(home, state)
            replace(state, complete=True).write(home)
    return open_dataset(home)


def finished(folder: str | Path, settings: Settings) -> Manifest | None:
    """The manifest of a folder that holds all of a dataset with these settings; None for any other folder."""
    try:
        state = manifest.read(Path(folder))
    except ArtifactError:
        return None
    return state if state.complete and state.settings == settings else None


def damaged(folder: Path, state: Manifest) -> list[str]:
    """The shards of a manifest whose file is missing or has another SHA-256."""
    paths = {shard.name: folder / SHARDS / shard.name for shard in state.shards}
    return [shard.name for shard in state.shards if not paths[shard.name].is_file() or sha256(paths[shard.name]) != shard.sha256]


def _begin(home: Path, settings: Settings, resume: bool) -> Manifest:
    """What is done in a folder, whole shards only; an empty one gets its manifest."""
    if not (home / NAME).is_file():
        if any(home.iterdir()):
            raise InputError(expected(f"an empty folder, or a dataset, in {home}", "other files", "another --out"))
        state = Manifest(settings)
        state.write(home)
        return state
    state = manifest.read(home)
    if found := list(manifest.differences(state.settings, settings)):
        raise ConfigError(expected(f"a dataset with these settings in {home}", f"one made with {'; '.join(found[:4])}", "another --out"))
    if not resume and not state.complete:
        done = f"an unfinished one ({state.images} of {settings.n} pictures)"
        raise InputError(expected(f"a finished dataset, or an empty folder, in {home}", done, "--resume"))
    bad = damaged(home, state)
    if bad and not resume:
        raise ArtifactError(expected(f"whole shards in {home}", f"{', '.join(bad)} missing or altered", "--resume, which makes them again"))
    kept = tuple(shard for shard in state.shards if shard.name not in bad)
    whole = state.complete and not bad and (home / coco.NAME).is_file()
    state = replace(state, shards=kept, complete=whole)
    if not whole:
        state.write(home)
    return state


def _work(home: Path, state: Manifest, workers: int, progress: bool, producer: str) -> Manifest:
    """Make the missing shards; the manifest follows every one of them."""
    done, settings = {shard.name for shard in state.shards}, state.settings
    left = {name: scenes for name, scenes in _names(settings).items() if name not in done}
    record = settings.to_dict()
    jobs = [
        {"name": f"shard {name} of {home}", "path": str(home / SHARDS / name), "scenes": [scenes.start, scenes.stop], "settings": record, "producer": producer}
        for name, scenes in left.items()
    ]

    def keep(result: dict[str, Any]) -> None:
        nonlocal state
        state = state.with_shard(Shard(**result))
        state.write(home)

    with _swept(home / SHARDS), _bar(settings.n, state.images, progress) as advance:
        if workers == 1 or len(jobs) < 2:
            with _open_producer(producer, settings) as source:
                for job in jobs:
                    keep(_make_shard(source, job, advance))
        else:
            processes.run_all(f"{__name__}:make_shard", jobs, workers, advance, keep)
    return state


def _names(settings: Settings) -> dict[str, range]:
    return {f"{number:06d}.tar": scenes for number, scenes in enumerate(settings.shards())}


def make_shard(job: processes.Job, report: Callable[[int], None]) -> dict[str, Any]:
    """Make one shard in a worker, which keeps its simulator and renderer for the next.

    Raises: ArtifactError when the disk is full or the folder cannot be written
    """
    return _make_shard(_held(job["producer"], Settings.from_dict(job["settings"])), job, report)


@functools.lru_cache(maxsize=1)
def _held(producer: str, settings: Settings) -> Producer:
    return _open_producer(producer, settings).__enter__()  # until the process ends


def _open_producer(producer: str, settings: Settings) -> Producer:
    module, name = producer.split(":")
    return getattr(importlib.import_module(module), name)(settings)


def _make_shard(source: Producer, job: processes.Job, report: Callable[[int], object]) -> dict[str, Any]:
    drawn, dropped, invalid, classes = 0, 0, Counter[str](), Counter(dict.fromkeys(DEFECTS, 0))

    def pictures() -> Iterator[shards.Picture]:
        nonlocal drawn, dropped
        for made in source.shard(range(*job["scenes"])):
            drawn, dropped = drawn + made.drawn, dropped + made.drawn - 1
            invalid.update(made.invalid)
            classes[made.kind] += len(made.pictures)
            yield from made.pictures
            report(len(made.pictures))

    path = Path(job["path"])
    with disk.told(path):
        written = shards.write(path, pictures())
    return asdict(Shard(**asdict(written), drawn=drawn, dropped=dropped, invalid=dict(sorted(invalid.items())), classes=dict(classes)))


@contextlib.contextmanager
def _swept(folder: Path) -> Iterator[None]:
    """Remove what killed workers were writing: before a block, those of another run, and after it."""
    try:
        _sweep(folder)
        yield
    finally:
        _sweep(folder)


def _sweep(folder: Path) -> None:
    for part in folder.glob(".*.part.tar"):
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _bar(total: int, done: int, shown: bool) -> Iterator[Callable[[int], object]]:
    from tqdm import tqdm

    with tqdm(total=total, initial=done, disable=not shown, unit="picture", smoothing=0.05) as bar:
        yield bar.update
