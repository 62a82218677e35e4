"""Ids of long texts are held in few bytes; whoever asks for them gets what short texts have."""

import numpy as np
import pytest

from langmodels.registry import make_model
from langmodels.text.corpus import Corpus

TEXT = "the cat sat on the mat\nthe dog sat on the log\na dog and a cat ran to the mat\n" * 3
MODELS = (
    *("unigram", "mkn:order=3", "jelinek-mercer:order=2", "class:classes=4", "full-context"),
    *("lstm:hidden=4:epochs=1", "mixture:order=2:hidden=4:epochs=1"),
)


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:The .* counts of this text")
def test_few_bytes_give_the_same_models_and_scores(
    level: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = Corpus.from_text(TEXT, level, min_count=2)
    monkeypatch.setattr("langmodels.text.indexing._LONG", 0)
    train, test = Corpus.from_text(TEXT, level, min_count=2), Corpus.read_by(wide.reading, TEXT)
    assert train.held.dtype == test.held.dtype == np.uint8
    wanted = make_model(name).fit(wide, wide)
    fitted = make_model(name).fit(train, test)
    assert np.array_equal(fitted.score_corpus(test), wanted.score_corpus(wide))
    again = Corpus.read_by(wide.reading, TEXT).carried()
    blocks = zip(fitted.score_blocks(again), wanted.score_blocks(wide.carried()), strict=True)
    for (targets, scores), (wanted_targets, wanted_scores) in blocks:
        assert targets.dtype == np.int32
        assert np.array_equal(targets, wanted_targets)
        assert np.array_equal(scores, wanted_scores)


@pytest.mark.parametrize("level", ["char", "word"])
def test_parts_of_few_bytes_are_those_of_many(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Corpus.from_text(TEXT, level, min_count=2)
    monkeypatch.setattr("langmodels.text.indexing._LONG", 0)
    narrow = Corpus.read_by(wide.reading, TEXT)
    assert narrow.id_counts().tolist() == wide.id_counts().tolist()
    assert narrow.head(20).held.tolist() == wide.head(20).ids.tolist()
    assert narrow.recoded(wide.vocabulary).held.tolist() == wide.ids.tolist()
    for reach in (None, 2) if level == "word" else (2,):  # without, one sequence is one part
        parts = zip(narrow.blocks(9, reach), wide.blocks(9, reach), strict=True)
        for (part, again), (wanted, wanted_again) in parts:
            assert (part.ids.tolist(), again) == (wanted.ids.tolist(), wanted_again)
            assert part.ids.dtype == np.int32
    assert narrow.held.dtype == np.uint8
    assert narrow.targets.dtype == narrow.ids.dtype == narrow.held.dtype == np.int32
    assert np.array_equal(narrow.ids, wide.ids)


def test_ids_beyond_a_byte_are_held_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langmodels.text.indexing._LONG", 0)
    words = [f"w{i}" for i in range(300)]
    corpus = Corpus.from_text(" ".join(words))
    assert corpus.held.dtype == np.uint16
    assert corpus.vocabulary.decode(next(corpus.sequences()).tolist()) == words
