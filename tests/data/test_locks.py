"""A lock is its holder's, and nobody's when that has ended."""

from __future__ import annotations

import subprocess
import sys

from pvnet.data.files.locks import lock, lock_if_free

# The child lives on when the parent has given the lock back, as workers that read data do.
FORKED = """
import os, signal, sys, time
from pathlib import Path
from pvnet.data.files.locks import lock, lock_if_free
place = Path(sys.argv[1])
with lock(place / "a"), lock_if_free(place) as free:
    assert free
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    time.sleep(0.2)
    with lock_if_free(place) as again:
        assert not again
try:
    with lock_if_free(place) as again:
        assert again
    signal.alarm(20)
    with lock(place / "a"):
        print("taken again")
finally:
    os.kill(child, signal.SIGKILL)
"""


def test_a_lock_does_not_live_on_in_forked_children(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "taken again\n"), done.stderr


def test_one_after_the_other(tmp_path):
    for _ in range(2):
        with lock(tmp_path / "a"):
            pass
        with lock_if_free(tmp_path) as free, lock_if_free(tmp_path) as second:
            assert (free, second) == (True, False)


def test_a_folder_is_as_it_was_afterwards(tmp_path):
    with lock_if_free(tmp_path) as free:
        assert free
        assert list(tmp_path.iterdir()) != []
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_holds_nothing(tmp_path):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pvnet.data.files.locks import lock_if_free\n"
        "with lock_if_free(Path(sys.argv[1])) as free:\n"
        "    os._exit(7 if free else 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 7
    with lock_if_free(tmp_path) as free:
        assert free


def test_a_child_that_ends_in_order_takes_no_lock_away(tmp_path):
    code = """
import os, sys
from pathlib import Path
from pvnet.data.files.locks import lock_if_free
place = Path(sys.argv[1])
with lock_if_free(place) as free:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        with lock_if_free(place) as again:
            print(free, again)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True False\n", done.stderr
