"""Against rot: the lock file of the tested set, and what breaks with the newest versions.

    lock.py      the files in locks/: every package at the version that is tested, with its hashes
    index.py     what the public index knows of a package: versions, files, hashes, requirements
    latest.py    each dependency at its newest version, tests by room, a report
    overlay.py   an environment laid over this one, for what is newer
    hooks.py     what a commit is asked of its files
    rooms.py     which tests a dependency touches, and what they did

Nothing here imports torch or a subject room.
"""
