"""Module 1: bringing tokens to their experts.

Shapes: T tokens, E experts, k experts a token, d the width
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.moe_speed import TIMED, choices, loop_over_tokens, too_slow


def dispatch(x: Tensor, experts: Tensor, n_experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort the T·k assignments by expert, so that each expert's rows are neighbours.

    Shapes: x (T, d), experts (T, k) → rows (T·k, d), tokens (T·k,), load (n_experts,)
    """
    flat = experts.flatten()  # assignment t·k + j is token t's j-th choice
    order = flat.argsort(stable=True)  # equal experts stay in token order
    tokens = order // experts.shape[1]
    return x[tokens], tokens, torch.bincount(flat, minlength=n_experts)


def _loop_over_experts(x, experts, n_experts):
    of = [(experts == e).any(1).nonzero().flatten() for e in range(n_experts)]
    tokens = torch.cat(of)
    return x.index_select(0, tokens), tokens, torch.tensor([len(t) for t in of], device=x.device)


def _through_one_hot(x, experts, n_experts):
    wanted = torch.zeros(n_experts, len(x), dtype=torch.bool, device=x.device)
    wanted[experts, torch.arange(len(x), device=x.device)[:, None]] = True  # (E, T)
    tokens = wanted.nonzero()[:, 1]
    return x[tokens], tokens, wanted.sum(1)


def _through_places(x, experts, n_experts):
    flat = experts.reshape(-1)
    load = torch.zeros(n_experts, dtype=torch.int64, device=x.device).index_add(0, flat, torch.ones_like(flat))
    one_hot = torch.nn.functional.one_hot(flat, n_experts)  # (T·k, E)
    rank = (one_hot.cumsum(0) * one_hot).sum(1) - 1
    place = (load.cumsum(0) - load)[flat] + rank
    tokens = torch.empty_like(flat)
    tokens[place] = torch.arange(len(flat), device=x.device) // experts.shape[1]
    return x[tokens], tokens, load


def _item_by_item(x, experts, n_experts):
    of: list[list[int]] = [[] for _ in range(n_experts)]
    for token in range(len(experts)):
        for choice in range(experts.shape[1]):
            of[experts[token, choice].item()].append(token)
    tokens = torch.tensor([t for mine in of for t in mine], dtype=torch.int64, device=x.device)
    return x[tokens], tokens, torch.tensor([len(mine) for mine in of], device=x.device)


def _flat_item_by_item(x, experts, n_experts):
    of: list[list[int]] = [[] for _ in range(n_experts)]
    for i, expert in enumerate(experts.flatten().tolist()):
        of[expert].append(i // experts.shape[1])
    tokens = torch.tensor(sum(of, []), dtype=torch.int64, device=x.device)
    return x[tokens], tokens, torch.tensor([len(mine) for mine in of], device=x.device)


def _order_inside_lost(x, experts, n_experts):
    flat = experts.flatten()
    tokens = flat.argsort(descending=True, stable=True).flip(0) // experts.shape[1]
    return x[tokens], tokens, torch.bincount(flat, minlength=n_experts)


def _first_choices_first(x, experts, n_experts):
    flat = experts.t().flatten()  # all first choices, then all second ones
    tokens = flat.argsort(stable=True) % max(len(x), 1)
    return x[tokens], tokens, torch.bincount(flat, minlength=n_experts)


def _descending(x, experts, n_experts):
    flat = experts.flatten()
    tokens = flat.argsort(descending=True, stable=True) // experts.shape[1]
    return x[tokens], tokens, torch.bincount(flat, minlength=n_experts)


def _right_but_out_of_order(want, got) -> bool:
    """Whether each expert has its own tokens, in another order than theirs."""
    return not torch.equal(want[1], got[1]) and _right_in_any_order(want, got)


def _right_in_any_order(want, got) -> bool:
    (_, tokens, load), mine = want, got[1]
    if mine.shape != tokens.shape:
        return False
    parts = zip(tokens.split(load.tolist()), mine.split(load.tolist()))
    return all(torch.equal(theirs, part.sort().values) for theirs, part in parts)


def _last_expert_first(want, got) -> bool:
    """Whether the experts stand in descending order, each with its own tokens in any order."""
    (_, tokens, load), mine = want, got[1]
    if mine.shape != tokens.shape:
        return False
    parts = reversed(mine.split(load.flip(0).tolist()))
    return _right_in_any_order(want, (got[0], torch.cat(list(parts)), got[2]))


def _assignments_as_tokens(x, experts, n_experts):
    order = experts.flatten().argsort(stable=True)
    return x[order // experts.shape[1]], order, torch.bincount(experts.flatten(), minlength=n_experts)


def _reads_beyond(x, experts, n_experts):
    order = experts.flatten().argsort(stable=True)
    return x[order], order, torch.bincount(experts.flatten(), minlength=n_experts)


def _remainder(x, experts, n_experts):
    tokens = experts.flatten().argsort(stable=True) % max(len(x), 1)
    return x[tokens], tokens, torch.bincount(experts.flatten(), minlength=n_experts)


def _not_sorted(x, experts, n_experts):
    tokens = torch.arange(len(x), device=x.device).repeat_interleave(experts.shape[1])
    return x[tokens], tokens, torch.bincount(experts.flatten(), minlength=n_experts)


def _idle_forgotten(x, experts, n_experts):
    rows, tokens, _ = dispatch(x, experts, n_experts)
    return rows, tokens, torch.bincount(experts.flatten())


def _expert_of_each_row(x, experts, n_experts):
    rows, tokens, _ = dispatch(x, experts, n_experts)
    return rows, tokens, experts.flatten().sort().values


def _first_choice_only(x, experts, n_experts):
    return dispatch(x, experts[:, :1], n_experts)


def _shares(x, experts, n_experts):
    rows, tokens, load = dispatch(x, experts, n_experts)
    return rows, tokens, load / max(len(tokens), 1)


def _dispatch_cases(generator: Generator):
    def case(label, n_tokens, n_experts, k, d, dtype=torch.float32):
        x = torch.randn(n_tokens, d, generator=generator).to(dtype)
        return Case(label, (x, choices(n_tokens, n_experts, k, generator), n_experts))

    yield case("5 tokens, 3 experts, k = 2", 5, 3, 2, 2)
    yield case("60 tokens, 8 experts, k = 3", 60, 8, 3, 4)
    yield case("one token, k = 4", 1, 6, 4, 3)
    yield case("k = E", 4, 3, 3, 2)
    yield case("bfloat16", 7, 4, 2, 5, torch.bfloat16)
    everything = torch.zeros(6, 1, dtype=torch.int64)
    yield Case("every token to expert 0 of 4", (torch.randn(6, 3, generator=generator), everything, 4))
    x, experts = torch.randn(3, 8, generator=generator).t(), choices(8, 8, 2, generator).t().contiguous().t()
    yield Case("not contiguous", (x, experts, 8))
    yield case("no tokens", 0, 4, 2, 3)
    n_tokens, n_experts, k, d = TIMED
    yield case(f"{n_tokens} tokens, {n_experts} experts, k = {k}", n_tokens, n_experts, k, d)


EXERCISES = (
    Exercise(
        name="moe.dispatch",
        title="Dispatch without a loop over tokens",
        points=8,
        minutes=45,
        difficulty=3,
        reference=dispatch,
        cases=_dispatch_cases,
        compare=close(parts=("rows", "tokens", "load"), order=(1, 2, 0)),  # rows follow from tokens
        alternatives=(_loop_over_experts, _through_one_hot, _through_places),
        misconceptions=(
            Misconception(
                "loop over tokens",
                loop_over_tokens,
                "Every number is right, but Python visits the tokens one by one: sort all assignments at once (`argsort`), or loop over the few experts instead.",
                variants=(_item_by_item, _flat_item_by_item),
                detect=too_slow,
            ),
            Misconception(
                "first choices first",
                _first_choices_first,
                "All first choices stand before the second ones: flatten `experts` as it is, token by token, so that an expert's rows come in token order.",
            ),
            Misconception(
                "descending",
                _descending,
                "The experts stand in descending order: sort upwards, expert 0 first, or the slices that `load` cuts belong to other experts.",
                seen=_last_expert_first,
            ),
            Misconception(
                "order inside lost",
                _order_inside_lost,
                "Each expert has the right rows, but not in token order: use argsort(stable=True), which keeps equal experts in the order they came; without it the order is left to chance.",
                seen=_right_but_out_of_order,
            ),
            Misconception(
                "assignments as tokens",
                _assignments_as_tokens,
                "`tokens` holds the number of the assignment, t·k + j: divide by k without remainder (//) to get the token t.",
            ),
            Misconception(
                "reads beyond the tokens",
                _reads_beyond,
                "The order of the T·k assignments is used to index the T tokens, which runs past their end: assignment i belongs to token i // k.",
            ),
            Misconception(
                "remainder",
                _remainder,
                "The token of assignment i is i // k, not i % T: flattened (T, k) choices stand token by token.",
            ),
            Misconception(
                "not sorted",
                _not_sorted,
                "The rows still stand token by token: order them by expert, so that each expert gets one slice.",
            ),
            Misconception(
                "idle experts forgotten",
                _idle_forgotten,
                "The load stops at the last expert that has work: an idle one counts too, with minlength=n_experts.",
            ),
            Misconception(
                "expert of each row",
                _expert_of_each_row,
                "The third output names the expert of each row: `load` counts how many rows each expert has, (n_experts,) numbers, as `bincount` gives.",
            ),
            Misconception(
                "first choice only",
                _first_choice_only,
                "Only each token's first choice was sent: all k choices are assignments, so there are T·k rows.",
            ),
            Misconception(
                "shares",
                _shares,
                "The load is given in shares: it has to be counts (int64), for slices need whole rows.",
            ),
        ),
        hints=(
            "An expert works on many tokens at once only if its rows lie side by side. Sorting the assignments by expert puts them there, and the sorted order also says which token each row came from.",
            "experts (T, k) → flatten (T·k,) → stable argsort (T·k,), values 0 … T·k − 1 → // k (T·k,), values 0 … T − 1 → x at these (T·k, d); bincount with minlength (E,)",
            "flat = the choices in one row\norder = stable argsort of flat\ntokens = order divided by k, whole part\nreturn x at tokens, tokens, how often each expert occurs in flat",
        ),
    ),
)
