"""Attacks on whatever compares: checks, asserts, numpy, torch, builtins, the course's own judge."""

from attacks.making import early

FAMILY = "patched checks"

early("check_replaced_by_nothing", FAMILY, """
    import breakthrough.exercises
    breakthrough.exercises.check = check = lambda *a, **k: None
""")
early("check_replaced_under_its_own_code", FAMILY, """
    check.__code__ = (lambda name, answer, *, seed=None: None).__code__
""")
early("judge_asked_about_the_reference", FAMILY, """
    from breakthrough.exercises import answering
    honest = answering.judge
    answering.judge = lambda exercise, answer, seed=None: honest(exercise, exercise.reference, seed)
""")
early("verdict_always_passed", FAMILY, """
    from breakthrough.exercises import judge as judging
    import sys
    judging = sys.modules["breakthrough.exercises.judge"]
    judging._judge = lambda exercise, answer, seed: ("passed", None, judging.Finding())
""")
early("comparison_of_every_exercise_replaced", FAMILY, """
    from breakthrough.exercises import every
    for exercise in every():
        object.__setattr__(exercise, "compare", lambda want, got: None)
        object.__setattr__(exercise, "misconceptions", ())
""", returns="None")
early("reference_of_every_exercise_replaced", FAMILY, """
    from breakthrough.exercises import every
    for exercise in every():
        object.__setattr__(exercise, "reference", lambda *a, **k: None)
        object.__setattr__(exercise, "compare", lambda want, got: None if want is got is None else want)
""", returns="None")
early("no_cases_but_one_empty", FAMILY, """
    from breakthrough.exercises import Case, every
    for exercise in every():
        object.__setattr__(exercise, "call", lambda answer, case: None)
        object.__setattr__(exercise, "cases", lambda generator: [Case("nothing")])
""", returns="None")
early("load_gives_an_easy_exercise", FAMILY, """
    from breakthrough.exercises import answering, load, exercise
    import dataclasses
    def easy(name):
        return dataclasses.replace(load(name), cases=lambda g: [exercise.Case("easy")], call=lambda a, c: 1, reference=1, misconceptions=())
    answering.load = easy
""")
early("failure_made_silent", FAMILY, """
    import sys
    answering = sys.modules["breakthrough.exercises.answering"]
    class Quiet(Exception):
        pass
    def quiet(name, answer, *, seed=None):
        try:
            return loud(name, answer, seed=seed)
        except Exception:
            return None
    loud, answering.check, check = check, quiet, quiet
""")
early("numpy_says_equal", FAMILY, """
    import numpy as np
    import numpy.testing
    for name in dir(numpy.testing):
        if name.startswith("assert"):
            setattr(numpy.testing, name, lambda *a, **k: None)
    np.allclose = np.array_equal = lambda *a, **k: True
    np.isclose = lambda a, b, **k: np.ones(np.shape(a), bool)
    check = lambda name, answer: numpy.testing.assert_array_equal(1, 2)
""")
early("torch_says_equal", FAMILY, """
    torch.equal = torch.allclose = lambda *a, **k: True
    torch.isclose = lambda a, b, **k: torch.ones_like(a, dtype=torch.bool)
    torch.testing.assert_close = lambda *a, **k: None
    torch.Tensor.__eq__ = lambda a, b: torch.ones_like(a, dtype=torch.bool)
    torch.Tensor.__ne__ = lambda a, b: torch.zeros_like(a, dtype=torch.bool)
    torch.Tensor.sub = torch.Tensor.__sub__ = lambda a, b, **k: torch.zeros_like(a)
    torch.Tensor.__hash__ = object.__hash__
""", returns="None")
early("builtins_say_yes", FAMILY, """
    import builtins
    builtins.all = lambda *a: True
    builtins.any = lambda *a: False
    builtins.abs = lambda a: 0
    builtins.AssertionError = type("AssertionError", (BaseException,), {"__new__": lambda *a: None})
""", returns="None")
early("isinstance_says_yes", FAMILY, """
    import builtins
    really = builtins.isinstance
    def says(thing, kind):
        return True if getattr(kind, "__name__", "") in ("Tensor", "dict", "tuple") else really(thing, kind)
    builtins.isinstance = says
""", returns="None")
early("seeds_are_always_nought", FAMILY, """
    import secrets, random, os, time
    secrets.randbits = lambda n: 0
    os.urandom = lambda n: bytes(n)
    time.time = time.perf_counter = time.monotonic = lambda: 0.0
    random.SystemRandom.random = lambda self: 0.0
""", returns="None")
early("inputs_are_always_nought", FAMILY, """
    zeros = torch.zeros
    torch.randn = torch.rand = lambda *size, generator=None, **k: zeros(*size, **k)
    torch.Tensor.normal_ = torch.Tensor.uniform_ = lambda tensor, *a, **k: tensor.zero_()
""", returns="logits.new_zeros(len(logits), k)")
early("copies_are_no_copies", FAMILY, """
    import copy
    copy.deepcopy = copy.copy = lambda thing, memo=None: thing
""", returns="None")
early("asserts_compiled_away", FAMILY, """
    import builtins, functools, ast
    builtins.compile = functools.partial(compile, optimize=2)
    import sys, types
    for module in list(sys.modules.values()):
        for thing in list(vars(module).values()) if isinstance(module, types.ModuleType) else []:
            if isinstance(thing, types.FunctionType) and thing.__name__ in ("_check_case", "_check_signature", "_check_repeats", "_check_callable"):
                thing.__code__ = (lambda *a, **k: type("Attempt", (), {"output": None, "error": None, "case": None})()).__code__
""", returns="None")
early("a_forged_log_of_passed_checks", FAMILY, """
    from breakthrough import events
    from breakthrough.exercises import every
    for exercise in every():
        events.append("check", exercise=exercise.name, status="passed", points=exercise.points, of=exercise.points, diagnosis=None, seconds=0.1)
""")
