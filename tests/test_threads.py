"""Threads for the parts of one piece of work."""

import threading

import pytest

from langmodels import threads
from langmodels.threads import Workers


@pytest.mark.parametrize(("n_cores", "n_parts", "most"), [(1, 3, 1), (2, 3, 2), (8, 3, 3)])
def test_no_more_threads_than_cores_and_the_same_results(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, n_parts: int, most: int
) -> None:
    monkeypatch.setattr(threads, "cpu_count", lambda: n_cores)
    used = set()

    def work(part: int) -> tuple[int, int]:
        used.add(threading.get_ident())
        return part, part * part

    with Workers(n_parts) as workers:
        assert workers.n == n_parts
        assert workers.map(work, range(n_parts)) == [(k, k * k) for k in range(n_parts)]
    assert threading.get_ident() in used
    assert len(used) <= most


def test_processes_that_share_the_cores_leave_each_other_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "cpu_count", lambda: 4)
    monkeypatch.setattr(threads, "_sharers", 4)
    used = set()
    with Workers(4) as workers:
        workers.map(lambda _: used.add(threading.get_ident()), range(4))
    assert used == {threading.get_ident()}
