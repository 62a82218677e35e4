"""Things by name, and those that other packages add by entry points."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from langmodels import UnigramModel
from langmodels.cli.main import main
from langmodels.errors import LangmodelsError, UsageError
from langmodels.kinds import KINDS
from langmodels.names import Registry, nearest, split_names
from langmodels.ngram import SMOOTHINGS
from langmodels.registry import MODELS, load, make_model
from langmodels.settings import parameters

TEXT = "the cat sat on the mat .\nthe dog sat on the log .\na cat ran .\n" * 20

MODULE = '''
"""A model of another package."""

from langmodels import UnigramModel


class TwiceModel(UnigramModel):
    """Adds two to every count."""

    kind = "toy-twice"

    def __init__(self, alpha: float = 2.0, **options) -> None:
        super().__init__(alpha, **options)
'''
POINTS = """
[langmodels.models]
twice = toy_models:TwiceModel
broken = toy_models:NoSuchModel
no-model = toy_models:__doc__

[langmodels.smoothings]
gone = toy_models_that_are_gone:Smoothing
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small installed package: a module and its metadata in a folder of `sys.path`."""
    (tmp_path / "toy_models.py").write_text(MODULE)
    metadata = tmp_path / "toy_models-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-models\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("twice",):
        MODELS._made.pop(name, None)


# The registry -----------------------------------------------------------------------------------


def test_names_are_found_whatever_their_spelling() -> None:
    numbers = Registry("number", {"forty_two": 42, "one": 1}, aliases={"answer": "forty_two"})
    assert numbers["forty-two"] == numbers["Forty_Two"] == numbers["ANSWER"] == 42
    assert numbers.canonical("answer") == "forty_two"
    assert "FORTY-TWO" in numbers
    assert "forty" not in numbers
    assert 42 not in numbers
    assert list(numbers) == ["forty_two", "one"]
    with pytest.raises(KeyError):
        numbers["two"]
    with pytest.raises(
        UsageError, match=r"There is no number 'fourty-two'; did you mean forty_two\?"
    ):
        numbers.find("fourty-two")
    with pytest.raises(UsageError, match=r"no number 'xyz'; choose from forty_two, one\."):
        numbers.find("xyz")


def test_one_registry_may_follow_another() -> None:
    numbers = Registry("number", {"one_two": 12})
    words = Registry("word", {"x-seven": "7"}, derived=((numbers, lambda n, i: f"{n} {i}", "x-"),))
    assert dict(words) == {"x-seven": "7", "x-one-two": "one-two 12"}
    numbers.register("seven", 7, "siete")
    numbers.register("eight", 8, "ocho")
    assert words["x_eight"] == words["x-ocho"] == "eight 8"
    assert words["x-seven"] == "7"
    assert words["x-eight"] is words["x-eight"]
    numbers.register("Eight", 88)
    assert words["x-eight"] == "eight 88"
    numbers.unregister("eight")
    assert "x-eight" not in words
    with pytest.raises(KeyError):
        numbers.unregister("eight")


def test_what_is_added_is_told_from_what_is_there() -> None:
    numbers = Registry("number", {"one": 1, "two": 2})
    words = Registry("word", {"x-seven": "7"}, derived=((numbers, lambda n, i: f"{n} {i}", "x-"),))
    numbers.register("two", 22)
    numbers.register("three", 3)
    assert numbers.built_in() == {"one": 1, "two": 2}
    assert [name for name in words if words.is_added(name)] == ["x-two", "x-three"]
    assert not words.is_added("x-four")
    numbers.unregister("two")
    assert numbers["two"] == 2


def test_nearest_names_at_most_three() -> None:
    assert nearest("ab", ["aba", "abb", "abc", "abd"]).count(" or ") == 2


@pytest.mark.parametrize("name", ["absolute", "absolute_discounting", "Absolute-Discounting"])
def test_absolute_discounting_has_two_names(name: str) -> None:
    assert SMOOTHINGS.canonical(name) == MODELS.canonical(name) == "absolute"
    assert repr(make_model(name)) == "NGramModel(smoothing='absolute')"


def test_every_spelling_of_every_model_is_the_same_model() -> None:
    for name in (*MODELS, *MODELS.aliases):
        assert MODELS.find(name) is MODELS.find(name.upper().replace("-", "_"))


# Other packages ---------------------------------------------------------------------------------


def test_a_model_of_another_package_is_like_any_other(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (package / "text.txt").write_text(TEXT)
    text, file = str(package / "text.txt"), str(package / "m.lm")
    assert main(["models", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["twice"]["summary"] == "Adds two to every count"
    assert listed["twice"]["family"] == "other packages"
    assert main(["models", "twice", "--json"]) == 0
    option = json.loads(capsys.readouterr().out)["options"][0]
    assert (option["name"], option["default"]) == ("alpha", 2.0)
    assert option["meaning"] == parameters(UnigramModel)["alpha"].meaning
    assert main(["train", "--corpus", text, "--model", "twice:alpha=4", "-o", file]) == 0
    model = load(file)
    assert type(model).__name__ == "TwiceModel"
    assert repr(model).startswith("TwiceModel(alpha=4")
    assert main(["compare", "--corpus", text, "--models", "twice,unigram", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    assert {m["label"] for m in found["models"]} == {"twice", "unigram"}


def test_a_file_of_another_packages_model_needs_the_package(package: Path) -> None:
    model = MODELS["twice"].build(alpha=2)
    assert isinstance(model, UnigramModel)
    from langmodels import Corpus, make_tokenizer

    path = package / "m.lm"
    model.fit(Corpus.from_text(TEXT, make_tokenizer("word"))).save(path)
    kept = KINDS.pop("toy-twice")
    try:
        with pytest.raises(LangmodelsError, match="kind"), pytest.warns(match="toy"):
            load(path)
    finally:
        KINDS["toy-twice"] = kept
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's other models
        assert load(path).get_params() == model.get_params()


def test_a_broken_package_is_one_sentence_and_the_rest_works(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, why in (("broken", "NoSuchModel"), ("no-model", "no subclass of LanguageModel")):
        with pytest.raises(LangmodelsError, match=f"{name!r} of the package toy-models.*{why}"):
            MODELS.find(name)
    assert main(["models", "broken"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "mend or uninstall" in line
    assert main(["models"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "modified-kneser-ney" in out
    assert "toy-models" in out
    with pytest.warns(UserWarning, match="toy-models"):
        working = dict(MODELS.working())
    assert {"lstm", "twice"} <= working.keys()
    assert not {"broken", "no-model", "gone"} & working.keys()
    with pytest.raises(LangmodelsError, match=r"method 'gone' .*toy_models_that_are_gone"):
        make_model("gone")


def test_names_between_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert split_names("a, b,,c") == ["a", "b", "", "c"]
    for name in ("a,b", "b,c", "a,b,c"):
        Path(name).touch()
    assert split_names("x,a,b , c") == ["x", "a,b", "c"]
    assert split_names("a,b,c,d") == ["a,b,c", "d"]  # the longest
