"""Links to Binder and Colab follow from one setting, and point nowhere while there is none."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from breakthrough import cli
from breakthrough.course import links, syllabus
from breakthrough.errors import ConfigError, InputError

ROOT = Path(__file__).parents[2]
GITHUB = "https://github.com/example/course"  # of this test alone


@pytest.fixture
def project(tmp_path):
    """The project's README, pyproject and course.yml in a folder of their own."""
    for name in ("README.md", "pyproject.toml", "course.yml"):
        shutil.copy(ROOT / name, tmp_path)
    return syllabus.load(tmp_path)


def shown(course):
    text = (course.root / "README.md").read_text()
    return text.partition(links.BEGIN)[2].partition(links.END)[0].strip()


def test_the_readme_shows_the_links_of_the_setting():
    assert links.in_step(syllabus.load(ROOT))


def test_without_an_address_nothing_is_linked(project):
    links.publish(project, "")
    assert links.repository(project.root) == "" and shown(project) == links.UNPUBLISHED
    assert "](" not in links.UNPUBLISHED


def test_one_address_makes_every_link_and_goes_again(project):
    links.publish(project, "")
    before = [(project.root / name).read_text() for name in ("README.md", "pyproject.toml")]
    links.publish(project, f"{GITHUB}.git/")
    assert links.repository(project.root) == GITHUB and links.in_step(project)
    targets = re.findall(r"\]\((https://(?:mybinder|colab.research)[^)]*)\)\)?", shown(project))
    paths = [re.search(r"(notebooks|labs)/[\w/]+\.ipynb", target)[0] for target in targets if "badge" not in target]
    assert paths and all((ROOT / path).is_file() for path in paths)
    assert f"https://mybinder.org/v2/gh/example/course/main?urlpath=lab/tree/{paths[0]}" in targets
    assert f"!git clone --depth 1 {GITHUB} " in shown(project)
    links.publish(project, "https://gitlab.com/a/b")
    assert "gl/a%2Fb/main" in shown(project) and "colab.research.google.com/github" not in shown(project)
    links.publish(project, "")
    assert before == [(project.root / name).read_text() for name in ("README.md", "pyproject.toml")]


def test_the_project_file_stays_one(project):
    links.publish(project, GITHUB)
    links.publish(project, GITHUB)
    read = tomllib.loads((project.root / "pyproject.toml").read_text())["project"]
    assert read["urls"] == {"Repository": GITHUB} and read["optional-dependencies"]["all"] and read["scripts"]


@pytest.mark.parametrize("address", ["course", "http://github.com/a/b", "https://github.com", "https://github.com/a", "https://x.org/a/b\"\nx=1", "javascript:alert(1)"])
def test_what_is_no_address_is_refused(project, address):
    before = (project.root / "pyproject.toml").read_text()
    with pytest.raises(InputError, match="expected the address of a repository, https://HOST/OWNER/NAME"):
        links.publish(project, address)
    assert (project.root / "pyproject.toml").read_text() == before


def test_a_readme_without_a_place_says_so(project):
    (project.root / "README.md").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="one place for links"):
        links.write(project)


def test_the_command(project, monkeypatch, capsys):
    monkeypatch.chdir(project.root)
    assert cli.main(["links", "--set", GITHUB]) == 0 and capsys.readouterr().out.strip() == GITHUB
    (project.root / "README.md").write_text((project.root / "README.md").read_text().replace("mybinder", "elsewhere"))
    assert cli.main(["links", "--check"]) == 1 and "out of step; try breakthrough links" in capsys.readouterr().out
    assert cli.main(["links"]) == 0 and cli.main(["links", "--check"]) == 0
    assert cli.main(["links", "--set", "nowhere"]) == 2
