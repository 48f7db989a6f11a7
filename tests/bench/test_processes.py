import subprocess
import time

import pytest

from bitswitch.bench.processes import run_python, time_python, time_until


def test_a_process_is_fresh_and_has_one_thread():
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS'], 'torch' in sys.modules)"
    assert run_python(code).split() == ["1", "False"]
    assert run_python("import os; print(os.environ['X'])", {"X": "y"}) == "y\n"


def test_time_is_that_of_the_whole_process():
    assert 0.2 < time_python("import time; time.sleep(0.2)", repeats=1) < 10


def test_waiting_stops_the_process(tmp_path):
    path = tmp_path / "ready"
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    began = time.perf_counter()
    assert time_until(path.exists, code, str(path)) < 30
    assert time.perf_counter() - began < 30


def test_a_process_that_fails_says_why():
    with pytest.raises(subprocess.CalledProcessError) as error:
        time_until(lambda: False, "raise SystemExit('no disk')")
    assert "no disk" in error.value.stderr
