"""`compare` with models that fill blanks: all models on the same blanks, in a table of its own."""

import math
from typing import Any

import pytest
from rich.console import Console

from langmodels.cli.main import main
from langmodels.errors import UsageError
from langmodels.evaluation import Comparison, compare, scale
from langmodels.evaluation.blanks import mean_filled
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.report import write_report
from langmodels.evaluation.results import BlankFigures, Filled
from langmodels.models.blanks import FillingModel, choose_blanks, evaluate_blanks
from langmodels.neural.bidirectional.model import BidirectionalModel
from langmodels.registry import make_model
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

# Which animal it is, only what follows tells.
TEXT = "a cat purrs\na dog barks\na cow moos\n" * 80
PLAN = Plan(growth=(), contexts=(1,), calibration=5, sample=10, blanks=24)
TINY = "hidden=12:epochs=12:dropout=0.0:learning_rate=0.02"
MODELS = ("witten-bell:order=3", "unigram", f"bidirectional-gru:{TINY}")


def parts() -> Splits:
    return Splits.from_text(TEXT, make_tokenizer("word"), name="animals")


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(MODELS, parts(), plan=PLAN)


def shown(comparison: Comparison) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(comparison)
    return captured.get()


def test_both_sides_fill_what_one_side_cannot(comparison: Comparison) -> None:
    results = comparison.results
    assert [m.name for m in results.models] == ["witten-bell", "unigram"]
    (bidirectional,) = results.cloze
    witten_bell, unigram = (m.filled for m in results.models)
    for found in (witten_bell, unigram):
        assert found is not None
        assert found.both is not None
        assert found.before is not None
        gain = found.before.loss - found.both.loss
        assert gain > 0.1 if found is witten_bell else gain == pytest.approx(0)
    assert bidirectional.name == "bidirectional-gru"
    assert bidirectional.filled.before is None
    assert bidirectional.filled.both is not None
    assert bidirectional.filled.both.accuracy > 0.95


def test_figures_of_blanks_are_those_of_evaluate_blanks(comparison: Comparison) -> None:
    splits = parts()
    model = make_model("witten-bell:order=3").fit(splits.train, splits.validation)
    blanks = choose_blanks(splits.test, PLAN.blanks)
    scores = evaluate_blanks(FillingModel(model), blanks)
    filled = comparison.results.models[0].filled
    assert filled is not None
    assert filled.before is not None
    assert filled.before.accuracy == scores.accuracy
    assert filled.before.reciprocal_rank == pytest.approx(scores.reciprocal_rank)
    assert filled.before.perplexity == pytest.approx(scores.perplexity)
    assert filled.before.blanks == len(blanks) == 24


def test_every_report_has_the_table_of_blanks(comparison: Comparison, tmp_path: Any) -> None:
    text = shown(comparison)
    assert "Filling blanks, best first" in text
    assert "What follows a blank is worth" in text
    for name in ("report.html", "report.md"):
        write_report(comparison.results, tmp_path / name)
        assert "What both sides are worth" in (tmp_path / name).read_text()
    comparison.save(tmp_path / "found.json")
    assert Comparison.load(tmp_path / "found.json").results == comparison.results


def test_without_a_cloze_model_no_blanks_are_filled() -> None:
    found = compare(MODELS[:1], parts(), plan=PLAN)
    assert found.results.models[0].filled is None
    assert "blank" not in shown(found)


def test_runs_are_kept_and_found_again(tmp_path: Any) -> None:
    first, again = (compare(MODELS, parts(), plan=PLAN, cache=tmp_path) for _ in range(2))
    assert again.results.cloze == first.results.cloze  # seconds of training included
    assert len(list(tmp_path.glob("*.run"))) == len(MODELS)


def test_an_unfitted_model_alone_and_with_two_seeds() -> None:
    model = BidirectionalModel(hidden=4, epochs=1, threads=1)
    found = compare({"mine": model}, parts(), plan=PLAN).results
    assert ([m.label for m in found.cloze], found.models) == (["mine"], [])
    assert "Filling blanks" in shown(Comparison(found))
    (record,) = Comparison(found).records()
    assert (record["model"], record["blanks_right"]) == (
        "mine",
        found.cloze[0].filled.both.accuracy,
    )
    with pytest.raises(UsageError, match="fills blanks"):
        scale(["unigram", "bidirectional-rnn"], parts())
    named = "bidirectional-rnn:hidden=4:epochs=1"
    one, two, both = (
        compare([named], parts(), plan=PLAN, seed=seed, seeds=n).results.cloze[0].filled.both
        for seed, n in ((0, 1), (1, 1), (0, 2))
    )
    assert one is not None
    assert two is not None
    assert both is not None
    assert one.loss != two.loss
    assert both.loss == pytest.approx((one.loss + two.loss) / 2)


def test_figures_are_averaged_over_seeds() -> None:
    runs = [Filled(None, BlankFigures(5, a, a, loss)) for a, loss in ((0.2, 1.0), (0.4, math.inf))]
    mean = mean_filled(runs)
    assert mean.before is None
    assert mean.both == BlankFigures(5, pytest.approx(0.3), pytest.approx(0.3), math.inf)
    assert mean.both.perplexity == math.inf


def test_models_for_blanks_are_told_where_they_belong(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "animals.txt"
    text.write_text(TEXT)
    arguments = ["--model", "bidirectional-gru", "--output", str(tmp_path / "m.lm")]
    assert main(["train", "--corpus", str(text), *arguments]) == 2
    assert "langmodels fill" in capsys.readouterr().err
