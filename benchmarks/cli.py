"""How long the command line takes to start: the median of several processes, against 0.5 s.

    breakthrough bench cli [--repeat 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

LIMIT_S = 0.5
COMMANDS = (["--help"], ["run", "--help"], ["progress"], ["claims"], ["report"], ["doctor"])


def start_s(arguments: list[str], repeat: int) -> list[float]:
    """Wall time of a command in a new process, sorted.

    Units: seconds
    """
    taken = []
    for _ in range(repeat + 1):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "breakthrough.cli", *arguments], stdout=subprocess.DEVNULL, check=False)
        taken.append(time.perf_counter() - begin)
    return sorted(taken[1:])  # the first one fills the disk's cache


def main() -> int:
    """Print a line for every command; 1 when one is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=9)
    repeat = parser.parse_args().repeat
    bare = statistics.median([_python_s() for _ in range(repeat)])
    print(f"{'python -c pass':<24}{bare:6.3f} s")
    slow = False
    for arguments in COMMANDS:
        taken = start_s(arguments, repeat)
        median = statistics.median(taken)
        slow |= median > LIMIT_S
        print(f"{' '.join(arguments):<24}{median:6.3f} s  ({taken[0]:.3f} to {taken[-1]:.3f})  {'ABOVE' if median > LIMIT_S else 'within'} {LIMIT_S} s")
    return int(slow)


def _python_s() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
