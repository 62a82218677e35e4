"""Hyper-parameters: in the signature of a constructor, and nowhere else."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from langmodels import CacheModel, FeedForwardModel, GRUModel, LSTMModel, NGramModel, UsageError
from langmodels.models.description import part_lines, settings_line
from langmodels.models.mixture import MixtureModel
from langmodels.models.model import Model
from langmodels.ngram import SMOOTHINGS, make_smoothing
from langmodels.presets import Setting
from langmodels.registry import CLOZE_MODELS, MODELS, PAIR_MODELS, ModelSpec, make_model
from langmodels.settings import (
    Configurable,
    Parameter,
    forwards,
    meanings_of,
    parameters,
    signature,
)

SPECS: list[ModelSpec[Any]] = [
    *MODELS.values(),
    *CLOZE_MODELS.values(),
    *PAIR_MODELS.values(),
]
CLASSES = sorted({type(spec.build()) for spec in SPECS}, key=lambda cls: cls.__name__)
METHODS = list(SMOOTHINGS.values())


class Base(Configurable):
    """The base.

    Args:
        width: how wide.
        depth: how deep,
            from above.
    """

    def __init__(self, *, width: int = 1, depth: int | None = None) -> None:
        self.width, self.depth = width, depth


class Derived(Base):
    """What is derived.

    Args:
        height: how high.

    More is not said.
    """

    @forwards(without=("depth",))
    def __init__(self, height: float, *, width: int = 2, **options: Any) -> None:
        super().__init__(width=width, **options)
        self.height = height


def test_a_signature_has_what_is_handed_on() -> None:
    assert str(inspect.signature(Derived)) == "(height: float, *, width: int = 2)"
    assert str(signature(Base)) == "(*, width: int = 1, depth: int | None = None)"
    assert parameters(Derived)["width"] == Parameter("width", int, 2, "how wide.")
    assert parameters(Base)["depth"].meaning == "how deep, from above."
    assert parameters(Base)["depth"].type == "int | None"
    assert parameters(Base)["depth"].kind == "whole number or none"
    assert meanings_of(Derived) == {"height": "how high."}


def test_an_unknown_option_is_refused_by_the_class_that_was_asked() -> None:
    with pytest.raises(TypeError, match=r"Derived has no option 'hight'; did you mean height\?"):
        Derived(1.0, hight=2)
    with pytest.raises(UsageError, match="Derived has no option 'depth'"):
        Derived(1.0, depth=2)
    with pytest.raises(UsageError, match=r"LSTMModel has no option 'hiden'; did you mean hidden\?"):
        LSTMModel(hiden=3)
    with pytest.raises(UsageError, match=r"lidstone has no option 'alhpa'; did you mean alpha\?"):
        NGramModel(smoothing="lidstone", alhpa=3)
    with pytest.raises(UsageError, match=r"did you mean order\?"):
        NGramModel(ordre=3)
    with pytest.raises(UsageError, match=r"katz has no option 'cutof'; did you mean cutoff\?"):
        make_smoothing("katz", cutof=3)


@pytest.mark.parametrize(
    "written",
    ["lstm:hidden=64,epochs=3", "lstm:hidden=64 epochs=3", "lstm,epochs=3", "lstm epochs=3"],
)
def test_options_without_a_colon_between_are_told_to_have_one(written: str) -> None:
    with pytest.raises(UsageError, match="write a colon before every option"):
        make_model(written)


def test_repr_shows_what_is_not_as_usual() -> None:
    assert repr(Derived(1.5, width=3)) == "Derived(height=1.5, width=3)"
    assert repr(NGramModel(3, "lidstone", alpha=0.5)) == (
        "NGramModel(order=3, smoothing='lidstone', alpha=0.5)"
    )
    assert repr(GRUModel(hidden=7, learning_rate=0.25)) == (
        "GRUModel(hidden=7, learning_rate=0.25)"
    )
    assert repr(CacheModel(NGramModel(2))) == "CacheModel(base=NGramModel(order=2))"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_option_of_every_model_has_a_meaning(spec: ModelSpec[Any]) -> None:
    for name, parameter in spec.parameters.items():
        assert 5 < len(parameter.meaning) < 120, name
        assert parameter.meaning.endswith("."), name
        assert parameter.kind, name


@pytest.mark.parametrize("cls", [*CLASSES, *METHODS], ids=lambda cls: cls.__name__)
def test_no_docstring_explains_what_is_not_taken(cls: type[Any]) -> None:
    assert set(meanings_of(cls)) <= set(parameters(cls))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_hyper_parameters_make_another_one_alike(spec: ModelSpec[Model]) -> None:
    model = spec.build()
    again = type(model)(**model.get_params())
    assert again.get_params() == model.get_params()
    assert repr(again) == repr(model)
    fewer = spec.parameters.keys() & parameters(type(model)).keys()
    assert fewer <= model.get_params().keys()


def test_a_file_notes_the_hyper_parameters(tmp_path: Path) -> None:
    from langmodels import Corpus, make_tokenizer

    corpus = Corpus.from_text("a b c a b d a", make_tokenizer("whitespace"))
    for model in (
        LSTMModel(hidden=3, epochs=1, cutoffs=(2,)),
        FeedForwardModel(order=2, hidden=3, embedding=2, epochs=1),
        NGramModel(2, "jelinek_mercer", weight=0.5),
    ):
        model.fit(corpus).save(tmp_path / "m.lm")
        assert type(model).load(tmp_path / "m.lm").get_params() == model.get_params()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_class_and_its_name_have_the_same_defaults(spec: ModelSpec[Model]) -> None:
    by_class, by_name = spec.build(), spec.make(Setting(), {})
    assert repr(by_name) == repr(by_class)
    assert by_name.get_params().keys() == by_class.get_params().keys()


def test_options_at_a_setting_are_all_and_those_that_are_used() -> None:
    spec = MODELS["lstm"]
    for setting in (Setting(), Setting("char", budget="quick", seed=3)):
        assert spec.options(setting) == spec.make(setting, {}).get_params()


def test_what_is_told_of_a_model_has_what_was_set_to_nothing() -> None:
    """A zero in the place of a default is a setting as any other."""
    text = "a rose is a rose\n" * 3
    told = settings_line(LSTMModel(hidden=4, epochs=1, dropout=0.0, patience=None).fit(text))
    assert "dropout 0.0" in told
    assert "patience None" in told
    assert not {"l2", "warmup", "one hot", "window"} & set(told.replace(",", "").split())
    cache = CacheModel(NGramModel(2, "witten_bell"), decay=0.5, weight=0.0).fit(text)
    assert settings_line(cache) == "decay 0.5, weight 0.0"
    own = "NGramModel: order 2, smoothing witten_bell"
    assert part_lines(cache) == [own]
    both = MixtureModel([cache, cache.base], [0.5, 0.5])
    assert settings_line(both) == "weights [0.5, 0.5]"
    assert part_lines(both) == [f"CacheModel: decay 0.5, weight 0.0 ({own})", own]
    assert settings_line(LSTMModel(hidden=4, epochs=1).fit(text)).count("0.0,") == 0
