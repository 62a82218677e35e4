"""`import langmodels`: what people need, imported when it is first used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import langmodels

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


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(langmodels.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"langmodels.{module}" for name, module in langmodels._WHERE.items()}


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
