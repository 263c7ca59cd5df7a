"""The same program in another hand: other names for locals, other layout, with or without a docstring.

Everything goes over the syntax tree, so that it stays the same program; right and wrong answers go the same way, so that
nothing in how they are written tells them apart.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import random
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from breakthrough.exercises import standing

WIDTH = 100
# what people call things, by word; names of several words stay, but for their initials
WORDS: dict[str, tuple[str, ...]] = {
    "largest": ("biggest", "peak", "absmax"), "scale": ("step_size", "unit_step"), "scales": ("step_sizes", "units"), "rows": ("lines", "chunks"),
    "flat": ("line", "all_items", "stretched"), "codes": ("quantized", "levels_of", "ints"), "order": ("ranking", "perm"), "total": ("summed", "all_of"),
    "found": ("hits", "collected"), "best": ("top", "winner"), "mean": ("average", "avg"), "share": ("fraction", "part_of_all"), "counts": ("how_many", "numbers_of"),
    "rank": ("position", "place_of"), "capacity": ("room_for", "cap"), "mine": ("own", "ours"), "kept": ("accepted", "fits"), "seen": ("visible", "in_view"),
    "local": ("in_camera", "cam"), "inverse": ("inv", "reciprocal"), "window": ("tail", "last_part"), "spread": ("extent", "travel"), "pairs": ("contacts", "couples"),
    "touching": ("close", "in_contact"), "supported": ("held", "carried"), "cost": ("price", "expense"), "chosen": ("picked", "taken"), "distance": ("dist", "gap_to"),
    "dealt": ("hands", "buckets"), "shares": ("proportions", "fracs"), "cuts": ("borders", "ends_at"), "wide": ("acc_dtype", "precise"), "value": ("val", "merged"),
    "masked": ("hidden", "blinded"), "pair": ("shared", "pairwise"), "norm": ("length_of", "l2"), "std": ("sigma", "noise_std"), "out": ("result_of", "made"),
    "left": ("remaining", "rest"), "error": ("err", "residual"), "upper": ("chol", "factor_u"), "levels": ("grid", "table_of_levels"), "outlier": ("is_outlier", "big"),
    "product": ("prod_int", "inner"), "intensity": ("flops_per_byte", "density"), "waiting": ("queue", "in_line"), "served": ("done", "batches_done"), "refused": ("rejected", "turned_away"),
    "start": ("begin", "starts_at"), "full": ("full_at", "when_full"), "runs": ("sorted_runs", "measured"), "chance": ("prob", "pmf"), "risk": ("tail_risk", "err_prob"),
    "ratios": ("speedups", "quotients"), "wins": ("n_wins", "won"), "coin": ("fair_coin", "binomial"), "missed": ("miss_rate", "missed_share"), "alarmed": ("alarm_rate", "false_alarms"),
    "candidate": ("cut", "level"), "stopped": ("flagged", "positive"), "lowest": ("cheapest", "min_cost"), "content": ("contents", "known"), "inputs": ("reads", "wants"),
    "line": ("lineage_of", "ancestry"), "ask": ("todo_list", "stack"), "digests": ("hashes", "known_digests"), "scenes": ("scene_names", "known_scenes"), "limit": ("bound", "max_gap"),
    "distances": ("gaps", "ks"), "alarm": ("alert", "cry"), "evidence": ("wealth", "capital"), "causes": ("culprits", "roots"), "lineage": ("good_line", "healthy"),
    "todo": ("stack", "pending"), "other": ("partner", "theirs"), "weights": ("w_out", "gate"), "tokens": ("token_ids", "who"), "load": ("work_load", "per_expert"), "probs": ("p", "probabilities"),
    "expert": ("one_expert", "ffn"), "active": ("used", "per_token"), "router": ("gate_params", "scoring"), "experts": ("picks", "expert_ids"), "low": ("lo", "smallest"), "high": ("hi", "largest_one"),
    "zero": ("zero_point", "offset_zero"), "most": ("top_code", "max_code"), "back": ("restored", "decoded"), "middle": ("centre", "mid"), "half": ("half_width", "margin"), "enough": ("needed", "sample_size"),
}


@dataclass(frozen=True)
class Style:
    """One person's habits."""

    renames: float  # how many of the locals get other names, as a share
    short: bool  # or initials
    docstring: str  # full, line, comment or none
    double_quotes: bool
    airy: bool  # blank lines before loops and returns
    named_result: bool  # `result = …; return result`
    one_a_line: bool  # `a, b = x, y` on two lines


def draw(lot: random.Random) -> Style:
    """Habits by lot."""
    return Style(lot.choice((0.0, 0.5, 1.0)), lot.random() < 0.25, lot.choice(("full", "line", "comment", "none")), lot.random() < 0.5,
                 lot.random() < 0.5, lot.random() < 0.35, lot.random() < 0.5)


def restyle(text: str, name: str, doc: str, style: Style, lot: random.Random) -> str:
    """A program in somebody's style: `name` is its main function, `doc` the docstring that may stand there."""
    tree = _pruned(ast.parse(text), name)
    main = _main(tree, name)
    if style.one_a_line:
        _OneALine().visit(tree)
    if style.named_result:
        _name_result(main)
    standing.rename(tree, _other_names(tree, main, style, lot))
    lines = list(_spaced(tree, main, style))
    made = "\n".join(_wrapped(_without_parentheses(line)) for line in lines)
    made = _double_quoted(made) if style.double_quotes else made
    return _documented(made, name, doc, style)


def _main(tree: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


def _pruned(tree: ast.Module, name: str) -> ast.Module:
    """Without imports, constants and helpers that nothing uses (any more)."""
    while True:
        used = {name} | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        kept = [node for node in tree.body if standing.local_names(_shell(node)) & used]
        if len(kept) == len(tree.body):
            return tree
        tree.body = kept


def _shell(node: ast.stmt) -> ast.AST:
    """A statement at the top by what it binds there."""
    if isinstance(node, ast.FunctionDef):
        return ast.Module([ast.FunctionDef(node.name, ast.arguments([], [], None, [], [], None, []), [], [])], [])
    return node


class _OneALine(ast.NodeTransformer):
    """`a, b = x, y` as two statements, where neither value hangs on a target."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.AST]:  # as ast calls it
        target = node.targets[0]
        if len(node.targets) != 1 or not isinstance(target, ast.Tuple) or not isinstance(node.value, ast.Tuple):
            return node
        names = {one.id for one in target.elts if isinstance(one, ast.Name)}
        read = {inner.id for inner in ast.walk(node.value) if isinstance(inner, ast.Name)}
        if len(names) != len(target.elts) or len(names) != len(node.value.elts) or names & read:
            return node
        return [ast.copy_location(ast.Assign([one], value, lineno=node.lineno), node) for one, value in zip(target.elts, node.value.elts, strict=True)]


def _name_result(main: ast.FunctionDef) -> None:
    last = main.body[-1]
    if not isinstance(last, ast.Return) or last.value is None or isinstance(last.value, (ast.Name, ast.Constant)):
        return
    if "result" in standing.local_names(main):
        return
    main.body[-1:] = [ast.Assign([ast.Name("result", ast.Store())], last.value, lineno=0), ast.Return(ast.Name("result", ast.Load()))]


def _other_names(tree: ast.Module, main: ast.FunctionDef, style: Style, lot: random.Random) -> dict[str, str]:
    fixed = {arg.arg for arg in (*main.args.args, *main.args.kwonlyargs)} | {main.name}
    imported = set().union(*(standing.local_names(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))))
    fixed |= imported | {word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords if word.arg}
    fixed |= {name for node in tree.body if isinstance(node, ast.Assign) for name in standing.local_names(node)}  # constants
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | standing.local_names(tree) | set(dir(builtins)) | set(keyword.kwlist)
    found: dict[str, str] = {}
    for old in sorted(standing.local_names(tree) - fixed):
        if lot.random() >= style.renames:
            continue
        for new in _names_for(old, style, lot):
            if new not in used and new.isidentifier():
                found[old] = new
                used.add(new)
                break
    return found


def _names_for(old: str, style: Style, lot: random.Random) -> Iterator[str]:
    words = old.strip("_").split("_")
    if style.short and len(old) > 2:
        yield from [initials] if (initials := "".join(word[0] for word in words)) not in ("l", "o") else []
        yield "".join(word[:2] for word in words)
        yield "".join(word[:3] for word in words)
    if len(words) == 1:
        yield from lot.sample(WORDS.get(words[0], ()), len(WORDS.get(words[0], ())))


def _spaced(tree: ast.Module, main: ast.FunctionDef, style: Style) -> Iterator[str]:
    """The lines of a program; airy ones have a blank line before loops and the last return."""
    ast.fix_missing_locations(tree)
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.FunctionDef):
            yield from (["", ""] if place else [])
        elif place and isinstance(node, ast.Assign) and not isinstance(tree.body[place - 1], ast.Assign):
            yield ""
        if node is not main:
            yield from ast.unparse(node).splitlines()
            continue
        shell = ast.FunctionDef(main.name, main.args, [ast.Pass()], main.decorator_list, lineno=0)
        yield from ast.unparse(shell).splitlines()[:-1]
        for number, statement in enumerate(main.body):
            inner = any(isinstance(one, ast.FunctionDef) for one in (statement, *main.body[max(number - 1, 0):number]))
            if number and (inner or (style.airy and isinstance(statement, (ast.For, ast.While, ast.Return)))):
                yield ""
            yield from (f"    {line}" if line else "" for line in ast.unparse(statement).splitlines())


def _without_parentheses(line: str) -> str:
    """`return (a, b)` as people write it: `return a, b`."""
    for head in ("return ", " = "):
        start = line.find(head + "(")
        if start >= 0 and len(line) <= WIDTH and line.endswith(")") and _closes_at_end(line[start + len(head):]):
            inside = line[start + len(head) + 1:-1]
            if inside and not inside.endswith(",") and (_commas(inside) or head == "return ") and " for " not in inside.split("(")[0] and "yield" not in inside:
                return line[:start] + head + inside
    return line


def _closes_at_end(text: str) -> bool:
    depths = list(_depths(text))
    return bool(depths) and depths[-1] == 0 and all(depth > 0 for depth in depths[:-1])


def _commas(text: str) -> list[int]:
    return [place for place, (sign, depth) in enumerate(zip(text, _depths(text), strict=True)) if sign == "," and depth == 0]


def _depths(text: str) -> Iterator[int]:
    """How deep in brackets each character leaves us; those in quotes do not count."""
    depth, quote = 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in "([{") - (sign in ")]}")
        yield depth


def _wrapped(line: str) -> str:
    """A long line broken after commas or before operators within its brackets."""
    if len(line) <= WIDTH:
        return line
    line = _bracketed(line)
    indent = " " * (len(line) - len(line.lstrip()) + 8)
    places = [place + 1 for place, (sign, depth) in enumerate(zip(line, _depths(line), strict=True)) if depth >= 1 and (
        (sign == "," and line[place + 1:place + 2] == " ") or (sign == " " and line[place:].startswith((" for ", " and ", " or ", " if ", " else "))))]
    parts: list[str] = []
    start = 0
    quoted = set(_quoted(line))
    while len(line) - start > WIDTH - (len(indent) if parts else 0):
        fit = [place for place in places if start + 30 < place <= start + WIDTH - (len(indent) if parts else 0) and place not in quoted]
        if not fit:
            break
        parts.append(line[start:fit[-1]].strip() if parts else line[:fit[-1]].rstrip())
        start = fit[-1]
    return ("\n" + indent).join([*parts, line[start:].strip() if parts else line])


def _bracketed(line: str) -> str:
    """`if a or b:` as `if (a or b):`, so that it may be broken."""
    parts = re.match(r"(\s*(?:if|elif|while|return) |\s*\w+ = )(.*?)(:?)$", line)
    if not parts or (parts[3] and not parts[1].strip().startswith(("if", "elif", "while"))):
        return line
    head, body, end = parts.groups()
    outer = "".join(sign if depth == 0 else "·" for sign, depth in zip(body, _depths(body), strict=True))
    return f"{head}({body}){end}" if re.search(" (?:and|or|if|else) ", outer) else line


def _quoted(line: str) -> Iterator[int]:
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            yield place
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign


def _double_quoted(text: str) -> str:
    lines = text.splitlines()
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(text).readline))):
        if token.type == tokenize.STRING and token.string.startswith("'") and '"' not in token.string and "\\" not in token.string:
            (row, start), (_, end) = token.start, token.end
            lines[row - 1] = f'{lines[row - 1][:start]}"{token.string[1:-1]}"{lines[row - 1][end:]}'
    return "\n".join(lines)


def _documented(text: str, name: str, doc: str, style: Style) -> str:
    if style.docstring == "none" or not doc:
        return text
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith(f"def {name}("))
    end = next(i for i in range(place, len(lines)) if lines[i].endswith(":"))
    first, full = doc.splitlines()[0], doc.splitlines()
    if style.docstring == "comment":
        while place and lines[place - 1].startswith("@"):
            place -= 1
        return "\n".join([*lines[:place], f"# {first}", *lines[place:]])
    said = [f'    """{first}"""'] if style.docstring == "line" or len(full) == 1 else [
        f'    """{first}', *(f"    {line}".rstrip() for line in full[1:]), '    """']
    return "\n".join([*lines[:end + 1], *said, *lines[end + 1:]])
