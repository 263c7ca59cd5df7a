"""How long a check takes: every exercise's reference, alternatives and misconceptions.

Run: python benchmarks/exercises.py [room]. The limit is 1 s of one core for all but training exercises.
"""

from __future__ import annotations

import sys
import time

import torch

from breakthrough.exercises import every, judge

LIMIT_S = 1.0


def seconds(exercise, answer) -> float:
    """CPU seconds of one judgement."""
    started = time.process_time()
    judge(exercise, answer, 1)
    return time.process_time() - started


def main() -> int:
    torch.set_num_threads(1)
    rooms, over = sys.argv[1:], []
    print(f"{'exercise':<16}{'right (s)':>10}{'wrong, slowest (s)':>20}  slowest misconception")
    for exercise in every():
        if rooms and exercise.room not in rooms:
            continue
        judge(exercise, exercise.reference, 0)  # imports and caches
        right = max(seconds(exercise, a) for a in (exercise.reference, *exercise.alternatives))
        wrong, name = max((seconds(exercise, m.answer), m.name) for m in exercise.misconceptions)
        print(f"{exercise.name:<16}{right:>10.3f}{wrong:>20.3f}  {name}")
        if max(right, wrong) > LIMIT_S and not exercise.training:
            over.append(exercise.name)
    print(f"over {LIMIT_S} s: {', '.join(over) or 'none'}")
    return bool(over)


if __name__ == "__main__":
    raise SystemExit(main())
