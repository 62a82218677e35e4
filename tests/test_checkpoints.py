"""Checkpoints that are damaged, and disks that fill up while a network learns."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langmodels.errors import FileWarning, LangmodelsError
from langmodels.neural import FeedForwardModel, LSTMModel
from langmodels.neural.recurrent.character_aware import CharacterAwareModel
from langmodels.neural.training import checkpoints
from langmodels.tensors import open_arrays, save_arrays
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TEXT = "the cat sat on the mat and the dog sat on the log " * 8
KINDS = {"lstm": LSTMModel, "feed-forward": FeedForwardModel}


def corpus() -> Corpus:
    return Corpus.from_text(TEXT, make_tokenizer("char"))


def model(name: str = "lstm") -> Any:
    options: dict[str, Any] = {"steps": 8} if name == "lstm" else {"order": 3}
    return KINDS[name](hidden=8, epochs=3, batch_size=4, average=0.9, threads=1, **options)


@pytest.fixture(scope="module", params=KINDS)
def written(request: Any, tmp_path_factory: Any) -> tuple[str, Path]:
    """A checkpoint after an epoch and a half."""
    path = tmp_path_factory.mktemp("checkpoint") / "run.ckpt"
    kept: list[bytes] = []
    keep = checkpoints.Checkpoint.keep

    def noting(self: Any, state: Any) -> None:
        keep(self, state)
        kept.append(path.read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "keep", noting)
        model(request.param).fit(corpus(), corpus(), checkpoint=str(path), checkpoint_seconds=0)
    path.write_bytes(kept[len(kept) // 2])
    return request.param, path


def resume(name: str, path: Path) -> Any:
    return model(name).fit(corpus(), corpus(), checkpoint=str(path))


def test_an_undamaged_checkpoint_continues_to_the_same_weights(
    written: tuple[str, Path], tmp_path: Path
) -> None:
    name, path = written
    (tmp_path / "run.ckpt").write_bytes(path.read_bytes())
    found = resume(name, tmp_path / "run.ckpt").network.parameters.flat
    assert np.array_equal(found, model(name).fit(corpus(), corpus()).network.parameters.flat)


def test_text_that_is_carried_over_or_has_other_unknown_words_is_another(tmp_path: Path) -> None:
    """The ids alone were looked at, which are the same."""
    lines = Corpus.from_text("the cat sat\non the mat\n" * 9, min_count=2)
    path = str(tmp_path / "run.ckpt")
    model().fit(lines, checkpoint=path)
    with pytest.raises(LangmodelsError, match=r"another text \(training text"):
        model().fit(lines.carried(), checkpoint=path)
    spelled = str(tmp_path / "spelled.ckpt")
    one, other = (
        Corpus.from_text(f"the cat sat\nthe cat sat\nthe {rare}\n", min_count=2)
        for rare in ("dog", "hen")
    )
    assert np.array_equal(one.ids, other.ids)
    CharacterAwareModel(hidden=4, epochs=1).fit(one, checkpoint=spelled)
    with pytest.raises(LangmodelsError, match=r"another text \(training text"):
        CharacterAwareModel(hidden=4, epochs=1).fit(other, checkpoint=spelled)


@pytest.mark.parametrize("identity", ["[1, 2]", "{", "[" * 50_000, "3", '{"kind": "soap"}'])
def test_checkpoints_with_a_wrong_identity_are_refused(
    written: tuple[str, Path], tmp_path: Path, identity: str
) -> None:
    name, path = written
    metadata, arrays = open_arrays(path)
    save_arrays(tmp_path / "run.ckpt", arrays, {**metadata, "identity": identity})
    with pytest.raises(LangmodelsError, match="belongs to a run with other settings"):
        resume(name, tmp_path / "run.ckpt")


@pytest.mark.parametrize(
    "damage",
    [
        {"step": "word"},
        {"step": 10**18},
        {"step": -1},
        {"step": 0},
        {"step": 1.5},
        {"running__loss": "word"},
        {"running": {}},
        {"running": None},
        {"schedule": ["a", "b", "c"]},
        {"schedule": [1.0]},
        {"schedule": 3},
        {"history__best_epoch": 77},
        {"history__epochs": []},
        {"history__epochs": ["x"]},
        {"history": [1]},
    ],
    ids=str,
)
def test_checkpoints_with_damaged_figures_are_refused(
    written: tuple[str, Path], tmp_path: Path, damage: dict[str, Any]
) -> None:
    name, path = written
    metadata, arrays = open_arrays(path)
    state = json.loads(metadata["state"])
    for where, value in damage.items():
        *folders, key = where.split("__")
        inner = state
        for folder in folders:
            inner = inner[folder]
        inner[key] = value
    save_arrays(tmp_path / "run.ckpt", arrays, {**metadata, "state": json.dumps(state)})
    with pytest.raises(LangmodelsError, match="is not a complete checkpoint"):
        resume(name, tmp_path / "run.ckpt")


def test_checkpoints_with_damaged_arrays_are_refused(
    written: tuple[str, Path], tmp_path: Path
) -> None:
    name, path = written
    metadata, arrays = open_arrays(path)
    for key, array in arrays.items():
        damaged = array.copy()
        damaged.reshape(-1)[0] = np.nan
        for wrong in (damaged, array.astype(np.int32), array[None], array[..., :-1]):
            save_arrays(tmp_path / "run.ckpt", {**arrays, key: wrong}, metadata)
            with pytest.raises(LangmodelsError, match="is not a complete checkpoint"):
                resume(name, tmp_path / "run.ckpt")


def test_what_cannot_be_written_is_said_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none" / "x", tmp_path / "file" / "x", tmp_path):
        with pytest.raises(LangmodelsError):
            model().fit(corpus(), checkpoint=str(path), after_epoch=pytest.fail)


def test_a_disk_that_fills_up_later_costs_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = model().fit(corpus())
    path, writes = tmp_path / "run.ckpt", 0

    def full(*arguments: Any) -> None:
        nonlocal writes
        writes += 1
        if writes > 2:
            raise LangmodelsError("Cannot write run.ckpt: No space left on device.")
        save_arrays(*arguments)

    monkeypatch.setattr(checkpoints, "save_arrays", full)
    with pytest.warns(FileWarning, match=r"No space left on device\. Training continues"):
        found = model().fit(corpus(), checkpoint=str(path))
    assert np.array_equal(found.network.parameters.flat, expected.network.parameters.flat)
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FileWarning)
        resumed = model().fit(corpus(), checkpoint=str(path))
    assert np.array_equal(resumed.network.parameters.flat, expected.network.parameters.flat)


@pytest.mark.parametrize(
    "options",
    [
        {"window": 4, "batch_size": 7, "threads": 1},
        {"window": 4, "batch_size": 7, "threads": 3},
        {"steps": 7, "batch_size": 3, "threads": 2, "dropout": 0.3, "average": 0.9},
        {"steps": 7, "batch_size": 3, "threads": 1, "shuffled": True, "weight_dropout": 0.2},
    ],
    ids=str,
)
def test_every_checkpoint_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """That of the last batch of an epoch, which may be smaller than the others, was refused."""
    text = Corpus.from_text(TEXT[:100], make_tokenizer("char"))
    path, kept = tmp_path / "run.ckpt", list[bytes]()
    save = checkpoints.Checkpoint._save

    def noting(self: Any, state: Any) -> None:
        save(self, state)
        kept.append(path.read_bytes())

    def fitted() -> Any:
        made = LSTMModel(hidden=4, epochs=2, **options)
        return made.fit(text, checkpoint=str(path), checkpoint_seconds=0).network.parameters.flat

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "_save", noting)
        expected = fitted()
    assert len(kept) > 8
    for state in kept:
        path.write_bytes(state)
        assert np.array_equal(fitted(), expected)


@pytest.mark.parametrize("name", KINDS)
def test_a_run_that_ended_after_its_last_step_takes_no_more(name: str, tmp_path: Path) -> None:
    """Killed while it was validating, in the midst of an epoch: `tokens` end training there."""

    class KilledError(Exception):
        pass

    def kill(epoch: Any) -> None:
        if epoch.number == 1:
            raise KilledError

    def limited() -> Any:
        made = model(name)
        return type(made)(**{**made.get_params(), "tokens": 3 * len(TEXT) // 2})

    path = str(tmp_path / "run.ckpt")
    with pytest.raises(KilledError):
        limited().fit(corpus(), corpus(), checkpoint=path, checkpoint_seconds=0, after_epoch=kill)
    resumed = limited().fit(corpus(), corpus(), checkpoint=path)
    whole = limited().fit(corpus(), corpus())
    assert [e.train_loss for e in resumed.history.epochs] == [
        e.train_loss for e in whole.history.epochs
    ]
    assert np.array_equal(resumed.network.parameters.flat, whole.network.parameters.flat)
