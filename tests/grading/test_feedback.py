"""Feedback: what the learner is told, and that nothing of a submission runs, in a real browser."""

import base64
import html
import json
import re
import shutil
import subprocess

import pytest
from toy_cohort import MODULE, cohort, cohort_template, graded, mark, submit  # noqa: F401

from breakthrough.errors import InputError
from breakthrough.grading import course_config, feedback
from breakthrough.grading.clean_html import LONGEST, MOST_TAGS, clean
from breakthrough.grading.gradebook import GradebookWriter
from breakthrough.grading.outputs import Cleaner, safe_markdown

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


def write(cohort, one):
    with GradebookWriter(cohort) as writer:
        writer.write(one)


def page(cohort, one):
    submit(cohort, one.student)
    write(cohort, one)
    [path] = feedback.write(cohort, MODULE)
    return path.read_text()


def test_a_page_has_scores_diagnosis_and_the_failing_case_and_no_seed(cohort):
    wrong = mark("toy.half", False, diagnosis="twice", says="It doubles: <halve> it.", case="one <row> (seed 4711)", html="<b>card (seed 4711)</b>")
    text = page(cohort, graded(cohort, marks=(mark("toy.double"), wrong), notes=("a cell was split",)))
    assert "40 / 79" in text and "1 / 2" in text
    assert "It doubles: &lt;halve&gt; it." in text and "case: one &lt;row&gt;" in text and "a cell was split" in text
    assert "4711" not in text and "<b>card</b>" in text
    assert "return 2 * x" in text and "Because *twice* is twice." in text
    assert "Content-Security-Policy" in text and "default-src &#39;none&#39;" not in text


def test_people_have_the_last_word_and_the_late_penalty_counts(cohort):
    write(cohort, graded(cohort))
    with course_config.gradebook(cohort) as book:
        grade = book.find_grade("toy-essay", MODULE, MODULE, "ada")
        grade.manual_score, grade.needs_manual_grade = 4.5, False
        book.find_comment("toy-essay", MODULE, MODULE, "ada").manual_comment = "<b>nearly</b>"
        book.find_comment("toy-double-answer", MODULE, MODULE, "ada").manual_comment = "neat"
        book.find_submission_notebook(MODULE, MODULE, "ada").late_submission_penalty = 10
        book.db.commit()
    [path] = feedback.write(cohort, MODULE)
    text = path.read_text()
    assert "64.5 / 79" in text and "&lt;b&gt;nearly&lt;/b&gt;" in text and ">neat<" in text and "late work" in text


def test_nothing_graded_is_said(cohort):
    with pytest.raises(InputError, match="breakthrough cohort grade"):
        feedback.write(cohort, MODULE)
    write(cohort, graded(cohort))
    with pytest.raises(InputError, match="none for bob"):
        feedback.write(cohort, MODULE, ["ada", "bob"])


def test_nbgrader_releases_the_feedback_that_was_written(cohort):
    from nbgrader.auth import Authenticator
    from nbgrader.exchange import ExchangeFactory
    from nbgrader.utils import notebook_hash

    page(cohort, graded(cohort))
    config = course_config.read_config(cohort)
    where = course_config.course_directory(cohort, config, MODULE)
    ExchangeFactory(config=config).ReleaseFeedback(coursedir=where, authenticator=Authenticator(config=config), config=config).start()
    name = notebook_hash(secret="0" * 128, notebook_id=MODULE)
    assert (cohort.folder / "exchange" / "breakthrough" / "feedback" / f"{name}.html").is_file()


# what tries to run; {} is the number under which it would tell
RUN = "void(document.documentElement.dataset.ran=(document.documentElement.dataset.ran||'')+' {}.')"
ACTIVE = [
    "<script>{run}</script>", "<SCRIPT\n>{run}</SCRIPT >", "<img src=x onerror=\"{run}\">", "<svg onload=\"{run}\"><circle r=9 /></svg>",
    "<svg><script>{run}</script></svg>", "<iframe srcdoc=\"<script>with (parent) {run}</script>\"></iframe>", "<details open ontoggle=\"{run}\">x</details>",
    "<body onload=\"{run}\">", "<input autofocus onfocus=\"{run}\">", "<video><source onerror=\"{run}\"></video>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror={bare}&gt;\"></table>",
    "<a href=x style=animation-name:x onanimationstart=\"{run}\">x</a><style>@keyframes x{{}} a{{animation:x 1s}}</style>",
    "<noscript><p title=\"</noscript><img src=x onerror={bare}>\"></noscript>", "<div title='</div><img src=x onerror={bare}>'>x</div>",
    "<b <script>{run}</script>", "<img src=\"x` `<script>{run}</script>\"` `>", "&lt;script&gt;{run}&lt;/script&gt;<template><script>{run}</script></template>",
    "<textarea></textarea><img src=x onerror=\"{run}\"></textarea>", "<xmp><img src=x onerror=\"{run}\"></xmp>", "<plaintext><script>{run}</script>",
    "<object data=\"data:text/html,<script>{run}</script>\"></object>", "</pre></div><script>{run}</script>",
]
LINKS = ["<a id=go href=\"javascript:{run}\">x</a>", "<a id=go href=\"jAvA&#9;script:{run}\">x</a>", "<a id=go href=\" &#1;javascript:{run}\">x</a>"]
CLICK = "<script>document.querySelectorAll('a').forEach(one => {{ if (/script/i.test(one.protocol)) one.click() }})</script>"


def payloads(start=0):
    made = []
    for number, text in enumerate([*ACTIVE, *LINKS], start=start):
        run = RUN.format(number)
        made.append(text.format(run=run, bare=run.replace(" ", "+").replace("+'+'", "+'")))
    return made


def seen(path, text=None):
    """What the page has become in headless Chromium after two seconds of its time."""
    if text is not None:
        path.write_text(text)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
               "--virtual-time-budget=2000", f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "<html" in done.stdout, done.stderr[-2000:]
    return done.stdout


def ran(dom):
    found = re.search(r"<html[^>]*data-ran=\"([^\"]*)\"", dom)
    return found[1].split() if found else []


def test_markup_that_is_cleaned_keeps_what_is_harmless():
    text = '<p>a <b>bold</b> <a href="https://x.org/?a=1&amp;b=2">link</a> 1 &lt; 2</p><table><thead><tr><th style="color: red">h</th></tr></thead></table>'
    assert clean(text) == ('<div>a <b>bold</b> <a href="https://x.org/?a=1&amp;b=2" rel="noopener noreferrer">link</a> 1 &lt; 2</div>'
                           '<table><tr><td style="color:red">h</td></tr></table>')
    assert clean("x < y <unknown>kept</unknown> <b>open") == "x &lt; y kept <b>open</b>"


@pytest.mark.parametrize("text", [
    *payloads(), "<div style='position:fixed;top:0'>x</div>", "<b style='background-color:url(//evil)'>x</b>", "<b style='color:expression(alert(1))'>x</b>",
    "<b class=score id=moe-route>x</b>", "<meta http-equiv=refresh content='0;url=//evil'>", "<link rel=stylesheet href=//evil>", "<base href=//evil>",
    "<form action=//evil><button>x</button></form>", "<img src=//evil>", "<a href='data:text/html,x'>x</a>", "<a href=//evil>x</a>",
])
def test_markup_that_is_cleaned_has_only_known_tags_and_attributes(text):
    tags = re.findall(r"<([^>]*)>", clean(text))
    form = r"/?(a|b|blockquote|code|em|i|li|ol|strong|ul|div|pre|span|table|tr|td)( href=\"https?:[^\"<]*\" rel=\"noopener noreferrer\")?( style=\"color:[a-z]+\")?"
    assert [tag for tag in tags if not re.fullmatch(form, tag)] == []
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize("text", ["<b>" * MOST_TAGS, "<a x='" * MOST_TAGS, "<a " * MOST_TAGS, "<!--" * MOST_TAGS, "&" * LONGEST, "<a " + "x=1 " * 24_000, "</" * MOST_TAGS])
def test_markup_of_any_make_comes_out_whole_and_closed(text):
    cleaned = clean(text)  # the cleaner of nbconvert takes half a minute for some of them
    assert cleaned is not None and cleaned.count("<b>") == cleaned.count("</b>") <= 30
    assert re.sub(r"</?b>", "", cleaned).count("<") == 0


def test_too_much_markup_is_dropped_for_its_text():
    [one] = Cleaner().outputs([{"output_type": "display_data", "data": {"text/html": "x" * (LONGEST + 1), "text/plain": "a table"}}])
    assert one["data"] == {"text/plain": "a table"}


def test_a_table_that_has_a_text_is_shown_as_that():
    """nbconvert's own cleaner, which the formgrader runs once more, shows `<tbody>` in every table."""
    from nbconvert.filters import clean_html

    table = "<table><thead><tr><th>a</th></tr></thead></table>"
    assert "&lt;tbody&gt;" in clean_html(clean(table))
    [one, other] = Cleaner().outputs([{"output_type": "execute_result", "data": data} for data in ({"text/html": table, "text/plain": "a"}, {"text/html": table})])
    assert one["data"] == {"text/plain": "a"} and "<td>a</td>" in other["data"]["text/html"]


def test_what_was_cleaned_is_shown_by_nbconverts_cleaner_as_it_is():
    from nbconvert.filters import clean_html

    text = clean("<h2>a</h2><p>b <code>c</code> &lt; <b>d</b><br><ul><li>e</li></ul><details><summary>f</summary>g</details>")
    assert clean_html(text) == text


def test_outputs_are_rebuilt_from_what_is_known():
    picture = base64.b64encode(b"png").decode()
    cleaned = Cleaner().outputs([
        {"output_type": "display_data", "data": {"image/png": picture, "application/javascript": "x", "text/vnd.mermaid": "x"}, "metadata": {"width": "1 onerror=x"}},
        {"output_type": "display_data", "data": {"image/png": '"><script>'}}, {"output_type": "execute_result", "data": {"text/plain": ["40", "!"]}},
        {"output_type": "stream", "name": "evil", "text": ["a", "b"]}, "no output", {"output_type": "update_display_data"}, {"data": {}},
        {"output_type": "display_data", "data": {"image/svg+xml": "<svg><a:script>x</a:script></svg>", "text/latex": r"$\href{javascript:x}{y}$"}},
        {"output_type": "error", "ename": 1, "evalue": None, "traceback": "x"},
    ])
    assert cleaned == [
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}}, {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "40!"}},
        {"output_type": "stream", "name": "stdout", "text": "ab"}, {"output_type": "error", "ename": "", "evalue": "", "traceback": []}]


@pytest.mark.parametrize("text", ["# A *title*\n\n| a | b |\n|---|---|\n| 1 | 2 |", "1 < 2 and `<b>` [x](https://x.org) $a_1 < b$", "```python\nif a < b: c\n```"])
def test_markdown_without_markup_stays(text):
    assert safe_markdown(text) == text


@pytest.mark.parametrize("text", [
    *payloads(), "[x](javascript:alert(1))", "[x](java&#115;cript:alert(1))", "![x](attachment:none)", "[x]: javascript:alert(1)\n\n[x]", r"$\href{javascript:alert(1)}{x}$",  # codespell:ignore cript
    "```mermaid\nx\n```", "a ~~~~~~ b\n\n<script>1</script>", "![x](data:text/html,x)"])
def test_markdown_that_could_act_is_shown_as_source(text):
    shown = safe_markdown(text)
    assert shown != text and shown.splitlines()[0].startswith("~~~~") and text in shown


def active(cohort):
    """A submission that tries everything everywhere: outputs of every kind, markdown, sources, cards."""
    every = payloads()
    data = [{"text/html": one, "text/plain": one} for one in every]
    data += [{"text/markdown": one} for one in payloads(100)] + [{"text/latex": one} for one in payloads(200)]
    data += [{"image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg" onload="{html.escape(RUN.format(300))}"><script>{RUN.format(301)}</script></svg>'},
             {"application/javascript": RUN.format(302)}, {"image/png": f'x" onerror="{RUN.format(303)}'}]
    outputs = [{"output_type": "display_data", "data": one, "metadata": {"image/png": {"width": f"1 onerror={RUN.format(304)}"}, "text/html": {"isolated": True}}}
               for one in data]
    outputs += [{"output_type": "stream", "name": "stdout", "text": one} for one in payloads(400)]
    outputs += [{"output_type": "error", "ename": one, "evalue": one, "traceback": [one]} for one in payloads(500)]
    cell = {name: tuple(outputs[at::5]) for at, name in enumerate(("cell-01", "cell-02", "cell-04", "mine", "cell-07"))}
    # a picture with sizes that break out of their place, which would be shown as it is
    small = base64.b64encode(b"x").decode()
    cell["cell-02"] += ({"output_type": "display_data", "data": {"image/png": small}, "metadata": {"image/png": {"width": f"1 onerror={RUN.format(305).replace(' ', '')}"}}},)
    wrong = mark("toy.double", False, says=every[0], case=every[2], diagnosis=every[0], plain=every[0], html="".join(payloads(600)))
    return graded(cohort, marks=(wrong, mark("toy.half")), outputs=cell, answer="\n".join(payloads(700)), manual={"toy-essay": "\n\n".join(payloads(800))},
                  notes=tuple(payloads(900)))


@browser
def test_the_payloads_do_run_in_a_page_that_is_not_cleaned(tmp_path):
    """Without this, the tests below could not fail."""
    alone = [ran(seen(tmp_path / f"{n}.html", f"<!doctype html><html><body>{one}{CLICK.format()}</body></html>")) for n, one in enumerate(payloads()[:4])]
    assert alone == [["0."], ["1."], ["2."], ["3."]]
    every = "".join(f"<section>{one}</section>" for n, one in enumerate(payloads()) if "plaintext" not in one and "textarea" not in one and "xmp" not in one)
    assert len(ran(seen(tmp_path / "all.html", f"<!doctype html><html><body>{every}{CLICK.format()}</body></html>"))) >= 12


@browser
def test_nothing_of_a_submission_runs_in_the_feedback_even_without_its_policy(cohort, tmp_path):
    text = page(cohort, active(cohort))
    open_policy = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text).replace("<details>", "<details open>")
    assert open_policy != text and len(text) > 20_000
    dom = seen(tmp_path / "feedback.html", open_policy.replace("</body>", CLICK.format() + "</body>"))
    assert ran(dom) == [] and "onerror" in dom  # as text


@browser
@pytest.mark.parametrize("template", ["formgrade", "feedback"])
def test_nothing_of_a_submission_runs_in_nbgraders_own_pages(cohort, tmp_path, template):
    """The formgrader's page of a submission, and stock feedback, from what the writer wrote."""
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers
    from traitlets.config import Config

    submit(cohort)
    write(cohort, active(cohort))
    config = Config(course_config.read_config(cohort))
    config.HTMLExporter.template_name = template
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    config.Exporter.default_preprocessors = []
    notebook = cohort.autograded("ada", MODULE) / f"{MODULE}.ipynb"
    if template == "feedback":
        from nbgrader.converters import GenerateFeedback

        where = course_config.course_directory(cohort, config, MODULE)
        GenerateFeedback(coursedir=where, config=config).start()
        text = (cohort.feedback("ada", MODULE) / f"{MODULE}.html").read_text()
    else:
        text, _ = HTMLExporter(config=config).from_filename(str(notebook), resources={
            "assignment_id": MODULE, "notebook_id": MODULE, "submission_id": "1", "index": 0, "total": 1, "base_url": "", "student": "ada",
            "last_name": "L", "first_name": "A", "notebook_path": ""})
    assert "toy-double" in text and len(text) > 20_000
    assert ran(seen(tmp_path / "page.html", text.replace("</body>", CLICK.format() + "</body>"))) == []


@browser
def test_what_the_writer_does_is_needed_in_nbgraders_own_pages(cohort, tmp_path):
    """The same notebook with its Markdown as it was submitted: nbgrader's page runs it, sanitize_html or not."""
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers
    from traitlets.config import Config

    write(cohort, graded(cohort))
    notebook = cohort.autograded("ada", MODULE) / f"{MODULE}.ipynb"
    made = json.loads(notebook.read_text())
    for cell in made["cells"]:
        if cell["id"] == "cell-09":
            cell["source"] = payloads()[2]
    (tmp_path / "raw.ipynb").write_text(json.dumps(made))
    config = Config(course_config.read_config(cohort))
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    text, _ = HTMLExporter(config=config).from_filename(str(tmp_path / "raw.ipynb"), resources={
        "index": 0, "total": 1, "base_url": "", "submission_id": "1", "notebook_id": MODULE, "assignment_id": MODULE, "student": "a", "notebook_path": ""})
    assert ran(seen(tmp_path / "page.html", text)) == ["2."]
