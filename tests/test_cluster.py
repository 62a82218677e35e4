"""A Dask cluster in the place of processes: the same results, whoever dies."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from errands import die, fail, slow_square, total

import langmodels
from langmodels.cli.main import main
from langmodels.errors import LangmodelsError
from langmodels.execution import WorkerLost, completed, executor, mapped, share

pytestmark = [
    pytest.mark.skipif(find_spec("distributed") is None, reason="needs Dask"),
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's"),
]
KILLS = 3
TRIM = "MALLOC_TRIM_THRESHOLD_"
TRIMMED = os.getenv(TRIM)  # before Dask sets it, in this process too
PATIENCE = 120  # seconds until a test gives up; none waits for so long unless something hangs


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    with executor(2, "local") as pool:
        yield pool


@pytest.fixture
def client(pool: Any) -> Iterator[Any]:
    import distributed  # takes seconds

    with distributed.Client(pool._cluster.scheduler_address, set_as_default=False) as client:
        yield client


def test_results_and_errors_are_those_of_processes(pool: Any) -> None:
    values = share(pool, [1, 2, 3])
    calls = [(total, values, 4), (fail, "no text"), (slow_square, 5)]
    futures = [pool.submit(*call) for call in calls]
    assert set(completed(pool, futures)) == set(futures)
    assert (futures[0].result(), futures[2].result()) == (10, 25)
    with pytest.raises(LangmodelsError, match="no text"):
        futures[1].result()
    assert list(mapped(pool, total, [[1], [2], [3]], 7)) == [8, 9, 10]


def test_local_workers_do_not_return_memory_at_once(pool: Any) -> None:
    """Dask would have them fetch it anew for each array, at twice the time."""
    assert pool.submit(os.getenv, TRIM).result() == TRIMMED


def test_killed_workers_change_no_result(pool: Any) -> None:
    rng = random.Random(1)
    killed: list[int] = []
    done = threading.Event()

    def kill() -> None:
        while len(killed) < KILLS and not done.wait(rng.uniform(0.1, 0.5)):
            pids = [w.pid for w in list(pool._cluster.workers.values()) if w.pid]
            with suppress(ProcessLookupError, IndexError):
                pid = rng.choice(pids)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        values = share(pool, [100])
        futures = [pool.submit(slow_square, x) for x in range(60)]
        futures += [pool.submit(total, values, x) for x in range(20)]
        found = [f.result(timeout=PATIENCE) for f in futures]
    finally:
        done.set()
        killer.join(PATIENCE)
    assert killed
    assert found == [x * x for x in range(60)] + [100 + x for x in range(20)]


def test_tasks_of_a_scheduler_that_is_restarted_are_begun_again(pool: Any, client: Any) -> None:
    futures = [pool.submit(slow_square, x) for x in range(60)]
    client.restart()
    assert [f.result(timeout=PATIENCE) for f in futures] == [x * x for x in range(60)]


def test_a_task_that_kills_its_workers_raises_worker_lost(pool: Any) -> None:
    futures = [pool.submit(die, os.devnull), pool.submit(slow_square, 3)]
    list(completed(pool, futures))
    assert isinstance(futures[0].exception(), WorkerLost)
    assert "its worker died 4 times" in str(futures[0].exception())
    assert futures[1].result() == 9


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """A comparison but for what is measured with a clock, and the command."""
    for model in results["models"]:
        del model["timing"]
    del results["settings"]["command"]
    return results


def test_partitions_of_a_text_are_shared_and_a_worker_may_die(
    pool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("langmodels.ngram.partitions.running._capacity", lambda *_: 1500)
    text = langmodels.find_source("wonderland.txt").read()[:60_000]
    Path("text.txt").write_text(text, encoding="utf-8")
    train = ["train", "--corpus", "text.txt", "--order", "4", "--output"]
    assert main([*train, "memory.lm"]) == 0

    def kill() -> None:
        while not any(Path().glob("langmodels-work-*/counts.*")):
            time.sleep(0.01)
        pids = [w.pid for w in list(pool._cluster.workers.values()) if w.pid]
        os.kill(pids[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    shared = ["--memory", "1G", "--scheduler", pool._cluster.scheduler_address]
    assert main([*train, "shared.lm", *shared]) == 0
    killer.join()
    assert Path("shared.lm").read_bytes() == Path("memory.lm").read_bytes()
    assert not list(Path().glob("langmodels-work-*"))


def test_commands_find_the_same_on_a_cluster(
    pool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = langmodels.find_source("wonderland.txt").read()[:20_000]
    Path("text.txt").write_text(text, encoding="utf-8")
    documents = [{"text": text[i : i + 500]} for i in range(0, 20_000, 500)]
    Path("docs.jsonl").write_text("".join(json.dumps(d) + "\n" for d in documents))
    assert main(["train", "--corpus", "text.txt", "--order", "2", "-o", "m.lm", "-q"]) == 0
    models = "unigram,mkn:order=2,rnn:hidden=4:epochs=1"
    compare = ["compare", "--corpus", "text.txt", "--models", models, "--no-cache", "--json", "-q"]
    found = {}
    for where in (["--jobs", "1"], ["--scheduler", pool._cluster.scheduler_address]):
        capsys.readouterr()
        assert main([*compare, "--budget", "quick", *where]) == 0
        results = without_times(json.loads(capsys.readouterr().out))
        assert main(["score", "m.lm", "--file", "docs.jsonl", "-q", *where]) == 0
        scored = capsys.readouterr().out
        out = f"out{where[0]}"
        assert main(["filter", "m.lm", "docs.jsonl", "-o", out, "--keep", ".5", *where]) == 0
        found[where[0]] = results, scored, Path(out, "docs.jsonl").read_bytes()
    assert found["--scheduler"] == found["--jobs"]


def test_an_address_without_a_scheduler_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("langmodels.execution.cluster._TIMEOUT", 0.2)
    with pytest.raises(LangmodelsError, match="No Dask scheduler answers at tcp://127"):
        executor(1, "tcp://127.0.0.1:9")
