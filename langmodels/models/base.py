"""The interface of every model: h = f(h, x) and p = g(h), and all that follows from the two."""

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from langmodels.arrays import Array, FloatArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.decoding import Decoding, beam_search, generate
from langmodels.settings import Configurable
from langmodels.storage import open_arrays, save_arrays
from langmodels.text.cleaning import clean
from langmodels.text.corpus import Corpus
from langmodels.text.tokenization import Tokenizer, WhitespaceTokenizer, make_tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary

S = TypeVar("S")
Text = str | Sequence[str] | Sequence[int] | Array
"""What a sequence may be given as: a plain string, a list of tokens, or ids."""

FORMAT_VERSION = "1"


class Model(Configurable, ABC):
    """What all models are: learnt from a corpus over a vocabulary, and kept in one file.

    Those that give every sequence a probability are a `LanguageModel`.
    """

    kind: ClassVar[str]
    """Name of the family in model files."""

    tokenizer: Tokenizer = WhitespaceTokenizer()

    cleaning: str = "none"
    """How strings are cleaned before they are cut, one of `CLEANINGS`: as the training text was."""

    _vocabulary: Vocabulary | None = None
    _classes: ClassVar[dict[str, type["Model"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            Model._classes[cls.kind] = cls

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model knows. Raises UsageError before there are any."""
        if self._vocabulary is None:
            raise UsageError(f"This {type(self).__name__} has learnt nothing yet; call fit first.")
        return self._vocabulary

    @vocabulary.setter
    def vocabulary(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    @property
    def is_fitted(self) -> bool:
        """Whether there is a vocabulary yet."""
        return self._vocabulary is not None

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """How many numbers were learnt."""

    def tokenize(self, text: str) -> Sequence[str]:
        """The tokens of a text, cleaned first as the training text was.

        The words `<s>` and `</s>` in it are unknown ones.
        """
        tokens = self.tokenizer.tokenize("".join(clean([text], self.cleaning)))
        if BOS in text or EOS in text:
            tokens = [UNK if token in (BOS, EOS) else token for token in tokens]
        return tokens

    def encode(self, text: Text) -> IntArray:
        """Token ids of a sequence given as a string, tokens or ids; no boundaries are added.

        Raises UsageError for ids outside the vocabulary, and for `<s>`, which is nothing to
        predict.
        """
        vocabulary = self.vocabulary
        if isinstance(text, str):
            return vocabulary.encode(self.tokenize(text))
        if len(text) == 0:
            return np.empty(0, np.int32)
        if isinstance(text[0], str):
            for mark in (BOS, EOS):
                if mark in text:
                    raise UsageError(f"{mark} is added by itself; leave it out of the tokens.")
            return vocabulary.encode(list(map(str, text)))
        ids = np.asarray(text)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise UsageError("A sequence is a string, a list of tokens, or a list of token ids.")
        if ids.min() < 0 or ids.max() >= len(vocabulary):
            raise UsageError(f"Token ids must lie between 0 and {len(vocabulary) - 1}.")
        if (ids == Vocabulary.bos_id).any():
            raise UsageError(f"{BOS} marks the beginning; it cannot stand inside a sequence.")
        return ids.astype(np.int32)

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Hyper-parameters and scalars, as JSON can hold them."""
        return self.get_params()

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What was learnt."""

    @classmethod
    @abstractmethod
    def restore(
        cls,
        config: dict[str, Any],
        arrays: Mapping[str, Array],
        vocabulary: Vocabulary,
        tokenizer: Tokenizer,
    ) -> Self:
        """A fitted model from what `config` and `arrays` gave."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file (safetensors; nothing in it is ever executed)."""
        metadata, arrays = pack(self)
        save_arrays(path, arrays, metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Open a saved model of this class; its arrays stay on disk until used.

        Raises LangmodelsError where the file is broken or holds another kind of model.
        """
        model = unpack(*open_arrays(path), name=str(path))
        if not isinstance(model, cls):
            raise LangmodelsError(f"{path} holds a {type(model).__name__}, not a {cls.__name__}.")
        return model

    # Help for subclasses --------------------------------------------------------------------

    def _adopt(self, corpus: Corpus, validation: Corpus | None = None) -> None:
        """Take over the training corpus's vocabulary and tokenizer, after checking both corpora."""
        if corpus.n_tokens == 0:
            raise LangmodelsError("The training text is empty; there is nothing to learn from.")
        if validation is not None and validation.n_tokens == 0:
            raise LangmodelsError("The validation text is empty; leave it out, or give one.")
        if validation is not None and validation.vocabulary != corpus.vocabulary:
            raise UsageError("The validation text must be encoded with the training vocabulary.")
        self._take_over(corpus)

    def _take_over(self, other: "Corpus | Model") -> None:
        """Read text as a corpus was read, or as another model reads it."""
        self.vocabulary, self.tokenizer = other.vocabulary, other.tokenizer
        self.cleaning = other.cleaning

    def _check_corpus(self, corpus: Corpus) -> None:
        if corpus.vocabulary is not self.vocabulary and corpus.vocabulary != self.vocabulary:
            raise UsageError("The corpus must be encoded with the vocabulary of the model.")


class LanguageModel(Model, Generic[S]):
    """A probability for every sequence, by the chain rule.

    A model is two functions. `advance` folds the next symbol into the context,
    h_t = f(h_{t-1}, x_t); `log_distribution` turns the context into a distribution over the next
    symbol, g(h_t). Everything else is written once, here, on those two and on `start`, the
    context of an empty sequence.

    States are values: `advance` returns a new one and leaves the old one usable. All log
    probabilities are natural; every distribution covers the whole vocabulary, sums to one, and
    gives `<s>` zero.

    A new family implements `fit`, `start`, `advance`, `log_distribution`, and for storage
    `config`, `arrays` and `restore`; it may override `log_prob_next` and `score_corpus` where it
    can do better than the loops here.
    """

    is_distribution: ClassVar[bool] = True
    """False for a model whose scores do not sum to one (stupid backoff)."""

    # The two functions, and where they begin ------------------------------------------------

    @abstractmethod
    def fit(self, corpus: Corpus, validation: Corpus | None = None) -> Self:
        """Learn from a corpus; `validation` is for what needs held-out text. Returns self."""

    @abstractmethod
    def start(self) -> S:
        """h_0: the context at the beginning of a sequence."""

    @abstractmethod
    def advance(self, state: S, token: int) -> S:
        """f: the context after one more token id."""

    @abstractmethod
    def log_distribution(self, state: S) -> FloatArray:
        """g: log p(next | context) in nats for every token id, shape (V,)."""

    # What a table says about a model ---------------------------------------------------------

    @property
    def context_length(self) -> int | None:
        """How many preceding tokens can matter; None where there is no limit."""
        return None

    def context_used(self, context: Text = ()) -> int:
        """How many of the last tokens of this very context the model takes into account."""
        length = len(self.encode(context))
        return length if self.context_length is None else min(length, self.context_length)

    # Fast paths: override where a model can do better than the loop ---------------------------

    def log_prob_next(self, state: S, token: int) -> float:
        """Log p(token | context) in nats."""
        self._check_id(token)
        return float(self.log_distribution(state)[token])

    def sample_next(self, state: S, rng: np.random.Generator, *, unk: bool = False) -> int:
        """A token id drawn from p(next | context), without `unk` from what is not `<unk>`."""
        return Decoding(unk=unk).choose(self.log_distribution(state), rng)

    def score_corpus(self, corpus: Corpus) -> FloatArray:
        """Log p of every target of a corpus, in nats, shape (corpus.n_tokens,), in corpus order.

        Raises UsageError where the corpus was encoded with another vocabulary.
        """
        self._check_corpus(corpus)
        scores = [self._scores_of_ids(ids) for ids in corpus.sequences()]
        return np.concatenate(scores) if scores else np.empty(0)

    # Written once ---------------------------------------------------------------------------

    def state(self, context: Text = ()) -> S:
        """The state after a context, which is taken as the beginning of a sequence."""
        tokens = self.encode(context).tolist()
        state = self.start()
        for token in tokens:
            state = self.advance(state, token)
        return state

    def prob(self, token: str | int, context: Text = ()) -> float:
        """p(token | context).

        >>> import langmodels
        >>> text = "the cat sat and the cat ran"
        >>> corpus = langmodels.Corpus.from_text(text, langmodels.make_tokenizer("word"))
        >>> model = langmodels.make_model("mle:order=2").fit(corpus)
        >>> round(model.prob("ran", context="the cat"), 6)
        0.5
        """
        return math.exp(self.log_prob(token, context))

    def log_prob(self, token: str | int, context: Text = ()) -> float:
        """Log p(token | context) in nats."""
        return self.log_prob_next(self.state(context), self._token_id(token))

    def distribution(self, context: Text = ()) -> FloatArray:
        """p(next | context) for every token id, shape (V,)."""
        return np.exp(self.log_distribution(self.state(context)))

    def predict(self, context: Text = (), k: int = 10) -> list[tuple[str, float]]:
        """The `k` most probable next tokens after a context, with their probabilities."""
        if k < 1:
            raise UsageError(f"Ask for at least one prediction, not {k}.")
        p = self.distribution(context)
        p[Vocabulary.bos_id] = -1.0  # behind everything else of probability zero
        best = np.argsort(-p, kind="stable")[: min(k, self.vocabulary.n_predictable)]
        return [(self.vocabulary.token(i), float(p[i])) for i in best.tolist()]

    def token_scores(self, sequence: Text) -> FloatArray:
        """Log p of each token given those before it, in nats; `</s>` last where there are ends."""
        return self._scores_of_ids(self.encode(sequence))

    def score(self, sequence: Text) -> float:
        """Log p(sequence) in nats: the chain rule's sum, `</s>` included where there are ends."""
        return float(self.token_scores(sequence).sum())

    def normalized(self) -> Self:
        """The model itself, or where its scores sum to anything else, that proportional to them."""
        return self

    def cross_entropy(self, corpus: Corpus) -> float:
        """Mean of -log p over the tokens of a corpus, in nats a token, of `normalized` scores."""
        return -float(self.normalized().score_corpus(corpus).mean())

    def perplexity(self, corpus: Corpus) -> float:
        """The exponential of the cross-entropy; infinite where any token has probability zero."""
        loss = self.cross_entropy(corpus)
        return math.exp(loss) if loss < 700 else math.inf

    def sample(
        self,
        prompt: Text = (),
        *,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        unk: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> list[str]:
        """Tokens drawn from the model after a prompt (which is not repeated).

        Stops at the end of the sequence or after `max_tokens`. See `Decoding` for the options;
        `greedy` is a temperature of zero. The same seed gives the same tokens.
        """
        decoding = Decoding(0.0 if greedy else temperature, top_k, top_p, unk)
        rng = np.random.default_rng(seed)
        ids = generate(self, self.state(prompt), decoding, rng, max_tokens)
        return self.vocabulary.decode(ids)

    def sample_text(self, prompt: Text = (), **options: Any) -> str:
        """`sample`, put together as running text, without the prompt."""
        return self.tokenizer.detokenize(self.sample(prompt, **options))

    def complete(
        self, prompt: Text = (), *, max_tokens: int = 20, width: int = 8
    ) -> list[tuple[list[str], float]]:
        """The most probable continuations that beam search finds: (tokens, log p in nats)."""
        found = beam_search(self, self.state(prompt), width=width, max_tokens=max_tokens)
        return [(self.vocabulary.decode(h.ids), h.log_prob) for h in found]

    # Help for subclasses --------------------------------------------------------------------

    def _scores_of_ids(self, ids: IntArray) -> FloatArray:
        tokens = ids.tolist()
        if self.vocabulary.eos_id is not None:
            tokens.append(self.vocabulary.eos_id)
        scores = np.empty(len(tokens))
        state = self.start()
        for i, token in enumerate(tokens):
            scores[i] = self.log_prob_next(state, token)
            if i + 1 < len(tokens):
                state = self.advance(state, token)
        return scores

    def _check_id(self, token: int) -> None:
        """Arrays would read a negative id from the end, and some that are too large, too."""
        if not 0 <= token < len(self.vocabulary):
            raise UsageError(f"Token ids must lie between 0 and {len(self.vocabulary) - 1}.")

    def _token_id(self, token: str | int) -> int:
        if not isinstance(token, str):
            return int(self.encode([token])[0])
        if token == BOS:
            raise UsageError(f"{BOS} marks the beginning; it is never predicted.")
        if token in self.vocabulary:
            return self.vocabulary.id(token)
        tokens = self.tokenize(token)
        if len(tokens) != 1:
            raise UsageError(
                f"{token!r} is {len(tokens)} tokens, not one; use score for sequences."
            )
        return self.vocabulary.id(tokens[0])


def pack(model: Model) -> tuple[dict[str, str], dict[str, Array]]:
    """A model as string metadata and arrays, the contents of its file."""
    vocabulary = model.vocabulary.to_arrays()
    metadata = {
        "format": "langmodels",
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        "config": json.dumps(model.config()),
        "tokenizer": json.dumps({"level": model.tokenizer.level, **model.tokenizer.config()}),
        "cleaning": model.cleaning,
    }
    return metadata, {**vocabulary, **model.arrays()}


def unpack(
    metadata: Mapping[str, str], arrays: Mapping[str, Array], name: str = "The file"
) -> Model:
    """Inverse of `pack`. Raises LangmodelsError, naming `name`, where the parts do not fit."""
    if metadata.get("format") != "langmodels":
        raise LangmodelsError(f"{name} is a safetensors file, but not a langmodels model.")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise LangmodelsError(
            f"{name} has format version {metadata.get('format_version')}; this langmodels reads "
            f"version {FORMAT_VERSION}. Train it again or use the version that wrote it."
        )
    kind = metadata.get("kind", "")
    if kind not in Model._classes:
        raise LangmodelsError(f"{name} holds a model of the unknown kind {kind!r}.")
    try:
        tokenizer = make_tokenizer(**json.loads(metadata["tokenizer"]))
        config = json.loads(metadata["config"])
        vocabulary = Vocabulary.from_arrays(arrays)
        model = Model._classes[kind].restore(config, arrays, vocabulary, tokenizer)
        model.cleaning = metadata.get("cleaning", "none")
        return model
    except LangmodelsError:
        raise
    except (KeyError, IndexError, ValueError, TypeError, RecursionError) as error:
        raise LangmodelsError(f"{name} is not a complete model file: {error!r}.") from error
