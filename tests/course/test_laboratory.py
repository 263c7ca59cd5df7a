"""JupyterLab as `breakthrough lab` starts it: the project's kernel, its layout, and nothing of the user's touched."""

import json
import os
import subprocess
import sys

import pytest
from jupyter_core.paths import jupyter_path
from jupyterlab_server.settings_utils import _get_overrides
from jupyterlab_server.workspaces_handler import WorkspacesManager

from breakthrough.course import laboratory, syllabus

COURSE = syllabus.load()


@pytest.mark.parametrize(("module", "notebook"), [("00", "notebooks/00_start.ipynb"), ("01", "labs/01_moe/01_moe.ipynb")])
@pytest.mark.parametrize("is_root", [True, False])
def test_a_module_opens_on_its_lab_and_in_a_container_too(module, notebook, is_root):
    made = laboratory.command(COURSE, COURSE.find(module), ["--port=1"], is_root=is_root)
    assert made[:3] == [sys.executable, "-m", "jupyterlab"] and made[-2:] == ["--port=1", notebook]
    assert f"--ServerApp.root_dir={COURSE.root}" in made and (COURSE.root / notebook).is_file()
    assert ("--allow-root" in made) is is_root


def test_the_kernel_is_this_interpreter_whatever_kernels_the_user_has(tmp_path):
    for folder in ("mine", "home/.local/share/jupyter"):
        spec = tmp_path / folder / "kernels" / "python3"
        spec.mkdir(parents=True)
        (spec / "kernel.json").write_text(json.dumps({"argv": ["/another/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                                                      "display_name": "Another", "language": "python"}))
    given = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home"), "JUPYTER_PATH": str(tmp_path / "mine"), "JUPYTER_PREFER_ENV_PATH": "0"}
    script = """if True:
        from jupyter_client.manager import KernelManager
        manager = KernelManager(kernel_name="python3")
        print(manager.format_kernel_cmd()[0])"""

    def kernel(environment):
        return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert kernel(given) == "/another/python"
    assert os.path.samefile(kernel(laboratory.environment(given)), sys.executable)


def test_what_the_user_set_stays_behind_what_is_ours():
    made = laboratory.environment({"JUPYTER_PATH": "/theirs", "OTHER": "x"})
    assert made["JUPYTER_PATH"].split(os.pathsep)[1:] == [str(laboratory.HERE), "/theirs"] and made["OTHER"] == "x"
    assert made["JUPYTER_CONFIG_PATH"] == str(laboratory.HERE)


def test_the_outline_stands_open_at_the_first_start_only(course):
    laboratory.lay_out(course)
    manager = WorkspacesManager(str(course.root / laboratory.WORKSPACES))
    left = manager.load("default")["data"]["layout-restorer:data"]["left"]
    assert left["current"] == "@jupyterlab/toc:plugin" and left["collapsed"] is False
    [kept] = (course.root / laboratory.WORKSPACES).iterdir()
    kept.write_text('{"data": {}, "metadata": {"id": "default"}}')
    laboratory.lay_out(course)
    assert manager.load("default")["data"] == {}


def test_jupyterlab_reads_the_defaults_and_asks_the_network_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", laboratory.environment({})["JUPYTER_CONFIG_PATH"])
    found, fault = _get_overrides(str(tmp_path))
    assert not fault
    assert found["@jupyterlab/apputils-extension:notification"] == {"fetchNews": "false", "checkForUpdates": False}


def test_the_kernels_of_this_environment_are_found():
    assert any((os.path.join(path, "kernels", "python3", "kernel.json")).startswith(sys.prefix) for path in jupyter_path())
