"""`compare` as a library and as a command: fair, repeatable, complete."""

import json
import math
import multiprocessing
import os
import re
import signal
import warnings
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest
from rich.console import Console

from langmodels import progress
from langmodels.arrays import Array, FloatArray
from langmodels.cli.main import main
from langmodels.cli.streams import BROKEN_PIPE
from langmodels.datasets import Source, find_source
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation import Comparison, compare, scale
from langmodels.evaluation.candidates import Trial, make_candidates
from langmodels.evaluation.finished import evaluate
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.report import html, markdown, plots
from langmodels.evaluation.report.detail_tables import band_tables, calibration_table
from langmodels.evaluation.report.tables import heading, rare_note
from langmodels.evaluation.running import worthwhile_jobs
from langmodels.evaluation.summary import as_recorded
from langmodels.formatting import Table, count, figure, interval, perplexity, visible
from langmodels.models.base import LanguageModel
from langmodels.models.mixture import MixtureModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural import FeedForwardModel
from langmodels.presets import Setting
from langmodels.registry import load, make_model, parse_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.sequences import Sequences
from langmodels.text.splits import Splits
from langmodels.threads import cpu_count

TEXT = find_source("wonderland.txt").read()[:12_000]
PLAN = Plan(growth=(0.5,), contexts=(1, 4), calibration=30, sample=40)
MODELS = ("unigram", "witten-bell:order=3", "mle:order=2")


class CoinModel(LanguageModel[None]):
    """Half of the probability on one token, the other half on all tokens alike."""

    kind = "test-coin"

    def __init__(self, favourite: int = 2, fail: BaseException | None = None) -> None:
        self.favourite = favourite
        self.fail = fail

    def fit(self, corpus: Corpus, validation: Corpus | None = None) -> Self:
        if self.fail is not None:
            raise self.fail
        self.adopt(corpus, validation)
        return self

    def start(self) -> None:
        return None

    def advance(self, state: None, token: int) -> None:
        return None

    def log_distribution(self, state: None) -> FloatArray:
        n = len(self.vocabulary) - 1
        p = np.full(n + 1, 0.5 / n)
        p[self.favourite] += 0.5
        p[self.vocabulary.bos_id] = 0
        with np.errstate(divide="ignore"):
            return np.log(p)

    @property
    def n_parameters(self) -> int:
        return 1

    def config(self) -> dict[str, Any]:
        return {"favourite": self.favourite}

    def arrays(self) -> dict[str, Array]:
        return {"favourite": np.array([self.favourite])}

    @classmethod
    def restore(cls, config: Any, arrays: Any, reading: Any) -> Self:
        return cls(config["favourite"])


def parts(level: str = "word") -> Splits:
    return Splits.from_text(TEXT, make_tokenizer(level), name="text")


@pytest.fixture(scope="module")
def words() -> Comparison:
    return compare(MODELS, parts(), plan=PLAN)


def without_times(data: dict[str, Any]) -> dict[str, Any]:
    for model in data["models"]:
        del model["timing"]
    return data


def by_label(comparison: Comparison) -> dict[str, dict[str, Any]]:
    data = without_times(comparison.to_json())
    return {f"{m['label']} {m['level']}": m for m in data["models"]}


# Figures ----------------------------------------------------------------------------------------


def test_bits_per_character_of_a_character_model_are_its_loss() -> None:
    splits = parts("char")
    found = compare([CoinModel()], splits, plan=PLAN).results.models[0]
    scores = CoinModel().fit(splits.train).score_corpus(splits.test)
    assert found.bits_per_token == pytest.approx(-scores.mean() / math.log(2))
    assert found.perplexity == pytest.approx(math.exp(-scores.mean()))
    unknown = splits.test.n_oov * math.log2(0x110000 - len(splits.train.vocabulary) + 2)
    expected = found.bits_per_token + unknown / splits.test.n_tokens
    assert found.bits_per_character == pytest.approx(expected)
    low, high = found.interval or (0, 0)
    assert low < found.bits_per_character < high


def test_bits_per_character_of_word_models_include_the_extras(words: Comparison) -> None:
    level = words.results.levels[0]
    for model in words.results.models:
        if math.isfinite(model.perplexity):
            tokens = model.bits_per_token * level.tokens[2] / words.results.text.characters[2]
            extra = sum(level.extras.values())
            assert model.bits_per_character == pytest.approx(tokens + extra)
    assert set(level.extras) == {"spelling", "spacing"}
    assert level.extras["spelling"] > 0


def test_models_are_ranked_by_loss_with_infinite_ones_last(words: Comparison) -> None:
    models = words.results.models
    assert [m.name for m in models] == ["witten-bell", "unigram", "mle"]
    assert models[-1].perplexity == math.inf
    assert models[-1].interval is None
    assert 0 < models[-1].zero_share < 1
    assert [t.better for t in words.results.tests] == ["witten-bell order=3"]


def test_a_model_of_known_probabilities_is_calibrated() -> None:
    splits = parts("char")
    found = compare([CoinModel()], splits, plan=PLAN).results.models[0].calibration
    n = len(splits.train.vocabulary) - 1
    p = np.full(n, 0.5 / n)
    p[0] += 0.5
    assert found.expected_bits == pytest.approx(-(p * np.log2(p)).sum())
    assert found.confidence == pytest.approx(p[0])
    hits = np.mean(splits.test.targets[: PLAN.calibration] == 2)
    assert found.accuracy == pytest.approx(hits)
    assert sum(b.n for b in found.bands) == n * PLAN.calibration
    # The favourite is alone in its band, and promises more than it keeps.
    assert found.misplaced == pytest.approx(abs(p[0] - hits))


def test_unknown_words_are_a_group_of_their_own(words: Comparison) -> None:
    """What <unk> costs is without the spelling, and is nowhere among the costs of known words."""
    level = words.results.levels[0]
    counts = {name: dict(zip(*group, strict=True)) for name, group in level.groups.items()}
    assert counts["whether it is known"]["unknown"] == level.oov[2] > 0
    assert counts["occurrences in training"]["unknown"] == level.oov[2]
    page = html.render(words.results)
    assert 'bits and its spelling">&lt;unk&gt;' in page
    assert page.count("what &lt;unk&gt; costs, without their spelling") >= 2


def test_losses_of_groups_average_to_the_whole(words: Comparison) -> None:
    level = words.results.levels[0]
    assert len(level.groups) == 4
    for model in words.results.models[:2]:
        for name, (_, counts) in level.groups.items():
            mean = np.average(model.bands[name], weights=counts)
            assert mean == pytest.approx(model.bits_per_token)


def test_scores_that_are_no_probabilities_are_renormalised() -> None:
    comparison = compare(["stupid-backoff:order=2", "unigram"], parts("char"), plan=PLAN)
    found, unigram = comparison.results.models
    assert not found.is_distribution
    assert "renormalised" in rendered(comparison)
    # Backing off by 0.4 leaves more than is there; divided by the sum it is a fair model.
    assert 1 < found.perplexity < unigram.perplexity


def test_a_known_entropy_has_its_row_in_the_tables() -> None:
    source = find_source("synthetic:markov?order=1&length=20000")
    splits = Splits.from_text(source.open(), make_tokenizer("char"))
    comparison = compare(["unigram", "witten-bell:order=2"], splits, source=source, plan=PLAN)
    assert comparison.results.limit is not None
    best = comparison.results.models[0]
    assert best.interval is not None
    assert best.interval[0] < source.entropy_bits + 0.02  # type: ignore[operator]
    text = rendered(comparison)
    assert text.count("the limit (entropy)") == 2  # in the tables of quality and of growth
    tables = [*band_tables(comparison.results), calibration_table(comparison.results)]
    for table in tables:
        assert table.rows[-1][0] == "the limit (entropy)"
        assert table.rows[-1][1] == f"{source.entropy_bits:.2f}"
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    for is_bound, said in ((False, "Dotted: the entropy"), (True, "Dotted: a lower bound")):
        limit = replace(comparison.results.limit, is_bound=is_bound)
        told = plots.quality(Figure().add_subplot(), replace(comparison.results, limit=limit))
        assert said in str(told)
    # There are no lines: the position is that in the text.
    labels, counts = comparison.results.levels[0].groups["position in the text"]
    assert dict(zip(labels, counts, strict=True)) == {
        "1-10": 10, "11-100": 90, "101-1,000": 900, "1,001-10,000": 1000
    }  # fmt: skip


# Fairness ---------------------------------------------------------------------------------------


def test_figures_do_not_depend_on_which_models_are_compared(words: Comparison) -> None:
    alone = by_label(compare([MODELS[1]], parts(), plan=PLAN))
    reversed_ = by_label(compare(MODELS[::-1], parts(), plan=PLAN))
    together = by_label(words)
    assert reversed_ == together
    for label, model in alone.items():
        assert model == together[label]
    mixed = by_label(compare([*MODELS, "unigram:level=char"], parts(), plan=PLAN))
    for label, model in together.items():
        assert model == mixed[label]


def test_two_runs_differ_in_times_only(words: Comparison) -> None:
    again = compare(MODELS, parts(), plan=PLAN)
    assert without_times(again.to_json()) == without_times(words.to_json())


def test_figures_do_not_depend_on_the_number_of_processes(words: Comparison) -> None:
    parallel = compare(MODELS, parts(), plan=PLAN, jobs=2)
    assert without_times(parallel.to_json()) == without_times(words.to_json())


def test_the_default_number_of_processes_depends_on_networks() -> None:
    def jobs(*models: str) -> int:
        candidates = make_candidates(models, ["word"], Setting())
        return worthwhile_jobs([Trial(candidate, 0) for candidate in candidates])

    assert jobs("mkn", "unigram", "full-context") == 1
    assert jobs("mkn", "unigram", "lstm") == 1
    assert jobs("rnn", "gru", "lstm", "mixture", "feed-forward") == min(4, cpu_count())


def test_levels_share_one_text() -> None:
    comparison = compare(
        ["unigram", "witten-bell:order=3"], parts(), levels=["word", "char", "byte"], plan=PLAN
    )
    assert len(comparison.results.models) == 6
    bits = {(m.name, m.level): m.bits_per_character for m in comparison.results.models}
    # Nearly all of the text is ASCII: characters and bytes tell the same story.
    assert bits["unigram", "char"] == pytest.approx(bits["unigram", "byte"], rel=0.02)
    assert bits["unigram", "word"] < bits["unigram", "char"]
    assert [m.bits_per_character for m in comparison.results.models] == sorted(bits.values())


# Long runs --------------------------------------------------------------------------------------


def test_the_cache_trains_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compare(MODELS[:2], parts(), plan=PLAN, cache=tmp_path)
    trained = []
    from langmodels.evaluation import running

    measure = running.measure
    monkeypatch.setattr(
        running,
        "measure",
        lambda t, *rest: (trained.append(t.candidate.name), measure(t, *rest))[1],
    )
    second = compare(MODELS, parts(), plan=PLAN, cache=tmp_path)
    assert trained == ["mle"]
    for label, model in by_label(first).items():
        assert by_label(second)[label] == model
    compare(
        MODELS, Splits.from_text(TEXT[:9000], make_tokenizer("word")), plan=PLAN, cache=tmp_path
    )
    assert len(trained) == 4
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:50])
    compare(MODELS[:1], parts(), plan=PLAN, cache=tmp_path)
    assert trained[-1] == "unigram"


def test_a_network_that_ctrl_c_stopped_is_not_finished() -> None:
    class Stopped(CoinModel):
        """Like a network: Ctrl-C ends its training in good order."""

        kind = "test-stopped"
        history = SimpleNamespace(epochs=[], stopped="interrupted")

    for model in (Stopped(), MixtureModel([CoinModel(), Stopped()])):
        models = {"coin": CoinModel(), "stopped": model}
        results = compare(models, parts(), plan=PLAN).results
        assert [m.label for m in results.models] == ["coin"]
        assert results.unfinished == ["stopped"]


def test_several_seeds_are_averaged() -> None:
    model = "lstm:hidden=8:epochs=1:batch_size=4"
    comparison = compare([model, "unigram"], parts("char"), plan=PLAN, seeds=2, seed=5)
    found = next(m for m in comparison.results.models if m.name == "lstm")
    assert list(found.seeds) == [5, 6]
    assert found.bits_per_character == pytest.approx(np.mean(list(found.seeds.values())))
    assert found.spread == pytest.approx(np.std(list(found.seeds.values()), ddof=1))
    assert found.growth[-1].bits_per_character == pytest.approx(found.bits_per_character)
    assert found.history
    assert "seeds ±" in rendered(comparison)
    assert "one random start" not in rendered(comparison)
    assert calibration_table(comparison.results).notes[-1].endswith("with the first one.")
    once = compare([model], parts("char"), plan=PLAN)
    assert "lstm hidden=8 epochs=1 batch_size=4: trained from one random start" in rendered(once)


def test_a_seed_in_a_name_is_that_of_its_model() -> None:
    small = "rnn:hidden=4:epochs=1:seed="
    comparison = compare([f"{small}1", f"{small}2"], parts("char"), plan=PLAN, seeds=2, seed=5)
    one, two = sorted(comparison.results.models, key=lambda m: m.label)
    assert (list(one.seeds), list(two.seeds)) == ([1], [2])
    assert one.bits_per_character != two.bits_per_character
    assert "another random start" in rendered(comparison)


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    models = {"one": CoinModel(), "two": CoinModel(fail=KeyboardInterrupt()), "three": CoinModel()}
    results = compare(models, parts(), plan=PLAN).results
    assert [m.label for m in results.models] == ["one"]
    assert results.unfinished == ["two", "three"]
    assert "not finished: two, three" in rendered(Comparison(results))
    for ending in ("md", "html"):
        Comparison(results).report(tmp_path / f"report.{ending}")
        assert "not finished: two, three" in (tmp_path / f"report.{ending}").read_text()
    with pytest.raises(KeyboardInterrupt):
        compare({"two": models["two"]}, parts(), plan=PLAN)


# Output -----------------------------------------------------------------------------------------


def rendered(comparison: Comparison, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width).print(comparison)
    return out.getvalue()


def test_tables_fit_eighty_columns(words: Comparison) -> None:
    text = rendered(words)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in re.sub(r"Samples.*", "", text, flags=re.DOTALL)
    assert "infinite" in text
    verdict = "is better than" if words.results.tests[0].significant else "cannot be told apart"
    assert verdict in text
    assert ("is better than" in text) == words.results.tests[0].significant


def test_a_saved_comparison_loads_with_equal_results(words: Comparison, tmp_path: Path) -> None:
    words.save(tmp_path / "results.json")
    again = Comparison.load(tmp_path / "results.json")
    assert again.to_json() == words.to_json()
    assert again.results.models[-1].perplexity == math.inf
    json.dumps(words.to_json(), allow_nan=False)
    (tmp_path / "results.json").write_text('{"models": []}')
    with pytest.raises(LangmodelsError, match="not a saved comparison"):
        Comparison.load(tmp_path / "results.json")


def test_tokens_that_are_no_text_are_compared_per_token() -> None:
    splits = Splits.from_text("abcab\ncabca\nbcabc\n" * 60, make_tokenizer("symbols", width=3))
    comparison = compare(["unigram", "witten-bell:order=2"], splits, plan=PLAN)
    assert comparison.results.per == "token"
    for model in comparison.results.models:
        assert model.bits_per_character == pytest.approx(model.bits_per_token)
    assert "bits/token" in rendered(comparison)
    assert "bits/char" not in rendered(comparison)
    with pytest.raises(LangmodelsError, match="compare them by themselves"):
        compare(["unigram"], splits, levels=["symbols", "char"], plan=PLAN)


def test_records_have_a_row_for_each_model_with_its_interval(words: Comparison) -> None:
    records = words.records()
    assert [r["model"] for r in records] == [m.label for m in words.results.models]
    assert records[0]["low"] < records[0]["bits_per_character"] < records[0]["high"]


@pytest.mark.parametrize("ending", ["html", "md", "csv", "json"])
def test_reports_name_every_model_and_are_well_formed(
    words: Comparison, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"report.{ending}"
    words.report(path)
    text = path.read_text()
    for model in words.results.models:
        assert model.label in text
    if ending == "html":
        assert not re.findall(r'(?:src|href)="(?!#)', text)
        for tag in ("table", "section", "figure", "svg", "div", "p"):
            assert len(re.findall(f"<{tag}[ >]", text)) == text.count(f"</{tag}>"), tag
        assert not re.search(r"<h2>[^<]*</h2>\s*</section>", text)
        assert text.count('<blockquote dir="auto">') == text.count("<blockquote") > 0


def test_labels_are_shown_as_they_are(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    labels = ["<b>[/b] $\\frac$", f"[{'bold' * 20}]"]
    comparison = compare(dict(zip(labels, ("unigram", "mle"), strict=True)), TEXT, plan=PLAN)
    comparison.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<b>" not in page
    assert f'<td class="name"><span>{labels[1]}</span></td>' in page  # which may be folded
    assert "A text</h1>" in page
    comparison.report(tmp_path / "report.md")
    assert "| &lt;b&gt;\\[/b\\] $\\\\frac$ |" in (tmp_path / "report.md").read_text()
    shown = rendered(comparison)
    assert labels[0] in shown
    assert labels[1] in "".join(shown.split())
    comparison = compare({"_a$": "unigram", "b": "mle"}, TEXT, plan=PLAN)
    figure_of = Figure()
    plots.growth_of_quality(figure_of.subplots(), comparison.results)
    (legend,) = figure_of.legends
    assert [text.get_text() for text in legend.get_texts()] == [r" _a\$"]
    table = Table("a_b and c|d", ["after", "a_b", "c|d"], [["x|y", "1", "2"]])
    title, _, head, align, row = markdown.table_text(table).splitlines()
    assert title == r"### a\_b and c\|d"
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in (head, align, row)] == [4, 4, 4]


def test_a_single_model_and_any_kind_of_text_are_accepted(tmp_path: Path) -> None:
    """A single model needs no list, a path no string, and a text is what is fitted to."""
    path = tmp_path / "tale.txt"
    path.write_text(TEXT, encoding="utf-8")
    make_model("unigram").fit(TEXT).save(tmp_path / "one.lm")
    (expected,) = compare(["unigram"], TEXT, plan=PLAN).results.models
    for text in (path, TEXT.splitlines()):
        (found,) = compare("unigram", text, plan=PLAN).results.models
        assert found.perplexity == expected.perplexity
    with pytest.raises(UsageError, match="name of a file"):
        compare("unigram", str(path), plan=PLAN)
    model = load(tmp_path / "one.lm")
    whole = model.perplexity(Corpus.read_by(model.reading, TEXT))
    for given in (model, tmp_path / "one.lm", str(tmp_path / "one.lm")):
        assert evaluate(given, path).models[0].perplexity == pytest.approx(whole)
        assert len(compare(given, TEXT, plan=PLAN).results.models) == 1


def test_models_that_are_alike(tmp_path: Path) -> None:
    """No table without rows of where they differ, and no difference of 0.000 that would show."""
    make_model("unigram").fit(TEXT).save(tmp_path / "one.lm")
    make_model("unigram").fit(TEXT).save(tmp_path / "two.lm")
    found = compare([str(tmp_path / name) for name in ("one.lm", "two.lm")], TEXT, plan=PLAN)
    (test,) = found.results.tests
    assert (test.difference, test.p, test.detectable) == (0, 1, 0)
    assert "cannot be told apart" in rendered(found)
    assert "would show" not in rendered(found)
    assert "differ most" not in markdown.render(found.results)


def test_a_loss_of_zero_is_shown_without_sign_and_left_off_log_axes(tmp_path: Path) -> None:
    """Zero bits have no sign, and no place on a logarithmic axis."""
    assert (figure(-1e-9), figure(-0.004), figure(-0.006)) == ("0.00", "0.00", "-0.01")
    assert interval((-1e-9, 1234.5), 1) == "0.0-1,234.5"
    assert [count(n) for n in (9_999, 2.5e7, 1.5e9, 6e19)] == ["9,999", "25 M", "1.5e9", "6.0e19"]
    plan = Plan(growth=(0.5,), contexts=(1, 4), calibration=10, sample=10)
    found = compare(["mle:order=2", "unigram"], "ab" * 600, levels=["char"], plan=plan)
    assert found.results.models[0].bits_per_character == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.plot(tmp_path / "plots.png", ("quality and time", "quality and size"))


def test_a_report_without_matplotlib_says_so(
    words: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words.report(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "pip install" in text
    assert "<svg" not in text
    assert "<table>" in text


def test_a_notebook_shows_the_four_main_tables(words: Comparison) -> None:
    assert words._repr_html_().count("<table>") == 4  # the text, its contexts, quality, cost


def test_a_heading_says_what_is_known_of_the_text(tmp_path: Path) -> None:
    """Of a file of one's own, whatever it is called, nothing but its name."""
    (tmp_path / "a file.txt").write_text(find_source("wonderland.txt").read()[:9000])
    for name, known in ((str(tmp_path / "a file.txt"), False), ("synthetic:reber", True)):
        source = find_source(name)
        comparison = compare(["unigram"], source.read()[:9000], source=source, plan=PLAN)
        shown = heading(comparison.results)
        assert shown == (f"{name}: {source.description}" if known else name)


def test_a_model_that_is_named_again_is_said_to_be_there_once() -> None:
    with pytest.warns(UserWarning, match=r"^unigram is named more than once"):
        comparison = compare(["unigram", "witten-bell", "unigram"], parts(), plan=PLAN)
    assert len(comparison.results.models) == 2


def test_impossible_comparisons_are_refused() -> None:
    for keywords, message in (
        ({"budget": "huge"}, "no budget"),
        ({"seeds": 0}, "seeds"),
        ({"jobs": 0}, "jobs"),
        ({"levels": ["letter"]}, "no level"),
    ):
        with pytest.raises(UsageError, match=message):
            compare(["unigram"], parts(), plan=PLAN, **keywords)
    for models in (["unigran"], [], ["unigram:order=3"], {"a": "unigram", "b": "nothing"}):
        with pytest.raises(UsageError):
            compare(models, parts(), plan=PLAN)
    splits = parts()
    bare = Splits(
        *(
            Corpus(**{**vars(c), "text": None})
            for c in (splits.train, splits.validation, splits.test)
        ),
        "",
    )
    with pytest.raises(LangmodelsError, match="keep_text"):
        compare(["unigram:level=char"], bare, plan=PLAN)
    assert compare(["unigram"], bare, plan=PLAN).results.per == "token"


# The command ------------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT[:6000])
    return path


def test_the_command_prints_tables_json_and_reports(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["compare", "--corpus", str(book), "--models", "unigram,witten-bell:order=2"]
    line += ["--budget", "quick", "--no-cache"]
    assert main([*line, "--report", str(book.with_suffix(".html"))]) == 0
    shown = capsys.readouterr().out
    for words in ("The text", "Quality", "Cost", "As the training text grows", "Samples"):
        assert words in shown
    assert "\x1b" not in shown
    assert book.with_suffix(".html").is_file()
    assert main([*line, "--json", "--level", "char,word"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [level["level"] for level in data["levels"]] == ["char", "word"]
    assert len(data["models"]) == 4


def test_lower_casing_holds_for_all_levels(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["compare", "--corpus", str(book), "--models", "unigram", "--no-cache", "--json"]
    for levels in ("word,char", "char,word"):
        assert main([*line, "--budget", "quick", "--lower", "--level", levels]) == 0
        data = json.loads(capsys.readouterr().out)
        assert data["settings"]["cleaning"] == "lower"
        assert not any(level["lowered"] for level in data["levels"])  # they see it, and pay nothing
        (characters,) = (level for level in data["levels"] if level["level"] == "char")
        assert characters["vocabulary"] < 45


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--models", "unigran"], 2, "did you mean"),
        (["--report", "out.pdf"], 2, "must end in"),
        (["--report", "nowhere/out.html"], 1, "no folder"),
        (["--level", "word,letters"], 2, "no level"),
        (["--level", "word,char", "--pattern", "a"], 2, "for one level"),
        (["--corpus", "again.txt"], 2, "once"),
    ],
)
def test_errors_of_the_command_are_one_line(
    book: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    assert main(["compare", "--corpus", str(book), "--no-cache", *arguments]) == status
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_the_heading_has_the_name_of_the_source() -> None:
    source = Source("letters", "a test", lambda: iter([TEXT]))
    comparison = compare(["unigram"], parts(), source=source, plan=PLAN)
    assert "letters: a test" in rendered(comparison)


# Scaling ----------------------------------------------------------------------------------------


def test_scaling_measures_every_size() -> None:
    comparison = scale(["unigram", "witten-bell:order=2", "mle"], parts(), doublings=2)
    for model in comparison.results.models:
        tokens = [g.tokens for g in model.growth]
        assert len(tokens) == 3
        assert tokens[2] / tokens[0] == pytest.approx(4, rel=0.5)  # whole lines
        assert [c.tokens for c in model.timing.growth] == tokens
        assert model.exponents["size"].value <= 1.01
    best = comparison.results.models[0]
    losses = [g.bits_per_character for g in best.growth]
    assert losses == sorted(losses, reverse=True)
    assert -0.5 < best.exponents["bits"].value < 0
    with pytest.raises(UsageError, match="doublings"):
        scale(["unigram"], parts(), doublings=1)


def test_the_scale_command_prints_a_table_for_each_quantity(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["scale", "--corpus", str(book), "--models", "unigram,mle:order=2", "--doublings", "2"]
    assert main(line) == 0
    shown = capsys.readouterr().out
    for words in ("Growth exponents", "Training time", "Model size", "Contexts"):
        assert words in shown
    assert main([*line, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["models"][0]["growth"]) == 3


# The same defaults everywhere --------------------------------------------------------------------


@pytest.mark.parametrize("level", ["word", "char"])
def test_compare_trains_the_networks_that_train_trains(level: str) -> None:
    """The options of a level are merged once, and those recorded are those used."""
    name = "lstm:hidden=8:epochs=1:batch_size=4"
    splits = parts(level)
    found = compare([name], splits, plan=PLAN).results.models[0]
    setting = Setting(level=level)
    model = make_model(name, setting).fit(splits.train, splits.validation)
    assert found.perplexity == model.perplexity(splits.test)
    assert found.parameters == model.n_parameters
    spec, given = parse_model(name)
    assert found.options == as_recorded({**spec.options(setting), **given})


@pytest.mark.parametrize("level", ["word", "whitespace", "char"])
def test_train_and_compare_read_rare_tokens_alike(
    level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, model = tmp_path / "text.txt", tmp_path / "model.lm"
    text.write_text(TEXT)
    options = ["--corpus", str(text), "--level", level]
    train = [*options, "--split", "contiguous", "--model", "kneser-ney:order=3"]
    train += ["--output", str(model)]
    assert main(["train", *train, "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(model), "--corpus", str(text), "--part", "test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    compared = ["compare", *options, "--models", "kneser-ney:order=3", "--no-cache"]
    assert main([*compared, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert measured["perplexity"] == pytest.approx(results["models"][0]["perplexity"], rel=1e-12)
    least = 2 if level == "word" else 1
    assert trained["min_count"] == least
    assert results["levels"][0]["min_count"] == least
    if level == "word":
        assert main(["train", *train]) == 0
        assert "min-count 2" in capsys.readouterr().out
        assert main(compared) == 0
        assert "as <unk> (min-count 2)" in capsys.readouterr().out


def test_the_table_says_the_order_of_n_grams(words: Comparison) -> None:
    comparison = compare(["witten-bell", "unigram"], parts("char"), plan=PLAN)
    assert "Order of n-grams: 6." in rendered(comparison)
    assert "Order of n-grams" not in rendered(words)  # their labels say it
    both = compare(["witten-bell"], parts(), levels=["word", "char"], plan=PLAN)
    assert "Order of n-grams: 4 (words), 6 (chars)." in rendered(both)


def test_a_comparison_of_an_earlier_version_opens(words: Comparison, tmp_path: Path) -> None:
    data = words.to_json()
    for level in data["levels"]:
        del level["min_count"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    assert Comparison.load(tmp_path / "old.json").results.models == words.results.models


# What fails costs nothing else -------------------------------------------------------------------


class Deadly(CoinModel):
    """Killed while it is fitted, as for want of memory."""

    kind = "test-deadly"

    def fit(self, corpus: Corpus, validation: Corpus | None = None) -> Self:
        assert multiprocessing.parent_process() is not None
        os.kill(os.getpid(), signal.SIGKILL)
        return self


class Diverged(CoinModel):
    """A model whose scores are no numbers from some token on."""

    kind = "test-diverged"

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        scores = super().score_sequences(sequences)
        scores[7:] = np.nan
        return scores


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_killed_worker_is_named_and_the_others_finished(tmp_path: Path) -> None:
    models = {"deadly": Deadly(), "coin": CoinModel(), "unigram": "unigram"}
    comparison = compare(models, parts("char"), plan=PLAN, jobs=2)
    assert {m.label for m in comparison.results.models} == {"coin", "unigram"}
    assert comparison.results.unfinished == []
    assert "killed by SIGKILL" in comparison.results.failures["deadly"]
    assert "No figures for deadly: its process was killed" in rendered(comparison)
    comparison.save(tmp_path / "saved.json")
    assert Comparison.load(tmp_path / "saved.json").results.failures == comparison.results.failures


def test_a_score_that_is_no_number_is_named() -> None:
    splits = parts("char")
    token = splits.test.vocabulary.token(int(splits.test.targets[7]))
    results = compare({"bad": Diverged(), "coin": CoinModel()}, splits, plan=PLAN).results
    assert [m.label for m in results.models] == ["coin"]
    assert results.failures["bad"].startswith(f"log p of {visible(token)!r}, token 8 of the text")
    with pytest.raises(LangmodelsError, match="bad: log p of"):
        compare({"bad": Diverged()}, splits, plan=PLAN)


def test_what_fails_is_told_apart_by_level_and_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure has a name of its own, so that none stands for another."""

    def failing(model: LanguageModel[Any], sequences: Sequences) -> FloatArray:
        raise LangmodelsError("It has no scores.")

    monkeypatch.setattr(UnigramModel, "score_sequences", failing)
    results = compare(
        ["unigram", "witten-bell"], parts(), levels=["char", "word"], plan=PLAN
    ).results
    assert list(results.failures) == ["unigram (char)", "unigram (word)"]
    assert {m.label for m in results.models} == {"witten-bell"}

    monkeypatch.setattr(FeedForwardModel, "score_sequences", failing)
    network = "feed-forward:embedding=4:hidden=4"
    results = compare([network, "witten-bell"], parts(), seeds=2, plan=PLAN).results
    assert [name.rpartition(", ")[2] for name in results.failures] == ["seed 0", "seed 1"]


# Finished models ---------------------------------------------------------------------------------


def test_a_fitted_model_is_measured_as_it_is() -> None:
    """Not trained again: its own counts, its own vocabulary, on the same test text."""
    splits = parts()
    few = make_model("witten-bell:order=2").fit(splits.train.head(300))
    comparison = compare({"few": few, "all": "witten-bell:order=2"}, splits, plan=PLAN)
    best, found = comparison.results.models
    assert (best.label, found.label) == ("all", "few")
    assert found.perplexity == few.perplexity(splits.test)
    assert (found.finished, best.finished) == (True, False)
    assert len(comparison.results.levels) == 1
    assert comparison.results.tests[0].better == "all"
    assert found.interval is not None
    assert "few: finished, measured as they are" in rendered(comparison)
    with pytest.raises(UsageError, match="is trained already; scaling trains every model"):
        scale({"few": few}, splits)
    assert math.isnan(found.timing.full.seconds)
    assert comparison.to_json()["models"][1]["timing"]["growth"][0]["seconds"] is None


def test_another_vocabulary_is_compared_by_character(tmp_path: Path) -> None:
    """Each pays in full for the same characters, whatever it counts as a token."""
    other = Splits.from_text(TEXT[:6000], make_tokenizer("word"), min_count=3)
    letters = Splits.from_text(TEXT[:6000], make_tokenizer("char"))
    make_model("witten-bell:order=2").fit(other.train).save(tmp_path / "words.lm")
    make_model("witten-bell:order=4").fit(letters.train).save(tmp_path / "chars.lm")
    names = [str(tmp_path / "words.lm"), str(tmp_path / "chars.lm"), "witten-bell:order=2"]
    splits = parts()
    comparison = compare(names, splits, plan=PLAN)
    found = {m.label: m for m in comparison.results.models}
    assert set(found) == {"words", "chars", "witten-bell order=2"}
    model = load(names[1])
    corpus = Corpus.from_text(splits.test.text or "", model.tokenizer, vocabulary=model.vocabulary)
    nats = -model.score_corpus(corpus).sum()
    nats += corpus.n_oov * math.log(0x110000 - len(model.vocabulary) + 2)
    expected = nats / math.log(2) / len(splits.test.text or "")
    assert found["chars"].bits_per_character == pytest.approx(expected)
    levels = {level.level: level for level in comparison.results.levels}
    own = levels[found["words"].level]
    assert own.vocabulary == len(other.train.vocabulary)
    assert own.extras["spelling"] > levels["word"].extras["spelling"]
    assert own.extras["spacing"] == pytest.approx(levels["word"].extras["spacing"])
    assert "word (words)" in rendered(comparison)
    assert len(comparison.results.tests) == 2
    parallel = compare(names, splits, plan=PLAN, jobs=2)
    assert by_label(parallel) == by_label(comparison)


def test_what_cannot_be_compared_is_refused_with_the_reason() -> None:
    lowered = Corpus.from_text(TEXT, make_tokenizer("word"), cleaning="lower")
    with pytest.raises(LangmodelsError, match="--clean lower"):
        compare([make_model("unigram").fit(lowered)], parts(), plan=PLAN)


def test_files_beside_names_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT[:8000])
    Path("new.txt").write_text(TEXT[8000:])
    train = ["train", "--corpus", "book.txt", "--model", "witten-bell:order=3", "--output"]
    assert main([*train, "a.lm"]) == 0
    Path("other").mkdir()
    assert main([*train, "other/a.lm", "--min-count", "1"]) == 0
    capsys.readouterr()
    models = "a.lm,other/a.lm,witten-bell:order=3"
    texts = ["--corpus", "book.txt", "--test", "new.txt"]
    assert main(["compare", "--models", models, *texts, "--no-cache", "--json"]) == 0
    found = {m["label"]: m for m in json.loads(capsys.readouterr().out)["models"]}
    assert set(found) == {"a.lm", "other/a.lm", "witten-bell order=3"}
    assert main(["evaluate", "a.lm", "--corpus", "new.txt", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert found["a.lm"]["perplexity"] == pytest.approx(measured["perplexity"], rel=1e-12)


def test_one_model_against_all_others() -> None:
    names = ["unigram", "witten-bell:order=2", "witten-bell:order=3"]
    comparison = compare(names, parts("char"), plan=PLAN, against="witten-bell order=2")
    ranking = [m.label for m in comparison.results.models]
    pairs = [(t.better, t.worse) for t in comparison.results.tests]
    other = ("witten-bell order=2", "unigram")
    assert pairs == [("witten-bell order=3", "witten-bell order=2"), other]
    assert ranking.index("unigram") == 2
    assert all(t.difference > 0 for t in comparison.results.tests)
    assert "witten-bell order=2 and each other model" in rendered(comparison)
    neighbours = compare(names, parts("char"), plan=PLAN)
    assert neighbours.results.tests[1].p == comparison.results.tests[1].p
    for written in ("witten-bell:order=2", "witten_bell:order=2", "witten-bell:order=2:level=char"):
        again = compare(names, parts("char"), plan=PLAN, against=written)
        assert again.results.tests == comparison.results.tests
    with pytest.raises(UsageError, match="to test against; there are unigram, witten-bell"):
        compare(names, parts("char"), plan=PLAN, against="lstm")


def test_files_are_written_before_what_is_printed_may_break_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text(TEXT[:6000])
    monkeypatch.chdir(tmp_path)

    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("langmodels.cli.compare.print_wide", gone)
    reports = ["--report", "found.json", "found.csv"]
    arguments = ["compare", "--corpus", "text.txt", "--models", "unigram", "--no-cache", *reports]
    assert main(arguments) == BROKEN_PIPE
    assert Comparison.load("found.json").results.models
    assert Path("found.csv").exists()


def test_one_model_against_all_others_of_several_levels() -> None:
    names = ["unigram", "witten-bell:order=2:level=char", "mle:order=2"]
    several = ["unigram", "unigram:level=char"]
    with pytest.raises(UsageError, match=r"one of unigram \(word\), unigram \(char\)"):
        compare(several, parts(), plan=PLAN, against="unigram")
    for against in ("unigram", "unigram (word)"):
        found = compare(names, parts(), plan=PLAN, against=against).results
        (test,) = found.tests
        assert {test.better, test.worse} == {"unigram (word)", "witten-bell order=2 (char)"}


def test_boundary_marks_in_the_text_are_refused_unless_a_word_level_is_first() -> None:
    """Marks typed around lines are boundaries for words, and characters for characters."""
    text = "".join(f"<s> {line} </s>\n" for line in TEXT.splitlines() if line.strip())
    with pytest.warns(UserWarning, match="boundary marks"):
        words = Splits.from_text(text, "word", min_count=2)
    found = compare(["unigram"], words, levels=("word", "char"), plan=PLAN).results
    assert {m.level for m in found.models} == {"word", "char"}
    letters = Splits.from_text(text, "char")
    with (
        pytest.warns(UserWarning, match="boundary marks"),
        pytest.raises(LangmodelsError, match="name a word level first"),
    ):
        compare(["unigram"], letters, levels=("char", "word"), plan=PLAN)
    models = {
        "word": make_model("unigram").fit(words.train),
        "char": make_model("unigram").fit(letters.train),
    }
    with (
        pytest.warns(UserWarning, match="boundary marks"),
        pytest.raises(LangmodelsError, match="remove them"),
    ):
        evaluate(models, text, training_text=text)


def test_a_model_that_cannot_be_tested_against_costs_no_figures() -> None:
    """A model turns out to have infinite losses when all of them have been trained."""
    with pytest.warns(UserWarning, match="mle order=2 has no finite figures"):
        found = compare(["unigram", "mle:order=2"], parts(), plan=PLAN, against="mle order=2")
    assert [m.label for m in found.results.models] == ["unigram", "mle order=2"]
    assert found.results.tests == []


def test_the_cache_distinguishes_texts_by_their_unknown_words() -> None:
    """Some models read them letter by letter."""
    splits = [
        Splits.from_parts(("a hen\na hen\n", "a hen\n", f"a {word}\n"), "word", min_count=2)
        for word in ("fox", "vixen")
    ]
    ids = [part.test.ids.tolist() for part in splits]
    digests = [Material(part).at("word").digest for part in splits]
    assert ids[0] == ids[1]
    assert digests[0] != digests[1]


def test_on_finished_is_called_with_figures_as_models_finish() -> None:
    out = StringIO()
    progress.enable(Console(file=out, width=200))
    try:
        found = compare(["unigram", "witten-bell:order=2"], parts("char"), plan=PLAN).results
    finally:
        progress.enable(None)
    lines = out.getvalue().splitlines()
    for i, model in enumerate(reversed(found.models)):
        assert lines[i].startswith(f"{model.label}: perplexity {perplexity(model.perplexity)}, ")
        assert f" {model.bits_per_character:.3f} bits/char, trained in " in lines[i]
        assert lines[i].endswith(f"; {i + 1} of 2")


@pytest.mark.parametrize(
    ("min_count", "said"), [(1, "itself has <unk>"), (2, "has once as"), (4, "less than 4 times")]
)
def test_what_is_said_of_unknown_tokens_in_training(min_count: int, said: str) -> None:
    level: Any = SimpleNamespace(min_count=min_count, read_by="", oov=(0.1, 0, 0.1), unit="word")
    assert said in rare_note(level)
