import logging
import os
import sys
import warnings

import pytest

from breakthrough.deploy.quiet import quiet


def test_nothing_is_said_and_all_is_as_before_afterwards(capfd):
    before, disabled = os.fstat(2).st_ino, logging.root.manager.disable
    with quiet():
        os.write(2, b"from C++\n")
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("somewhere").warning("a line")
        print("out"), print("err", file=sys.stderr)
    assert capfd.readouterr() == ("", "")
    assert os.fstat(2).st_ino == before and logging.root.manager.disable == disabled
    os.write(2, b"again\n")
    assert capfd.readouterr().err == "again\n"


def test_what_was_said_before_an_error_is_a_note_of_it():
    with pytest.raises(ValueError, match="why") as caught, quiet():
        os.write(2, b"from C++")
        raise ValueError("why")
    assert caught.value.__notes__ == ["said on stderr before: from C++"]
