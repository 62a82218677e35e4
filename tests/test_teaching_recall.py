"""Long memory: what n-grams forget, plain networks lose, and gates keep."""

import json

import pytest

from langmodels.cli.main import main
from langmodels.datasets.synthetic import ReberSource, RecallSource
from langmodels.errors import UsageError
from langmodels.models.unigram import UnigramModel
from langmodels.neural import GRUModel, LSTMModel, RNNModel
from langmodels.ngram import NGramModel
from langmodels.teaching.recall import RecallCurve, plot_recall, recall_corpora, recall_curve
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

SOURCE = RecallSource(cues=4, lag=0, spread=12, distractors=2, length=60_000, seed=1)
LAGS = (0, 1, 3, 4, 6, 9, 12)
OPTIONS = {
    "hidden": 32, "embedding": 16, "epochs": 6, "batch_size": 32, "steps": 30,
    "learning_rate": 0.01, "threads": 1, "dropout": 0.0, "tied": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def curve() -> RecallCurve:
    train, validation = recall_corpora(SOURCE)
    models = {
        "rnn": RNNModel(**OPTIONS).fit(train, validation),
        "lstm": LSTMModel(**OPTIONS).fit(train, validation),
        "gru": GRUModel(**OPTIONS).fit(train, validation),
        "5-gram": NGramModel(order=5, smoothing="witten_bell").fit(train),
    }
    return recall_curve(models, SOURCE, LAGS)


def test_an_n_gram_fails_beyond_its_order(curve):
    """Four tokens of context hold the cue and up to three distractors."""
    accuracy = dict(zip(LAGS, curve.accuracy["5-gram"], strict=True))
    assert accuracy[0] == accuracy[1] == accuracy[3] == 1
    assert max(accuracy[lag] for lag in (4, 6, 9, 12)) < 0.45
    assert curve.chance == 0.25


def test_gates_hold_what_a_plain_network_loses(curve):
    assert curve.accuracy["lstm"].min() > 0.97
    assert curve.accuracy["gru"].min() > 0.97
    rnn = curve.accuracy["rnn"]
    assert rnn[0] > 0.97
    assert rnn[-1] < 0.7


def test_the_curve_is_drawn(curve, tmp_path):
    pytest.importorskip("matplotlib")
    plot_recall(curve, tmp_path / "recall.png")
    assert (tmp_path / "recall.png").read_bytes().startswith(b"\x89PNG")
    plot_recall(curve, tmp_path / "recall.svg")
    assert b"<svg" in (tmp_path / "recall.svg").read_bytes()
    with pytest.raises(UsageError, match="written as"):
        plot_recall(curve, tmp_path / "recall.xyz")
    assert not (tmp_path / "recall.xyz").exists()


def test_a_model_without_context_is_right_by_chance():
    train, _ = recall_corpora(SOURCE)
    found = recall_curve({"unigram": UnigramModel().fit(train)}, SOURCE, (2,), lines=400)
    assert found.accuracy["unigram"][0] == pytest.approx(found.chance, abs=0.08)


def test_what_cannot_be_measured_is_refused(curve):
    train, _ = recall_corpora(SOURCE)
    model = NGramModel(order=2, smoothing="witten_bell").fit(train)
    with pytest.raises(UsageError):
        recall_curve({"m": model}, SOURCE, ())
    with pytest.raises(UsageError):
        recall_curve({"m": model}, SOURCE, (-1,))
    other = RecallSource(cues=9, length=1000)
    with pytest.raises(UsageError, match="alphabet"):
        recall_curve({"m": model}, other, (1,))


@pytest.fixture(scope="module")
def reber() -> tuple[Corpus, Corpus, float]:
    """Training and test text, and the true cross-entropy of the latter in nats a character."""
    tokenizer = make_tokenizer("char")
    train = Corpus.from_text(ReberSource(length=60_000, seed=1).generate(), tokenizer)
    source = ReberSource(length=10_000, seed=2)
    text = source.generate()
    test = Corpus.from_text(text, tokenizer, vocabulary=train.vocabulary)
    return train, test, -float(source.log_probs(text).mean())


@pytest.mark.parametrize("model", [GRUModel, LSTMModel], ids=["gru", "lstm"])
def test_gates_learn_the_embedded_reber_grammar_to_its_entropy(model, reber):
    """Within 2 % of the true cross-entropy."""
    train, test, truth = reber
    options = {**OPTIONS, "hidden": 24, "embedding": 8, "epochs": 8, "batch_size": 16, "steps": 40}
    assert truth * 0.999 < model(**options).fit(train).cross_entropy(test) < truth * 1.02


def test_no_5_gram_learns_the_embedded_reber_grammar(reber):
    """The last letter but one repeats the second, however long the line; a 5-gram pays 14 %."""
    train, test, truth = reber
    for smoothing in ("witten_bell", "jelinek_mercer", "modified_kneser_ney", "lidstone"):
        model = NGramModel(order=5, smoothing=smoothing).fit(train)
        assert model.cross_entropy(test) > truth * 1.1


def test_the_command_prints_and_draws(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "recall.svg"
    arguments = ["--lag", "3", "--length", "4000", "--plot", str(picture)]
    models = "witten-bell:order=3,gru:hidden=8:epochs=1,transformer:width=8:heads=2:epochs=1"
    assert main(["recall", "--models", models, *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lags"] == [0, 1, 2, 3]
    assert found["accuracy"]["witten-bell:order=3"][:2] == [1, 1]
    assert picture.exists()
    assert main(["recall", "--models", "unigram", "--lag", "2", "--length", "1000"]) == 0
    assert "guessing: 25" in capsys.readouterr().out
    assert main(["recall", "--lag", "0"]) == 2
    assert main(["recall", "--models", "elephant"]) == 2
