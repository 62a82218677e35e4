"""Tasks in other processes: if one dies, all other tasks are finished, and nothing hangs."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from errands import (
    cleaned,
    die,
    die_once,
    end_of_file,
    fail,
    interrupted,
    shout,
    square,
    total,
    unpicklable,
)

from langmodels.errors import LangmodelsError, UsageError
from langmodels.execution import ATTEMPTS, Processes, WorkerLost, completed, executor, share
from langmodels.text.cleaning import CLEANINGS, Cleaning

with_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="needs Dask")
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
PATIENCE = 120  # seconds until a test gives up; none waits for so long unless something hangs


def results(jobs: int, *calls: tuple[Any, ...]) -> list[Any]:
    """Result or exception of each call, in the order of the calls."""
    with executor(jobs) as pool:
        futures = [pool.submit(*call) for call in calls]
        done = list(completed(pool, futures))
        assert sorted(map(id, done)) == sorted(map(id, futures))
        return [future.exception() or future.result() for future in futures]


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_do_not_depend_on_where_tasks_run(jobs: int) -> None:
    calls = [(square, 3), (fail, "no text"), (end_of_file,), (square, 4)]
    first, error, own, last = results(jobs, *calls)
    assert (first, last) == (9, 16)
    assert isinstance(error, LangmodelsError)
    assert str(error) == "no text"
    assert isinstance(own, EOFError)
    with executor(jobs) as pool:
        values = share(pool, [1, 2, 3])
        futures = [pool.submit(total, values, x) for x in (10, 20, 30)]
        assert sorted(f.result() for f in completed(pool, futures)) == [16, 26, 36]


def test_a_task_that_cannot_be_pickled_fails_alone() -> None:
    back, there, after = results(2, (unpicklable,), (square, lambda: 3), (square, 5))
    assert isinstance(back, Exception)
    assert isinstance(there, Exception)
    assert after == 25


def test_fewer_than_one_job_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        executor(0)


def test_what_is_registered_is_known_to_other_processes(request: pytest.FixtureRequest) -> None:
    known = {"shout": shout, "lower": shout, "whisper": lambda chunks: chunks}
    for name, change in known.items():
        CLEANINGS.register(name, Cleaning(change), f"{name}-aloud")
        request.addfinalizer(partial(CLEANINGS.unregister, name))
    with Processes(1) as pool:
        asked = ("shout", "shout-aloud", "lower", "nfc")
        futures = [pool.submit(cleaned, how) for how in asked]
        assert [f.result() for f in futures] == ["A!", "A!", "A!", "a"]
        with pytest.raises(LangmodelsError, match="'whisper' is not known to other processes"):
            pool.submit(cleaned, "whisper").result()
        with pytest.raises(LangmodelsError, match=r"sent to other processes .*or use one job"):
            pool.submit(square, lambda: 3).result()
        assert pool.submit(square, 3).result() == 9


@posix
def test_the_task_of_a_killed_worker_is_repeated(tmp_path: Path) -> None:
    calls = [(die_once, str(tmp_path / f"mark{i}"), i) for i in range(3)]
    assert results(2, *calls, (square, 4)) == [0, 1, 2, 16]


@posix
def test_a_task_that_kills_its_workers_is_named_and_the_rest_finished(tmp_path: Path) -> None:
    attempts = tmp_path / "attempts"
    lost, *rest = results(2, (die, str(attempts)), (square, 2), (square, 3), (square, 4))
    assert isinstance(lost, WorkerLost)
    assert "killed by SIGKILL" in str(lost)
    assert attempts.read_text() == "." * ATTEMPTS
    assert rest == [4, 9, 16]


@posix
def test_workers_leave_ctrl_c_to_their_parent() -> None:
    assert results(2, (interrupted, 1), (interrupted, 2)) == [1, 2]


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened for minutes"
        time.sleep(0.02)
    return found


def is_running(pid: int) -> bool:
    """Whether a process is running; a zombie is not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")
    except (ProcessLookupError, FileNotFoundError):
        return False


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_their_parent_is_killed(how: signal.Signals, tmp_path: Path) -> None:
    """In the middle of endless work, and while they have none."""
    (tmp_path / "endless.py").write_text(
        textwrap.dedent(
            """
            import os, sys
            from pathlib import Path
            from langmodels.execution import completed, executor

            def note(folder):
                Path(folder, f"{os.getpid()}.pid").touch()

            def endless(folder):
                note(folder)
                while True:
                    pass

            if __name__ == "__main__":
                with executor(2) as pool:
                    list(completed(pool, [pool.submit(f, sys.argv[1]) for f in (note, endless)]))
            """
        )
    )
    parent = subprocess.Popen([sys.executable, "endless.py", str(tmp_path)], cwd=tmp_path)
    try:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    finally:
        parent.send_signal(how)
        parent.wait()
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    wait_for(lambda: not any(map(is_running, pids)))


def test_a_script_without_a_main_guard_gets_a_sentence(tmp_path: Path) -> None:
    """A script without the guard runs itself again in every worker."""
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from langmodels.execution import completed, executor\n"
        "with executor(2) as pool:\n"
        "    done = list(completed(pool, [pool.submit(abs, -1), pool.submit(abs, -2)]))\n"
        "print(done[0].exception())\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout.count('if __name__ == "__main__"') == 1
    assert "could not start" in run.stdout


@posix
@pytest.mark.parametrize("where", ["2", pytest.param("1, 'local'", marks=with_dask)])
def test_workers_never_receive_ctrl_c(where: str) -> None:
    """In a fresh interpreter, where the thread that starts the first process starts a second one
    of multiprocessing's own, which let it hear again: workers then wrote tracebacks.
    """
    script = f"""
import signal
from langmodels.execution import executor
with executor({where}) as pool:
    heard = pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
print(signal.SIGINT in heard, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.split() == ["True", "False"], found.stderr
