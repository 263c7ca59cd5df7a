"""Archives as learning platforms hand them over, with entries that leave their folder, link out of it, or never end."""

import io
import stat
import tarfile
import warnings
import zipfile

from attacks.making import NAME, as_bytes, made

FAMILY = "archives"


def _zip(*entries):
    """A zip of (name, bytes) or (name, bytes, mode)."""
    data = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # a name twice is meant
        for name, content, *mode in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (mode[0] if mode else stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return data.getvalue()


def _submitted(*entries, suffix="zip"):
    return {f"submission.{suffix}": _zip(*entries)}


@made(FAMILY)
def entries_above_the_folder(notebook):
    return _submitted((NAME, as_bytes(notebook)), ("../attack_was_here", b"1"), ("../../../../tmp/attack_was_here", b"1"), ("a/../../attack_was_here", b"1"))


@made(FAMILY)
def entries_with_absolute_names(notebook):
    return _submitted((NAME, as_bytes(notebook)), ("/tmp/attack_was_here", b"1"), ("C:\\attack_was_here", b"1"), ("//server/attack_was_here", b"1"))


@made(FAMILY)
def entries_with_backslashes(notebook):
    return _submitted((NAME, as_bytes(notebook)), ("..\\..\\attack_was_here", b"1"), ("..\\attack_was_here\\x", b"1"))


@made(FAMILY)
def a_link_and_a_file_below_it(notebook):
    return _submitted((NAME, as_bytes(notebook)), ("out", b"/tmp", stat.S_IFLNK | 0o777), ("out/attack_was_here", b"1"))


@made(FAMILY)
def a_link_in_the_place_of_the_notebook(notebook):
    return _submitted((NAME, b"../../../../solutions/01_moe/01_moe.ipynb", stat.S_IFLNK | 0o777))


@made(FAMILY)
def the_folder_of_another_student(notebook):
    return _submitted((NAME, as_bytes(notebook)), ("../neighbour/01_moe/01_moe.ipynb", b"attack_was_here"), ("neighbour_1234_assignsubmission_file_/01_moe.ipynb", as_bytes(notebook)))


@made(FAMILY, endangers=True)
def an_archive_that_grows_a_thousandfold(notebook):
    return _submitted((NAME, as_bytes(notebook)), ("zeros.bin", bytes(1 << 28)))


@made(FAMILY, endangers=True)
def archives_in_archives(notebook):
    inner = _zip(("zeros.bin", bytes(1 << 25)))
    for _ in range(4):
        inner = _zip(*((f"{n}.zip", inner) for n in range(10)))
    return _submitted((NAME, as_bytes(notebook)), ("more.zip", inner))


@made(FAMILY)
def twenty_thousand_entries(notebook):
    return _submitted((NAME, as_bytes(notebook)), *((f"{n}.txt", b"") for n in range(20_000)))


@made(FAMILY)
def names_that_are_hard_to_write(notebook):
    names = ("a" * 5000, "con", "nul.txt", "new\nline", "-rf", "~root", "a/" * 500 + "b", "\u202egpj.ipynb", ".", "..", "", " ", "01_moe.ipynb/x")
    return _submitted((NAME, as_bytes(notebook)), *((name, b"attack_was_here") for name in names if name))


@made(FAMILY)
def the_same_name_twice(notebook):
    return _submitted((NAME, as_bytes(notebook)), (NAME, b"{}"), (NAME.upper(), b"{}"))


@made(FAMILY)
def configuration_for_the_course(notebook):
    return _submitted((NAME, as_bytes(notebook)), ("nbgrader_config.py", b"raise SystemExit"), (".git/hooks/post-checkout", b"#!/bin/sh\ntouch attack_was_here"), ("gradebook.db", b"x"))


@made(FAMILY)
def sizes_that_lie(notebook):
    data = bytearray(_zip((NAME, as_bytes(notebook))))
    at = data.rindex(b"PK\x01\x02")
    data[at + 20 : at + 28] = b"\x10\0\0\0\x10\0\0\0"
    return {"submission.zip": bytes(data)}


@made(FAMILY)
def an_archive_that_is_cut(notebook):
    return {"submission.zip": _zip((NAME, as_bytes(notebook)))[:-200], "other.zip": b"PK\x05\x06" + bytes(18), "text.zip": b"not a zip"}


@made(FAMILY)
def a_tar_with_links_and_devices(notebook):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, kind, target in (("out", tarfile.SYMTYPE, "/tmp"), ("hard", tarfile.LNKTYPE, "/etc/passwd"), ("zero", tarfile.CHRTYPE, ""), ("pipe", tarfile.FIFOTYPE, "")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.devmajor, info.devminor = kind, target, 1, 5
            archive.addfile(info)
        for name in (NAME, "out/attack_was_here", "../attack_was_here", "/tmp/attack_was_here"):
            info = tarfile.TarInfo(name)
            info.size = len(as_bytes(notebook))
            archive.addfile(info, io.BytesIO(as_bytes(notebook)))
    return {"submission.tar.gz": data.getvalue()}
