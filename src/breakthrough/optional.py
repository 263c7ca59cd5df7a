"""Optional packages: a missing one becomes an error that names the exact pip install."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from breakthrough.errors import MissingDependency, expected

# import name → the extra of pyproject.toml that brings it (a test holds the two together)
EXTRAS = {
    "pybullet": "scenes",
    "mitsuba": "scenes",
    "pxr": "scenes",
    "pycocotools": "scenes",
    "webdataset": "scenes",
    "numba": "scenes",
    "PIL": "scenes",
    "orjson": "scenes",
    "flwr": "federated",
    "cryptography": "federated",
    "tenseal": "federated",
    "opacus": "federated",
    "sklearn": "federated",
    "bitsandbytes": "quant",
    "transformers": "quant",
    "tvm": "deploy",
    "tvm_ffi": "deploy",
    "xgboost": "deploy",
    "onnx": "deploy",
    "onnxscript": "deploy",
    "onnxruntime": "deploy",
    "granian": "deploy",
    "uvloop": "deploy",
    "msgspec": "deploy",
    "prometheus_client": "deploy",
    "nbgrader": "cohort",
    "alembic": "cohort",
    "ray": "cohort",
    "pytest": "test",
    "xdist": "test",
    "nbval": "test",
    "jupytext": "test",
    "cosmic_ray": "test",
    "colorspacious": "test",
    "sphinx": "docs",
    "myst_nb": "docs",
    "sphinx_book_theme": "docs",
    "sphinx_copybutton": "docs",
    "sphinx_design": "docs",
    "ruff": "dev",
    "mypy": "dev",
    "codespell_lib": "dev",
    "nbstripout": "dev",
    "pre_commit": "dev",
    "check_jsonschema": "dev",
    "piptools": "dev",
}


def available(name: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(name) is not None


def install_command(name: str) -> str:
    """The command that installs an optional package."""
    package = name.partition(".")[0]
    return f"pip install -e '.[{EXTRAS[package]}]'" if package in EXTRAS else f"pip install {package}"


def require(name: str, purpose: str) -> ModuleType:
    """Import an optional package, or say what to install.

    Raises: MissingDependency when it is not installed
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != name.split(".")[0]:
            raise
        what = f"the package {name!r} ({purpose})"
        raise MissingDependency(expected(what, "none installed", install_command(name))) from error
