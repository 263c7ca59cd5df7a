"""A learner's account, out of the lab's text."""

import pytest

from breakthrough.course import notebooks, syllabus
from breakthrough.course.exchange import rubric, written

SECTIONS = ("setup", "baseline", "verdict")
CELL = """\
## Your account

Your reviewers read this.

### Setup

*Which data, which seeds?*

600 steps, seeds 0 to 2.

```python
# not a heading
x = 1
```

### Verdict, and what would change it

It **holds**.

*italics at the beginning*, and more.

## What next

### Baseline

not part of it
"""


def test_sections_are_found_by_the_word_they_begin_with_and_prompts_are_left_out():
    found = written.account([CELL], SECTIONS)
    assert found["setup"].startswith("600 steps") and "# not a heading" in found["setup"] and "Which data" not in found["setup"]
    assert found["verdict"] == "It **holds**.\n\n*italics at the beginning*, and more." and found["baseline"] == ""


def test_an_account_may_go_over_several_cells():
    found = written.account(["# Lab", "## Your account", "### Setup", "one", "### Baseline\ntwo", "## End", "### Verdict\nno"], SECTIONS)
    assert found == {"setup": "one", "baseline": "two", "verdict": ""}


def test_without_an_account_everything_is_empty():
    assert written.account(["## Review questions\n### Setup\nx"], SECTIONS) == dict.fromkeys(SECTIONS, "")


def test_a_section_is_as_long_as_a_reviewer_can_read():
    assert len(written.account([f"## Your account\n### Setup\n{'x' * 99_999}"], SECTIONS)["setup"]) == written.LONGEST


@pytest.mark.parametrize("module", syllabus.load().labs, ids=lambda module: module.id)
def test_every_lab_asks_for_the_sections_that_its_rubric_is_about(module):
    texts = [cell["source"] for cell in notebooks.read(syllabus.load().lab(module))["cells"] if cell["cell_type"] == "markdown"]
    sections = tuple(rubric.load(module.id).account.sections)
    assert written.account(texts, sections) == dict.fromkeys(sections, "")  # the lab's prompts are no account
    answered = [text.replace("\n*", "\nI did: *") for text in texts]
    assert all(written.account(answered, sections).values())
