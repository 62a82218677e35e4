"""Every model by name: what `--models` takes, what `compare` shows, what the shared tests run.

Adding a model to the toolkit is adding one line to `MODELS`; adding a smoothing method or a cell to
its own registry is enough for there to be a model of it. Models of other packages are found by
entry points of the group `langmodels.models`, each of which names a class or a `ModelSpec`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from langmodels import presets
from langmodels.arguments import checked
from langmodels.errors import LangmodelsError, UsageError
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
    """One registered model: how it is called, what it is, and how to build it.

    `build` takes hyper-parameters as keywords, `defaults` gives those that depend on a setting.
    `compared` models are in `compare`'s table unless others are asked for.
    """

    name: str
    family: str
    summary: str
    build: Callable[..., M_co]
    defaults: Callable[[Setting], Options] = presets.nothing
    compared: bool = True

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Its hyper-parameters by name."""
        return parameters(self.build)

    def options(self, setting: Setting) -> Options:
        """All its hyper-parameters at a setting."""
        known = self.parameters.values()
        fixed = {p.name: p.default for p in known if p.default is not Parameter.REQUIRED}
        return {**fixed, **self.defaults(setting)}

    def make(self, setting: Setting, options: Options) -> M_co:
        """An unfitted model, defaults of the setting filled in. Raises UsageError."""
        return self.make_exactly({**self.defaults(setting), **options})

    def make_exactly(self, options: Options) -> M_co:
        """An unfitted model with these hyper-parameters and no others. Raises UsageError."""
        check_options(self.build, options, f"The model {self.name}")
        try:
            return self.build(**options)
        except UsageError:
            raise
        except TypeError as error:
            given = ", ".join(f"{key}={value}" for key, value in options.items())
            raise UsageError(
                f"The model {self.name} cannot be made with {given}: a value of the wrong kind."
            ) from error


class _ModelRegistry(Registry[ModelSpec[M]]):
    """Models of one base class; a class may stand for a `ModelSpec` of it."""

    def __init__(
        self, what: str, base: type[Any] | Late, *specs: ModelSpec[M], **options: Any
    ) -> None:
        self._base = base
        super().__init__(what, {spec.name: spec for spec in specs}, **options)

    def adapt(self, name: str, found: Any) -> ModelSpec[M]:
        """See `Registry`."""
        if isinstance(found, ModelSpec):
            return found
        base: Any = self._base.target if isinstance(self._base, Late) else self._base
        if not (isinstance(found, type) and issubclass(found, base)):
            raise TypeError(f"{found!r} is no class of {base.__name__} and no ModelSpec")
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
        "independent tokens, one added to each count",
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
"""Language models: they give every sequence a probability."""

CLOZE_MODELS: Registry[ModelSpec[ClozeModel]] = _ModelRegistry(
    "model for filling blanks",
    ClozeModel,
    group="langmodels.cloze_models",
    derived=((CELLS, _of_two_cells, "bidirectional-"),),
)
"""Models made for filling blanks; they give sequences no probability."""

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
"""Models of targets given sources; they learn from pairs."""


ALL_MODELS: dict[str, Registry[Any]] = {
    "language models": MODELS,
    "for filling blanks": CLOZE_MODELS,
    "for pairs of sequences": PAIR_MODELS,
}
"""All registries of models, by what these are."""


def _import_own() -> None:
    """Import all models of this package, so that files may hold them."""
    bidirectional = (_of_two_cells(*item) for item in CELLS.built_in().items())
    for spec in (*MODELS.built_in().values(), *PAIR_MODELS.built_in().values(), *bidirectional):
        if isinstance(spec.build, Late):
            _ = spec.build.target


def _import_others() -> None:
    """Import the models of other packages; warns of broken ones."""
    for registry in ALL_MODELS.values():
        for _ in registry.working():
            pass


FINDERS += [_import_own, _import_others]


def any_model_spec(name: str) -> ModelSpec[Model]:
    """The registered model of a name or alias, of whichever kind. Raises UsageError."""
    for registry in ALL_MODELS.values():
        if name in registry:
            spec: ModelSpec[Model] = registry.find(name)
            return spec
    every = [known for registry in ALL_MODELS.values() for known in registry]
    raise UsageError(f"There is no model {name!r}; {nearest(name, every)}")


def check_no_file(text: str) -> None:
    """Raise LangmodelsError where what names no model looks like a file, which is not there."""
    if Path(text).suffix or os.sep in text:
        raise LangmodelsError(f"There is no model file {text}; check the path.")


def model_spec(name: str) -> ModelSpec[LanguageModel[Any]]:
    """The registered language model of a name or alias.

    Raises UsageError, with the nearest names, for any other.
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
    """`name` or `name:option=value:option=value`, as it is typed after `--models`.

    Values are read as whole numbers, several of them joined by `+`, numbers, true/false, none, or
    else words.

    >>> parse_model("kneser-ney:order=3")[1]
    {'order': 3}
    """
    name, options = parse_name(text)
    return model_spec(name), options


@checked
def make_model(text: str, setting: Setting | None = None, **options: Any) -> LanguageModel[Any]:
    """An unfitted model from what `parse_model` reads, defaults of the setting filled in.

    Raises UsageError for unknown models and options.
    """
    spec, given = parse_model(text)
    return spec.make(setting or Setting(), {**given, **options})


@checked
def make_cloze_model(text: str, setting: Setting | None = None, **options: Any) -> ClozeModel:
    """An unfitted model of `CLOZE_MODELS`, with options as in `parse_model`.

    Raises UsageError for unknown models and options.
    """
    name, given = parse_name(text)
    return CLOZE_MODELS.find(name).make(setting or Setting(), {**given, **options})


def is_finished(name: str) -> bool:
    """Whether a name stands for a finished model, which `load` opens: a file, or `hf:NAME`."""
    return is_pretrained_name(name) or os.path.exists(name)  # noqa: PTH110 - never raises


@checked
def load(path: str | os.PathLike[str], *, mmap: bool = True) -> LanguageModel[Any]:
    """Open a saved language model, an ARPA file, a binary file of KenLM's or a pretrained model.

    `hf:NAME-OR-FOLDER` is a model of the library `transformers`. ARPA files are known by their
    names or their first lines, compressed ones too. The arrays of a model file stay on disk until
    they are used; a file that is cut short meanwhile ends the process (SIGBUS). With `mmap=False`
    they are read at once.

    Raises LangmodelsError where the file is none.
    """
    model = load_any(path, mmap=mmap)
    if not isinstance(model, LanguageModel):
        raise LangmodelsError(
            f"{path} holds a {type(model).__name__}, which fills blanks and gives sequences no "
            "probability; use `langmodels fill`."
        )
    return model


@checked
def load_any(path: str | os.PathLike[str], *, mmap: bool = True) -> Model:
    """Open a saved model of any kind; see `load`. Raises LangmodelsError where the file is none."""
    called = str(path).partition(":")[0]
    if any(called in registry for registry in ALL_MODELS.values()) and not Path(path).exists():
        raise LangmodelsError(
            f"There is no file {path}; the model of this name is trained first: "
            f"langmodels train --model {path} --corpus TEXT --output FILE."
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
        raise LangmodelsError(f"{path} needs more memory than there is.") from error


@checked
def info(model: Model | str | os.PathLike[str]) -> dict[str, Any]:
    """What a model or a model file is, as plain data: what `langmodels info --json` prints.

    For files there are `file` and `bytes` beside what `describe` says; a pretrained model has a
    name, but no bytes of its own. Raises what `load` raises.
    """
    if isinstance(model, Model):
        return describe(model)
    told = describe(load_any(model))
    size = None if is_pretrained_name(model) else Path(model).stat().st_size
    return {"file": os.fspath(model), "bytes": size, **told}
