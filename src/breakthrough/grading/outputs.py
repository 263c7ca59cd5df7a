"""Outputs of a submission, rebuilt as plain notebook outputs that cannot run where a person looks at them.

nbgrader's formgrader and feedback show Markdown cells as they are, whatever `sanitize_html` says, and put sizes of
pictures into a tag without quotes. So what is written is safe by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from typing import Any

from breakthrough.grading.clean_html import allowed_link, clean

Output = dict[str, Any]
MOST_OUTPUTS, LONGEST_TEXT, LONGEST_PICTURE, MOST_LINES = 100, 50_000, 3_000_000, 1_000
MOST_HTML = 300_000  # characters of all HTML in a notebook: the formgrader cleans it once more, slowly
LONGEST_MARKDOWN = 20_000
CUT = "\n… cut here by the grader"
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
# MathJax' commands that make links, load code or change the page
_ACTIVE_TEX = re.compile(r"\\(href|url|require|unicode|style|class|cssId|html|htmlData|data|bbox|mmlToken|let|def|newcommand|renewcommand|newenvironment)\b")
_ACTIVE_SVG = re.compile(r"<\s*([\w-]+:)?(script|foreignobject|iframe|object|embed|handler|set|animate\w*)\b|\bon\w+\s*=|javascript:|<!entity", re.IGNORECASE)


class Cleaner:
    """Cleans the outputs of one submission; the HTML of all of them counts against one budget."""

    def __init__(self) -> None:
        self.html_left = MOST_HTML

    def outputs(self, outputs: Iterable[Mapping[str, Any]]) -> list[Output]:
        """Outputs with only what is known, harmless and of a bearable size."""
        made = []
        for output in outputs:
            one = self._one(output) if isinstance(output, Mapping) else None
            if one is not None:
                made.append(one)
            if len(made) == MOST_OUTPUTS:
                return [*made, stream("… more outputs cut by the grader\n")]
        return made

    def html(self, text: str) -> str | None:
        """Clean HTML, while there is room for it."""
        cleaned = clean(text)
        if cleaned is None or len(cleaned) > self.html_left or _ACTIVE_TEX.search(cleaned):
            return None
        self.html_left -= len(cleaned)
        return cleaned

    def _one(self, output: Mapping[str, Any]) -> Output | None:
        kind = output.get("output_type")
        if kind == "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            return stream(text_of(output.get("text")), name)
        if kind == "error":
            lines = output.get("traceback")
            trace = [text_of(line) for line in lines[-100:]] if isinstance(lines, list | tuple) else []
            return error(text_of(output.get("ename"))[:200], text_of(output.get("evalue"))[:2000], trace)
        if kind in ("display_data", "execute_result") and isinstance(output.get("data"), Mapping):
            data = self._data(output["data"])
            return display(data) if data else None
        return None

    def _data(self, data: Mapping[str, Any]) -> dict[str, str]:
        kept: dict[str, str] = {}
        if "text/plain" in data:
            kept["text/plain"] = text_of(data["text/plain"])
        html = data.get("text/html")
        if html is None and "text/markdown" in data:
            html = rendered(text_of(data["text/markdown"]), escaped=True)
        table = "text/plain" in kept and "<table" in _joined(html).lower()  # nbconvert's cleaner leaves `<tbody>` as text in one
        cleaned = self.html(_joined(html)) if html and not table else None
        if cleaned:
            kept["text/html"] = cleaned
        for mime in ("image/png", "image/jpeg", "image/svg+xml"):
            if picture := _picture(mime, data.get(mime)):
                kept[mime] = picture
        tex = text_of(data.get("text/latex"))
        if tex and not _ACTIVE_TEX.search(tex):
            kept["text/latex"] = tex
        return kept


def display(data: Mapping[str, Any]) -> Output:
    """An output that shows data."""
    return {"output_type": "display_data", "metadata": {}, "data": dict(data)}


def stream(text: str, name: str = "stdout") -> Output:
    """An output of text."""
    return {"output_type": "stream", "name": name, "text": text}


def error(name: str, text: str, traceback: Iterable[str] = ()) -> Output:
    """An output of an error."""
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": list(traceback)}


def text_of(value: Any) -> str:
    """A text of bearable length from a notebook's text or list of texts; empty from anything else."""
    text = _joined(value)
    lines = text.split("\n", MOST_LINES)
    if len(lines) > MOST_LINES:
        text = "\n".join(lines[:MOST_LINES]) + CUT
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + CUT


def safe_markdown(text: str) -> str:
    """A learner's Markdown as it is when it shows text, pictures and links only; else as source."""
    text = text_of(text)
    if _harmless_markdown(text):
        return text
    fence = "~" * max(4, 1 + max(map(len, re.findall("~+", text)), default=0))
    fenced = f"{fence}text\n{text}\n{fence}"
    return fenced if rendered(fenced, escaped=False).count("<pre") == 1 else "(This text cannot be shown here: see the submission.)"


def rendered(text: str, *, escaped: bool) -> str:
    """Markdown as nbconvert shows it, with HTML in it as text, or as HTML."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    return MarkdownWithMath(renderer=IPythonRenderer(escape=escaped)).render(text)


def _harmless_markdown(text: str) -> bool:
    if _ACTIVE_TEX.search(text) or "mermaid" in text or len(text) > LONGEST_MARKDOWN or text.count("\\begin") > 100:
        return False
    try:
        html = rendered(text, escaped=False)
        if html != rendered(text, escaped=True):  # there is HTML in it
            return False
    except Exception:  # noqa: BLE001 - a picture that is not attached, nesting too deep: the formgrader would stumble too
        return False
    links = _Links()
    links.feed(html)
    return all(address.startswith("#") or allowed_link(address) for address in links.found)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep every address."""
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def _picture(mime: str, data: Any) -> str:
    text = _joined(data)
    if not text or len(text) > LONGEST_PICTURE:
        return ""
    if mime == "image/svg+xml":  # shown as a picture, where scripts do not run: this is for who opens it alone
        return "" if _ACTIVE_SVG.search(text) else text
    return text if _BASE64.fullmatch(text) else ""


def _joined(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
