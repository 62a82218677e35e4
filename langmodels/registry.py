"""The registry of models: the names that `--models` takes and that the shared tests run over.

A model is added to the toolkit by one entry in `MODELS`; each smoothing method and each recurrent
cell of their own registries is a model as well. Models of other packages are found by entry points
of the group `langmodels.models`, each of which names a model class or a `ModelSpec`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from langmodels import presets
from langmodels.arguments import checked
from langmodels.errors import LangmodelsError, UsageError, missing
from langmodels.kinds import FINDERS
from langmodels.models.base import LanguageModel
from langmodels.models.blanks import ClozeModel
from langmodels.models.description import describe
from langmodels.models.files import read_model
from langmodels.models.model import Model
from langmodels.names import Late, Registry, first_line, nearest
from langmodels.neural.layers.cells import CELLS, Recurrent
from langmodels.ngram import SMOOTHINGS, NGramModel, Smoothing
from langmodels.ngram.arpa import is_arpa_name, is_arpa_text
from langmodels.ngram.kenlm import KenLMModel
from langmodels.ngram.kenlm.model import is_kenlm_binary
from langmodels.ngram.model import with_smoothing
from langmodels.presets import Options, Setting
from langmodels.pretrained import PretrainedModel, is_pretrained_name
from langmodels.settings import Parameter, check_options, parameters, parse_name

if TYPE_CHECKING:
    from langmodels.neural.encoder_decoder.model import EncoderDecoderModel

M_co = TypeVar("M_co", bound=Model, covariant=True)
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class ModelSpec(Generic[M_co]):
    """One registered model.

    `name`: as typed; `family`: the heading under which it is listed; `summary`: a phrase that says
    what it is. `build`: a class or function that takes hyper-parameters as keywords and returns an
    unfitted model. `defaults`: the hyper-parameters that depend on the setting. `compared`: whether
    `compare` includes it by default.
    """

    name: str
    family: str
    summary: str
    build: Callable[..., M_co]
    defaults: Callable[[Setting], Options] = presets.nothing
    compared: bool = True

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The hyper-parameters that `build` takes, by name."""
        return parameters(self.build)

    def options(self, setting: Setting) -> Options:
        """The default values of all hyper-parameters at a setting, but those without a default."""
        known = self.parameters.values()
        fixed = {p.name: p.default for p in known if p.default is not Parameter.REQUIRED}
        return {**fixed, **self.defaults(setting)}

    def make(self, setting: Setting, options: Options) -> M_co:
        """An unfitted model with these options, and the defaults of the setting for all others.

        Raises UsageError for unknown options and impossible values.
        """
        return self.make_exactly({**self.defaults(setting), **options})

    def make_exactly(self, options: Options) -> M_co:
        """An unfitted model with these options, and the defaults of `build` for all others.

        Raises UsageError for unknown options and impossible values.
        """
        check_options(self.build, options, f"The model {self.name}")
        try:
            return self.build(**options)
        except UsageError:
            raise
        except TypeError as error:
            given = ", ".join(f"{key}={value}" for key, value in options.items())
            raise UsageError(
                f"The model {self.name} cannot be made with {given}: a value has the wrong type."
            ) from error


class _ModelRegistry(Registry[ModelSpec[M]]):
    """A registry of models of one base class; a model class is registered with a `ModelSpec` made
    from it.
    """

    def __init__(
        self, what: str, base: type[Any] | Late, *specs: ModelSpec[M], **options: Any
    ) -> None:
        self._base = base
        super().__init__(what, {spec.name: spec for spec in specs}, **options)

    def adapt(self, name: str, found: Any) -> ModelSpec[M]:
        """See `Registry`. Raises TypeError for what is neither a model class nor a `ModelSpec`."""
        if isinstance(found, ModelSpec):
            return found
        base: Any = self._base.target if isinstance(self._base, Late) else self._base
        if not (isinstance(found, type) and issubclass(found, base)):
            raise TypeError(f"{found!r} is no subclass of {base.__name__} and no ModelSpec")
        return ModelSpec(name, "other packages", first_line(found), found, compared=False)


def _recurrent(name: str, **options: Any) -> Late:
    return Late("langmodels.neural.recurrent.model", name, **options)


def _transformer(**options: Any) -> Late:
    return Late("langmodels.neural.transformer.model", "TransformerModel", **options)


_PAIRS = Late("langmodels.neural.encoder_decoder.model", "EncoderDecoderModel")


def _ngram(name: str, method: type[Smoothing]) -> ModelSpec[LanguageModel[Any]]:
    return ModelSpec(
        name,
        "n-gram",
        method.summary or first_line(method),
        with_smoothing(method.name),
        presets.order,
        compared=method.compared,
    )


def _of_cell(name: str, cell: type[Recurrent]) -> ModelSpec[LanguageModel[Any]]:
    build = _recurrent("RecurrentModel", cell=name)
    return ModelSpec(name, "neural", first_line(cell), build, presets.recurrent, compared=False)


def _of_two_cells(cell: str, _: type[Recurrent]) -> ModelSpec[ClozeModel]:
    return ModelSpec(
        f"bidirectional-{cell}",
        "neural",
        f"fills blanks: two recurrent networks ({cell}), one from each side",
        Late("langmodels.neural.bidirectional.model", "BidirectionalModel", cell=cell),
        presets.recurrent,
        compared=False,
    )


MODELS: Registry[ModelSpec[LanguageModel[Any]]] = _ModelRegistry(
    "model",
    LanguageModel,
    ModelSpec(
        "unigram",
        "unigram",
        "independent tokens, with one added to each count",
        Late("langmodels.models.unigram", "UnigramModel"),
    ),
    ModelSpec(
        "full-context-mle",
        "full context",
        "relative frequency after the whole history",
        Late("langmodels.fullcontext.model", "FullContextModel", smoothing="none"),
    ),
    ModelSpec(
        "full-context",
        "full context",
        "the whole history, smoothed through every shorter one",
        Late("langmodels.fullcontext.model", "FullContextModel", smoothing="kneser_ney"),
    ),
    ModelSpec(
        "adaptive",
        "full context",
        "the whole history, learnt from while it is read",
        Late("langmodels.fullcontext.adaptive", "AdaptiveModel"),
        compared=False,
    ),
    *(_ngram(name.replace("_", "-"), method) for name, method in SMOOTHINGS.built_in().items()),
    ModelSpec(
        "class",
        "class n-gram",
        "classes of words that occur alike (Brown et al.), found by exchange",
        Late("langmodels.ngram.classes", "ClassModel"),
        presets.order,
        compared=False,
    ),
    ModelSpec(
        "cache",
        "mixture",
        "modified Kneser-Ney with a memory of what was said lately",
        Late("langmodels.combined", "cache"),
        presets.order,
        compared=False,
    ),
    ModelSpec(
        "feed-forward",
        "neural",
        "the last words, embedded, through one hidden layer",
        Late("langmodels.neural.feedforward", "FeedForwardModel"),
        presets.feed_forward,
    ),
    ModelSpec("rnn", "neural", "a recurrent network", _recurrent("RNNModel"), presets.rnn),
    ModelSpec("gru", "neural", "a gated recurrent unit", _recurrent("GRUModel"), presets.gru),
    ModelSpec("lstm", "neural", "a long short-term memory", _recurrent("LSTMModel"), presets.lstm),
    ModelSpec(
        "mingru",
        "neural",
        "minimal gated recurrent units, whose gates see no state, in two layers",
        _recurrent("MinGRUModel"),
        presets.mingru,
        compared=False,
    ),
    ModelSpec(
        "dynamic",
        "neural",
        "an LSTM that goes on learning from what it reads",
        Late("langmodels.combined", "dynamic"),
        presets.lstm,
        compared=False,
    ),
    ModelSpec(
        "crnn",
        "neural",
        "a causal convolution before a recurrent layer",
        Late("langmodels.neural.recurrent.convolutional", "ConvolutionalRecurrentModel"),
        presets.recurrent,
        compared=False,
    ),
    ModelSpec(
        "char-cnn-lstm",
        "neural",
        "words read letter by letter, a recurrent layer over them",
        Late("langmodels.neural.recurrent.character_aware", "CharacterAwareModel"),
        presets.recurrent,
        compared=False,
    ),
    ModelSpec(
        "transformer",
        "neural",
        "attention to the last positions in every layer, rotary positions, SwiGLU (Llama's)",
        _transformer(),
        presets.transformer,
    ),
    ModelSpec(
        "transformer-gpt2",
        "neural",
        "the same with learned positions, LayerNorm, GELU and biases (GPT-2's)",
        _transformer(positions="learned", norm="layer", activation="gelu", bias=True),
        presets.transformer,
        compared=False,
    ),
    ModelSpec(
        "mixture",
        "mixture",
        "modified Kneser-Ney and an LSTM, weighted by EM",
        Late("langmodels.combined", "mixture"),
        lambda setting: {**presets.order(setting), **presets.lstm(setting)},
    ),
    aliases={"ngram": "modified-kneser-ney"},
    group="langmodels.models",
    derived=((SMOOTHINGS, _ngram, ""), (CELLS, _of_cell, "")),
)
"""Language models, which give every sequence a probability."""

CLOZE_MODELS: Registry[ModelSpec[ClozeModel]] = _ModelRegistry(
    "model for filling blanks",
    ClozeModel,
    group="langmodels.cloze_models",
    derived=((CELLS, _of_two_cells, "bidirectional-"),),
)
"""Models that only fill blanks, and give sequences no probability."""

PAIR_MODELS: "Registry[ModelSpec[EncoderDecoderModel]]" = _ModelRegistry(
    "model of pairs",
    _PAIRS,
    ModelSpec(
        "encoder-decoder",
        "neural",
        "turns one sequence into another, with attention to the source",
        _PAIRS,
        compared=False,
    ),
)
"""Models of target sequences given source sequences, fitted on pairs of these."""


ALL_MODELS: dict[str, Registry[Any]] = {
    "language models": MODELS,
    "for filling blanks": CLOZE_MODELS,
    "for pairs of sequences": PAIR_MODELS,
}
"""All registries, by the heading under which their models are listed."""


def _import_own() -> None:
    """Import all model classes of this package, so that `load` finds those that files name."""
    bidirectional = (_of_two_cells(*item) for item in CELLS.built_in().items())
    for spec in (*MODELS.built_in().values(), *PAIR_MODELS.built_in().values(), *bidirectional):
        if isinstance(spec.build, Late):
            _ = spec.build.target


def _import_others() -> None:
    """Import the model classes of other packages; warns of those that cannot be imported."""
    for registry in ALL_MODELS.values():
        for _ in registry.working():
            pass


FINDERS += [_import_own, _import_others]


def any_model_spec(name: str) -> ModelSpec[Model]:
    """The model of this name or alias in any of the registries.

    Raises UsageError, with the nearest names, where there is none.
    """
    for registry in ALL_MODELS.values():
        if name in registry:
            spec: ModelSpec[Model] = registry.find(name)
            return spec
    every = [known for registry in ALL_MODELS.values() for known in registry]
    raise UsageError(f"There is no model {name!r}; {nearest(name, every)}")


def check_no_file(text: str) -> None:
    """Raise LangmodelsError where a text that names no model looks like the path of a file."""
    if Path(text).suffix or os.sep in text:
        raise missing(str(text), "model file")


def model_spec(name: str) -> ModelSpec[LanguageModel[Any]]:
    """The registered language model of this name or alias.

    Raises UsageError for models of other kinds, and with the nearest names where there is none.
    """
    if name not in MODELS and name in CLOZE_MODELS:
        raise UsageError(
            f"{name} fills blanks and gives sequences no probability; use `langmodels fill`, or "
            "`langmodels compare` to see what both sides are worth."
        )
    if name not in MODELS and name in PAIR_MODELS:
        raise UsageError(f"{name} turns sequences into others; use `langmodels translate`.")
    return MODELS.find(name)


def parse_model(text: str) -> tuple[ModelSpec[LanguageModel[Any]], Options]:
    """The model and the options of `name` or `name:option=value:option=value`, as typed after
    `--models`.

    A value is an integer, integers joined by `+`, a number, `true`, `false` or `none`, else a
    string. Raises what `model_spec` raises.

    >>> parse_model("kneser-ney:order=3")[1]
    {'order': 3}
    """
    name, options = parse_name(text)
    return model_spec(name), options


@checked
def make_model(text: str, setting: Setting | None = None, **options: Any) -> LanguageModel[Any]:
    """An unfitted model.

    Args:
        text: its name with options, as `parse_model` reads it.
        setting: gives the defaults of hyper-parameters; None for `Setting()`.
        options: further options, which take precedence over those in `text`.

    Raises UsageError for unknown models and options.
    """
    spec, given = parse_model(text)
    return spec.make(setting or Setting(), {**given, **options})


@checked
def make_cloze_model(text: str, setting: Setting | None = None, **options: Any) -> ClozeModel:
    """An unfitted model of `CLOZE_MODELS`; the arguments are those of `make_model`.

    Raises UsageError for unknown models and options.
    """
    name, given = parse_name(text)
    return CLOZE_MODELS.find(name).make(setting or Setting(), {**given, **options})


def is_finished(name: str) -> bool:
    """Whether a name is something that `load` opens: an existing file, or `hf:NAME`."""
    return is_pretrained_name(name) or os.path.exists(name)  # noqa: PTH110 - never raises


@checked
def load(path: str | os.PathLike[str], *, mmap: bool = True) -> LanguageModel[Any]:
    """Open a language model: a model file, an ARPA file, a KenLM binary or a pretrained model.

    Args:
        path: a file, or `hf:NAME-OR-FOLDER` for a model of the library `transformers`. ARPA files,
            compressed ones too, are recognised by their names or their first lines.
        mmap: whether the arrays of a model file are memory-mapped, and so read when they are used;
            if the file is truncated meanwhile, the process ends with SIGBUS. Else they are read at
            once.

    Raises LangmodelsError where the file cannot be read, is damaged, or holds no language model.
    """
    model = load_any(path, mmap=mmap)
    if not isinstance(model, LanguageModel):
        raise LangmodelsError(
            f"{path} holds a {type(model).__name__}, which gives sequences no probability; "
            f"use `langmodels {'fill' if isinstance(model, ClozeModel) else 'translate'}`."
        )
    return model


@checked
def load_any(path: str | os.PathLike[str], *, mmap: bool = True) -> Model:
    """Open a model of any kind, as `load` does for language models.

    Raises LangmodelsError where the file cannot be read, is damaged, or holds no model.
    """
    called = str(path).partition(":")[0]
    if any(called in registry for registry in ALL_MODELS.values()) and not Path(path).exists():
        raise LangmodelsError(
            f"There is no file {path}; {called} is the name of a model, which must be trained "
            f"first: langmodels train --model {path} --corpus TEXT --output FILE."
        )
    try:
        if is_pretrained_name(path):
            return PretrainedModel.named(str(path))
        if is_arpa_name(path) or is_arpa_text(path):
            return NGramModel.from_arpa(path)
        if is_kenlm_binary(path):
            return KenLMModel.from_binary(path)
        return read_model(path, mmap=mmap)
    except MemoryError as error:
        raise LangmodelsError(
            f"There is too little memory to open {path}; close other programs, or use a smaller "
            "model."
        ) from error


@checked
def info(model: Model | str | os.PathLike[str]) -> dict[str, Any]:
    """A description of a model or a model file as plain data, as `langmodels info --json` prints
    it.

    It is what `describe` returns; for files preceded by `file`, the path, and `bytes`, the size,
    which is None for a pretrained model. Raises what `load_any` raises.
    """
    if isinstance(model, Model):
        return describe(model)
    told = describe(load_any(model))
    size = None if is_pretrained_name(model) else Path(model).stat().st_size
    return {"file": os.fspath(model), "bytes": size, **told}
