"""Works without people: names go, programs stay programs."""

import ast
import time

import pytest

from breakthrough.grading.peers import anonymous
from breakthrough.grading.students import Student

ADA = Student("ada", "Ada", "Lovelace", "ada@x.org", "90125")
ALL = anonymous.people([ADA, Student("max99", "Max", "Müller", "mm@x.org"), Student("w1", "Will", "Smith"), Student("jl", "Jean-Luc", "Picard")])
MINE = ALL.of(ADA)


@pytest.mark.parametrize(("text", "left"), [
    ("by Ada Lovelace, ADA's own", "by [removed] [removed], [removed]'s own"),
    ("write to ada@x.org or somebody@else.net", "write to [removed] or [removed]"),
    ("number 90125, id ada, not 901256", "number [removed], id [removed], not 901256"),
    ("/home/ada/labs/x.py, /root/work and C:\\Users\\Ada L\\x", "~/labs/x.py, ~/work and ~\\x"),
    ("thanks to Max Müller and Jean-Luc", "thanks to [removed] [removed] and [removed]"),
    ("see https://github.com/lovelace/moe/blob/x.py there", "see [removed] there"),
    ("it will do; the max of all; adaptive", "it will do; the max of all; adaptive"),
])
def test_people_are_taken_out_of_a_text(text, left):
    assert MINE.without(text) == left


def test_in_a_program_only_comments_and_strings_change():
    source = 'def route(x):\n    """Ada\'s."""\n    # by Max\n    ada = max(x)  # ada@x.org\n    return f"{ada} for Ada" + \'Müller\'\n'
    left = MINE.without_in_code(source)
    assert "ada = max(x)" in left and "return f" in left and "{ada}" in left
    for gone in ("Ada", "Max", "Müller", "@"):
        assert gone not in left
    ast.parse(left)


@pytest.mark.parametrize("source", ["def f(:\n  # Ada", "'''Ada", "x = (1,\n# Ada", "\tif\n  x\n# Ada", ""])
def test_what_is_no_program_loses_names_everywhere(source):
    assert "Ada" not in MINE.without_in_code(source)


def test_names_in_the_code_itself_are_for_a_person_to_look_at():
    assert MINE.suspects("max99_route = 1\nadaptive = maximum(2)\n") == ["max99_route"]


def test_a_large_cohorts_names_cost_no_more_than_a_small_ones():
    word = str.maketrans("0123456789", "abcdefghij")
    many = anonymous.people(Student(f"s{i}", f"First{i}".translate(word), f"Last{i}".translate(word)) for i in range(3000))
    text = "lorem ipsum Firstbcd dolor " * 2000
    started = time.perf_counter()
    assert "Firstbcd" not in many.without(text)
    assert time.perf_counter() - started < 5
