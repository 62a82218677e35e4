"""Processes that are killed at any moment, full disks, folders that cannot be written in."""

import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from langmodels.errors import LangmodelsError
from langmodels.models.unigram import UnigramModel
from langmodels.neural import LSTMModel
from langmodels.ngram import NGramModel
from langmodels.registry import load
from langmodels.text.corpus import Corpus

resource = pytest.importorskip("resource")  # POSIX alone has it
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

TEXT = "the cat sat on the mat and the dog sat on the log " * 8


def forked(work: Callable[[], object]) -> int:
    """The id of a child process that does this and ends; what it imports is there already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads, which it has no use for
        child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    """The status with which it ended: negative where by a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(child: int, moment: float) -> bool:
    """Kill it; whether it had not ended before."""
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    return ended(child) == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def network() -> LSTMModel:
    return LSTMModel(hidden=8, epochs=3, batch_size=4, steps=8, threads=1)


def test_a_model_is_whole_whenever_its_saving_is_killed(tmp_path: Path) -> None:
    text = Corpus.from_text(TEXT, "char")
    models = [NGramModel(4).fit(text), NGramModel(2).fit(text)]
    path = tmp_path / "model.lm"
    models[0].save(path)

    def save_for_ever() -> None:
        while True:
            for model in models:
                model.save(path)

    rng = np.random.default_rng(0)
    for _ in range(12):
        assert killed_at(forked(save_for_ever), rng.uniform(0, 0.05))
        found = load(path)
        assert any(found.score(TEXT) == model.score(TEXT) for model in models)
    models[1].save(path)  # which removes what the others left
    assert names(tmp_path) == ["model.lm"]


def test_a_run_goes_on_whenever_it_is_killed(tmp_path: Path) -> None:
    text = Corpus.from_text(TEXT, "char")
    expected = network().fit(text, text)
    path = tmp_path / "run.ckpt"

    def run() -> None:
        network().fit(text, text, checkpoint=str(path), checkpoint_seconds=0)

    rng = np.random.default_rng(1)
    for _ in range(8):
        killed_at(forked(run), rng.uniform(0, 0.1))
    assert ended(forked(run)) == 0
    found = network().fit(text, text, checkpoint=str(path))
    assert np.array_equal(found.network.parameters.flat, expected.network.parameters.flat)
    assert names(tmp_path) == ["run.ckpt"]


def test_what_was_there_stays_where_the_disk_is_full(tmp_path: Path) -> None:
    """Every size at which a write can fail; limits of files stand for disks."""
    text = Corpus.from_text(TEXT, "char")
    before, model, path = UnigramModel().fit(text), NGramModel(3).fit(text), tmp_path / "model.lm"
    before.save(path)
    model.save(tmp_path / "whole.lm")
    size = (tmp_path / "whole.lm").stat().st_size

    def save(room: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        with pytest.raises(LangmodelsError, match="Cannot write"):
            model.save(path)

    for room in (0, 100, size // 2, size - 1):
        assert ended(forked(lambda room=room: save(room))) == 0
        assert load(path).score(TEXT) == before.score(TEXT)
        assert names(tmp_path) == ["model.lm", "whole.lm"]


def test_a_folder_that_cannot_be_written_in(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o555)
    model = UnigramModel().fit(TEXT)

    def save() -> None:
        if os.getuid() == 0:
            os.setuid(65534)  # nothing is closed to root
        with pytest.raises(LangmodelsError, match="Cannot write"):
            model.save("model.lm")

    def enter_and_save() -> None:
        os.chdir(tmp_path / "closed")
        save()

    assert ended(forked(enter_and_save)) == 0
    assert names(tmp_path / "closed") == []
