"""The checks of a built site find what they are for: each has a fault planted that it must name."""

from html import escape

import pytest

from breakthrough.course import notebooks, release, syllabus
from breakthrough.course.site import checks
from breakthrough.errors import InputError

PAGE = '<html><head><title>t</title></head><body><h1 id="top">Title</h1>{}</body></html>'


def site(folder, body="", **others):
    (folder / "index.html").write_text(PAGE.format(body))
    for name, text in others.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


SOUND = (
    '<a href="sub/page.html#here">x</a> <a href="#top">up</a> <a href="">same</a> <a href="sub/">folder</a> <a href="https://example.org/a#b">out</a>'
    '<a href="mailto:a@example.org">m</a><img src="one.png" alt="words"><img src="data:image/png;base64,AA" alt="words">'
    '<script>const home = "https://example.org";</script><link rel="canonical" href="https://example.org/">'
)


def sound(folder, more=""):
    (folder / "one.png").write_bytes(b"")
    others = {"sub__page_html": PAGE.format('<a name="here"></a><a href="../index.html?q=1#top">back</a>'), "sub__index_html": PAGE.format("")}
    return site(folder, SOUND + more, **others)


def test_a_sound_site_has_no_faults(tmp_path):
    assert checks.faults(sound(tmp_path)) == []


@pytest.mark.parametrize(("planted", "said"), [
    ('<a href="gone.html">x</a>', "a dead link: gone.html"),
    ('<a href="sub/gone/">x</a>', "a dead link: sub/gone/"),
    ('<img src="gone.png" alt="words">', "a dead link: gone.png"),
    ('<a href="sub/page.html#nowhere">x</a>', "a dead anchor: sub/page.html#nowhere"),
    ('<a href="#nowhere">x</a>', "a dead anchor: #nowhere"),
    ('<a href="../up.html">x</a>', "a link out of the folder: ../up.html"),
    ('<a href="/absolute.html">x</a>', "a link out of the folder: /absolute.html"),
    ('<a href="https:/one-slash">x</a>', "an address that is none: https:/one-slash"),
    ('<a href="javascript:alert(1)">x</a>', "an address that is none: javascript:alert(1)"),
    ('<script src="https://cdn.example.org/x.js"></script>', "something from the network: https://cdn.example.org/x.js"),
    ('<script src="//cdn.example.org/x.js"></script>', "something from the network: //cdn.example.org/x.js"),
    ('<link rel="stylesheet" href="https://fonts.example.org/f.css">', "something from the network: https://fonts.example.org/f.css"),
    ('<img srcset="one.png 1x, https://example.org/2.png 2x" src="one.png" alt="words">', "something from the network: https://example.org/2.png"),
    ('<p style="background:url(https://example.org/b.png)">x</p>', "something from the network: https://example.org/b.png"),
    ('<style>@import "https://example.org/i.css";</style>', "something from the network: https://example.org/i.css"),
    ('<script type="module">import m from "https://cdn.example.org/m.mjs"</script>', "a script loads from the network"),
    ('<script>fetch("https://example.org/count")</script>', "a script loads from the network"),
    ('<p id="top">again</p>', "the anchor 'top' stands 2 times"),
    ('<img src="one.png">', "a picture without words: one.png"),
])
def test_a_planted_fault_is_named(tmp_path, planted, said):
    found = checks.faults(sound(tmp_path, planted))
    assert len(found) == 1 and found[0].startswith(f"index.html: {said}"), found


def test_a_style_sheet_that_loads_from_the_network_is_found(tmp_path):
    folder = site(tmp_path, '<link rel="stylesheet" href="s.css">', s_css='@font-face{src:url("https://fonts.example.org/f.woff2")} a{b:url(gone.png)}')
    assert checks.faults(folder) == ["s.css: something from the network: https://fonts.example.org/f.woff2", "s.css: a dead link: gone.png"]


def test_no_site_is_said_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(InputError, match="got none; try breakthrough docs"):
        checks.faults(tmp_path)


def test_outside_addresses_are_listed(tmp_path):
    assert dict(checks.external(checks.read(sound(tmp_path)))) == {"https://example.org/a#b": 1, "mailto:a@example.org": 1, "https://example.org/": 1}


def test_a_planted_solution_is_found_and_a_released_line_is_not():
    course = syllabus.load()
    secret = checks._secret(course)
    for module in course.labs:
        lines = set(release.solution_lines(notebooks.read(course.solution(module))))
        assert len(lines & secret) > 20, module.id  # a check that looks for nothing finds nothing
        public = {line.strip() for cell in notebooks.read(course.lab(module))["cells"] for line in cell["source"].splitlines()}
        assert not secret & public


def test_a_solution_on_a_page_is_found_however_it_is_coloured(tmp_path):
    course = syllabus.load()
    line = min(checks._secret(course))
    coloured = escape(line).replace(" ", "</span> <span>")
    folder = site(tmp_path, f"<pre>x\n    <span>{coloured}</span>\ny</pre>", search_js=f"x = 1 {release.BEGIN}")
    assert checks.faults(folder, course) == [f"index.html: the solution line {line!r}", f"search.js: the marker {release.BEGIN!r}"]
