"""Stages that are made and left, with the real simulator, on two factories of a few pictures."""

import json
from dataclasses import replace

import pytest

from breakthrough import artifacts
from breakthrough.capstone import engine, keys, stages
from breakthrough.capstone.spec import PROFILES
from breakthrough.errors import BreakthroughError, InputError
from breakthrough.scenes.disk import alone

SPEC = replace(PROFILES["tiny"], factories=PROFILES["tiny"].factories[:2], train=20, valid=4, test=8, size=16, rounds=1, passes=1)


class Seen(engine.Watch):
    def __init__(self):
        self.was, self.is_new = [], []

    def kept(self, stage, artifact):
        self.was.append(stage.name)

    def made(self, stage, artifact, seconds):
        self.is_new.append(stage.name)


def build(store, spec=SPEC, **options):
    seen = Seen()
    built = engine.run(spec, "tiny", store, here=True, watch=seen, **options)
    return built, seen


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    home = tmp_path_factory.mktemp("stages")
    build(home, until="federated")
    return home


def test_what_has_not_changed_is_not_done_again(store):
    built, seen = build(store, until="federated")
    assert seen.is_new == [] and set(seen.was) == {"train.north", "train.east", "federated"}
    assert built.artifacts["federated"].kind == "inspector" and not built.made_s


def test_a_changed_range_makes_one_factory_and_what_hangs_on_it(store):
    north = SPEC.factories[0]
    changed = replace(SPEC, factories=(replace(north, ranges=replace(north.ranges, light_power=(0.2, 0.3))), SPEC.factories[1]))
    _, seen = build(store, changed, until="federated")
    assert seen.is_new == ["train.north", "federated"] and seen.was == ["train.east"]


def test_an_input_that_comes_out_the_same_stops_the_work(store, monkeypatch):
    real = keys.code_of
    monkeypatch.setattr(keys, "code_of", lambda rooms, packages=(): real(rooms, packages) + ("edited" if "scenes" in rooms else ""))
    _, seen = build(store, until="federated")
    assert seen.is_new == ["train.north", "train.east"] and seen.was == ["federated"]


def test_from_a_stage_makes_it_again_to_the_same_content(store):
    before, _ = build(store, until="federated")
    after, seen = build(store, until="federated", begin="federated")
    assert seen.is_new == ["federated"]
    assert after.artifacts["federated"].digest == before.artifacts["federated"].digest
    assert after.artifacts["federated"].id != before.artifacts["federated"].id


def test_an_artifact_that_was_altered_is_made_again(store):
    before, _ = build(store, until="test")
    with (before.artifacts["test.north"].folder / "test.npz").open("ab") as file:
        file.write(b"x")
    after, seen = build(store, until="test")
    assert seen.is_new == ["test.north"]
    assert after.artifacts["test.north"].digest == before.artifacts["test.north"].digest


def test_manifests_name_parents_and_how_they_were_made(store):
    built, _ = build(store, until="federated")
    federated, north = built.artifacts["federated"], built.artifacts["train.north"]
    assert federated.parents == (north.id, built.artifacts["train.east"].id)
    told = federated.metrics
    assert told["stage"] == "federated" and told["inputs"]["train.north"] == north.digest and told["settings"]["rounds"] == 1
    assert north.metrics["settings"]["train"]["seed"] == SPEC.settings("north", "train").seed
    assert artifacts.load(federated.folder).digest == federated.digest


def test_a_stage_that_fails_is_told_and_what_is_finished_stays(tmp_path, monkeypatch):
    real = engine.perform

    def fails(order):
        if json.loads(order)["stage"] == "test.east":
            raise BreakthroughError("expected a lamp, got none")
        return real(order)

    monkeypatch.setattr(engine, "perform", fails)
    with pytest.raises(BreakthroughError, match="lamp"):
        build(tmp_path, until="test")
    monkeypatch.setattr(engine, "perform", real)
    _, seen = build(tmp_path, until="test")
    assert seen.was == ["test.north"] and seen.is_new == ["test.east"]


def test_one_run_at_a_time(store):
    with alone(store), pytest.raises(InputError):
        build(store, until="test")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_an_address_where_nobody_answers_is_told_at_once(tmp_path, address):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match="a Ray cluster at HOST:PORT"):
        engine.run(SPEC, "tiny", tmp_path / "stages", address=address)


def test_what_killed_runs_left_is_swept(store):
    left = store / "pictures" / ".writing-abc"
    left.mkdir()
    build(store, until="train")
    assert not left.exists() and not (store / engine.WORK).exists()


def test_code_is_known_by_its_files_and_packages():
    assert keys.code_of(("capstone/spec.py",)) != keys.code_of(("capstone/line.py",))
    assert keys.code_of(("capstone/spec.py",), ("numpy",)) != keys.code_of(("capstone/spec.py",))
    for kind in stages.KINDS.values():
        for room in kind.rooms:
            assert (keys.HOME / room).exists(), room
