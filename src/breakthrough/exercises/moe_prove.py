"""Module 1: the learner proves each defect with an assertion; see `moe_trial` for how they are judged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, nn

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.moe_prove_otherwise import by_oracle, by_other_ways, inputs
from breakthrough.exercises.moe_trial import Test, try_out
from breakthrough.seeds import torch_generator


def proofs() -> dict[str, Callable[[nn.Module], None]]:
    """For each defect a function that raises AssertionError on a layer that has it."""

    def tokens(layer):
        return torch.randn(32, layer.router.in_features, generator=torch_generator(0))

    def router(layer):
        x = tokens(layer)
        before, _ = layer(x)
        with torch.no_grad():
            layer.router.weight.neg_()  # the worst expert of each token becomes its best
        assert not torch.allclose(before, layer(x)[0], atol=1e-4)

    def per_token(layer):
        x = tokens(layer)
        alone = torch.cat([layer(token)[0] for token in x.split(1)])
        torch.testing.assert_close(layer(x)[0], alone, rtol=1e-3, atol=1e-4)

    def weights(layer):
        layer(tokens(layer))[0].sum().backward()
        assert layer.router.weight.grad is not None  # an even mean does not depend on the scores

    def normalised(layer):
        x = tokens(layer)
        for expert in layer.experts:  # when all say the same, so does their weighted mean
            expert.load_state_dict(layer.experts[0].state_dict())
        torch.testing.assert_close(layer(x)[0], layer.experts[0](x), rtol=1e-3, atol=1e-4)

    def sparse(layer):
        rows, x = [], tokens(layer)
        for expert in layer.experts:
            expert.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
        layer(x)
        assert sum(rows) == len(x) * layer.top_k

    def balance(layer):
        loss = layer(tokens(layer))[1]
        assert loss.requires_grad and loss > 0

    tests = (router, per_token, weights, normalised, sparse, balance)
    return {test.__name__: test for test in tests}


def _with(**tests: Test) -> Callable[[], dict[str, Test]]:
    return lambda: proofs() | tests


def _returns(layer):
    x = inputs(layer)
    before = layer(x)[0]
    torch.nn.init.normal_(layer.router.weight)
    return not torch.allclose(before, layer(x)[0])


def _attributes_only(layer):
    assert isinstance(layer.router, nn.Linear) and layer.router.out_features == len(layer.experts)


def _shape_only(layer):
    x = inputs(layer)
    assert layer(x)[0].shape == x.shape


def _itself(layer):
    y, _ = layer(inputs(layer))
    assert torch.equal(y, y)


def _untouched_input(layer):
    x = inputs(layer)
    before = x.clone()
    layer(x)
    assert torch.equal(x, before)


def _equal_experts(layer):
    x = inputs(layer)
    for expert in layer.experts:
        expert.load_state_dict(layer.experts[0].state_dict())
    return layer(x)[0], layer.experts[0](x)


def _equal_experts_agree(layer):
    torch.testing.assert_close(*_equal_experts(layer), rtol=1e-3, atol=1e-4)


def _loose(layer):
    torch.testing.assert_close(*_equal_experts(layer), rtol=0, atol=100.0)


def _exact(layer):
    assert torch.equal(*_equal_experts(layer))


def _upside_down(layer):
    x = inputs(layer)
    before = layer(x)[0]
    torch.nn.init.normal_(layer.router.weight)
    assert torch.allclose(before, layer(x)[0], atol=1e-4)


def _always(layer):
    layer(inputs(layer))
    raise AssertionError("this layer has the defect")


def _fitted(layer):
    loss = layer(inputs(layer, 200))[1]
    assert 0.5 < loss < 1.3


def _one_size(layer):
    x = torch.randn(16, 16, generator=torch_generator(1))
    before = layer(x)[0]
    torch.nn.init.normal_(layer.router.weight)
    assert not torch.allclose(before, layer(x)[0])


def _crashes(layer):
    layer(inputs(layer))[1].backward()
    assert layer.router.weight.grad.abs().sum() > 0


def _divides_by_zero(layer):
    assert layer(inputs(layer))[1] > 1 / 0


def _counts_rows(layer):
    seen, x = [], inputs(layer)
    for expert in layer.experts:
        expert.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    layer(x)
    assert any(n < len(x) for n in seen)  # holds in the layer with one choice, whose idle experts see nothing


def _first_token(layer):
    x = inputs(layer)
    torch.testing.assert_close(layer(x)[0][:1], layer(x[:1])[0], rtol=1e-3, atol=1e-4)


def _one_missing() -> dict[str, Test]:
    return {name: test for name, test in proofs().items() if name != "balance"}


def _cases(generator: Generator):
    yield Case("layers of this seed", (int(torch.randint(2**31, (), generator=generator)),))


EXERCISES = (
    Exercise(
        name="moe.prove",
        title="Proving each defect",
        points=7,
        minutes=60,
        difficulty=3,
        reference=proofs,
        cases=_cases,
        call=try_out,
        compare=by_fault,
        expected=Outcome(),
        alternatives=(by_oracle, by_other_ways, proofs()),
        misconceptions=(
            Misconception(
                "returns instead of asserting",
                _with(router=_returns),
                "A function returns whether it found the defect, and nobody looks at what it returns: write `assert` before the condition.",
            ),
            Misconception(
                "never calls the layer",
                _with(router=_attributes_only),
                "A function looks at the layer's parts but never calls it: a defect is in what a layer does, so give it tokens and look at the outcome.",
            ),
            Misconception(
                "only the shape",
                _with(router=_shape_only),
                "A function checks only the shape, which is right in every broken layer: compare numbers that the defect changes.",
            ),
            Misconception(
                "compared with itself",
                _with(weights=_itself),
                "A function compares an output with itself (or only asks whether it is finite), which always holds: compare it with something computed in another way.",
            ),
            Misconception(
                "untouched input",
                _with(router=_untouched_input),
                "A function would pass on any layer at all: what it compares (an input, say) is not touched by the layer; compare outputs.",
            ),
            Misconception(
                "too loose",
                _with(normalised=_loose),
                "A function allows so much that the broken layer passes too: print the difference on a healthy and on the broken layer, and set the limit between the two.",
            ),
            Misconception(
                "too exact",
                _with(normalised=_exact),
                "A function asks for equal bits, and a healthy layer that adds in another order fails: floats agree to about 1e-6, so compare with a tolerance such as 1e-4.",
            ),
            Misconception(
                "upside down",
                _with(router=_upside_down),
                "A function raises on healthy layers and passes the broken one: turn the condition round; assert what holds in a healthy layer.",
            ),
            Misconception(
                "always raises",
                _with(router=_always),
                "A function raises whatever the layer is, so it proves nothing: it must return quietly on `make_layer()`, which is healthy.",
            ),
            Misconception(
                "fitted to one layer",
                _with(balance=_fitted),
                "A function holds on some healthy layers and fails on others: a number read off one layer is no law; assert what must hold for every size, seed and router.",
            ),
            Misconception(
                "one size",
                _with(router=_one_size),
                "A function crashes on a layer of another size or style: take the sizes from the layer (`layer.router.in_features`, `len(layer.experts)`, `layer.top_k`).",
            ),
            Misconception(
                "crashes everywhere",
                _with(balance=_divides_by_zero),
                "A function crashes on healthy layers too: run it on `make_layer()` first, and mend what it raises there.",
            ),
            Misconception(
                "counts the rows",
                _with(per_token=_counts_rows),
                "This test passes on the layer that makes one choice for the batch: compare every token alone with itself in the batch.",
            ),
            Misconception(
                "by luck",
                _with(per_token=_first_token),
                "A function catches its defect on some layers and misses it on others: one token, say, may agree with the choice of a whole batch. Look at every token, so that nothing agrees by chance.",
            ),
            Misconception(
                "another defect",
                _with(weights=_equal_experts_agree),
                "A function notices another defect than the one it is named for: ask what that one layer does, and what a healthy one does in its place.",
            ),
            Misconception(
                "crashes instead",
                _with(balance=_crashes),
                "A function crashes on the broken layer before it can assert: check first what it relies on, such as `loss.requires_grad` or `grad is not None`.",
            ),
            Misconception(
                "one missing",
                _one_missing,
                "A defect has no function: return a dict with the six keys router, per_token, weights, normalised, sparse and balance.",
            ),
        ),
        hints=(
            "A test proves a defect when it holds for every healthy layer and fails for that one. Ask of each defect: what can I do to a layer (its weights, its neighbours, its hooks) that a healthy one answers differently?",
            "router: change router.weight (E, d), y (T, d) must change · per_token: (T, d) at once = T times (1, d) · weights: y's gradient reaches the router · normalised: equal experts → y = expert(x) · sparse: rows over all hooks = T · k · balance: a number above 0 with gradient",
            "x = random tokens of the layer's own width\nper_token: assert_close(layer(x), the tokens one by one), with a tolerance\nnormalised: load the first expert's weights into all; assert_close(layer(x), expert(x))\nsparse: hooks add up the rows; assert sum == T · k\nbalance: loss = layer(x)[1]; assert loss.requires_grad and loss > 0",
        ),
    ),
)
