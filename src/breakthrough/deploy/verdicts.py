"""What the measurements say of claims C10 and C11: a verdict, its number, and the sentence that gives the reason."""

from __future__ import annotations

from dataclasses import dataclass

from breakthrough.deploy.latency_table import Cell, Table
from breakthrough.deploy.limits import CLAIMED, DEADLINES_S, Limits
from breakthrough.deploy.variants import EAGER

HOLDS, CONDITIONS, FAILS, UNTESTED = "holds", "holds under conditions", "does not hold", "cannot be tested here"
COMPILED = ("TVM tuned", "TVM int8", "TVM default")  # the way that the claim means, or the nearest to it that ran
PEERS = (EAGER, "torch.compile", "ONNX Runtime", "ONNX Runtime int8")


@dataclass(frozen=True)
class Verdict:
    """A claim as it stands here. Units: `number` is what `sentence` explains."""

    claim: str
    verdict: str
    number: float | None
    sentence: str

    def __str__(self) -> str:
        """Claim, verdict, reason."""
        return f"{self.claim} {self.verdict}: {self.sentence}"


def real_time(found: Limits, way: str | None = None, deadline_s: float = DEADLINES_S[0]) -> Verdict:
    """C10, light nets for real time, none above 50 M parameters: whether the number of parameters tells who is late.

    It does not hold when a net above the claimed number keeps the deadline and one far below misses it. The number is
    the share of log latency's variance that parameters explain.
    """
    way = way or ("ONNX Runtime" if "ONNX Runtime" in found.variants else found.variants[0])
    timed = [net for net in found.nets if net.ms(way) is not None]
    if not any(net.params > CLAIMED for net in timed) or len(timed) < 3:
        return Verdict("C10", UNTESTED, None, f"no net above {CLAIMED / 1e6:.0f} M parameters was timed by {way}")
    kept = [net for net in found.within(deadline_s, way) if net.params > CLAIMED]
    late = [net for net in found.beyond(deadline_s, way) if net.params < CLAIMED]
    share, roof = found.explained("params", way), found.explained("bound_s", way)
    said = [f"{net.params / 1e6:.3g} M ({net.family}) keep {1e3 * deadline_s:.0f} ms at p90" for net in kept[:1]]
    said += [f"{net.params / 1e6:.3g} M ({net.family}, {net.side}² pixels) miss it" for net in late[:1]]
    verdict = FAILS if kept and late else CONDITIONS if kept or late else HOLDS
    explains = f"parameters explain {100 * share:.0f}% of log latency's variance, operations and bytes under the roof {100 * roof:.0f}%"
    return Verdict("C10", verdict, share, f"{way}: " + "; ".join([*said, explains]))


def compiled(found: Table) -> Verdict:
    """C11, a TVM-compiled, quantized model is the way to deploy: whether it is the fastest way in every cell.

    The number is the least speed, in any cell, of the fastest compiled way over the fastest other one.
    """
    cells = {cell: _against(cell) for cell in found.cells}
    if not cells or any(each is None for each in cells.values()):
        return Verdict("C11", UNTESTED, None, "a cell has no time of a compiled net and of another way")
    rows = [(cell, *each) for cell, each in cells.items() if each]
    ahead = [row for row in rows if row[3] >= 1]
    verdict = HOLDS if len(ahead) == len(rows) else CONDITIONS if ahead else FAILS
    said = "; ".join(f"{cell.net}, batch {cell.batch}: {ours} {speed:.2f} × {theirs}" for cell, ours, theirs, speed in rows)
    return Verdict("C11", verdict, min(row[3] for row in rows), said)


def _against(cell: Cell) -> tuple[str, str, float] | None:
    """The fastest compiled way, the fastest other, and how the one's speed is of the other's."""
    names = cell.latencies.names
    ours, theirs = ([name for name in side if name in names] for side in (COMPILED, PEERS))
    if not ours or not theirs:
        return None
    best, peer = (min(side, key=lambda name: cell.latencies[name].p50_s) for side in (ours, theirs))
    return best, peer, cell.latencies.speedup(best, peer).value
