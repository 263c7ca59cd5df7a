"""Attacks that call the course's own reference as the answer, wherever the source or the bytecode of it lies."""

from attacks.fishing import WALK
from attacks.making import bodies, cell_of, early, register

FAMILY = "the references"
NAMES = {"moe.route": "route", "moe.combine": "combine", "moe.dispatch": "dispatch", "moe.balance": "balance", "moe.zloss": "zloss",
         "moe.capacity": "capacity", "moe.bias": "bias", "moe.cost": "cost", "moe.mend": "mend", "moe.prove": "prove", "moe.upcycle": "upcycle"}
VARIABLES = {**NAMES, "moe.capacity": "keep", "moe.bias": "route_with_bias", "moe.mend": "MendedMoE", "moe.prove": "proofs"}


def _taking(name, how, **options):
    """An attack that gives every variable what `take(exercise)` finds; `how` defines take."""
    def bind(exercise):
        return f"{VARIABLES[exercise]} = take({exercise!r})\n"

    def edit(notebook):
        for number, exercise in enumerate(NAMES):
            cell = cell_of(notebook, exercise.replace(".", "-") + "-answer")
            cell["source"] = (how + "\n" if not number else "") + f"try:\n    {bind(exercise)}except BaseException as error:\n    print(error)\n"
    register(name, FAMILY, edit, **options)


_taking("reference_of_the_bank", "from breakthrough.exercises import load\ndef take(name):\n    return load(name).reference")
_taking("reference_imported_by_its_file", """
import importlib
def take(name):
    short = name.split(".")[1]
    module = importlib.import_module("breakthrough.exercises.moe_" + {"route": "routing"}.get(short, short))
    return next(exercise for exercise in module.EXERCISES if exercise.name == name).reference""")
_taking("reference_from_a_source_file_that_is_found", """
import glob, importlib.util, os, sys
def take(name):
    short = name.split(".")[1]
    wanted = "moe_" + {"route": "routing"}.get(short, short) + ".py"
    roots = [*sys.path, *[os.path.dirname(os.path.dirname(getattr(m, "__file__", None) or "/")) for m in list(sys.modules.values())], "/usr", "/opt", "/work", "/home", "/root", "/srv"]
    for root in dict.fromkeys(roots):
        for folder, _, files in os.walk(root or "."):
            if wanted in files:
                spec = importlib.util.spec_from_file_location("stolen_" + short, os.path.join(folder, wanted))
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return next(exercise for exercise in module.EXERCISES if exercise.name == name).reference""")
_taking("reference_from_cached_bytecode", """
import glob, marshal, os, sys, types
def take(name):
    short = name.split(".")[1]
    for root in [*sys.path, "/work", "/usr", "/opt", "/home"]:
        for folder, _, files in os.walk(root or "."):
            for file in files:
                if file.startswith("moe_" + {"route": "routing"}.get(short, short) + ".") and file.endswith(".pyc"):
                    module = types.ModuleType("stolen")
                    exec(marshal.loads(open(os.path.join(folder, file), "rb").read()[16:]), module.__dict__)
                    return next(exercise for exercise in module.EXERCISES if exercise.name == name).reference""")
_taking("reference_of_modules_already_loaded", """
import gc, sys, types
def take(name):
    short = name.split(".")[1]
    for thing in gc.get_objects():
        if type(thing).__name__ == "Exercise" and getattr(thing, "name", "") == name:
            return thing.reference
    for module in list(sys.modules.values()):
        for one in getattr(module, "EXERCISES", ()):
            if one.name == name:
                return one.reference""")
_taking("reference_through_check_itself", """
def take(name):
    for value in [check, hint, *check.__globals__.values(), *(getattr(check, "__closure__", None) or ())]:
        load = getattr(value, "__globals__", {}).get("load")
        if load:
            return load(name).reference""")
_taking("reference_from_the_last_hint", """
import contextlib, io, re
def take(name):
    from breakthrough.exercises import load
    space = dict(globals())
    exec(load(name).hint(4), space)
    return space[load(name).reference.__name__]""")
_taking("reference_printed_by_the_hint_and_run", """
import contextlib, io
def take(name):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        hint(name, 4)
    space = dict(globals())
    exec(text.getvalue()[text.getvalue().index("def "):], space)
    return [thing for thing in space.values() if callable(thing)][-1]""")
_taking("reference_by_pickle", """
import pickle
def take(name):
    short = {"route": "routing"}.get(name.split(".")[1], name.split(".")[1])
    function = {"capacity": "keep", "bias": "route_with_bias"}.get(name.split(".")[1], name.split(".")[1])
    return pickle.loads(f"cbreakthrough.exercises.moe_{short}\\n{function}\\n.".encode())""")
_taking("reference_from_another_interpreter", """
import subprocess, sys
CALL = "import sys, torch, pickle; from breakthrough.exercises import load; a, k = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(pickle.dumps(load(sys.argv[1]).reference(*a, **k)))"
def take(name):
    import pickle
    def ask(*a, **k):
        return pickle.loads(subprocess.run([sys.executable, "-c", CALL, name], input=pickle.dumps((a, k)), capture_output=True).stdout)
    return ask""")
_taking("reference_from_the_history_of_git", """
import json, os, subprocess
def take(name):
    for root in ("/work/main", "/work", os.getcwd(), *[os.path.dirname(p) for p in __import__("sys").path]):
        got = subprocess.run(["git", "-C", root, "show", "HEAD:solutions/01_moe/01_moe.ipynb"], capture_output=True)
        if got.returncode == 0:
            for cell in json.loads(got.stdout)["cells"]:
                if cell.get("id") == name.replace(".", "-") + "-answer":
                    exec("".join(cell["source"]), globals())
                    return globals()[VARIABLE[name]]
VARIABLE = """ + repr(VARIABLES))
_taking("reference_of_a_module_loaded_anew", """
import importlib, sys
def take(name):
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__class__.__module__.startswith(("importlib", "_frozen", "builtins")) or isinstance(finder, type)]
    sys.path_hooks[:] = __import__("importlib.machinery").machinery.FileFinder and sys.path_hooks
    sys.path_importer_cache.clear()
    for module in [one for one in sys.modules if one.startswith("breakthrough")]:
        del sys.modules[module]
    return importlib.import_module("breakthrough.exercises").load(name).reference""")
STEAL = WALK + """
import json
def take(name):
    if not STOLEN:
        for path, data in hunt(lambda path: path.endswith(".ipynb") and WHERE(path)):
            try:
                for cell in json.loads(data)["cells"]:
                    source = "".join(cell["source"])
                    if cell["cell_type"] == "code" and source.startswith(("def ", "class ")) and ("BEGIN SOLUTION" in source or "NotImplementedError" not in source):
                        space = dict(globals())
                        exec(source, space)
                        STOLEN.update({key: value for key, value in space.items() if key not in globals()})
            except (ValueError, KeyError, TypeError, NameError, SyntaxError):
                pass
        globals().update({key: value for key, value in STOLEN.items() if key not in globals()})
    return STOLEN[VARIABLES[name]]
STOLEN = {}
VARIABLES = """ + repr(VARIABLES) + "\nWHERE = "
_taking("answers_of_the_masters_found_and_run", STEAL + "lambda path: 'solutions' in path or 'source' in path")
_taking("answers_of_a_neighbour_found_and_run", STEAL + "lambda path: 'submitted' in path or 'neighbour' in path or 'autograded' in path")
bodies("reference_found_on_the_callers_stack", FAMILY, """
    import sys
    frame = sys._getframe(1)
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            reference = getattr(value, "reference", None)
            if callable(reference):
                return reference(*[v for k, v in list(locals().items()) if k not in ("sys", "frame", "value", "reference")])
        frame = frame.f_back
    return None
""")
bodies("expected_value_found_on_the_callers_stack", FAMILY, """
    import sys
    frame = sys._getframe(1)
    while frame:
        for name in ("want", "wanted", "expected", "reference", "outcome", "right"):
            if name in frame.f_locals and not callable(frame.f_locals[name]):
                return frame.f_locals[name]
        frame = frame.f_back
    return None
""")
bodies("expected_value_among_all_objects", FAMILY, """
    import gc
    mine = {id(value) for value in locals().values()}
    return [thing for thing in gc.get_objects() if type(thing) is tuple and len(thing) == 2 and all(isinstance(part, torch.Tensor) for part in thing)][-1]
""")
early("expected_values_caught_by_a_profile", FAMILY, """
    import sys, threading
    caught = []
    def profile(frame, event, arg):
        if event == "return" and frame.f_code.co_name in ("wanted", "route", "combine", "dispatch", "balance", "zloss", "keep", "cost"):
            caught.append(arg)
    sys.setprofile(profile)
    threading.setprofile(profile)
""", returns="caught[-1]")
