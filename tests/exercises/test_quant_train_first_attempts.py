"""First attempts at module 4's training exercises as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from breakthrough.exercises import card, judge, load

# outliers kept aside


def columns_selected(x, w, threshold):
    outlier = (x.abs() >= threshold).any(0)
    rest, w_rest = x[:, ~outlier], w[:, ~outlier]
    cx, cw = rest.abs().max(1)[0] / 127, w_rest.abs().max(1)[0] / 127
    out = (rest / cx[:, None]).round().int() @ (w_rest / cw[:, None]).round().int().T
    return out * cx[:, None] * cw + x[:, outlier] @ w[:, outlier].T


def int8_product(x, w, threshold):
    outlier = (x.abs() >= threshold).any(dim=0)
    rest = x * ~outlier
    cx, cw = rest.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    cx[cx == 0], cw[cw == 0] = 1, 1
    out = (rest / cx).round().to(torch.int8) @ (w / cw).round().to(torch.int8).T
    return out * cx * cw.T + x[:, outlier] @ w[:, outlier].T


def to_int8_without_round(x, w, threshold):
    outlier = (x.abs() >= threshold).any(dim=0)
    rest = torch.where(outlier, 0.0, x)
    cx, cw = rest.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    cx[cx == 0], cw[cw == 0] = 1, 1
    out = (rest / cx).to(torch.int8).int() @ (w / cw).to(torch.int8).int().T
    return out * cx * cw.T + x[:, outlier] @ w[:, outlier].T


def masked_numbers(x, w, threshold):
    mask = x.abs() >= threshold
    rest = x * ~mask
    cx, cw = rest.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    out = (rest / cx.clamp(min=1e-9)).round() @ (w / cw.clamp(min=1e-9)).round().T
    return out * cx * cw.T + (x * mask) @ w.T


def scaled_before_outliers_are_out(x, w, threshold):
    outlier = (x.abs() >= threshold).any(0)
    cx, cw = x.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    cx, cw = cx.clamp(min=1e-12), cw.clamp(min=1e-12)
    xq, wq = (x / cx).round(), (w / cw).round()
    return (xq[:, ~outlier] @ wq[:, ~outlier].T) * cx * cw.T + x[:, outlier] @ w[:, outlier].T


def columns_cut_out(x, w, threshold):
    wild = (x.abs() >= threshold).any(0)
    sx, sw = x[:, ~wild].abs().amax(1) / 127, w.abs().amax(1) / 127
    sx[sx == 0], sw[sw == 0] = 1, 1
    xc, wc = torch.round(x[:, ~wild] / sx[:, None]), torch.round(w / sw[:, None])[:, ~wild]
    return (xc @ wc.T) * sx[:, None] * sw + x[:, wild] @ w[:, wild].T


def without_a_guard(x, w, threshold):
    wild = (x.abs() >= threshold).any(0)
    rest = x.clone()
    rest[:, wild] = 0
    sx, sw = rest.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    return (rest / sx).round() @ (w / sw).round().T * sx * sw.T + x[:, wild] @ w[:, wild].T


def large_at_every_token(x, w, threshold):
    wild = (x.abs() >= threshold).all(0)
    rest = x.clone()
    rest[:, wild] = 0
    sx, sw = rest.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    sx[sx == 0], sw[sw == 0] = 1, 1
    return (rest / sx).round() @ (w / sw).round().T * sx * sw.T + x[:, wild] @ w[:, wild].T


# the straight-through gradient


def rounded_only(w, scale, bits):
    n = 2 ** (bits - 1) - 1
    return torch.clamp(torch.round(w / scale), -n, n) * scale


def detached_all(w, scale, bits):
    n = 2 ** (bits - 1) - 1
    q = torch.clamp(torch.round(w / scale), -n, n) * scale
    return w + (q - w).detach()


def twos_complement(w, scale, bits):
    q = torch.clamp(torch.round(w / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * scale
    return w + (q - w).detach()


def torchs_own(w, scale, bits):
    n = 2 ** (bits - 1) - 1
    return torch.fake_quantize_per_tensor_affine(w, float(scale), 0, -n, n) if scale.ndim == 0 else rounded_then_clamped(w, scale, bits)


def rounded_then_clamped(w, scale, bits):
    n = 2 ** (bits - 1) - 1
    x = w / scale
    x = x + (torch.round(x) - x).detach()
    return torch.clamp(x, -n, n) * scale


def data_changed(w, scale, bits):
    n = 2 ** (bits - 1) - 1
    with torch.no_grad():
        return (w / scale).round().clamp(-n, n) * scale


# 8-bit Adam


def _decode(pair, table, block):
    codes, largest = pair
    return table[codes.long()] * largest.repeat_interleave(block)[: len(codes)]


def _encode(x, table, block):
    pad = F.pad(x, (0, -len(x) % block)).view(-1, block)
    largest = pad.abs().max(dim=1).values
    unit = pad / largest[:, None]
    codes = (unit[..., None] - table).abs().argmin(-1).flatten()[: len(x)]
    return codes.to(torch.uint8), largest


def stored_corrected(w, gradient, state, tables, step, lr, block):
    m = 0.9 * _decode(state["m"], tables["m"], block) + 0.1 * gradient
    v = 0.999 * _decode(state["v"], tables["v"], block) + 0.001 * gradient**2
    m, v = m / (1 - 0.9**step), v / (1 - 0.999**step)
    return w - lr * m / (v.sqrt() + 1e-8), {"m": _encode(m, tables["m"], block), "v": _encode(v, tables["v"], block)}


def decoded_again(w, gradient, state, tables, step, lr, block):
    m = _encode(0.9 * _decode(state["m"], tables["m"], block) + 0.1 * gradient, tables["m"], block)
    v = _encode(0.999 * _decode(state["v"], tables["v"], block) + 0.001 * gradient**2, tables["v"], block)
    mm, vv = _decode(m, tables["m"], block) / (1 - 0.9**step), _decode(v, tables["v"], block) / (1 - 0.999**step)
    return w - lr * mm / (vv.sqrt() + 1e-8), {"m": m, "v": v}


def never_corrected(w, gradient, state, tables, step, lr, block):
    m = 0.9 * _decode(state["m"], tables["m"], block) + 0.1 * gradient
    v = 0.999 * _decode(state["v"], tables["v"], block) + 0.001 * gradient**2
    return w - lr * m / (v.sqrt() + 1e-8), {"m": _encode(m, tables["m"], block), "v": _encode(v, tables["v"], block)}


def searched(w, gradient, state, tables, step, lr, block):
    m = 0.9 * _decode(state["m"], tables["m"], block) + 0.1 * gradient
    v = 0.999 * _decode(state["v"], tables["v"], block) + 0.001 * gradient**2
    w = w - lr * m / (1 - 0.9**step) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    new = {}
    for name, x in (("m", m), ("v", v)):
        blocks = F.pad(x, (0, -len(x) % block)).view(-1, block)
        largest = blocks.abs().amax(1)
        codes = torch.searchsorted(tables[name], (blocks / largest[:, None]).contiguous()).clamp(max=255)
        new[name] = (codes.flatten()[: len(x)].to(torch.uint8), largest)
    return w, new


# GPTQ


def rounded_columns(w, hessian, scale, bits):
    n = 2 ** (bits - 1) - 1
    return torch.round(w / scale).clamp(-n, n) * scale


def obs_without_update(w, hessian, scale, bits):
    n, w, inverse = 2 ** (bits - 1) - 1, w.clone(), torch.linalg.inv(hessian)
    q = torch.zeros_like(w)
    for j in range(w.shape[1]):
        q[:, j] = torch.round(w[:, j] / scale[:, 0]).clamp(-n, n) * scale[:, 0]
        w[:, j:] -= torch.outer((w[:, j] - q[:, j]) / inverse[j, j], inverse[j, j:])
    return q


def lower_factor(w, hessian, scale, bits):
    n, w, q = 2 ** (bits - 1) - 1, w.clone(), torch.zeros_like(w)
    factor = torch.linalg.cholesky(torch.linalg.inv(hessian))
    for j in range(w.shape[1]):
        q[:, j] = torch.round(w[:, j] / scale[:, 0]).clamp(-n, n) * scale[:, 0]
        error = (w[:, j] - q[:, j]) / factor[j, j]
        w[:, j + 1 :] -= error[:, None] * factor[j, j + 1 :]
    return q


def factor_then_inverse(w, hessian, scale, bits):
    n, w, q = 2 ** (bits - 1) - 1, w.clone(), torch.zeros_like(w)
    factor = torch.linalg.cholesky(hessian).inverse().T
    for j in range(w.shape[1]):
        q[:, j] = torch.round(w[:, j] / scale[:, 0]).clamp(-n, n) * scale[:, 0]
        error = (w[:, j] - q[:, j]) / factor[j, j]
        w[:, j + 1 :] -= error[:, None] * factor[j, j + 1 :]
    return q


# counting bytes


def first_count(model, optimizer, x, y):
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    size = lambda tensors: sum(t.untyped_storage().nbytes() for t in {t.untyped_storage().data_ptr(): t for t in tensors}.values())  # noqa: E731
    return {
        "weights": size([*model.parameters(), *model.buffers()]),
        "gradients": size([p.grad for p in model.parameters() if p.grad is not None]),
        "state": size([t for s in optimizer.state.values() for t in s.values() if torch.is_tensor(t)]),
        "activations": size(saved),
    }


def no_step(model, optimizer, x, y):
    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    saved = {}

    def pack(t):
        if t.untyped_storage().data_ptr() not in own:
            saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = F.cross_entropy(model(x), y)
    loss.backward()
    return {
        "weights": sum(p.numel() * p.element_size() for p in [*model.parameters(), *model.buffers()]),
        "gradients": sum(p.grad.numel() * p.grad.element_size() for p in model.parameters() if p.grad is not None),
        "state": sum(t.nbytes for s in optimizer.state.values() for t in s.values() if torch.is_tensor(t)),
        "activations": sum(saved.values()),
    }


# the set-up


def embeddings_by_name(model, lr):
    import bitsandbytes as bnb

    for name, module in model.named_modules():
        if "embed" in name:
            bnb.optim.GlobalOptimManager.get_instance().register_module_override(module, "weight", {"optim_bits": 32})
    return bnb.optim.AdamW8bit(model.parameters(), lr=lr)


def adamw_wrapped(model, lr):
    import bitsandbytes as bnb

    return bnb.optim.AdamW8bit(torch.optim.AdamW(model.parameters(), lr=lr))


def children_only(model, lr):
    import bitsandbytes as bnb

    for module in model.children():
        if isinstance(module, nn.Embedding):
            bnb.optim.GlobalOptimManager.get_instance().override_config(module.weight, "optim_bits", 32)
    return bnb.optim.AdamW8bit(model.parameters(), lr=lr)


def epsilon_inside(w, gradient, state, tables, step, lr, block):
    blocks = -(-len(w) // block)

    def load(name):
        codes, largest = state[name]
        return tables[name][codes.long()] * largest.repeat_interleave(block)[: len(w)]

    def store(name, x):
        x = F.pad(x, (0, blocks * block - len(x))).view(blocks, block)
        top = x.abs().amax(1)
        table = tables[name]
        codes = torch.bucketize(x / top.where(top > 0, torch.tensor(1.0))[:, None], (table[1:] + table[:-1]) / 2)
        return codes.flatten()[: len(w)].to(torch.uint8), top

    m = 0.9 * load("m") + 0.1 * gradient
    v = 0.999 * load("v") + 0.001 * gradient**2
    new = w - lr * m / (1 - 0.9**step) / torch.sqrt(v / (1 - 0.999**step) + 1e-8)
    return new, {"m": store("m", m), "v": store("v", v)}


def gradients_left(model, optimizer, x, y):
    saved = []

    def pack(t):
        saved.append(t)
        return t

    def total(tensors):
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = F.cross_entropy(model(x), y)
    held = [*model.parameters(), *model.buffers()]
    own = {t.untyped_storage().data_ptr() for t in held}
    activations = total(t for t in saved if t.untyped_storage().data_ptr() not in own)
    loss.backward()
    gradients = total(p.grad for p in model.parameters() if p.grad is not None)
    optimizer.step()
    state = total(t for s in optimizer.state.values() for t in s.values() if isinstance(t, torch.Tensor))
    optimizer.zero_grad()
    return {"weights": total(held), "gradients": gradients, "state": state, "activations": activations}


ATTEMPTS = [
    ("quant.outlier", columns_selected, "w by the columns left"),
    ("quant.outlier", int8_product, "int8 wraps"),
    ("quant.outlier", to_int8_without_round, "cut off"),
    ("quant.outlier", masked_numbers, "values kept aside"),
    ("quant.outlier", scaled_before_outliers_are_out, "scale with the outliers in"),
    ("quant.outlier", columns_cut_out, "no column left"),
    ("quant.outlier", without_a_guard, "zeros divided by zero"),
    ("quant.outlier", large_at_every_token, "for all tokens"),
    ("quant.ste", rounded_only, "no gradient"),
    ("quant.ste", detached_all, "straight beyond the ends"),
    ("quant.ste", twos_complement, "one code more below"),
    ("quant.ste", torchs_own, "judged by the code"),
    ("quant.ste", rounded_then_clamped, "judged by the code"),
    ("quant.ste", data_changed, "no gradient"),
    ("quant.adam8", stored_corrected, "corrected moments stored"),
    ("quant.adam8", decoded_again, "moves with the rounded moments"),
    ("quant.adam8", never_corrected, "without correction"),
    ("quant.adam8", searched, "the level below"),
    ("quant.adam8", epsilon_inside, "the epsilon under the root"),
    ("quant.gptq", rounded_columns, "nothing carried on"),
    ("quant.gptq", obs_without_update, "the inverse not updated"),
    ("quant.gptq", lower_factor, "nothing carried on"),
    ("quant.gptq", factor_then_inverse, "the factor's inverse"),
    ("quant.bytes", first_count, "parameters among the activations"),
    ("quant.bytes", no_step, "state before the step"),
    ("quant.bytes", gradients_left, "gradients not cleared"),
    ("quant.mend", embeddings_by_name, "embeddings in 8 bits"),
    ("quant.mend", adamw_wrapped, "not made from parameters"),
    ("quant.mend", children_only, "embeddings in 8 bits"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_training_in_few_bits_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


UNRELATED = {
    "quant.outlier": lambda x, w, threshold: 0.37 * x @ w.T,
    "quant.ste": lambda w, scale, bits: w.tanh(),
    "quant.adam8": lambda w, gradient, state, tables, step, lr, block: (0.37 * w, state),
    "quant.gptq": lambda w, hessian, scale, bits: 0.37 * w,
    "quant.bytes": lambda model, optimizer, x, y: {"weights": 1, "gradients": 2, "state": 3, "activations": 4},
}


@pytest.mark.parametrize("name", UNRELATED)
def test_an_answer_to_training_in_few_bits_that_shares_no_misconception_gets_no_name(name):
    for seed in range(3):
        verdict = judge(load(name), UNRELATED[name], seed)
        assert verdict.status == "wrong" and verdict.diagnosis is None, card.plain(verdict, 1)
