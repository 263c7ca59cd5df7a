"""First attempts as a beginner writes them, with torch.zeros, .mean() and /T: each is named for its main mistake."""

from __future__ import annotations

import pytest
import torch

from breakthrough.exercises import card, judge, load

# combine: zeros are float32, whatever the rows are


def added_in_place(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1])
    y[tokens] += weights[:, None] * rows
    return y


def loop_that_overwrites(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1])
    for i in range(len(rows)):
        y[tokens[i]] = weights[i] * rows[i]
    return y


def no_weights(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1])
    y.index_add_(0, tokens, rows)
    return y


def average(rows, tokens, weights, n_tokens):
    y, count = torch.zeros(n_tokens, rows.shape[1]), torch.zeros(n_tokens)
    for i, t in enumerate(tokens):
        y[t] += weights[i] * rows[i]
        count[t] += 1
    return y / count.clamp(min=1)[:, None]


def mean_of_mine(rows, tokens, weights, n_tokens):
    return torch.stack([rows[tokens == t].mean(0) for t in range(n_tokens)])


def loop_in_float32(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1])
    for i, t in enumerate(tokens):
        y[t] += weights[i] * rows[i]
    return y


def sum_not_kept(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1], dtype=rows.dtype)
    y.index_add(0, tokens, rows * weights[:, None])
    return y


def weights_without_a_column(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1], dtype=rows.dtype)
    return y.index_add(0, tokens, rows * weights)


# balance: means of no tokens are NaN


def p_added_up(probs, experts):
    f = torch.bincount(experts.flatten(), minlength=probs.shape[1]) / experts.numel()
    return probs.shape[1] * (f * probs.sum(0)).sum()


def without_e(probs, experts):
    f = torch.bincount(experts.flatten(), minlength=probs.shape[1]) / experts.numel()
    return (f * probs.mean(0)).sum()


def f_over_tokens(probs, experts):
    tokens, n_experts = probs.shape
    f = torch.bincount(experts.flatten(), minlength=n_experts) / tokens
    return n_experts * (f * probs.mean(dim=0)).sum()


def counted_by_loop_over_tokens(probs, experts):
    f = torch.zeros(probs.shape[1])
    for row in experts:
        for e in row:
            f[e] += 1
    return probs.shape[1] * (f / len(experts) * probs.mean(0)).sum()


def detached(probs, experts):
    f = torch.bincount(experts.flatten(), minlength=probs.shape[1]) / experts.numel()
    return probs.shape[1] * (f * probs.detach().mean(0)).sum()


def mean_over_experts(probs, experts):
    f = torch.bincount(experts.flatten(), minlength=probs.shape[1]) / experts.numel()
    return (f * probs.mean(0)).mean()


def chosen_only(probs, experts):
    f = torch.bincount(experts.flatten(), minlength=probs.shape[1]) / experts.numel()
    mean = torch.stack([probs[(experts == e).any(1), e].mean() for e in range(probs.shape[1])])
    return probs.shape[1] * (f * mean).sum()


# z-loss


def square_of_the_mean(logits):
    return logits.logsumexp(-1).mean() ** 2


def no_square(logits):
    return logits.logsumexp(dim=1).mean()


def by_hand(logits):
    return (logits.exp().sum(-1).log() ** 2).mean()


def over_tokens(logits):
    return (torch.logsumexp(logits, 0) ** 2).mean()


def largest(logits):
    return (logits.max(-1).values ** 2).mean()


def sum_of_squares(logits):
    return (torch.logsumexp(logits, -1) ** 2).sum()


# upcycling: the router is float32


def grown(router=None, **how):
    def upcycle(dense, n_experts, generator):
        d = dense["down"].shape[0]
        made = 0.02 * torch.randn(n_experts, d, generator=generator) if router is None else router(n_experts, d)
        copied = {name: how.get(name, how["copy"])(w, n_experts) for name, w in dense.items()}
        return {"router": made, **copied}

    return upcycle


def repeated(w, n):
    return w.repeat(n, 1, 1)


def expanded(w, n):
    return w.expand(n, -1, -1)


def unscaled(dense, n_experts, generator):
    router = torch.randn(n_experts, dense["down"].shape[0], generator=generator)
    return {"router": router, **{name: repeated(w, n_experts) for name, w in dense.items()}}


def from_nowhere(n, d):
    return 0.02 * torch.randn(n, d)


# dispatch


def unstable(x, experts, n_experts):
    order = experts.flatten().argsort()
    tokens = order // experts.shape[1]
    return x[tokens], tokens, torch.bincount(experts.flatten(), minlength=n_experts)


def descending(x, experts, n_experts):
    order = experts.flatten().argsort(descending=True)
    tokens = order // experts.shape[1]
    return x[tokens], tokens, torch.bincount(experts.flatten(), minlength=n_experts)


def choice_by_choice(x, experts, n_experts):
    flat = experts.t().flatten()
    tokens = flat.argsort(stable=True) % len(x)
    return x[tokens], tokens, torch.bincount(flat, minlength=n_experts)


def per_expert_by_choice(x, experts, n_experts):
    tokens = torch.cat([torch.cat([(c == e).nonzero()[:, 0] for c in experts.T]) for e in range(n_experts)])
    return x[tokens], tokens, torch.bincount(experts.flatten(), minlength=n_experts)


# routing, capacity, the bias


def lowest(logits, k):
    best, experts = logits.topk(k, largest=False)
    return best.softmax(-1), experts


def lowest_shares(logits, k):
    return logits.softmax(-1).topk(k, largest=False)


def ascending(logits, k):
    values, places = logits.sort(-1)
    return values[:, -k:].softmax(-1), places[:, -k:]


def sigmoid(logits, k):
    best, experts = logits.topk(k)
    return torch.sigmoid(best), experts


def floor_in_float(experts, n_experts, factor):
    room = int(factor * experts.numel() / n_experts)
    kept, used = torch.zeros(experts.shape), [0] * n_experts
    for t, row in enumerate(experts.tolist()):
        for j, e in enumerate(row):
            kept[t, j] = used[e] < room
            used[e] += 1
    return kept.bool()


def up_to_the_mean(logits, bias, k, rate):
    probs = logits.softmax(-1)
    experts = (probs + bias).topk(k).indices
    weights = probs.gather(1, experts)
    load = torch.bincount(experts.flatten(), minlength=len(bias)).float()
    return weights / weights.sum(-1, keepdim=True), experts, torch.where(load <= load.mean(), bias + rate, bias - rate)


def no_minlength(logits, bias, k, rate):
    probs = logits.softmax(-1)
    experts = (probs + bias).topk(k).indices
    weights = probs.gather(1, experts)
    load = experts.flatten().bincount().float()
    return weights / weights.sum(-1, keepdim=True), experts, bias + rate * torch.sign(load.mean() - load)


def logits_of_the_load(logits, bias, k, rate):
    probs = logits.softmax(-1)
    experts = (probs + bias).topk(k).indices
    weights = probs.gather(1, experts)
    load = torch.bincount(logits.topk(k).indices.flatten(), minlength=len(bias)).float()
    return weights / weights.sum(-1, keepdim=True), experts, bias + rate * torch.sign(load.mean() - load)


def chosen_through_softmax(logits, bias, k, rate):
    probs = logits.softmax(-1)
    experts = (probs + bias).topk(k).indices
    load = torch.bincount(experts.flatten(), minlength=len(bias)).float()
    return probs.gather(1, experts).softmax(-1), experts, bias + rate * (load.mean() - load).sign()


def experts_instead_of_load(x, experts, n_experts):
    mine, order = experts.flatten().sort(stable=True)
    tokens = order // experts.shape[1]
    return x[tokens], tokens, mine


def probabilities_through_softmax(logits, k):
    best, experts = logits.softmax(-1).topk(k)
    return best.softmax(-1), experts


ATTEMPTS = [
    ("moe.combine", sum_not_kept, "sum thrown away"),
    ("moe.combine", weights_without_a_column, "along the width"),
    ("moe.balance", p_added_up, "probabilities added up"),
    ("moe.bias", chosen_through_softmax, "softmax twice"),
    ("moe.dispatch", experts_instead_of_load, "expert of each row"),
    ("moe.route", probabilities_through_softmax, "softmax twice"),
    ("moe.combine", added_in_place, "last row wins"),
    ("moe.combine", loop_that_overwrites, "last row wins"),
    ("moe.combine", no_weights, "no weights"),
    ("moe.combine", average, "averaged"),
    ("moe.combine", mean_of_mine, "mean of the rows"),
    ("moe.combine", loop_in_float32, "always float32"),
    ("moe.balance", without_e, "without the factor E"),
    ("moe.balance", f_over_tokens, "k times too large"),
    ("moe.balance", counted_by_loop_over_tokens, "k times too large"),
    ("moe.balance", detached, "no gradient"),
    ("moe.balance", mean_over_experts, "averaged over experts"),
    ("moe.balance", chosen_only, "own tokens only"),
    ("moe.zloss", square_of_the_mean, "squared last"),
    ("moe.zloss", no_square, "not squared"),
    ("moe.zloss", by_hand, "overflow"),
    ("moe.zloss", over_tokens, "over tokens"),
    ("moe.zloss", largest, "largest score"),
    ("moe.zloss", sum_of_squares, "summed"),
    ("moe.upcycle", grown(copy=expanded), "shared memory"),
    ("moe.upcycle", grown(torch.zeros, copy=expanded), "shared memory"),  # and a router of zeros
    ("moe.upcycle", grown(copy=repeated), "always float32"),
    ("moe.upcycle", grown(torch.zeros, copy=repeated), "router of zeros"),
    ("moe.upcycle", grown(torch.ones, copy=repeated), "router of zeros"),
    ("moe.upcycle", grown(from_nowhere, copy=repeated), "not from the generator"),
    ("moe.upcycle", unscaled, "large router"),
    ("moe.dispatch", unstable, "order inside lost"),
    ("moe.dispatch", descending, "descending"),
    ("moe.dispatch", choice_by_choice, "first choices first"),
    ("moe.dispatch", per_expert_by_choice, "first choices first"),
    ("moe.route", lowest, "worst experts"),
    ("moe.route", lowest_shares, "worst experts"),
    ("moe.route", ascending, "best last"),
    ("moe.route", sigmoid, "sigmoid"),
    ("moe.capacity", floor_in_float, "rounded down"),
    ("moe.bias", up_to_the_mean, "always moves"),
    ("moe.bias", no_minlength, "idle experts forgotten"),
    ("moe.bias", logits_of_the_load, "load of the unbiased choice"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_is_named_for_its_main_mistake(name, answer, mistake):
    exercise = load(name)
    for seed in range(3):
        verdict = judge(exercise, answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


def test_the_smaller_fault_is_told_beside_the_main_one():
    verdict = judge(load("moe.zloss"), square_of_the_mean, 0)
    assert "also: no tokens: the loss is NaN, expected 0" in card.plain(verdict, 1).splitlines()
    assert "also" in card.html(verdict, 1)


UNRELATED = {
    "moe.route": lambda logits, k: (torch.full((len(logits), k), 1 / k), torch.arange(k).repeat(len(logits), 1)),
    "moe.combine": lambda rows, tokens, weights, n: torch.ones(n, rows.shape[1]),
    "moe.balance": lambda probs, experts: (probs.std(0) ** 2).sum() * 3,
    "moe.zloss": lambda logits: logits.logsumexp(-1).abs().mean() * 2,
    "moe.dispatch": lambda x, experts, n: (x.flip(0), torch.arange(len(x)), torch.ones(n, dtype=torch.int64)),
    "moe.capacity": lambda experts, n, factor: experts > n / 2,
    "moe.bias": lambda logits, bias, k, rate: (logits[:, :k].softmax(-1), logits.argsort()[:, 1 : k + 1], bias + 7 * rate),
    "moe.cost": lambda d, h, e, k, s, tokens: (d * h, d * e, d * h * tokens),
    "start.softmax": lambda logits: logits / logits.sum(-1, keepdim=True),
}


@pytest.mark.parametrize("name", ["moe.route", "moe.combine", "moe.balance", "moe.zloss", "moe.bias", "moe.cost"])
def test_a_right_answer_made_wrong_by_a_number_gets_no_name(name):
    exercise = load(name)

    def stretched(*args):
        out = exercise.reference(*args)
        return 1.37 * out if isinstance(out, torch.Tensor) else (1.37 * out[0], *out[1:])

    for seed in range(5):
        verdict = judge(exercise, stretched, seed)
        assert verdict.status == "wrong" and verdict.diagnosis is None, card.plain(verdict, 1)


@pytest.mark.parametrize("name", UNRELATED)
def test_an_answer_that_shares_no_misconception_gets_no_name(name):
    for seed in range(5):
        verdict = judge(load(name), UNRELATED[name], seed)
        assert verdict.status == "wrong" and verdict.diagnosis is None, card.plain(verdict, 1)


def test_a_wrong_answer_is_never_named_by_its_smaller_faults_alone():
    def wrong_value_and_nan(logits):
        return (logits.logsumexp(-1) ** 2).mean() + 1

    assert judge(load("moe.zloss"), wrong_value_and_nan, 0).diagnosis is None
