"""Fixtures for all tests: none may depend on timing, and all are kept fast and small."""

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

# Processes that share the tests share the processors: BLAS's threads would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from langmodels import progress
from langmodels.cli.main import main

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_disks() -> Iterator[None]:
    """Do not sync files to disk, as those of tests need not survive a power failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_lines_about_progress() -> Iterator[None]:
    """Print no lines of progress, which on a busy machine would be among the tested output."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Lines, "SILENCE", (3600.0, 3600.0))
        yield


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line that must end with a status; return its output, or else its errors."""

    def call(*arguments: Any, status: int = 0) -> str:
        found = main([str(a) for a in arguments])
        printed = capsys.readouterr()
        assert found == status, printed.err
        return printed.err if status else printed.out

    return call


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Exclude the collected tests, which are thousands of objects, from garbage collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Also exclude what the tests of a module have imported, after each module."""
    yield
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What one module's tests share is made once: each process begins with a stretch of its own.

    Whoever has finished takes over half of what another one has left.
    """
    if config.getvalue("dist") != "load":  # something else was asked for
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)
