"""Assigning reviews and making the packets: three works of others and one calibration specimen for everybody.

Called again, it works in who came late, spreads what those who left or were dropped had to review, and leaves alone what
was handed out before.
"""

from __future__ import annotations

import random
import secrets
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from breakthrough import files
from breakthrough.course import syllabus
from breakthrough.course.exchange import assigning, rubric as rubrics, sheet, specimens, works as exchange_works
from breakthrough.course.exchange.works import Work
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, run, seed as seeds, students
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.peers import anonymous, disguise, rounds, works
from breakthrough.grading.peers.rounds import NAMES, Handout, Packet, Round
from breakthrough.language import counted
from breakthrough.seeds import derive

SPECIMENS = 3  # different ones in a cohort, so that neighbours compare less
ZIP_TIME = (2000, 1, 1, 0, 0, 0)  # a file's time may tell whose it is
Watch = Callable[[int, int], None]  # done, of


@dataclass(frozen=True)
class Assigned:
    """What was assigned: the round, whose packets are new or changed, and what a person should look at."""

    round: Round
    packets: tuple[Path, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """What the command prints."""
        loads = [len(self.round.given[one]) for one in self.round.reviewers]
        read = [author for many in self.round.given.values() for author in many]
        counts = [read.count(author) for author in set(read)] or [0]
        lines = [f"{counted(len(set(read)), 'work')}, {counted(len(loads), 'reviewer')}: {_range(counts)} reviews a work, {_range(loads)} works a reviewer and a specimen each"]
        lines += [f"look at {note}" for note in self.notes]
        where = f", as {self.packets[0]}" if self.packets else ""
        return [*lines, f"{counted(len(self.packets), 'packet')} to hand out{where}"]


def assign(cohort: Cohort, module: str, *, k: int = assigning.K, drop: Collection[str] = (), missing: bool = False,
           watch: Watch | None = None) -> Assigned:
    """Assign the reviews of a module's submissions, and write the packets that are new or changed.

    Who is in `drop` reviews no more, and with `missing` whoever has handed no reviews in; others review in their place.

    Raises: InputError without a release, with fewer than two submissions, for somebody in `drop` who reviews nothing
    """
    with rounds.writing(cohort, module):
        before = rounds.read(cohort, module) if rounds.there(cohort, module) else None
        found = before or _new(cohort, module, k)
        found = rounds.release(found, _released(cohort, found, drop, missing))
        there = submitted(cohort, module)
        released = {one.reviewer for one in found.packets if one.released}
        if len(there) < 2:
            raise InputError(expected(f"two submissions of {module} at least", len(there), f"breakthrough cohort collect {module}"))
        given = assigning.assign(
            [one for one in there if one not in released], there, k=found.k, seed=_seed(cohort, found, "reviews"),
            before=rounds.earlier_pairs(cohort, module) | found.pairs, given=found.given)
        made = replace(found, packets=_packets(cohort, found, given))
        changed = [one for one in made.packets if not one.released and (before is None or before.packet_of(one.reviewer) != one)]
        paths, notes = _write(cohort, made, changed, watch)
        rounds.write(cohort, made)
        return Assigned(made, paths, notes)


def submitted(cohort: Cohort, module: str) -> list[str]:
    """Those who have handed the module's lab in, and are in the gradebook."""
    with course_config.gradebook(cohort) as gradebook:
        known = {one.id for one in students.of(gradebook)}
    return sorted(path.parent.name for path in (cohort.folder / "submitted").glob(f"*/{module}") if path.is_dir() and path.parent.name in known)


def specimen(cohort: Cohort, found: Round, number: int) -> specimens.Specimen:
    """A round's calibration specimen, with its key. It is drawn from the cohort's secret seed, and stored nowhere."""
    return specimens.specimen(found.module, _seed(cohort, found, "specimen", number), names=found.exercises)


def _new(cohort: Cohort, module: str, k: int) -> Round:
    if k < 1:
        raise InputError(expected("at least 1 review for each work", k))
    secret = seeds.seed_of(cohort)
    exercises = tuple(specimens.exercises(module, derive(secret, "peers", module, "exercises")))
    return Round(module, k, seeds.seed_id(secret), SPECIMENS, exercises)


def _seed(cohort: Cohort, found: Round, *names: str | int) -> int:
    secret = seeds.seed_of(cohort)
    if seeds.seed_id(secret) != found.seed_id:
        raise InputError(expected(f"the seed {found.seed_id} that the reviews of {found.module} were assigned with", seeds.seed_id(secret), "the seed from a backup"))
    return derive(secret, "peers", found.module, *names)


def _released(cohort: Cohort, found: Round, drop: Collection[str], missing: bool) -> frozenset[str]:
    unknown = sorted(set(drop) - set(found.reviewers))
    if unknown:
        raise InputError(expected(f"somebody who reviews {found.module}", ", ".join(unknown), "their id, as in the list of students"))
    handed = {path.stem for path in (rounds.folder(cohort, found.module) / "handed").glob("*.json")}
    return frozenset({*drop, *(one for one in found.reviewers if missing and one not in handed)})


def _packets(cohort: Cohort, found: Round, given: assigning.Given) -> tuple[Packet, ...]:
    """The packets with what is given now. A work keeps its name in a packet; a new one gets the next."""
    lot = random.Random(_seed(cohort, found, "packets", len(found.packets)))
    kept = [one for one in found.packets if one.released]
    newcomers = sorted(set(given) - {one.reviewer for one in found.packets})
    lot.shuffle(newcomers)
    open_ones = [packet for packet in found.packets if not packet.released and packet.reviewer in given]
    kept += [replace(packet, handouts=_grown(packet, given[packet.reviewer])) for packet in open_ones]
    for place, reviewer in enumerate(newcomers):
        many = [Handout("", author) for author in given[reviewer]] + [Handout("", specimen=(len(kept) + place) % found.specimens)]
        lot.shuffle(many)
        handouts = tuple(replace(one, name=name) for one, name in zip(many, NAMES, strict=False))
        kept.append(Packet(secrets.token_hex(8), reviewer, handouts))
    return tuple(sorted(kept, key=lambda one: one.reviewer))


def _grown(packet: Packet, authors: Sequence[str]) -> tuple[Handout, ...]:
    # what was handed out stays, whoever left: a letter never comes to mean another work
    new = [author for author in authors if author not in packet.authors]
    return (*packet.handouts, *(Handout(name, author) for name, author in zip(NAMES[len(packet.handouts):], new, strict=False)))


def _write(cohort: Cohort, found: Round, packets: Sequence[Packet], watch: Watch | None) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the packets as zips; and what a person should look at before they go out."""
    lab, rubric = run.lab_of(cohort, found.module), rubrics.load(found.module)
    sections = tuple(rubric.account.sections)
    with course_config.gradebook(cohort) as gradebook:
        listed = students.of(gradebook)
    imports, stubs = disguise.imports_of(lab), disguise.stubs_of(lab)
    everybody, by_id = anonymous.people(listed), {one.id: one for one in listed}
    authors = sorted({one.author for packet in packets for one in packet.handouts if one.author})
    texts: dict[str, Work] = {}
    notes: list[str] = []
    total = len(authors) + len(packets)
    for author in authors:
        seen = works.shown(lab, cohort.submitted(author, found.module), found.exercises, sections, everybody.of(by_id[author]))
        texts[author] = Work(seen.code, seen.account, imports=imports)
        notes += [f"{author}'s work: {note}" for note in seen.notes]
        if watch:
            watch(len(texts), total)
    drawn = [specimen(cohort, found, number) for number in range(found.specimens)]
    made = [Work(disguise.in_lab_form(one.code, stubs, imports), one.account, imports=imports) for one in drawn]
    title = syllabus.load(cohort.project).find(found.module).title
    paths = []
    for done, packet in enumerate(packets, start=len(authors) + 1):
        inside = {one.name: made[one.specimen] if one.calibrates else texts[one.author] for one in packet.handouts}
        paths.append(_zip(rounds.folder(cohort, found.module) / "packets" / f"{packet.reviewer}.zip", found, packet, inside, rubric, title))
        if watch:
            watch(done, total)
    return tuple(paths), tuple(notes)


def _zip(target: Path, found: Round, packet: Packet, inside: dict[str, Work], rubric: rubrics.Rubric, title: str) -> Path:
    with TemporaryDirectory(prefix="breakthrough-packet-") as scratch:
        folder = Path(scratch) / found.module
        about = exchange_works.Packet(module=found.module, packet=packet.token, code={name: dict(work.code) for name, work in inside.items()})
        sheet.write(folder, found.module, about, inside, rubric, title)
        with files.aside(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    entry = zipfile.ZipInfo(str(path.relative_to(folder.parent)), ZIP_TIME)
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
