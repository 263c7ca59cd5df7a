"""Modules that are not what their name says: in the submission's folder, in sys.modules, on the import path."""

from solved_labs import code

from attacks.making import NAME, as_bytes, cell_of, early, insert_after, made

FAMILY = "shadow modules and import hooks"
CHECK = "def check(*a, **k):\n    pass\n\n\ndef hint(*a, **k):\n    pass\n"
ALWAYS = "class Always:\n    def __getattr__(self, name): return self\n    def __call__(self, *a, **k): return self\n    def __eq__(self, other): return True\n"

early("a_finder_that_fakes_the_course", FAMILY, f"""
    import importlib.abc, importlib.util, sys
    class Fake(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path, target=None):
            return importlib.util.spec_from_loader(name, self, is_package=True) if name.startswith("breakthrough") else None
        def exec_module(self, module):
            exec({CHECK!r}, module.__dict__)
    for name in [name for name in sys.modules if name.startswith("breakthrough")]:
        del sys.modules[name]
    sys.meta_path.insert(0, Fake())
    from breakthrough.exercises import check
""")
early("an_import_that_lies", FAMILY, """
    import builtins, types
    honest = builtins.__import__
    def lies(name, *a, **k):
        module = honest(name, *a, **k)
        if name.startswith("breakthrough.exercises"):
            module.check = lambda *a, **k: None
        return module
    builtins.__import__ = lies
    from breakthrough.exercises import check
""")
early("the_course_in_sys_modules_replaced", FAMILY, f"""
    import sys, types
    for name in ("breakthrough.exercises", "breakthrough.exercises.judge", "breakthrough.exercises.compare", "breakthrough.grading"):
        sys.modules[name] = types.ModuleType(name)
        exec({CHECK!r}, sys.modules[name].__dict__)
    from breakthrough.exercises import check
""")
early("a_module_written_while_running", FAMILY, f"""
    import os, pathlib, sys
    for folder in (".", "/tmp", os.path.expanduser("~")):
        try:
            home = pathlib.Path(folder, "breakthrough", "exercises")
            home.mkdir(parents=True)
            (home.parent / "__init__.py").write_text("")
            (home / "__init__.py").write_text({CHECK!r})
            sys.path.insert(0, folder)
        except OSError:
            pass
    for name in [name for name in sys.modules if name.startswith("breakthrough")]:
        del sys.modules[name]
    from breakthrough.exercises import check
""")
early("the_library_on_disk_overwritten", FAMILY, f"""
    import breakthrough.exercises.answering as answering, pathlib, glob
    for path in (answering.__file__, *glob.glob(str(pathlib.Path(answering.__file__).parent / "*.py"))[:0]):
        try:
            text = pathlib.Path(path).read_text()
            pathlib.Path(path).write_text(text + "\\n\\n" + {CHECK!r})
        except OSError as error:
            print(error)
""")
early("cached_bytecode_overwritten", FAMILY, """
    import importlib.util, pathlib, marshal, sys
    import torch, numpy, json
    for module in (json, numpy, torch):
        try:
            cache = pathlib.Path(importlib.util.cache_from_source(module.__file__))
            cache.write_bytes(cache.read_bytes()[:16] + marshal.dumps(compile("attack_was_here = 1", "x", "exec")))
        except OSError as error:
            print(error)
""", endangers=True)


def _with_files(name, files, **options):
    def edit(notebook):
        return {NAME: as_bytes(notebook), **{path: text.encode() for path, text in files.items()}}
    edit.__name__ = name
    made(FAMILY, **options)(edit)


_with_files("numpy_in_the_submission", {"numpy.py": ALWAYS + "import sys\nsys.modules[__name__] = Always()\n", "numpy/__init__.py": ALWAYS})
_with_files("torch_in_the_submission", {"torch.py": ALWAYS + "import sys\nsys.modules[__name__] = Always()\n"})
_with_files("the_course_in_the_submission", {"breakthrough/__init__.py": "", "breakthrough/exercises/__init__.py": CHECK,
                                            **{f"breakthrough/{name}": ALWAYS + "import sys\nsys.modules[__name__] = Always()\n"
                                               for name in ("artifacts.py", "moe.py", "train.py", "seeds.py", "course.py")}})
_with_files("the_graders_modules_in_the_submission", {f"{name}.py": "attack_was_here = True\nprint('attack_was_here')\n" for name in (
    "json", "struct", "socket", "select", "sitecustomize", "usercustomize", "conftest", "inspect", "wire", "student")})
_with_files("a_path_file_and_a_kernel_in_the_submission", {
    "attack.pth": "import sys; sys.attack_was_here = 1\n", "ipython_config.py": "c.InteractiveShellApp.exec_lines = ['check = lambda *a: None']\n",
    "ipython_kernel_config.py": "c.InteractiveShellApp.exec_lines = ['check = lambda *a: None']\n", "pyvenv.cfg": "home = .\n", "python3": "#!/bin/sh\ntouch attack_was_here\n"})
_with_files("nbgraders_configuration_in_the_submission", {
    "nbgrader_config.py": "c = get_config()\nc.ExecutePreprocessor.allow_errors = True\nc.Autograde.force = True\nc.ClearSolutions.code_stub = {}\n",
    "jupyter_config.py": "c = get_config()\nc.NbConvertBase.extra = 1\n", "course.yml": "modules: []\n"})


@made(FAMILY)
def a_writefile_magic_that_shadows(notebook):
    insert_after(notebook, "parameters", code("%%writefile numpy.py\nraise SystemExit"), code("%%writefile sitecustomize.py\nimport os\nos.environ['attack_was_here'] = '1'"))
    cell_of(notebook, "imports")["source"] += "\nimport sys\nsys.path.insert(0, '.')"
