"""First attempts at module 3's exercises as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import numpy as np
import pytest

from breakthrough.exercises import card, judge, load

# the Dirichlet partition


def counts_of_each(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in np.unique(labels):
        idx = np.where(labels == c)[0]
        generator.shuffle(idx)
        p = generator.dirichlet([alpha] * parts)
        start = 0
        for k in range(parts):
            n = int(p[k] * len(idx))
            out[k] += list(idx[start : start + n])
            start += n
    return [np.array(o, dtype=int) for o in out]


def rest_at_the_end(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in np.unique(labels):
        idx = generator.permutation(np.where(labels == c)[0])
        p = generator.dirichlet([alpha] * parts)
        start = 0
        for k in range(parts):
            end = len(idx) if k == parts - 1 else start + int(p[k] * len(idx))
            out[k] += list(idx[start:end])
            start = end
    return [np.array(o, dtype=int) for o in out]


def numpys_own(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in range(labels.max() + 1 if len(labels) else 0):
        idx = np.where(labels == c)[0]
        np.random.shuffle(idx)
        cuts = (np.cumsum(np.random.dirichlet(alpha * np.ones(parts))) * len(idx)).astype(int)[:-1]
        for k, piece in enumerate(np.split(idx, cuts)):
            out[k].extend(piece)
    return out


def unshuffled(labels, parts, alpha, generator):
    pieces = []
    for c in np.unique(labels):
        idx = np.where(labels == c)[0]
        cuts = (np.cumsum(generator.dirichlet([alpha] * parts)) * len(idx)).astype(int)[:-1]
        pieces.append(np.split(idx, cuts))
    return [np.concatenate([p[k] for p in pieces]) if pieces else np.zeros(0, int) for k in range(parts)]


def one_size(labels, parts, alpha, generator):
    p = generator.dirichlet([alpha] * parts)
    cuts = (np.cumsum(p) * len(labels)).astype(int)[:-1]
    return np.split(generator.permutation(len(labels)), cuts)


def softened(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in np.unique(labels):
        idx = generator.permutation(np.where(labels == c)[0])
        p = generator.random(parts) ** alpha
        for k, piece in enumerate(np.split(idx, (np.cumsum(p / p.sum()) * len(idx)).astype(int)[:-1])):
            out[k].extend(piece)
    return out


ATTEMPTS = [
    ("federated.split", counts_of_each, "cut one by one"),
    ("federated.split", rest_at_the_end, "the rest to the last"),
    ("federated.split", numpys_own, "global random"),
    ("federated.split", unshuffled, "not shuffled"),
    ("federated.split", one_size, "one draw for all classes"),
    ("federated.split", softened, "α upside down"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_federated_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)
