"""How long a check takes: every exercise's reference, alternatives and misconceptions, named or not.

Then how far answers to moe.dispatch are from its limit: the loops over tokens above it, the others below.

Run: python benchmarks/exercises.py [room]. The limit is 1 s of one core for all but training exercises.
"""

from __future__ import annotations

import sys
import time

import torch

from breakthrough.exercises import every, judge, load

LIMIT_S = 1.0


def seconds(exercise, answer) -> float:
    """CPU seconds of one judgement."""
    started = time.process_time()
    judge(exercise, answer, 1)
    return time.process_time() - started


def limits(runs: int = 20) -> list[str]:
    """Times of right answers to moe.dispatch over its limit; the names of those judged wrongly in any run."""
    from breakthrough.exercises.moe_speed import LIMIT, loop_over_tokens, times_s

    exercise, odd = load("moe.dispatch"), []
    loops = (exercise.misconceptions[0].answer, *exercise.misconceptions[0].variants)
    print(f"\nmoe.dispatch: a loop over tokens {1e3 * times_s(loop_over_tokens)[1]:.2f} ms; times over the limit:")
    for answer in (exercise.reference, *exercise.alternatives, *loops):
        pairs = [times_s(answer) for _ in range(runs)]
        ratios = sorted(mine / (LIMIT * loop) for mine, loop in pairs)
        print(f"{answer.__name__:<24}{ratios[0]:>8.2f} to {ratios[-1]:.2f} in {runs} runs")
        if (ratios[0] if answer in loops else 1 / ratios[-1]) < 1:
            odd.append(answer.__name__)
    return odd


def main() -> int:
    torch.set_num_threads(1)
    rooms, over = sys.argv[1:], []
    print(f"{'exercise':<16}{'right (s)':>10}{'wrong, slowest (s)':>20}  slowest misconception")
    for exercise in every():
        if rooms and exercise.room not in rooms:
            continue
        judge(exercise, exercise.reference, 0)  # imports and caches
        right = max(seconds(exercise, a) for a in (exercise.reference, *exercise.alternatives))
        ways = [(answer, m.name) for m in exercise.misconceptions for answer in (m.answer, *m.variants)]
        wrong, name = max((seconds(exercise, answer), name) for answer, name in ways)
        print(f"{exercise.name:<16}{right:>10.3f}{wrong:>20.3f}  {name}")
        if max(right, wrong) > LIMIT_S and not exercise.training:
            over.append(exercise.name)
    if not rooms or "moe" in rooms:
        over += limits()
    print(f"over the limit: {', '.join(over) or 'none'}")
    return bool(over)


if __name__ == "__main__":
    raise SystemExit(main())
