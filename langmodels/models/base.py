"""The interface of every model: h = f(h, x) and p = g(h), and all that follows from the two."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from langmodels.arguments import Seed, checked
from langmodels.arrays import FloatArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.contexts import Contexts, S
from langmodels.models.decoding import Decoding, beam_search, generate, plain_decoding
from langmodels.models.model import Model
from langmodels.models.scores import check_scores, perplexity_at
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Text
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import BOS, Vocabulary

_SUM = 1e-3
"""How far the sum of a distribution may be from 1: rounding of float32 models stays well within."""


_TOGETHER = 1 << 20
"""How many ids of a long text are scored at once; it bounds the memory of `score_blocks`."""


class LanguageModel(Model, Contexts[S]):
    """A probability for every sequence, by the chain rule.

    A model is two functions. `advance` folds the next symbol into the context,
    h_t = f(h_{t-1}, x_t); `log_distribution` turns the context into a distribution over the next
    symbol, g(h_t). Everything else is written once, here, on those two and on `start`, the
    context of an empty sequence.

    States are values: `advance` returns a new one and leaves the old one usable. All log
    probabilities are natural; every distribution covers the whole vocabulary, sums to one, and
    gives `<s>` zero.

    A new family implements `fit`, `start`, `advance`, `log_distribution`, and for storage
    `config`, `arrays` and `restore`; it may override `log_prob_next` and `score_sequences` where it
    can do better than the loops here.
    """

    is_distribution: ClassVar[bool] = True
    """False for a model whose scores do not sum to one (stupid backoff)."""

    # The two functions, and where they begin ------------------------------------------------

    @abstractmethod
    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Learn from a corpus, or from a text, which is then read in words. Returns self.

        `validation` is held-out text, for models that tune something on it (interpolation weights,
        early stopping); the others ignore it.
        """

    # What a table says about a model ---------------------------------------------------------

    @property
    def reads_spelling(self) -> bool:
        """Whether the spelling of unknown tokens (`Sequences.unknown`) changes any score."""
        return False

    @property
    def slides(self) -> bool:
        """Whether p depends on the last `context_length` tokens alone, and not on their position.

        Then a long text may be scored in overlapping blocks; see `score_blocks`.
        """
        return False

    @property
    def caveat(self) -> str:
        """A sentence to print beside the model's figures; empty for most models."""
        return ""

    def context_used(self, context: Text = ()) -> int:
        """How many of the last tokens of this context the model conditions on."""
        return self.used_in(self.state(context), len(self.encode(context)))

    # Fast paths: override where a model can do better than the loop ---------------------------

    def log_prob_next(self, state: S, token: int) -> float:
        """Log p(token | context) in nats."""
        self.vocabulary.check_id(token)
        return float(self.log_distribution(state)[token])

    def sample_next(self, state: S, rng: np.random.Generator, *, unk: bool = False) -> int:
        """A token id drawn from p(next | context); `<unk>` is never drawn unless `unk` is true."""
        return plain_decoding(unk).choose(self.log_distribution(state), rng)

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """Log p of every target in nats, (sequences.n_tokens,), in the order of the sequences.

        The one batched primitive: everything that scores text calls this. The ids must be of the
        model's vocabulary. Where the sequences are grouped into documents and carry state, the
        state at the end of a sequence is handed to the next one of its document.
        """
        scores = np.empty(sequences.n_tokens)
        for i, (state, token) in enumerate(self.walk(sequences)):
            scores[i] = self.log_prob_next(state, token)
        return scores

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """`score_sequences` for one document that arrives in pieces.

        Args:
            sequences: the next sequences of the document; state is carried from each to the next.
            memory: the second value that the previous call returned; None at the start of the
                document.

        Returns the scores of these sequences, (sequences.n_tokens,), and the memory for the next
        call. The scores equal those of the whole document at once, up to rounding in networks.
        """
        if not self.remembers:
            return self.score_sequences(sequences), None
        scores, i = np.empty(sequences.n_tokens), 0
        for ids in sequences.whole():
            state = self.start() if memory is None else self.start_after(*memory)
            tokens = ids[1:].tolist()
            for k, token in enumerate(tokens, 1):
                scores[i] = self.log_prob_next(state, token)
                i += 1
                if k < len(tokens):
                    state = self.advance(state, token)
            memory = state, int(ids[-1])
        return scores, memory

    # Written once ---------------------------------------------------------------------------

    def state(self, context: Text = ()) -> S:
        """The state after a context, which is read as the beginning of a sequence."""
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

    @checked
    def predict(self, context: Text = (), k: int = 10) -> list[tuple[str, float]]:
        """The `k` most probable next tokens after a context, with their probabilities."""
        if k < 1:
            raise UsageError(f"Ask for at least one prediction, not {k}.")
        p = self.distribution(context)
        p[Vocabulary.bos_id] = -1.0  # after all others of probability zero
        best = np.argsort(-p, kind="stable")[: min(k, self.vocabulary.n_predictable)]
        return [(self.vocabulary.token(i), float(p[i])) for i in best.tolist()]

    def sequences_of(self, texts: Sequence[Text]) -> Sequences:
        """Texts encoded as the model reads them, each one sequence with its boundary tokens.

        Raises UsageError for a single string.
        """
        if isinstance(texts, str):
            raise UsageError("sequences_of takes a list of texts; put a single one in a list.")
        return self.reading.sequences(texts, unknown=self.reads_spelling)

    def scores(self, sequences: Sequences) -> FloatArray:
        """`score_sequences`, with every value checked; published figures are computed from these.

        Raises LangmodelsError, naming the token, where a value is NaN or above zero, and UsageError
        for a text, which `score`, `score_many` and `token_scores` take.
        """
        if not isinstance(sequences, Sequences):
            raise UsageError(
                f"scores takes Sequences, as sequences_of makes them, not "
                f"{type(sequences).__name__}; score_many takes texts."
            )
        scores = self._raw_scores(sequences)
        check_scores(scores, sequences.targets, self.vocabulary)
        return scores

    def scores_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """`score_on`, with every value checked as in `scores`."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores, memory = self.score_on(sequences, memory)
        check_scores(scores, sequences.targets, self.vocabulary)
        return scores, memory

    def _raw_scores(self, sequences: Sequences) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore"):
            return self.score_sequences(sequences)

    def scores_from_nothing(self, sequences: Sequences) -> FloatArray:
        """`scores` with an empty context at the start of every sequence, in place of `<s>`.

        Only n-gram models have such a context; all others raise UsageError.
        """
        raise UsageError(
            f"A {type(self).__name__} begins every sequence with {BOS}; only n-gram models can "
            "start from an empty context."
        )

    def token_scores(self, sequence: Text) -> FloatArray:
        """Log p of each token given those before it, in nats, (n,); `</s>` is last if it is
        predicted.
        """
        return self.scores(self.sequences_of([sequence]))

    def score(self, sequence: Text) -> float:
        """Log p(sequence) in nats, the sum of `token_scores`.

        The whole string is one sequence. Where the model was trained on lines, a string of several
        lines gives a warning; `score_texts` scores a text line by line.
        """
        return float(self.token_scores(sequence).sum())

    @checked
    def score_many(self, sequences: Sequence[Text]) -> FloatArray:
        """`score` of each of many sequences in nats, (len(sequences),), computed in one batch."""
        read = self.sequences_of(list(sequences))
        return read.sums(self.scores(read))

    def score_corpus(self, corpus: Corpus) -> FloatArray:
        """Log p of every target of a corpus, in nats, shape (corpus.n_tokens,), in corpus order.

        Raises UsageError where the corpus was encoded with another vocabulary, and LangmodelsError
        where a score is NaN or above zero.
        """
        self._check_corpus(corpus)
        return self.scores(corpus)

    def score_blocks(self, corpus: Corpus) -> Iterator[tuple[IntArray, FloatArray]]:
        """`score_corpus` in blocks: yields the targets (n,) and their log p in nats (n,).

        Memory is independent of the length of the text; where `slides` is false it grows with the
        longest sequence.
        """
        self._check_corpus(corpus)
        reach = self.context_length if self.slides else None
        done = 0
        for part, again in corpus.blocks(_TOGETHER, reach):
            scores, targets = self._raw_scores(part)[again:], part.targets[again:]
            check_scores(scores, targets, self.vocabulary, done)
            done += len(targets)
            yield targets, scores

    def normalized(self) -> Self:
        """The model itself if its scores sum to one, else one whose probabilities are proportional
        to them.
        """
        return self

    def cross_entropy(self, corpus: Corpus) -> float:
        """Mean of -log p over the tokens of a corpus, in nats per token, under `normalized()`."""
        return -float(self.normalized().score_corpus(corpus).mean())

    def perplexity(self, corpus: Corpus) -> float:
        """The exponential of the cross-entropy; infinite where any token has probability zero."""
        return perplexity_at(self.cross_entropy(corpus))

    @checked
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
        seed: Seed | np.random.Generator | None = None,
    ) -> list[str]:
        """Tokens drawn from the model after a prompt (which is not repeated).

        Stops at the end of the sequence or after `max_tokens`. See `Decoding` for the options;
        `greedy` is a temperature of zero. The same seed gives the same tokens.
        """
        if max_tokens < 0:
            raise UsageError(f"max_tokens must be 0 or more, not {max_tokens}.")
        decoding = Decoding(0.0 if greedy else temperature, top_k, top_p, unk)
        rng = np.random.default_rng(seed)
        ids = generate(self, self.state(prompt), decoding, rng, max_tokens)
        return self.vocabulary.decode(ids)

    def sample_text(self, prompt: Text = (), **options: Any) -> str:
        """`sample`, joined into running text, without the prompt."""
        return self.reading.text(self.sample(prompt, **options))

    @checked
    def complete(
        self, prompt: Text = (), *, max_tokens: int = 20, width: int = 8
    ) -> list[tuple[list[str], float]]:
        """The most probable continuations that beam search finds: (tokens, log p in nats)."""
        found = beam_search(self, self.state(prompt), width=width, max_tokens=max_tokens)
        return [(self.vocabulary.decode(h.ids), h.log_prob) for h in found]

    # Help for subclasses --------------------------------------------------------------------

    def check_start(self) -> None:
        """Raise LangmodelsError where g(h_0) does not sum to one; for the end of `restore`."""
        with np.errstate(all="ignore"):
            p = np.exp(self.log_distribution(self.start()))
        if self.is_distribution and not abs(float(p.sum()) - 1) < _SUM:
            raise LangmodelsError(f"its arrays are damaged: probabilities sum to {p.sum():.4g}.")
        if p[Vocabulary.bos_id] != 0:
            raise LangmodelsError(f"its arrays are damaged: {BOS} is predicted.")

    def check_walk(self, steps: int = 200) -> None:
        """Raise LangmodelsError where a distribution along a sampled text does not sum to one, or
        its scores differ from those of `score_sequences`.

        For files without checksums, whose arrays can be verified in no cheaper way.
        """
        rng = np.random.default_rng(0)
        state, tokens, scores = self.start(), [], []
        with np.errstate(all="ignore"):
            for left in reversed(range(steps)):
                log_p = self.log_distribution(state)
                p = np.exp(log_p)
                if not abs(float(p.sum()) - 1) < _SUM:
                    raise LangmodelsError("its arrays are damaged: probabilities do not sum to 1.")
                tokens.append(int(rng.choice(len(p), p=p / p.sum())))
                scores.append(float(log_p[tokens[-1]]))
                if left and tokens[-1] != self.vocabulary.eos_id:
                    state = self.advance(state, tokens[-1])
                    continue
                text = [t for t in tokens if t != self.vocabulary.eos_id]
                if not np.allclose(self.token_scores(text)[: len(text)], scores[: len(text)]):
                    raise LangmodelsError("its arrays are damaged: scores disagree.")
                state, tokens, scores = self.start(), [], []

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
