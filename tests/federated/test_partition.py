import numpy as np
import pytest

from breakthrough.errors import ArtifactError, ConfigError, DtypeError, InputError, ShapeError
from breakthrough.federated import partition
from breakthrough.federated.partition import Partition, by_group, dirichlet, even, quantity
from breakthrough.seeds import numpy_generator


def labels_of(n=1000, classes=5, seed=0):
    return numpy_generator(seed, "labels").integers(0, classes, n)


SPLITS = {
    "dirichlet": lambda labels, generator: dirichlet(labels, 4, 0.3, generator, least=5),
    "quantity": lambda labels, generator: quantity(len(labels), 4, 0.5, generator, least=5),
    "even": lambda labels, generator: even(len(labels), 4, generator),
    "by_group": lambda labels, generator: by_group(generator.integers(0, 4, len(labels))),
}


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("seed", range(5))
def test_every_sample_is_in_one_part_exactly_once(name, seed):
    labels = labels_of(997)
    split = SPLITS[name](labels, numpy_generator(seed, name))
    assert len(split) == 4 and split.sizes.min() >= 5
    assert sorted(np.concatenate(split.parts).tolist()) == list(range(997))
    for i, part in enumerate(split.parts):
        assert (split.owner[part] == i).all() and (np.diff(part) > 0).all()
    counts = split.counts(labels, 7)
    assert counts.shape == (4, 7) and (counts.sum(1) == split.sizes).all()
    assert (counts.sum(0) == np.bincount(labels, minlength=7)).all()


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_comes_from_the_generator_alone(name):
    labels = labels_of(300)
    one, same, other = (SPLITS[name](labels, numpy_generator(seed)).owner for seed in (0, 0, 1))
    assert (one == same).all() and (one != other).any()


def test_a_smaller_alpha_is_more_skew():
    labels = labels_of(2000)
    mean = {a: np.mean([dirichlet(labels, 4, a, numpy_generator(s)).skew(labels) for s in range(20)]) for a in (0.05, 0.3, 1, 100)}
    assert mean[0.05] > mean[0.3] + 0.1 > mean[1] + 0.2
    assert mean[100] < 0.05 < mean[1]


def test_shares_of_a_class_have_the_moments_of_the_distribution():
    labels, alpha, parts = np.zeros(10_000, int), 0.5, 4
    share = np.array([dirichlet(labels, parts, alpha, numpy_generator(s)).sizes for s in range(600)]) / 10_000
    assert np.allclose(share.mean(0), 1 / parts, atol=0.04)
    expected = (1 / parts) * (1 - 1 / parts) / (parts * alpha + 1)  # of a symmetric Dirichlet distribution
    # redrawing where a part is empty narrows it a little
    assert np.allclose(share.var(0).mean(), expected, rtol=0.15)


def test_classes_are_drawn_apart_from_each_other():
    labels = labels_of(4000)
    counts = dirichlet(labels, 4, 0.1, numpy_generator(3)).counts(labels)
    assert len({tuple(np.argsort(column)) for column in counts.T}) > 1


def test_quantity_skew_leaves_the_labels_alike():
    labels = labels_of(20_000)
    split = quantity(len(labels), 4, 0.5, numpy_generator(1), least=500)
    assert split.sizes.max() > 2 * split.sizes.min() and split.skew(labels) < 0.03


def test_even_parts_differ_by_one_sample_at_most():
    assert sorted(even(10, 4, numpy_generator(0)).sizes.tolist()) == [2, 2, 3, 3]


def test_groups_are_the_parts_in_the_order_of_their_names():
    split = by_group(np.array(["b", "a", "c", "a"]))
    assert [part.tolist() for part in split.parts] == [[1, 3], [0], [2]]
    assert [part.tolist() for part in by_group([7, 7, 2]).parts] == [[2], [0, 1]]


def test_skew_is_the_share_of_labels_that_would_have_to_change():
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    apart = Partition((np.arange(3), np.arange(3, 8)))
    assert apart.skew(labels) == pytest.approx(1 - (3 / 8) ** 2 - (5 / 8) ** 2)
    assert Partition((np.array([0, 3]), np.array([1, 2, 4, 5, 6, 7]))).skew(labels) == pytest.approx(
        (2 * abs(1 / 2 - 3 / 8) + 6 * abs(2 / 6 - 3 / 8)) / 8
    )
    assert Partition((np.arange(8),)).skew(labels) == 0


def test_a_split_is_drawn_again_until_every_part_has_enough():
    labels = labels_of(200)
    smallest = [dirichlet(labels, 5, 0.2, numpy_generator(seed), least=15).sizes.min() for seed in range(10)]
    assert min(smallest) >= 15
    without = [dirichlet(labels, 5, 0.2, numpy_generator(seed)).sizes.min() for seed in range(10)]
    assert min(without) < 15


def test_a_split_that_is_not_found_is_said_so(monkeypatch):
    monkeypatch.setattr(partition, "TRIES", 20)
    with pytest.raises(ConfigError, match="within 20 draws.*alpha = 0.001.*larger alpha"):
        dirichlet(labels_of(100, 2), 5, 0.001, numpy_generator(0), least=10)


@pytest.mark.parametrize(("options", "message"), [
    ({"parts": 0}, "parts"), ({"parts": 2.0}, "parts"), ({"parts": True}, "parts"), ({"alpha": 0.0}, "alpha"),
    ({"alpha": float("nan")}, "alpha"), ({"alpha": float("inf")}, "alpha"), ({"least": 0}, "least"), ({"least": 26}, "4 × 26"),
])  # fmt: skip
def test_what_cannot_be_split_is_refused(options, message):
    chosen = {"parts": 4, "alpha": 1.0, "least": 1} | options
    for split in (lambda **o: dirichlet(labels_of(100), generator=numpy_generator(0), **o), lambda **o: quantity(100, generator=numpy_generator(0), **o)):
        with pytest.raises(ConfigError, match=message):
            split(**chosen)
    with pytest.raises(ConfigError, match="samples"):
        even(3, 4, numpy_generator(0))


@pytest.mark.parametrize(("labels", "error"), [
    (np.zeros((4, 2), int), ShapeError), (np.zeros(0, int), ShapeError), (np.zeros(4), DtypeError), (np.array([0, -1]), InputError),
])  # fmt: skip
def test_labels_that_are_none_are_refused(labels, error):
    with pytest.raises(error, match="labels"):
        dirichlet(labels, 1, 1.0, numpy_generator(0))


@pytest.mark.parametrize(("parts", "error", "message"), [
    ((), InputError, "one part"),
    ((np.array([0, 1]), np.array([], int)), InputError, "none in part 1"),
    ((np.array([0, 1]), np.array([1, 2])), InputError, "exactly once"),
    ((np.array([0, 1]), np.array([3])), InputError, "exactly once"),
    ((np.array([-1, 0]),), InputError, "exactly once"),
    ((np.array([True, False]),), DtypeError, "flatnonzero"),
    ((np.array([[0], [1]]),), ShapeError, "part 0"),
])  # fmt: skip
def test_what_is_no_split_is_refused(parts, error, message):
    with pytest.raises(error, match=message):
        Partition(parts)


def test_counts_refuse_the_labels_of_other_samples():
    split = even(10, 2, numpy_generator(0))
    with pytest.raises(ShapeError, match="10"):
        split.counts(np.zeros(9, int))
    with pytest.raises(InputError, match="0 to 2"):
        split.counts(np.full(10, 3), 3)


def test_groups_of_other_types_are_refused():
    with pytest.raises(DtypeError, match="groups"):
        by_group(np.array([0.5, 1.0]))
    with pytest.raises(ShapeError, match="group"):
        by_group(np.zeros((2, 2), int))


def test_parts_cannot_be_altered():
    split = even(10, 2, numpy_generator(0))
    with pytest.raises(ValueError, match="read-only"):
        split.parts[0][0] = 5


def test_a_file_gives_the_same_split_back(tmp_path):
    labels = labels_of(100)
    split = dirichlet(labels, 3, 0.3, numpy_generator(0))
    split.save(tmp_path / "split.npz")
    again = Partition.load(tmp_path / "split.npz")
    assert len(again) == 3 and (again.owner == split.owner).all()
    np.savez(tmp_path / "gap.npz", owner=np.array([0, 2]))
    np.savez(tmp_path / "huge.npz", owner=np.array([0, 1 << 60]))
    np.savez(tmp_path / "other.npz", labels=labels)
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    for name in ("gap", "huge", "other", "broken", "absent"):
        with pytest.raises(ArtifactError, match=f"{name}.npz"):
            Partition.load(tmp_path / f"{name}.npz")
