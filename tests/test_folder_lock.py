import os
import signal
import subprocess
import sys
import threading

import pytest

from keras_hkd.folder_lock import FolderInUseError, folder_lock

HOLD = """
import sys, time
from keras_hkd.folder_lock import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path):
    folder = tmp_path / "new" / "run"
    with folder_lock(folder):
        (folder / "note.txt").write_text("mine")
        with pytest.raises(FolderInUseError, match="Another process writes to .*run"):
            with folder_lock(folder):
                pass
        with folder_lock(tmp_path / "other"):
            pass
    with folder_lock(folder):
        assert (folder / "note.txt").read_text() == "mine"


def test_an_error_lets_go_of_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        raise ZeroDivisionError
    with folder_lock(tmp_path):
        pass


def test_a_second_writer_may_wait_and_says_so(tmp_path, capsys):
    order = []

    def second():
        with folder_lock(tmp_path, wait=True):
            order.append("second")

    with folder_lock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.5)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert "Waiting for another process" in capsys.readouterr().err


def test_a_killed_process_leaves_the_folder_free(tmp_path):
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            with pytest.raises(FolderInUseError), folder_lock(tmp_path):
                pass
        finally:
            os.kill(process.pid, signal.SIGKILL)
    with folder_lock(tmp_path):
        pass
