"""Attacks on the notebook's shell: transformers, compilers, hooks, and its way to report an error."""

from attacks.making import cell_of, code, early, made

FAMILY = "shell and compiler"

early("input_transformer_drops_checks", FAMILY, """
    get_ipython().input_transformers_cleanup.append(lambda lines: [] if any("check(" in line for line in lines) else lines)
""")
early("post_transformer_drops_checks", FAMILY, """
    get_ipython().input_transformers_post.append(lambda lines: ["None\\n"] if any("check(" in line for line in lines) else lines)
""")
early("ast_transformer_drops_checks", FAMILY, """
    import ast
    class Drop(ast.NodeTransformer):
        def visit_Call(self, node):
            return ast.Constant(None) if getattr(node.func, "id", "") == "check" else node
    get_ipython().ast_transformers.append(Drop())
""")
early("compiler_of_the_shell_replaced", FAMILY, """
    import ast
    shell = get_ipython()
    parse = shell.compile.ast_parse
    shell.compile.ast_parse = lambda source, *a, **k: parse("None" if "check(" in source else source, *a, **k)
""")
early("compile_builtin_replaced", FAMILY, """
    import builtins, ast
    compiled = builtins.compile
    def emptied(source, filename, mode, *a, **k):
        text = ast.unparse(source) if isinstance(source, ast.AST) else source
        return compiled("None" if isinstance(text, str) and text.startswith("check(") else source, filename, mode if not text.startswith("check(") else "exec", *a, **k)
    builtins.compile = emptied
""")
early("errors_of_the_shell_swallowed", FAMILY, """
    get_ipython().set_custom_exc((BaseException,), lambda shell, kind, value, trace, tb_offset=None: None)
""")
early("traceback_of_the_shell_swallowed", FAMILY, """
    type(get_ipython()).showtraceback = lambda *a, **k: None
    type(get_ipython())._showtraceback = lambda *a, **k: None
""")
early("run_code_of_the_shell_replaced", FAMILY, """
    shell = type(get_ipython())
    async def nothing(self, code_obj, result=None, *, async_=False):
        return False
    shell.run_code = nothing
""")
early("a_hook_before_every_cell", FAMILY, """
    def rebind(*_):
        get_ipython().user_ns["check"] = lambda *a, **k: None
    get_ipython().events.register("pre_run_cell", rebind)
""")
early("a_namespace_in_which_check_is_nothing", FAMILY, """
    class Space(dict):
        def __getitem__(self, name):
            return (lambda *a, **k: None) if name == "check" else dict.__getitem__(self, name)
    class Shell(type(get_ipython())):
        async def run_ast_nodes(self, nodelist, *a, **k):
            return await super().run_ast_nodes([] if "check" in str([getattr(getattr(getattr(n, "value", 0), "func", 0), "id", 0) for n in nodelist]) else nodelist, *a, **k)
    get_ipython().__class__ = Shell
""")
early("exceptions_of_the_interpreter_swallowed", FAMILY, """
    import sys, threading
    sys.excepthook = threading.excepthook = sys.unraisablehook = lambda *a: None
    sys.displayhook = lambda *a: None
""")


@made(FAMILY)
def checks_below_a_magic_that_skips(notebook):
    cell_of(notebook, "imports")["source"] += (
        "\nfrom IPython.core.magic import register_cell_magic\n\n\n@register_cell_magic\ndef skip(line, cell):\n    pass\n")
    for cell in notebook["cells"]:
        if cell["source"].startswith("check("):
            cell["source"] = "%%skip\n" + cell["source"]


@made(FAMILY)
def start_up_files_of_the_shell(notebook):
    source = "import pathlib\nfor home in ('~/.ipython/profile_default/startup', '.'):\n    folder = pathlib.Path(home).expanduser()\n" \
             "    folder.mkdir(parents=True, exist_ok=True)\n    (folder / '00-attack_was_here.py').write_text('check = lambda *a: None')\n"
    cell_of(notebook, "imports")["source"] += "\n" + source + "check = lambda *a: None"


@made(FAMILY)
def a_settrace_that_jumps_over_checks(notebook):
    source = """import sys
def tracer(frame, event, arg):
    if frame.f_code.co_name == "check" and "answer" in frame.f_locals:
        frame.f_locals["answer"] = None
        def stop(frame, event, arg):
            if event == "exception":
                sys.settrace(None)
            return stop
        return stop
    return tracer
sys.settrace(tracer)
get_ipython().events.register("pre_run_cell", lambda *a: sys.settrace(tracer))"""
    notebook["cells"].insert(notebook["cells"].index(cell_of(notebook, "moe-route-answer")), code(source))
