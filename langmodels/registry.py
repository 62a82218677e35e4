"""Every model by name: what `--models` takes, what `compare` shows, what the shared tests run.

Adding a model to the toolkit is adding one line to `MODELS`.
"""

import difflib
import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from langmodels import presets
from langmodels.errors import LangmodelsError, UsageError
from langmodels.fullcontext import FullContextModel
from langmodels.models.base import LanguageModel, Model, unpack
from langmodels.models.blanks import ClozeModel
from langmodels.models.cache import CacheModel
from langmodels.models.mixture import MixtureModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural import FeedForwardModel, GRUModel, LSTMModel, RNNModel
from langmodels.neural.bidirectional.model import BidirectionalModel
from langmodels.neural.recurrent.character_aware import CharacterAwareModel
from langmodels.neural.recurrent.convolutional import ConvolutionalRecurrentModel
from langmodels.neural.recurrent.dynamic import DynamicModel
from langmodels.ngram import NGramModel
from langmodels.ngram.arpa import is_arpa_name, is_arpa_text
from langmodels.presets import Options, Setting
from langmodels.storage import open_arrays

M_co = TypeVar("M_co", bound=Model, covariant=True)


@dataclass(frozen=True)
class ModelSpec(Generic[M_co]):
    """One registered model: how it is called, what it is, and how to build it.

    `build` takes hyper-parameters as keywords, `defaults` gives those of a setting. `compared`
    models are in `compare`'s table unless others are asked for. `caveat`: what has to be said
    wherever its figures stand.
    """

    name: str
    family: str
    summary: str
    build: Callable[..., M_co]
    defaults: Callable[[Setting], Options] = presets.nothing
    compared: bool = True
    caveat: str = ""

    def make(self, setting: Setting, options: Options) -> M_co:
        """An unfitted model, defaults of the setting filled in. Raises UsageError."""
        return self.make_exactly({**self.defaults(setting), **options})

    def make_exactly(self, options: Options) -> M_co:
        """An unfitted model with these hyper-parameters and no others. Raises UsageError."""
        try:
            return self.build(**options)
        except TypeError as error:
            raise _refused(self.name, options, error) from error


def _ngram(smoothing: str) -> Callable[..., LanguageModel[Any]]:
    def build(**options: Any) -> LanguageModel[Any]:
        return NGramModel(smoothing=smoothing, **options)

    return build


def _full_context(smoothing: str) -> Callable[..., LanguageModel[Any]]:
    def build(**options: Any) -> LanguageModel[Any]:
        return FullContextModel(smoothing=smoothing, **options)

    return build


def _mixture(order: int, **recurrent: Any) -> MixtureModel:
    """The counting model and the network that complement each other best."""
    return MixtureModel([NGramModel(order=order), LSTMModel(**recurrent)])


def _mixture_options(setting: Setting) -> Options:
    return {**presets.order(setting), **presets.lstm(setting)}


def _cache(order: int, **options: Any) -> CacheModel:
    return CacheModel(NGramModel(order=order), **options)


def _dynamic(
    *, rate: float | None = None, decay: float = 0.003, every: int = 20, **recurrent: Any
) -> DynamicModel:
    return DynamicModel(LSTMModel(**recurrent), rate=rate, decay=decay, every=every)


MODELS: dict[str, ModelSpec[LanguageModel[Any]]] = {
    spec.name: spec
    for spec in (
        ModelSpec("unigram", "unigram", "independent tokens", UnigramModel),
        ModelSpec(
            "full-context-mle",
            "full context",
            "relative frequency after the whole history",
            _full_context("none"),
            caveat="After a history never seen it is 0/0; the uniform distribution stands in.",
        ),
        ModelSpec(
            "full-context",
            "full context",
            "the whole history, smoothed through every shorter one",
            _full_context("kneser_ney"),
        ),
        ModelSpec(
            "mle", "n-gram", "relative frequency, no smoothing", _ngram("mle"), presets.order
        ),
        ModelSpec("laplace", "n-gram", "add one", _ngram("laplace"), presets.order, compared=False),
        ModelSpec("lidstone", "n-gram", "add a little", _ngram("lidstone"), presets.order),
        ModelSpec(
            "jelinek-mercer",
            "n-gram",
            "interpolation, weights by EM on held-out text",
            _ngram("jelinek_mercer"),
            presets.order,
        ),
        ModelSpec("witten-bell", "n-gram", "Witten-Bell", _ngram("witten_bell"), presets.order),
        ModelSpec(
            "absolute",
            "n-gram",
            "absolute discounting",
            _ngram("absolute_discounting"),
            presets.order,
        ),
        ModelSpec("katz", "n-gram", "Katz with Good-Turing", _ngram("katz"), presets.order),
        ModelSpec(
            "kneser-ney", "n-gram", "interpolated Kneser-Ney", _ngram("kneser_ney"), presets.order
        ),
        ModelSpec(
            "modified-kneser-ney",
            "n-gram",
            "modified Kneser-Ney, three discounts an order",
            _ngram("modified_kneser_ney"),
            presets.order,
        ),
        ModelSpec(
            "stupid-backoff",
            "n-gram",
            "stupid backoff: scores, not probabilities (renormalised for perplexities)",
            _ngram("stupid_backoff"),
            presets.order,
            compared=False,
        ),
        ModelSpec(
            "cache",
            "mixture",
            "modified Kneser-Ney with a memory of what was said lately",
            _cache,
            presets.order,
            compared=False,
        ),
        ModelSpec(
            "feed-forward",
            "neural",
            "the last words, embedded, through one hidden layer",
            FeedForwardModel,
            presets.feed_forward,
        ),
        ModelSpec("rnn", "neural", "a recurrent network", RNNModel, presets.rnn),
        ModelSpec("gru", "neural", "a gated recurrent unit", GRUModel, presets.gru),
        ModelSpec("lstm", "neural", "a long short-term memory", LSTMModel, presets.lstm),
        ModelSpec(
            "dynamic",
            "neural",
            "an LSTM that goes on learning from what it reads",
            _dynamic,
            presets.lstm,
            compared=False,
        ),
        ModelSpec(
            "crnn",
            "neural",
            "a causal convolution before a recurrent layer",
            ConvolutionalRecurrentModel,
            presets.recurrent,
            compared=False,
        ),
        ModelSpec(
            "char-cnn-lstm",
            "neural",
            "words read letter by letter, a recurrent layer over them",
            CharacterAwareModel,
            presets.recurrent,
            compared=False,
        ),
        ModelSpec(
            "mixture",
            "mixture",
            "modified Kneser-Ney and an LSTM, weighted by EM",
            _mixture,
            _mixture_options,
        ),
    )
}

CLOZE_MODELS: dict[str, ModelSpec[ClozeModel]] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            f"bidirectional-{cell}",
            "neural",
            f"fills blanks: two {name}, one from each side",
            functools.partial(BidirectionalModel, cell=cell),
            presets.recurrent,
            compared=False,
        )
        for cell, name in (("lstm", "LSTMs"), ("gru", "GRUs"), ("rnn", "recurrent networks"))
    )
}
"""Models made for filling blanks; they give sequences no probability."""

ALIASES = {"mkn": "modified-kneser-ney", "kn": "kneser-ney", "ngram": "modified-kneser-ney"}


def model_spec(name: str) -> ModelSpec[LanguageModel[Any]]:
    """The registered model of a name or alias. Raises UsageError, with the nearest names."""
    name = ALIASES.get(name, name)
    if name in MODELS:
        return MODELS[name]
    if name in CLOZE_MODELS:
        raise UsageError(
            f"{name} fills blanks and gives sequences no probability; use `langmodels fill`, or "
            "`langmodels compare` to see what both sides are worth."
        )
    near = difflib.get_close_matches(name, [*MODELS, *ALIASES], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(MODELS)}."
    raise UsageError(f"There is no model {name!r}; {hint}")


def parse_model(text: str) -> tuple[ModelSpec[LanguageModel[Any]], Options]:
    """`name` or `name:option=value:option=value`, as it is typed after `--models`.

    Values are read as whole numbers, several of them joined by `+`, numbers, true/false, none, or
    else words.

    >>> parse_model("kneser-ney:order=3")[1]
    {'order': 3}
    """
    name, options = parse_name(text)
    return model_spec(name), options


def parse_name(text: str) -> tuple[str, Options]:
    """As `parse_model`, with the name as it is. Raises UsageError for options written wrongly."""
    name, *parts = text.strip().split(":")
    options: Options = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise UsageError(f"In {text!r}, write options as name:option=value, not {part!r}.")
        options[key.strip().replace("-", "_")] = _value(value.strip())
    return name, options


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "none":
        return None
    if "+" in text.strip("+"):
        numbers = text.split("+")
        if all(map(str.isdecimal, numbers)):
            return tuple(map(int, numbers))
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def make_model(text: str, setting: Setting | None = None, **options: Any) -> LanguageModel[Any]:
    """An unfitted model from what `parse_model` reads, defaults of the setting filled in.

    Raises UsageError for unknown models and options.
    """
    spec, given = parse_model(text)
    return spec.make(setting or Setting(), {**given, **options})


def make_cloze_model(text: str, setting: Setting | None = None, **options: Any) -> ClozeModel:
    """An unfitted model of `CLOZE_MODELS`, with options as in `parse_model`.

    Raises UsageError for unknown models and options.
    """
    name, given = parse_name(text)
    if name not in CLOZE_MODELS:
        raise UsageError(
            f"There is no model {name!r} for filling blanks; choose from {', '.join(CLOZE_MODELS)}."
        )
    return CLOZE_MODELS[name].make(setting or Setting(), {**given, **options})


def _refused(name: str, options: Options, error: TypeError) -> UsageError:
    """What a constructor's TypeError means to whoever typed the options."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if unknown:
        return UsageError(f"The model {name} has no option {unknown[1]!r}.")
    given = ", ".join(f"{key}={value}" for key, value in options.items())
    return UsageError(f"The model {name} cannot be made with {given}: a value of the wrong kind.")


def load(path: str | os.PathLike[str]) -> LanguageModel[Any]:
    """Open a saved language model, or an ARPA file, known by its name or its first lines.

    Raises LangmodelsError where the file is none.
    """
    model = load_any(path)
    if not isinstance(model, LanguageModel):
        raise LangmodelsError(
            f"{path} holds a {type(model).__name__}, which fills blanks and gives sequences no "
            "probability; use `langmodels fill`."
        )
    return model


def load_any(path: str | os.PathLike[str]) -> Model:
    """Open a saved model of any kind; see `load`. Raises LangmodelsError where the file is none."""
    try:
        if is_arpa_name(path) or is_arpa_text(path):
            return NGramModel.from_arpa(path)
        return unpack(*open_arrays(path), name=str(path))
    except MemoryError as error:
        raise LangmodelsError(f"{path} needs more memory than there is.") from error
