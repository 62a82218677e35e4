"""`import langmodels`: public names, each imported when it is first used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import langmodels
import langmodels.neural

SLOW = ("numpy", "scipy", "rich", "regex", "matplotlib")


def loaded_after(code: str) -> set[str]:
    """Which of the slow packages a fresh interpreter has imported after some code."""
    report = f"import sys; print([name for name in {SLOW!r} if name in sys.modules])"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(ast.literal_eval(found.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", langmodels.__all__)
def test_every_name_is_there_and_explained(name: str) -> None:
    value = getattr(langmodels, name)
    if callable(value):
        assert (value.__doc__ or "").strip(), name


def test_dir_shows_names_and_no_modules() -> None:
    for name in langmodels.__all__:
        getattr(langmodels, name)
    importlib.import_module("langmodels.ngram.arpa")
    assert {*langmodels.__all__, "__doc__", "__version__"} == set(dir(langmodels))
    modules = [n for n in dir(langmodels) if isinstance(getattr(langmodels, n), type(ast))]
    assert not modules


@pytest.mark.parametrize("package", [langmodels, langmodels.neural])
def test_type_checkers_see_the_same_names(package: Any) -> None:
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    modules, above = package._MODULES.items(), package.__name__
    assert seen == {name: f"{above}.{module}" for module, some in modules for name in some}
    assert seen.keys() == set(package.__all__) <= set(dir(package))
    assert all(hasattr(package, name) for name in seen)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'LSTMModell'"):
        langmodels.LSTMModell  # noqa: B018
    with pytest.raises(ImportError, match="LSTMModell"):
        exec("from langmodels import LSTMModell")


def test_nothing_is_imported_before_it_is_needed() -> None:
    assert loaded_after("import langmodels; dir(langmodels)") == set()
    assert loaded_after("import langmodels; langmodels.MODELS") <= {"numpy", "regex"}
    assert loaded_after("import langmodels.datasets") <= {"numpy", "regex"}
    fit = "import langmodels; langmodels.NGramModel(2).fit('a rose is a rose is a rose')"
    assert loaded_after(fit) <= {"numpy", "regex"}
    overview = "from langmodels.cli.main import main; main(['--help'])"
    assert loaded_after(overview) == {"rich"}


def test_evaluate_measures_finished_models() -> None:
    models = {name: langmodels.make_model(name).fit("a rose is a rose") for name in ("mle", "mkn")}
    found = langmodels.evaluate(models, "a rose is a rose")
    for figures in found.models:
        corpus = langmodels.Corpus.read_by(models[figures.model].reading, "a rose is a rose")
        assert figures.perplexity == pytest.approx(models[figures.model].perplexity(corpus))


def test_info_tells_what_a_model_is_made_of(tmp_path: Path) -> None:
    parts = [langmodels.NGramModel(2, smoothing="witten_bell"), langmodels.UnigramModel()]
    model = langmodels.MixtureModel(parts).fit("a rose is a rose\n" * 3)
    model.save(tmp_path / "m.lm")
    told = langmodels.info(tmp_path / "m.lm")
    assert told["bytes"] == (tmp_path / "m.lm").stat().st_size
    assert [part.partition(":")[0] for part in told["parts"]] == ["NGramModel", "UnigramModel"]
    assert told == {**langmodels.info(model), "file": told["file"], "bytes": told["bytes"]}
    assert langmodels.info(parts[0])["ngrams"][0] == told["vocabulary"]


def test_rescore_orders_by_all_three_terms() -> None:
    model = langmodels.UnigramModel().fit("a rose is a rose")
    lists = [["rose", langmodels.Hypothesis("is", 2.0), "is a"], ["is"]]
    ranked, (only,) = langmodels.rescore(model, lists, weight=0.5, length_bonus=1.0)
    totals = {h.text: h.score + 0.5 * h.log_prob + len(h.text.split()) for h in ranked}
    assert [h.text for h in ranked] == sorted(totals, key=totals.__getitem__, reverse=True)
    assert ranked[0].text == "is"
    assert [h.total for h in ranked] == pytest.approx(sorted(totals.values(), reverse=True))
    assert only.log_prob == pytest.approx(model.score("is"))
