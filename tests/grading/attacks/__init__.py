"""Submissions of lab 01 that want points without work, secrets, or the machine: data, one file a family.

They are for a sandbox only: some fill the memory, the disk or the process table, and some kill what they can reach.
"""

from attacks import archives, bombs, cells, deaths, documents, fishing, frames, imposture, lies, network, outliving, patches, recordings, references, shells  # noqa: F401
from attacks.making import ABSTRACT, CANARY, MARK, PLACES, PORT, Attack, Link, Pipe, every, lay

__all__ = ["ABSTRACT", "CANARY", "MARK", "PLACES", "PORT", "Attack", "Link", "Pipe", "every", "lay"]
