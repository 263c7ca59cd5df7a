from pathlib import Path

import numpy as np
import pytest
import torch

from breakthrough.errors import ConfigError, InputError, ShapeError
from breakthrough.seeds import torch_generator
from breakthrough.train import corpus


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for i in range(60):
        file = tmp_path / f"package{i % 5}" / f"module{i}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"value = {i}\n" * (i + 1))
    return tmp_path


def split(data: np.ndarray) -> set[bytes]:
    return set(data.tobytes().rstrip(corpus.SEPARATOR).split(corpus.SEPARATOR))


def test_no_file_and_no_content_is_on_both_sides_of_the_standard_library():
    found = corpus.load()
    assert not set(found.train_files) & set(found.valid_files)
    assert not split(found.train) & split(found.valid)
    assert len(split(found.train)) == len(found.train_files)
    assert 0.04 < len(found.valid) / (len(found.train) + len(found.valid)) < 0.2


def test_what_a_machine_may_lack_or_has_for_itself_is_left_out():
    names = corpus.load().train_files + corpus.load().valid_files
    parts = {part for name in names for part in name.split("/")}
    assert not parts & {"test", "site-packages", "encodings", "idlelib", "tkinter"}
    assert not any("_sysconfigdata" in part for part in parts)


def test_tests_come_in_when_asked_for(tree):
    (tree / "test").mkdir()
    (tree / "test" / "test_x.py").write_text("assert True")
    assert "test/test_x.py" not in corpus.sources(tree)
    assert "test/test_x.py" in corpus.sources(tree, with_tests=True)


def test_a_copy_under_another_name_never_reaches_the_other_side(tree):
    before = corpus.load(tree)
    for i, name in enumerate(before.train_files + before.valid_files):
        (tree / f"copy{i}.py").write_text("\n" + (tree / name).read_text() + "\n\n")
    after = corpus.load(tree, max_bytes=10**6 + 1)  # another argument: the first is remembered
    assert len(after.train_files) + len(after.valid_files) == 60
    assert not split(after.train) & split(after.valid)
    assert split(after.train) | split(after.valid) == split(before.train) | split(before.valid)


def test_the_side_of_a_file_depends_on_its_path_alone(tree):
    whole = corpus.load(tree)
    for name in whole.train_files[::2]:
        (tree / name).unlink()
    rest = corpus.load(tree, max_bytes=10**6 + 2)
    assert set(rest.valid_files) == set(whole.valid_files)
    assert corpus.in_validation("json/decoder.py", 1.0) and not corpus.in_validation("x.py", 0.0)


def test_the_same_bytes_every_time(tree):
    first = corpus.load()
    corpus.load.cache_clear()
    again = corpus.load()
    assert again.digest == first.digest and again is not first
    assert np.array_equal(again.train, first.train)


def test_a_cap_takes_a_part_of_what_a_larger_cap_takes(tree):
    small, large = corpus.load(tree, max_bytes=9_000), corpus.load(tree, max_bytes=12_000)
    assert len(small.train) + len(small.valid) <= 9_000
    assert set(small.train_files) < set(large.train_files)


def test_the_arrays_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        corpus.load().train[0] = 1


def test_an_installation_without_sources_is_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="two sides"):
        corpus.load(tmp_path)
    for i in range(60):
        (tmp_path / f"m{i}.py").write_text(f"x = {i}")
    monkeypatch.setattr(corpus.sysconfig, "get_path", lambda name: str(tmp_path))
    corpus.load.cache_clear()
    with pytest.raises(InputError, match="standard library's sources.*try a Python"):
        corpus.load()


def test_a_share_outside_0_to_1_is_refused():
    with pytest.raises(ConfigError, match="valid_share"):
        corpus.load(valid_share=1.0)


def test_batches_are_windows_of_the_data_and_follow_the_generator():
    data = torch.arange(200, dtype=torch.uint8)
    first = next(corpus.batches(data, 16, 9, torch_generator(3)))
    assert first.shape == (16, 9) and first.dtype == torch.int64
    assert (first.diff(dim=1) == 1).all()
    assert torch.equal(first, next(corpus.batches(data, 16, 9, torch_generator(3))))
    assert not torch.equal(first, next(corpus.batches(data, 16, 9, torch_generator(4))))


def test_every_window_can_be_drawn_the_last_one_too():
    data = torch.arange(12, dtype=torch.uint8)
    starts = next(corpus.batches(data, 500, 9, torch_generator(0)))[:, 0]
    assert set(starts.tolist()) == {0, 1, 2, 3}


def test_fixed_windows_span_the_data():
    data = torch.arange(100, dtype=torch.uint8)
    windows = corpus.fixed_windows(data, 5, 10)
    assert windows[0, 0] == 0 and windows[-1, -1] == 99
    with pytest.raises(ShapeError, match="a whole window"):
        corpus.fixed_windows(data, 5, 101)
