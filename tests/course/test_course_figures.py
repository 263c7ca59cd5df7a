"""The pictures of the course: every module, every artifact and the shape are in them."""

from __future__ import annotations

from matplotlib import pyplot

from breakthrough.course import figures, syllabus


def words(figure):
    figure.canvas.draw()
    found = figure.findobj(lambda artist: hasattr(artist, "get_text") and artist.get_visible())
    drawn = [text for text in found if text.get_text().strip()]
    assert min(text.get_fontsize() for text in drawn) >= 9
    assert pyplot.get_fignums() == []
    return [text.get_text() for text in drawn]


def test_the_path_names_every_module_and_what_it_hands_on():
    course = syllabus.load()
    drawn = words(figures.path(course))
    assert {module.title for module in course.modules} <= set(drawn)
    for kind in (kind for module in course.modules[:-1] for kind in module.gives):
        assert any(word.split(" ")[0] == kind for word in drawn), kind
    assert drawn.count("in preparation") == sum(not module.built for module in course.modules)


def test_an_artifact_that_skips_a_module_says_for_whom_it_is():
    assert "moe_lm (for 03)" in words(figures.path(syllabus.load()))


def test_the_shape_is_that_of_the_course():
    course = syllabus.load()
    drawn = words(figures.shape(course))
    assert [word for word in drawn if word.endswith("%")] == ["70%", "20%", "10%"]


def test_shares_are_printed_as_they_are():
    drawn = words(figures.shares(["E0", "E1"], [2.0, 0.0], [0.88, 0.12]))
    assert {"2", "0", "0.88", "0.12"} <= set(drawn)
