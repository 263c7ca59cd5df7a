"""How fast the split grader is beside stock nbgrader, what its sandbox costs, and how much memory it takes.

Each part in turns (A B A B …), medians and extremes:
  stock    lab 01 graded by `breakthrough cohort grade`, one worker, and by `nbgrader autograde`: the same folder, the same
           submissions, some of them in each turn, gradebook and files written by both. Three times: the lab's answers and checks
           alone, which compares the graders; all of them but moe.prove, whose check takes longest in either; and the whole lab
           at profile tiny with its artifact, where stock trains and draws what the cells say and the split grader measures
           the artifact instead. Goal: 3 times stock's throughput.
  workers  one worker, then two, Ray running. Goal: 1.6 times as fast.
  sandbox  a student's process: fork, namespaces, a cell, end, against a fork with limits only; the same for whole submissions; and a
           fresh bubblewrap with its imports for each submission, which is what sharing them saves. Goal: at most 50 ms.
  memory   grader, workers and sandboxes together over 1,000 submissions of two exercises: the first hundred, the last.

Run: breakthrough bench grading [--only stock,sandbox] [--submissions 40] [--rounds 3] [--quick]. About an hour on two
quiet cores, most of it stock's. The whole run writes benchmarks/results/grading-cpu.md; --quick sees that it works.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import _grading_cohort as cohorts
from _grading_memory import Watch

from breakthrough import devices, files
from breakthrough.grading import grade, run, sandbox
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.grade import Task
from breakthrough.grading.records import ProgramCell
from breakthrough.grading.run import Way
from breakthrough.grading.session import Session

PARTS = ("stock", "workers", "sandbox", "memory")
RESULTS = Path(__file__).resolve().parent / "results" / "grading-cpu.md"
PACKAGES = ("torch", "numpy", "nbgrader", "nbconvert", "ray")
GOAL_STOCK, GOAL_WORKERS, GOAL_SANDBOX_S = 3.0, 1.6, 0.05
FORKS = 50
TELL = """Stock runs each notebook in a fresh kernel, cell by cell, and its checks there; the split grader runs what the checks need in a
fork of a warm process, and judges from another process. With the experiment's cells, stock's time is mostly training: so
the graders are compared on the lab without them, and the whole lab stands beside it."""


@dataclass
class Page:
    """What is printed, and kept."""

    lines: list[str] = field(default_factory=list)

    def say(self, *lines: str) -> None:
        """Print lines and keep them."""
        self.lines += lines
        print(*lines, sep="\n", flush=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print and keep a table."""
        self.say("", "| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows), "")


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """The median, and the extremes."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def timed(job: Callable[[], object]) -> float:
    """Seconds that a job takes."""
    began_s = time.perf_counter()
    job()
    return time.perf_counter() - began_s


def stock(page: Page, home: Path, chosen: argparse.Namespace) -> None:
    """The split grader and stock nbgrader on the same folder."""
    page.say("", "## Beside stock nbgrader", "", TELL, "")
    rows = []
    for form, count in ((cohorts.CHECKS, chosen.submissions), (cohorts.SHORT, chosen.short), (cohorts.WHOLE, chosen.whole)):
        cohort = cohorts.make(home, form, count)
        ours, theirs, each = [], [], []
        for number, names in enumerate(_turns(cohort, chosen.turns), 1):
            began_s = time.perf_counter()
            graded = run.run(cohort, cohorts.MODULE, Way(1), students=names, again=True).graded
            ours.append((time.perf_counter() - began_s) / len(names))
            took_s, theirs_share = cohorts.stock(cohort, home / f"stock-{form}-{number}", names)
            theirs.append(took_s / len(names))
            each += [one.duration_s for one in graded]
            share = sum(one.points for one in graded) / sum(one.of for one in graded)
            page.say(f"- {form}, turn {number}, {len(names)} submissions: {ours[-1] * len(names):.0f} s, {share:.1%} of the points; stock {took_s:.0f} s, {theirs_share:.1%}")
        ratio = [b / a for a, b in zip(ours, theirs)]
        goal = f" (goal {GOAL_STOCK:g})" if form == cohorts.CHECKS else ""
        rows.append([f"{form}, {count} in {len(ours)} turns", spread(ours), spread(each), spread(theirs), spread(ratio, ".1f") + goal])
    page.table(["lab 01", "split grader, s a submission, in all", "of it grading", "stock, s a submission, in all", "throughput over stock"], rows)


def _turns(cohort: Cohort, count: int) -> list[list[str]]:
    """The students, shared out over turns."""
    names = _names(cohort)
    size = -(-len(names) // count)
    return [names[at : at + size] for at in range(0, len(names), size)]


def workers(page: Page, home: Path, chosen: argparse.Namespace) -> None:
    """One worker and two."""
    from breakthrough.cluster import start_ray

    page.say("## Workers")
    cohort = _cohort(home, cohorts.CHECKS, chosen.submissions)
    rules, todo = _work(cohort)
    start_ray(2)
    one, two = [], []
    for _ in range(chosen.rounds):
        one.append(timed(lambda: list(run.results(todo, rules, Way(1)))))
        two.append(timed(lambda: list(run.results(todo, rules, Way(2)))))
    count = len(todo)
    ratio = [a / b for a, b in zip(one, two)]
    rows = [[str(n), spread(found, ".1f"), spread([s / count for s in found])] for n, found in ((1, one), (2, two))]
    page.table(["workers", f"{count} submissions, s, with the start of their warm processes", "s a submission"], rows)
    page.say(f"Two workers are {spread(ratio)} times as fast as one (goal {GOAL_WORKERS:g}).")


def sandboxes(page: Page, home: Path, chosen: argparse.Namespace) -> None:
    """What the sandbox costs a student's process, and a submission."""
    page.say("", "## The sandbox")
    cohort = _cohort(home, cohorts.CHECKS, chosen.submissions)
    rules, todo = _work(cohort)
    lab = todo[0].lab
    modules, material = grade.warm_modules(lab), grade.material(lab)
    forks: dict[str, list[float]] = {"namespaces, limits, filter": [], "a fork with limits": []}
    whole: dict[str, list[float]] = {name: [] for name in forks}
    with sandbox.Nest(modules, material) as nest, sandbox.Nest(modules, sandboxed=False) as plain:
        nests = dict(zip(forks, (nest, plain)))
        points = set()
        for name in forks:  # what is imported and filled on first use
            _one_process(nests[name])
            points.add(grade.grade(todo[0], rules, nests[name]).points)
        if len(points) > 1 or not max(points):
            raise SystemExit(f"with and without a sandbox: {points} points")
        for _ in range(chosen.forks):
            for name, found in forks.items():
                found.append(timed(lambda: _one_process(nests[name])))
        for task in todo[: chosen.apart]:
            for name, found in whole.items():
                found.append(timed(lambda: grade.grade(task, rules, nests[name])))
    fresh = [timed(lambda task=task: _fresh(task, rules, modules, material)) for task in todo[:chosen.fresh]]
    rows = [[name, spread([1e3 * s for s in forks[name]], ".1f"), spread(whole[name], ".3f")] for name in forks]
    rows.append(["bubblewrap and imports anew", "–", spread(fresh, ".2f")])
    page.table(["a student's process", "start, a cell, end: ms", "a submission: s"], rows)
    names = list(forks)
    more = [1e3 * (a - b) for a, b in zip(forks[names[0]], forks[names[1]])]
    in_all = [1e3 * (a - b) for a, b in zip(whole[names[0]], whole[names[1]])]
    page.say(f"The sandbox costs a process {spread(more, '.1f')} ms, a submission {spread(in_all, '.1f')} ms, in pairs (goal {1e3 * GOAL_SANDBOX_S:g}).",
             f"Sharing the warm imports makes a submission {statistics.median(fresh) / statistics.median(whole[names[0]]):.1f} times as fast.")


def memory(page: Page, home: Path, chosen: argparse.Namespace) -> None:
    """The most memory over many submissions."""
    page.say("", "## Memory")
    cohort = _cohort(home, cohorts.LIGHT, chosen.many)
    hundred = max(1, chosen.many // 10)

    with Watch() as watch:

        def count(*_: object) -> None:
            watch.done += 1

        took_s = timed(lambda: run.run(cohort, cohorts.MODULE, Way(2), again=True, watch=count))
    rows = [[f"{first + 1} to {last}", f"{watch.peak(first, last) / 2**20:.0f}"] for first, last in
            ((0, hundred), (chosen.many // 2, chosen.many // 2 + hundred), (chosen.many - hundred, chosen.many))]
    page.table(["submissions", "most memory in all, MiB"], rows)
    page.say(f"{chosen.many} submissions of two exercises by two workers in {took_s:.0f} s, {took_s / chosen.many:.2f} s each; grader, gradebook, Ray, warm processes and "
             f"students' processes together, looked at {len(watch.looks)} times (PSS: what they share counts once).")


def _cohort(home: Path, form: str, count: int) -> Cohort:
    from breakthrough.grading.cohort import load

    return load(home / form) if (home / form).is_dir() else cohorts.make(home, form, count)


def _work(cohort: Cohort) -> tuple[grade.Rules, list[Task]]:
    lab = run.lab_of(cohort, cohorts.MODULE)
    return run.rules_of(cohort, Way(1)), [Task(name, cohorts.MODULE, cohort.submitted(name, cohorts.MODULE), lab) for name in _names(cohort)]


def _names(cohort: Cohort) -> list[str]:
    return sorted(path.parent.name for path in (cohort.folder / "submitted").glob(f"*/{cohorts.MODULE}"))


def _one_process(nest: sandbox.Nest) -> None:
    session = Session(nest)
    session.run(ProgramCell("cell", "x = 1", "added"))
    session.end()


def _fresh(task: Task, rules: grade.Rules, modules: Sequence[str], material: Sequence[Path]) -> None:
    with sandbox.Nest(modules, material) as nest:
        grade.grade(task, rules, nest)


def head() -> list[str]:
    """What the figures hang on."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return [f"# Grading, {devices.cores()} CPU cores, {time.strftime('%Y-%m-%d')}", "",
            f"Python {platform.python_version()}, {versions}; {sandbox.tier()}. {_processor()}. Medians, extremes in brackets."]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder to work in, with its own seeds, log and store."""
    with tempfile.TemporaryDirectory(prefix="grading-") as temporary:
        home = Path(temporary)
        for variable, name in (("BREAKTHROUGH_SEEDS", "seeds"), ("BREAKTHROUGH_PROGRESS", "progress"), ("BREAKTHROUGH_ARTIFACTS", "store")):
            os.environ[variable] = str(home / name)
        yield home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--submissions", type=int, default=40, help="of the lab's checks")
    parser.add_argument("--whole", type=int, default=4, help="submissions of the whole lab, a minute each for stock")
    parser.add_argument("--short", type=int, default=20, help="submissions of the lab's checks without moe.prove")
    parser.add_argument("--turns", type=int, default=4, help="over which submissions are shared out, beside stock")
    parser.add_argument("--rounds", type=int, default=2, help="of one worker and two")
    parser.add_argument("--many", type=int, default=1000, help="submissions of the part memory")
    parser.add_argument("--quick", action="store_true", help="few of everything, one round: does it work?")
    parser.add_argument("--out", type=Path, help=f"where the page is kept; a whole run keeps it as {RESULTS.name}")
    chosen = parser.parse_args()
    chosen.forks, chosen.fresh, chosen.apart = FORKS, 5, 20
    if chosen.quick:
        for name, value in {"submissions": 3, "short": 3, "whole": 1, "turns": 1, "rounds": 1, "many": 20, "forks": 5, "fresh": 1, "apart": 2}.items():
            setattr(chosen, name, value)
    parts = chosen.only.split(",")
    page = Page()
    page.say(*head())
    with _scratch() as home:
        for name, part in zip(PARTS, (stock, workers, sandboxes, memory)):
            if name in parts:
                part(page, home, chosen)
    whole = set(parts) == set(PARTS) and not chosen.quick
    if out := chosen.out or (RESULTS if whole else None):
        files.write_text(out, "\n".join(page.lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
