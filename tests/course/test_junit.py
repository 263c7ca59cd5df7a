"""Results as JUnit XML: what readers of it look at is there, and survives any text."""

import xml.etree.ElementTree as xml

from breakthrough.course import junit
from breakthrough.course.results import Result

GOOD = Result("01_toy lesson", "01_toy", "lesson", "passed", 1.25, 9, 9)
BAD = Result("01_toy lab", "01_toy", "lab", "short", 2.5, 30, 70, error="not passed: toy.double",
             checks={"toy.double": {"status": "wrong", "points": 0, "of": 40, "says": "half of <it>"}, "toy.half": {"status": "passed", "points": 30, "of": 30}})


def written(tmp_path, *suites):
    junit.write(tmp_path / "deep" / "out.xml", suites)
    return xml.parse(tmp_path / "deep" / "out.xml").getroot()


def test_a_notebook_is_a_case_with_its_time_and_what_went_wrong(tmp_path):
    [suite] = written(tmp_path, junit.of_results([GOOD, BAD]))
    assert suite.attrib == {"name": "breakthrough run", "tests": "2", "failures": "1", "errors": "0", "skipped": "0", "time": "3.750"}
    good, bad = suite
    assert good.attrib == {"classname": "01_toy", "name": "01_toy lesson", "time": "1.250"} and not list(good)
    [failure] = bad
    assert failure.get("message") == "short: not passed: toy.double"
    assert failure.text.splitlines() == ["short: not passed: toy.double", "toy.double: wrong. half of <it>"]


def test_what_was_not_executed_again_took_no_time(tmp_path):
    [suite] = written(tmp_path, junit.of_results([Result(**{**vars(GOOD), "resumed": True})]))
    assert suite.get("time") == suite[0].get("time") == "0.000"


def test_any_text_is_valid_xml(tmp_path):
    text = "\x1b[31mred\x1b[0m & <tag> \x00 \ud800 é 中 𝄞\nsecond ]]>"
    [suite] = written(tmp_path, junit.Suite("s", (junit.Case("g", "n <1>", failure=text),)))
    assert suite[0][0].text == "[31mred[0m & <tag>   é 中 𝄞\nsecond ]]>"


def test_no_suite_is_a_file_too(tmp_path):
    assert list(written(tmp_path)) == []


def test_what_pytest_wrote_is_read(tmp_path):
    (tmp_path / "a.xml").write_text('<testsuites><testsuite><testcase classname="c" name="a" time="0.5"/><testcase classname="c" name="b" time="1">'
                                    '<failure message="m">long</failure></testcase><testcase classname="c" name="d"><error message="e"/></testcase></testsuite></testsuites>')
    assert junit.read(tmp_path / "a.xml") == [
        junit.Case("c", "a", 0.5), junit.Case("c", "b", 1.0, "m\nlong"), junit.Case("c", "d", 0.0, "e")]
    assert junit.read(tmp_path / "none.xml") == []
