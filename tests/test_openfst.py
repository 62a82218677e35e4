"""Models as automata in OpenFst's text format: paths over them cost what the model says."""

from pathlib import Path

import pytest
from ngram_data import alice, held_out, trained

from langmodels.cli.main import main
from langmodels.errors import LangmodelsError
from langmodels.ngram import NGramModel, prune
from langmodels.ngram.openfst import write_fst
from langmodels.text.corpus import Corpus
from langmodels.text.tokenization import CharacterTokenizer


class Machine:
    """An automaton whose arcs with `<eps>` are taken where a word has no arc."""

    def __init__(self, path: Path) -> None:
        self.arcs: dict[tuple[int, str], tuple[int, float]] = {}
        self.final: dict[int, float] = {}
        self.begin = -1
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            if self.begin < 0:
                self.begin = int(fields[0])
            if len(fields) < 5:
                self.final[int(fields[0])] = float(fields[1]) if len(fields) > 1 else 0.0
                continue
            source, target, label, out, weight = fields
            assert label == out
            assert (int(source), label) not in self.arcs
            self.arcs[int(source), label] = (int(target), float(weight))

    def cost(self, words: list[str]) -> float:
        """Of a sentence, its end included, in nats."""
        state, total = self.begin, 0.0
        for word in words:
            while (state, word) not in self.arcs:
                state, weight = self.arcs[state, "<eps>"]
                total += weight
            state, weight = self.arcs[state, word]
            total += weight
        while state not in self.final:
            state, weight = self.arcs[state, "<eps>"]
            total += weight
        return total + self.final[state]


@pytest.mark.parametrize("order", [1, 2, 4])
def test_paths_cost_what_the_model_says(order: int, tmp_path: Path) -> None:
    model = trained(order)
    for tested in (model, prune(model, max_ngrams=4000) if order == 4 else model):
        tested.save_fst(tmp_path / "model.fst")
        machine = Machine(tmp_path / "model.fst")
        for ids in list(held_out().sequences())[:40]:
            words = tested.vocabulary.decode(ids)
            assert machine.cost(words) == pytest.approx(-tested.score(ids), abs=1e-4)


def test_a_stream_may_end_everywhere(tmp_path: Path) -> None:
    corpus = Corpus.from_text("abracadabra" * 5, CharacterTokenizer())
    model = NGramModel(3, "witten_bell").fit(corpus)
    model.save_fst(tmp_path / "chars.fst")
    machine = Machine(tmp_path / "chars.fst")
    assert machine.cost(list("abraba")) == pytest.approx(-model.score("abraba"), abs=1e-5)


def test_what_cannot_be_said_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LangmodelsError, match="Stupid"):
        NGramModel(2, "stupid_backoff").fit(alice().head(500)).save_fst(tmp_path / "m.fst")
    corpus = Corpus.from_text("a b c a b\n" * 4, CharacterTokenizer())
    model = NGramModel(2, "witten_bell").fit(corpus)
    with pytest.raises(LangmodelsError, match="cannot be a label"):
        write_fst(tmp_path / "m.fst", model.tables, model.vocabulary)
    assert list(tmp_path.iterdir()) == []


def test_convert_writes_them_and_no_unknown_endings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained(2)
    model.save_arpa(tmp_path / "m.arpa")
    assert main(["convert", str(tmp_path / "m.arpa"), str(tmp_path / "m.fst")]) == 0
    assert "automaton" in capsys.readouterr().out
    machine = Machine(tmp_path / "m.fst")
    assert machine.cost(["alice", "was"]) == pytest.approx(-model.score("alice was"), abs=1e-4)
    assert main(["convert", str(tmp_path / "m.arpa"), str(tmp_path / "m.json")]) == 2
    assert ".fst" in capsys.readouterr().err
    assert not (tmp_path / "m.json").exists()
