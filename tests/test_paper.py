"""What goes into a paper: tables in LaTeX, plots, the schema of the figures, citations."""

import bz2
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.evaluation import compare
from langmodels.evaluation.citations import METHODS, WORKS, works_for, works_of
from langmodels.evaluation.comparison import Comparison
from langmodels.evaluation.report import latex, plots
from langmodels.evaluation.report.schema import comparison_schema
from langmodels.evaluation.results import Results
from langmodels.interchange import json_text
from langmodels.registry import MODELS

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "comparison.schema.json"

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")


@pytest.fixture(scope="module")
def results() -> Results:
    text = langmodels.find_source("wonderland.txt").read()[:30_000]
    models = ["unigram", "mle:order=2", "lidstone:order=1|2:alpha=0.1", "kneser-ney:order=2"]
    return compare(models, text, against="all", compressors=True).results


def test_tables_have_rules_and_every_cell(results: Results) -> None:
    text = latex.render(results)
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == text.count(r"\begin{tabular}")
    assert text.count(r"\begin{table}") == 4  # quality, compressors, all pairs, settings
    first = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    for model in results.models:
        assert model.label in first
    assert r"$\infty$" in first
    assert len(re.findall(r"\\label\{tab:text-[a-z0-9-]+\}", text)) == 4
    low, high = results.models[0].interval or (0, 0)
    assert f"{low:.3f}--{high:.3f}" in first
    assert r"80 \% / 10 \% / 10 \%" in text
    bare = re.sub(r"\\[%&#$_{}]", "", text)
    body = [line for line in bare.splitlines() if not line.startswith("%")]
    assert not re.search(r"[%#_]", "\n".join(body).replace("$", ""))
    widths = {line.count("&") for line in first.splitlines()[1:] if line.endswith(r"\\")}
    assert widths == {first.splitlines()[1].count("&")}


def test_the_best_is_bold_where_it_is_significantly_best(results: Results) -> None:
    best = results.models[0].label
    for clear in (True, False):
        text = latex.render(replace(results, clear_best=clear))
        assert (rf"\textbf{{{best}}}" in text) == clear
        assert ("cannot be told apart from each other one" in text) != clear
        assert text.count(r"\textbf{") == (len(text.split(best)[1].split("\n")[0].split("&")) if
                                           clear else 0)  # fmt: skip
    tests = [t for t in results.tests if t.better == best]
    assert results.clear_best == all(t.p < 0.05 / len(tests) for t in tests)


def test_compressors_stand_beside_the_models(results: Results) -> None:
    test = results.text.characters[2]
    found = {c.name: c for c in results.compressors}
    text = langmodels.find_source("wonderland.txt").read()[:30_000]
    held = text[-test:]  # the last part
    assert found["bz2"].alone == pytest.approx(8 * len(bz2.compress(held.encode())) / test)
    assert set(found) == {"zlib", "bz2", "xz"}
    assert found["xz"].after_training < found["xz"].alone


def test_names_cannot_become_commands(results: Results) -> None:
    wild = replace(results.models[0], label=r"a_b\input{x} 50% & {~^#$} <unk> ±")
    text = latex.render(replace(results, models=[wild], tests=[], sweeps=[]))
    assert r"\input{x}" not in text.split("\n", 1)[1]
    assert r"a\_b\textbackslash{}input\{x\} 50\% \& \{" in text
    assert latex._escape("–, --seeds") == "--, -{}-seeds"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX")
def test_the_tables_compile(results: Results, tmp_path: Path) -> None:
    wide = replace(results.models[0], label="modified-kneser-ney order=5")
    more = replace(results, models=[wide], tests=[], sweeps=[], compressors=[], clear_best=True)
    tables = latex.render(results) + latex.render(more).replace("tab:", "tab:wide-")
    (tmp_path / "tables.tex").write_text(tables, encoding="utf-8")
    page = (
        r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{tables}\end{document}"
    )
    (tmp_path / "paper.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_figures_are_pdf(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plots, "PLOTS", {"quality": plots.PLOTS["quality"]})
    paths = Comparison(results).figures(tmp_path / "plots")
    assert paths == [tmp_path / "plots" / "quality.pdf"]
    assert all(path.read_bytes().startswith(b"%PDF-") for path in paths)


def test_the_published_schema_is_that_of_the_types() -> None:
    if not SCHEMA.exists():
        pytest.skip("the pages are not installed")
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == comparison_schema()


def test_comparisons_are_valid(results: Results) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = comparison_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = json.loads(json_text(results))
    validator.validate(data)
    wrong: list[tuple[str, Any]] = [
        ("models", [{}]), ("tests", 3), ("clear_best", "yes"), ("levels", None)
    ]  # fmt: skip
    for name, value in wrong:
        assert not validator.is_valid({**data, name: value})
    assert not validator.is_valid({k: v for k, v in data.items() if k != "models"})


def test_citations_name_the_works_of_models_and_measures(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(METHODS) <= set(MODELS)
    assert {key for keys in METHODS.values() for key in keys} <= set(WORKS)
    kinds = {"article", "book", "inproceedings", "misc", "techreport"}  # of classic styles
    assert {work.kind for work in WORKS.values()} == kinds
    found = [work.key for work in works_of(results)]
    assert "kneser-1995" in found
    assert "holm-1979" in found
    assert "hochreiter-1997" not in found
    path = tmp_path / "results.json"
    Comparison(results).report(path)
    assert main(["cite", str(path)]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^@\w+\{(.*),$", printed, re.MULTILINE) == found
    assert printed.count("{") == printed.count("}")
    assert main(["cite", "mkn,lstm:hidden=8"]) == 0
    printed = capsys.readouterr().out
    assert [work.key for work in works_for(["modified-kneser-ney", "lstm"])] == re.findall(
        r"^@\w+\{(.*),$", printed, re.MULTILINE
    )
    assert main(["cite", "nosuch"]) == 2
