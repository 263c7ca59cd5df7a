import json

import pytest

from breakthrough.capstone.spec import PROFILES, Spec, spec_of
from breakthrough.capstone.stages import after, before_the_end, graph
from breakthrough.capstone.stations import STATIONS
from breakthrough.errors import ConfigError, InputError, UnknownNameError
from breakthrough.scenes.spec import DEFECTS


def keys_of(spec):
    return {name: stage.key({}) for name, stage in graph(spec).items()}


def test_a_profile_with_a_changed_range():
    spec = spec_of("tiny", {"train": 60, "factories": {"north": {"light_power": [0.7, 0.9]}}})
    assert spec.train == 60 and spec.factory("north").ranges.light_power == (0.7, 0.9)
    assert spec.factory("east") == STATIONS[1]


def test_a_file_says_the_same(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text("train: 60\nfactories:\n  north: {light_power: [0.7, 0.9]}\n")
    assert spec_of("tiny", path) == spec_of("tiny", {"train": 60, "factories": {"north": {"light_power": [0.7, 0.9]}}})


@pytest.mark.parametrize("changes, error, said", [
    ({"trains": 3}, UnknownNameError, "train"),
    ({"train": 0}, ConfigError, "train of at least 1"),
    ({"factories": {"nord": {}}}, UnknownNameError, "north"),
    ({"factories": {"north": {"light": [1, 2]}}}, UnknownNameError, "light_power"),
    ({"factories": {"north": {"light_power": [2.0, 1.0]}}}, ConfigError, "light_power"),
    ({"factories": {"north": 3}}, ConfigError, "ranges by name"),
])  # fmt: skip
def test_what_cannot_be_is_named(changes, error, said):
    with pytest.raises(error, match=said):
        spec_of("tiny", changes)


def test_a_file_that_is_no_mapping_and_one_that_is_not_there(tmp_path):
    (tmp_path / "list.yml").write_text("- 1\n")
    for path in (tmp_path / "list.yml", tmp_path / "none.yml"):
        with pytest.raises(InputError, match="settings"):
            spec_of("tiny", path)
    with pytest.raises(UnknownNameError, match="quick"):
        spec_of("huge")


def test_plain_data_brings_it_back():
    for spec in PROFILES.values():
        assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_a_factory_is_measured_on_all_classes_and_trains_on_its_own_mix():
    spec = PROFILES["quick"]
    assert spec.settings("north", "test").drawn_from().defects == DEFECTS
    assert spec.settings("north", "train").drawn_from().defects == STATIONS[0].ranges.defects
    seeds = {spec.settings(name, part).seed for name in spec.names for part in ("train", "valid", "test", "traced")}
    assert len(seeds) == 16


def test_every_stage_comes_after_what_it_needs():
    seen = set()
    for name, stage in graph(PROFILES["quick"]).items():
        assert set(stage.needs) <= seen
        seen.add(name)
    assert name == "line"


def test_a_changed_range_changes_the_keys_of_one_factory_alone():
    before, now = keys_of(spec_of("tiny")), keys_of(spec_of("tiny", {"factories": {"north": {"light_power": [0.7, 0.9]}}}))
    assert {name for name in before if before[name] != now[name]} == {"train.north", "test.north", "traced.north", "line"}


@pytest.mark.parametrize("changes, changed", [
    ({"test": 24}, {"test"}), ({"rounds": 3}, {"federated"}), ({"passes": 3}, {"central"}), ({"lr_end": 0.5}, {"federated"}), ({"clients": [2]}, {"served"}),
    ({"batches": [1]}, {"compiled"}), ({"spp": 8}, {"traced"}), ({"protection": "plain"}, {"federated"}),
])  # fmt: skip
def test_a_setting_reaches_the_stages_that_are_made_with_it(changes, changed):
    before, now = keys_of(spec_of("tiny")), keys_of(spec_of("tiny", changes))
    assert {name.partition(".")[0] for name in before if before[name] != now[name]} == {*changed, "line"}  # it holds the whole spec


def test_what_hangs_on_a_stage():
    stages = graph(PROFILES["tiny"])
    assert after(stages, "compiled") == {"compiled", "answers", "served", "line"}
    assert after(stages, "test.north") == {"test.north", "answers", "served", "line"}
    assert {"test.north", "test.west"} <= after(stages, "test")
    with pytest.raises(UnknownNameError, match="compiled"):
        after(stages, "compile")


def test_the_longest_chain_goes_first():
    chain = before_the_end(graph(PROFILES["tiny"]))
    assert chain["line"] == 1 and chain["served"] == 2 and chain["compiled"] == 3 and chain["federated"] == 5 and chain["train.east"] == 6
    assert chain["central"] == chain["traced.west"] == 3
