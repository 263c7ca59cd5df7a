"""The whole line at `tiny`: killed at every stage it comes to the same content; opened, traced, measured again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from breakthrough import artifacts, lineage
from breakthrough.capstone import pipeline
from breakthrough.capstone.line import DOMAINS, VERSIONS
from breakthrough.capstone.spec import PROFILES
from breakthrough.errors import ArtifactError

SCRIPT = """
import json, sys
from pathlib import Path
from breakthrough.capstone import engine, pipeline

class Told(engine.Watch):
    def begun(self, stage):
        print("begun", stage.name, flush=True)

if __name__ == "__main__":
    options = json.loads(sys.argv[2])
    built = pipeline.build("tiny", store=Path(sys.argv[1]), watch=Told(), **options)
    print("digests", json.dumps({name: one.digest for name, one in built.artifacts.items()}), flush=True)
"""
KILLED = {"train.north": 0.5, "traced.south": 0.3, "test.west": 0.2, "central": 1.0, "federated": 2.0, "quantized": 1.0, "compiled": 4.0,
          "answers": 0.1, "served": 0.8, "line": 0.0}  # fmt: skip


def start(store, **options):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(store), json.dumps(options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def killed_at(store, stage, delay_s, **options):
    """Start it, and kill it and whatever it started some time after a stage began."""
    process = start(store, **options)
    for line in process.stdout:
        if line.split() == ["begun", stage]:
            time.sleep(delay_s)
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def whole(store, **options):
    process = start(store, **options)
    said, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(next(line for line in said.splitlines() if line.startswith("digests")).partition(" ")[2])


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A store with a line made in one go, and the digests of its stages."""
    store = tmp_path_factory.mktemp("clean") / pipeline.STORE
    return store, whole(store)


@pytest.fixture(scope="module")
def line(clean):
    return pipeline.open_line(next((clean[0] / "line").glob("[0-9]*")))


def test_killed_at_every_stage_it_goes_on_to_the_same_content(clean, tmp_path):
    for stage, delay_s in KILLED.items():
        killed_at(tmp_path, stage, delay_s)
    assert whole(tmp_path) == clean[1]
    assert not list(tmp_path.glob("*/.writing-*"))


def test_ray_makes_the_same_and_goes_on_after_a_kill(clean, tmp_path):
    killed_at(tmp_path, "test.south", 3.0, here=False, workers=2, until="federated")
    made = whole(tmp_path, here=False, workers=2, until="federated")
    assert made == {name: clean[1][name] for name in made} and "federated" in made


def test_nothing_changed_nothing_made(clean):
    began_s = time.monotonic()
    process = start(clean[0])
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and "begun" not in said, errors[-2000:]
    assert time.monotonic() - began_s < 300


def test_the_line_is_opened_whole(line):
    spec = PROFILES["tiny"]
    assert line.spec == spec
    for domain, count in zip(DOMAINS, (spec.test, spec.traced)):
        assert len(line.sets[domain]) == 4 * count == len(line.factory[domain])
        assert set(line.scores[domain]) == set(VERSIONS)
        assert all(one.shape == (4 * count, 5) and np.isfinite(one).all() for one in line.scores[domain].values())
    assert line.served.shape == (4 * spec.test,) and len(line.valid_labels) == 4 * spec.valid
    assert {one["clients"] for one in line.load} == set(spec.clients) and all(one["lost"] == 0 for one in line.load)
    assert set(line.seconds) == set(line.artifacts)


def test_the_service_answers_as_the_compiled_net_does(line):
    agree = (line.served == line.scores["synthetic"]["compiled"].argmax(1)).mean()
    assert agree == 1


def test_the_compiled_net_is_near_the_codes_it_was_made_from(line):
    wanted, got = line.scores["synthetic"]["quantized"], line.scores["synthetic"]["compiled"]
    assert np.abs(wanted - got).mean() < 0.1 * wanted.std()


def test_lineage_from_the_line_to_seeds_and_ranges(clean, line):
    link = lineage.trace(line.artifacts["line"])
    assert not link.broken
    text = "\n".join(lineage.lines(link, full=True))
    assert str(line.spec.settings("north", "train").seed) in text and "train.ranges.light_power = [1.0, 1.3]" in text
    assert {one.name for one in link.each()} == set(clean[1])


def test_lineage_names_what_was_altered_and_what_is_missing(clean, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(clean[0], store)
    found = next((store / "line").glob("[0-9]*"))
    north = next(one for one in lineage.trace(found).each() if one.name == "train.north").artifact
    with (north.folder / "train.npz").open("r+b") as file:
        file.seek(200)
        file.write(b"!")
    shutil.rmtree(next((store / "answers").glob("[0-9]*")))
    broken = {one.name: one for one in lineage.trace(found).broken}
    assert broken["train.north"].state == lineage.ALTERED and "train.npz" in broken["train.north"].why
    assert {one.state for one in broken.values()} == {lineage.ALTERED, lineage.MISSING}
    with pytest.raises(ArtifactError):
        pipeline.open_line(found)


def test_no_line_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path))
    with pytest.raises(ArtifactError, match="breakthrough capstone"):
        pipeline.open_line()
    with pytest.raises(ArtifactError, match="breakthrough capstone"):
        lineage.trace("line")
