"""Files that are not what they should be: notebooks that are none, links and pipes, weights that lie about themselves."""

import json
import struct

from attacks.making import NAME, Link, Pipe, as_bytes, cell_of, code, made

FAMILY = "documents"
WEIGHTS = ("model.safetensors", "moe_lm/model.safetensors", "artifacts/moe_lm/latest/model.safetensors")


@made(FAMILY)
def no_json(notebook):
    return as_bytes(notebook)[:-100]


@made(FAMILY)
def an_empty_file(notebook):
    return b""


@made(FAMILY)
def bytes_of_chance(notebook):
    return bytes(range(256)) * 400


@made(FAMILY)
def a_million_cells(notebook):
    return b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [' + b",".join([b'{"cell_type":"code","source":"","metadata":{},"outputs":[]}'] * 1_000_000) + b"]}"


@made(FAMILY)
def four_thousand_cells(notebook):
    notebook["cells"] += [code(f"x{n} = {n}\n" * 5) for n in range(4000)]


@made(FAMILY)
def nested_a_million_deep(notebook):
    return b'{"nbformat": 4, "metadata": ' + b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000 + b', "cells": []}'


@made(FAMILY)
def metadata_nested_in_a_cell(notebook):
    deep = b"[" * 5000 + b"]" * 5000
    return as_bytes(notebook).replace(b'"metadata": {}', b'"metadata": {"a": ' + deep + b"}", 1)


@made(FAMILY)
def a_source_of_a_hundred_megabytes(notebook):
    cell_of(notebook, "moe-route-answer")["source"] = "x = '" + "a" * 100_000_000 + "'"


@made(FAMILY)
def a_source_that_stops_parsers(notebook):
    for name, source in (("moe-route-answer", "(" * 30_000), ("moe-cost-answer", "1" + "+1" * 15_000), ("moe-zloss-answer", "f" + "()" * 15_000), ("moe-balance-answer", "x = '''"),
                         ("moe-combine-answer", "a\0b"), ("moe-bias-answer", "9" * 30_000), ("moe-mend-answer", "@a\n" * 10_000 + "def f(): pass")):
        cell_of(notebook, name)["source"] = source


@made(FAMILY)
def a_format_of_the_future(notebook):
    return json.dumps({**notebook, "nbformat": 99}).encode()


@made(FAMILY)
def keys_twice(notebook):
    return as_bytes(notebook).replace(b'"nbformat": 4', b'"cells": [], "nbformat": 4', 1)


@made(FAMILY)
def a_format_that_is_nan(notebook):
    return as_bytes(notebook).replace(b'"nbformat": 4', b'"nbformat": NaN', 1)


@made(FAMILY)
def a_link_to_the_masters(notebook):
    return {NAME: Link("../../../../solutions/01_moe/01_moe.ipynb")}


@made(FAMILY)
def a_link_to_a_neighbour(notebook):
    return {NAME: Link("../../neighbour/01_moe/01_moe.ipynb"), "data.bin": Link("/etc/passwd")}


@made(FAMILY)
def links_beside_the_notebook(notebook):
    return {NAME: as_bytes(notebook), "seed": Link("../../../cohort-secret/seed"), "all": Link("/"), "loop": Link("loop"), "gradebook": Link("../../../gradebook.db")}


@made(FAMILY)
def a_pipe_in_the_place_of_the_notebook(notebook):
    return {NAME: Pipe()}


@made(FAMILY)
def a_folder_in_the_place_of_the_notebook(notebook):
    return {f"{NAME}/{NAME}": b"{}", f"{NAME}/x": b""}


@made(FAMILY)
def nothing_but_other_files(notebook):
    return {"solution.py": b"def route(): pass", "lab.docx": b"PK", "a.ipynb.txt": as_bytes(notebook)}


def _weights(name, data, **options):
    def edit(notebook):
        config = json.dumps({"d_model": 64, "n_layers": 2, "valid_loss": 0.001}).encode()
        manifest = json.dumps({"kind": "moe_lm", "metrics": {"valid_loss": 0.001}, "files": {"model.safetensors": "0" * 64}}).encode()
        others = {path.replace("model.safetensors", file): text for path in WEIGHTS for file, text in (("config.json", config), ("artifact.json", manifest))}
        return {NAME: as_bytes(notebook), **dict.fromkeys(WEIGHTS, data), **others}
    edit.__name__ = name
    made("weights that lie", **options)(edit)


def _tensors(header, body=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


ONE = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
_weights("a_header_longer_than_the_file", _tensors({"w": ONE}, bytes(16), length=1 << 62))
_weights("a_header_of_no_length", _tensors(b"", bytes(16), length=0))
_weights("a_header_that_is_no_json", _tensors(b"{" * 1000, bytes(16)))
_weights("a_header_nested_without_end", _tensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, bytes(16)))
_weights("a_shape_of_a_terabyte", _tensors({"w": {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 16]}}, bytes(16)))
_weights("a_shape_that_overflows", _tensors({"w": {"dtype": "F32", "shape": [1 << 32, 1 << 32, 4], "data_offsets": [0, 0]}}))
_weights("offsets_beyond_the_end", _tensors({"w": {**ONE, "data_offsets": [0, 1 << 40]}}, bytes(16)))
_weights("offsets_that_overlap", _tensors({"a": ONE, "b": ONE}, bytes(16)))
_weights("offsets_below_nought", _tensors({"w": {**ONE, "data_offsets": [-16, 0]}}, bytes(16)))
_weights("a_type_that_is_not_there", _tensors({"w": {**ONE, "dtype": "OBJECT"}}, bytes(16)))
_weights("a_name_with_a_path", _tensors({"../../attack_was_here": ONE, "__metadata__": {"format": "pt", "code": "import os"}}, bytes(16)))
_weights("a_pickle_under_the_name_of_safetensors", b"\x80\x04cos\nsystem\n(S'touch attack_was_here'\ntR.")
_weights("weights_that_are_no_numbers", _tensors({"w": ONE}, b"\x00\x00\xc0\x7f" * 4))
_weights("a_million_tensors", _tensors({f"w{n}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for n in range(200_000)}))
