"""Module 4: a learner's training set-up, tried out on fresh nets: what it makes, keeps and learns.

Shapes: B tokens, V words, d the width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.quant.bnb import own_manager
from breakthrough.seeds import torch_generator

V, D, B = 150, 32, 64
LARGE = 4096  # from this size on bitsandbytes keeps 8-bit state
STEPS, BEHIND = 25, 0.1  # how long is trained, and how far the loss may end above AdamW's: measured 0.00 to 0.01


class Words(nn.Module):
    """Two embeddings, of words and of places, two linear layers and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(D, V)
        self.inside = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D), nn.LayerNorm(D))
        self.read = nn.ModuleDict({"words": nn.Embedding(V, D), "places": nn.Embedding(2 * V, D)})

    def forward(self, x: Tensor) -> Tensor:
        place = torch.arange(len(x))
        return self.head(self.inside(self.read["words"](x) + self.read["places"](place)))  # (B, V)


class Tied(nn.Module):
    """The head's weight is the embedding's."""

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.inside, self.head = nn.Embedding(V, D), nn.Linear(D, 5 * D), nn.Linear(D, V, bias=False)
        self.back = nn.Linear(5 * D, D)
        self.head.weight = self.wte.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.back(self.inside(self.wte(x)).relu()))  # (B, V)


class NoWords(nn.Module):
    """No embedding at all: nothing to keep in 32 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(V, D)  # a name is not a kind
        self.head = nn.Linear(D, V)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding(F.one_hot(x, V).float()).tanh())  # (B, V)


NETS = {"embeddings of words and places": Words, "the head is the embedding": Tied, "no embedding": NoWords}


def outcome(answer: Any, case: Case) -> Outcome:
    """The first thing that goes wrong when a net is set up and trained.

    Raises: InputError for what is no function; MissingDependency without bitsandbytes
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("quant.mend", set_up)'))
    label, seed, lr = case.args
    model = _net(label, seed)
    with own_manager():
        start = {name: value.clone() for name, value in model.state_dict().items()}
        try:
            optimizer = answer(model, lr)
        except Exception as error:  # noqa: BLE001 - a learner's code may raise anything
            return _raised(error)
        return (
            _made(optimizer)
            or _left_alone(model, NETS[label], start)
            or _over(optimizer, model, lr)
            or _trained(optimizer, model, _net(label, seed), batch(seed), lr)
            or Outcome()
        )


def start(label: str, seed: int) -> dict[str, Tensor]:
    """The weights of a net, the same for a seed, biases too."""
    generator = torch_generator(seed, "start")
    state = _net(label, seed).state_dict()
    return {name: value + 0.1 * torch.randn(value.shape, generator=generator) if value.ndim == 1 else value for name, value in state.items()}


def trajectory(
    set_up: Callable[[nn.Module, float], torch.optim.Optimizer], label: str, state: Mapping[str, Tensor], batch: tuple[Tensor, Tensor], lr: float, steps: int
) -> dict[str, Tensor]:
    """Where the weights of a net are, some steps after these."""
    with torch.random.fork_rng(devices=[]):
        model = NETS[label]()
    model.load_state_dict(dict(state))
    with own_manager():
        optimizer = set_up(model, lr)
        for _ in range(steps):
            _step(model, optimizer, batch)
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def _net(label: str, seed: int) -> nn.Module:
    """A net with small random weights, the same for a seed."""
    generator = torch_generator(seed, "weights")
    with torch.random.fork_rng(devices=[]):
        model = NETS[label]()
    with torch.no_grad():
        for p in (p for p in model.parameters() if p.ndim > 1):
            p.copy_(torch.randn(p.shape, generator=generator) * D**-0.5)
    return model


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """A batch of words, and the next word of each: a rule that can be learned. Shapes: → (B,), (B,)"""
    x = torch.randint(V, (B,), generator=torch_generator(seed, "words"))
    return x, (7 * x + 3) % V


RAISED = (  # the beginning of a class's name, words of the message, the fault
    (ImportError, "cannot import name", "no such class"),
    (ImportError, "No module named 'bitsandbytes.", "no such class"),
    (AttributeError, "module 'bitsandbytes", "no such class"),
    (TypeError, "not iterable", "not made from parameters"),
    (TypeError, "params argument given to the optimizer", "not made from parameters"),
    (TypeError, "can only optimize Tensors", "not made from parameters"),
    (TypeError, "'defaults'", "a base class"),
    (NotImplementedError, "method needs to be overridden", "a base class"),
    (RuntimeError, "Call get_instance() instead", "a second manager"),
    (ValueError, "only supports optim_bits=32", "bits told twice"),
    (AttributeError, "'Embedding' object has no attribute", "override by another name"),
    *((AttributeError, f"'{net.__name__}' object has no attribute", "some embeddings") for net in NETS.values()),
)


def _raised(error: Exception) -> Outcome:
    """An error of the set-up, or of its first step, as a fault.

    Raises: the error itself, where it is none of those that are known
    """
    text = str(error)
    fault = next((fault for kind, words, fault in RAISED if isinstance(error, kind) and words in text), "")
    if fault == "not made from parameters" and "Embedding" in text:
        fault = "a module where a parameter belongs"
    if not fault:
        raise error
    return Outcome(fault, f"{type(error).__name__}: {text}")


def _made(optimizer: Any) -> Outcome | None:
    if isinstance(optimizer, (tuple, list, dict)):
        return Outcome("two optimizers", "more than an optimizer came back", "one optimizer", type_of(optimizer))
    if not isinstance(optimizer, torch.optim.Optimizer):
        text = "nothing came back: is there a `return`?" if optimizer is None else "that is no optimizer"
        return Outcome("no optimizer", text, "an optimizer", type_of(optimizer))
    if any(isinstance(value, torch.optim.Optimizer) for value in vars(optimizer).values()):
        return Outcome("two optimizers", "the optimizer holds another one", "one optimizer", "two")
    return None


def _left_alone(model: nn.Module, kind: type[nn.Module], start: dict[str, Tensor]) -> Outcome | None:
    now = model.state_dict()
    same = now.keys() == start.keys() and all(torch.equal(now[name], value) and now[name].dtype == value.dtype for name, value in start.items())
    modules = [type(module) for module in model.modules()]
    if not same or modules != [type(module) for module in kind().modules()]:
        return Outcome("the model changed", "weights or modules are no longer as they were", "the model as it came", "another one")
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    if frozen:
        return Outcome("parameters left out", "parameters were frozen", "all of them trained", ", ".join(frozen))
    return None


def _over(optimizer: torch.optim.Optimizer, model: nn.Module, lr: float) -> Outcome | None:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, p in model.named_parameters() if id(p) not in held]
    if missing:
        return Outcome("parameters left out", "the optimizer does not hold them", "all parameters", f"without {', '.join(missing)}")
    other = [group["lr"] for group in optimizer.param_groups if group["lr"] != lr]
    if other:
        return Outcome("another lr", "the lr is not the one that was given", str(lr), str(other[0]))
    decay = max(group.get("weight_decay", 0) for group in optimizer.param_groups)
    if decay != 0.01:
        return Outcome("another weight decay", "the weight decay is not AdamW's usual one", "0.01", str(decay))
    return None


def _trained(optimizer: torch.optim.Optimizer, model: nn.Module, twin: nn.Module, batch: tuple[Tensor, Tensor], lr: float) -> Outcome | None:
    """What is seen after one step, and after many, beside AdamW on a twin."""
    before = [p.detach().clone() for p in model.parameters()]
    try:
        _step(model, optimizer, batch)
    except Exception as error:  # noqa: BLE001 - a learner's code may raise anything
        return _raised(error)
    moved = {name: float((p.detach() - old).abs().max()) / lr for (name, p), old in zip(model.named_parameters(), before)}
    still = [name for name, far in moved.items() if far == 0]
    if still:
        return Outcome("parameters left out", "after a step they are where they were", "every parameter moved", ", ".join(still))
    if max(moved.values()) > 1.5:
        return Outcome("two optimizers", "the first step of Adam is lr long", f"{lr:g}", f"{lr * max(moved.values()):g}")
    found = _state(optimizer, model)
    if found:
        return found
    adamw = torch.optim.AdamW(twin.parameters(), lr=lr)
    mine, theirs = (sum(_step(net, by, batch) for _ in range(STEPS)) / STEPS for net, by in ((model, optimizer), (twin, adamw)))
    if mine > theirs + BEHIND:
        return Outcome("learns worse", f"the mean loss of {STEPS} steps is above AdamW's", f"{theirs:.3f}", f"{mine:.3f}")
    return None


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]) -> float:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    optimizer.step()
    return loss.item()


def _state(optimizer: torch.optim.Optimizer, model: nn.Module) -> Outcome | None:
    """Whether each parameter's state has the bits that it should."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    eight: dict[str, bool] = {}
    for name, p in model.named_parameters():
        moments = [t for t in optimizer.state.get(p, {}).values() if isinstance(t, Tensor) and t.shape == p.shape]
        if not moments:
            return Outcome("no optimizer", f"it keeps no state for {name}", "two moments", "none")
        eight[name] = any(t.dtype == torch.uint8 for t in moments)
    large = {name for name, p in model.named_parameters() if p.numel() >= LARGE}
    words = {name for name, p in model.named_parameters() if id(p) in embeddings}
    low = [name for name in words if eight[name]]
    if low:
        fault = "some embeddings" if len(low) < len(words) else "embeddings in 8 bits"
        return Outcome(fault, "an embedding's state is in 8 bits", "float32", f"uint8 for {', '.join(sorted(low))}")
    high = sorted(name for name in large - words if not eight[name])
    if high:
        fault = "32 bits everywhere" if not any(eight.values()) else "more than embeddings"
        return Outcome(fault, "the state of large weights is in 32 bits", "uint8", f"float32 for {', '.join(high)}")
    return None
