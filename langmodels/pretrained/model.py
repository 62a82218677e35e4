"""Causal models of the library `transformers` behind the interface of all models.

h is the model's cache of keys and values (or of whatever it keeps), g its output layer. Nothing is
trained here.
"""

import copy
import inspect
import os
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from langmodels.arrays import Array, BoolArray, FloatArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.contexts import Measure, in_windows
from langmodels.settings import parse_name
from langmodels.text.corpus import AnyText
from langmodels.text.pieces import PiecesTokenizer
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import UNK, Vocabulary

PREFIX = "hf:"
_LONGEST = 2048
"""The default window in tokens of a model with a larger or no stated limit."""
_LOGITS = 1 << 26
"""The most logits that one call of the library may return."""
_PATIENCE = 5.0
"""Timeout of the hub in seconds."""
_CACHES = ("cache", "past_key_values", "cache_params")
"""Names of the cache argument, which differ between versions and architectures."""


def is_pretrained_name(name: object) -> bool:
    """Whether a name has the form of a pretrained model's: `hf:NAME-OR-FOLDER`."""
    return isinstance(name, str) and name.startswith(PREFIX)


class State:
    """The tokens in the window, as the library's ids, with lazily computed results.

    Immutable to its users: `_known` is only a cache.
    """

    __slots__ = ("_known", "inputs", "read")

    def __init__(self, inputs: tuple[int, ...], read: int, known: "_Known | None") -> None:
        self.inputs = inputs
        self.read = read
        """All tokens that were read, the beginning included; `inputs` may be fewer."""
        self._known = known


class _Known:
    """The library's cache and the log distribution after the first `n` inputs."""

    __slots__ = ("cache", "log_p", "n")

    def __init__(self, n: int, cache: Any, log_p: FloatArray) -> None:
        self.n = n
        self.cache = cache
        self.log_p = log_p


class PretrainedModel(LanguageModel[State]):
    """Any causal model of the library `transformers`, with its own tokenizer.

    A text is one stream of tokens, preceded by the model's start token (its end token if it has
    none). Text longer than the window is read in overlapping windows, each `stride` tokens further
    on, so that every prediction sees at least `window - stride` tokens.

    Model files store the name, not the weights. Needs `pip install 'langmodels[huggingface]'`.

    Args:
        name: name of a model on the hub, or a folder in which the library saved one.
        window: tokens that a prediction may see, 2 or more; none: the model's own limit, but at
            most 2,048.
        stride: tokens between the starts of two windows, 1 to `window`; none: half of the window.

    Raises LangmodelsError if the library or the model is missing, UsageError for a window longer
    than the model's limit.
    """

    kind = "huggingface"

    def __init__(self, name: str, *, window: int | None = None, stride: int | None = None) -> None:
        self.name = str(Path(name).absolute()) if os.path.isdir(name) else name  # noqa: PTH112
        self.window = window
        self.stride = stride
        self._network, tokenizer = _opened(self.name)
        vocabulary, self._theirs, self._ours = _numbering(tokenizer)
        self.reading = Reading(tokenizer, vocabulary)
        limit = _window(self._network.config)
        self._window = min(limit or _LONGEST, _LONGEST) if window is None else window
        if self._window < 2 or (limit is not None and self._window > limit):
            raise UsageError(
                f"The window of {name} is 2 to {limit or 'as many as you like'} tokens, "
                f"not {self._window}."
            )
        self._stride = max(self._window // 2, 1) if stride is None else stride
        if not 1 <= self._stride <= self._window:
            raise UsageError(f"The stride is 1 to {self._window}, the window; not {stride}.")

    @classmethod
    def named(cls, text: str) -> Self:
        """The model of a name such as `hf:NAME` or `hf:NAME:window=256`."""
        name, *rest = text.removeprefix(PREFIX).split(":")
        while rest and "=" not in rest[0]:  # a drive of Windows
            name = f"{name}:{rest.pop(0)}"
        if not name:
            raise UsageError(f"Name the model after {PREFIX}: {PREFIX}gpt2, {PREFIX}FOLDER.")
        options = parse_name(":".join(["x", *rest]))[1]
        unknown = sorted(options.keys() - {"window", "stride"})
        if unknown:
            raise UsageError(f"Options of {PREFIX} models are window and stride, not {unknown[0]}.")
        return cls(name, **options)

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Raises UsageError, as pretrained models are not trained here."""
        raise UsageError(f"{self.name} is a finished model; it is measured as it is.")

    @property
    def n_parameters(self) -> int:
        """The number of weights, counting tied ones once."""
        return sum(p.numel() for p in self._network.parameters())

    @property
    def context_length(self) -> int:
        """The window."""
        return self._window

    def lengths_used(self, lengths: IndexArray) -> IndexArray:
        """See `Contexts`; windows begin `stride` tokens apart."""
        return in_windows(lengths, self._window, self._stride)

    # The two functions ----------------------------------------------------------------------

    def start(self) -> State:
        return State((self._beginning,), 1, None)

    def advance(self, state: State, token: int) -> State:
        self.vocabulary.check_id(token)
        theirs = int(self._theirs[token])
        if theirs < 0:
            raise UsageError(f"{self.name} has no token {self.vocabulary.token(token)}.")
        read = state.read + 1
        inputs = (*state.inputs, theirs)
        dropped = self._begin(read) - self._begin(state.read)
        return State(inputs[dropped:], read, None if dropped else state._known)

    def log_distribution(self, state: State) -> FloatArray:
        known = state._known
        if known is None or known.n < len(state.inputs):
            known = state._known = self._work_out(state.inputs, known)
        return self._to_ours(known.log_p)

    def _work_out(self, inputs: tuple[int, ...], known: _Known | None) -> _Known:
        """Run the library's model on the inputs not yet covered by `known`."""
        torch = _torch()
        read = 0 if known is None or known.cache is None else known.n
        with torch.no_grad():
            out = self._network(
                torch.tensor([inputs[read:]]),
                # The library modifies the cache it is given; copy that of the earlier state.
                **({self._cache: copy.deepcopy(known.cache)} if known and read else {}),
                **({"use_cache": True} if self._cache else {}),
            )
            log_p = torch.log_softmax(out.logits[0, -1].double(), -1).numpy()
        return _Known(len(inputs), getattr(out, self._cache, None), log_p)

    def _to_ours(self, log_p: FloatArray) -> FloatArray:
        """Log p by our ids, (V,), from log p by the library's; -inf for tokens that it lacks."""
        ours = np.full(len(self.vocabulary), -np.inf)
        ours[self._ours] = log_p
        return ours

    @cached_property
    def _cache(self) -> str:
        """The name of the model's cache argument; empty if it has none."""
        known = inspect.signature(self._network.forward).parameters
        return next((name for name in _CACHES if name in known), "")

    @cached_property
    def _beginning(self) -> int:
        config = self._network.config
        for token in (config.bos_token_id, config.eos_token_id):
            if isinstance(token, int):
                return token
        raise LangmodelsError(
            f"{self.name} has no token with which texts begin (bos_token_id or eos_token_id)."
        )

    def _begin(self, read: int) -> int:
        """The index of the first token in the window of the prediction after `read` tokens."""
        return -(-max(read - self._window, 0) // self._stride) * self._stride

    # Many at once ---------------------------------------------------------------------------

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel.score_sequences`; windows of similar lengths are batched."""
        torch = _torch()

        def score(logits: Any, targets: IntArray) -> FloatArray:
            known = torch.from_numpy(np.maximum(self._theirs[targets], 0)[:, None])
            chosen = logits.gather(1, known)[:, 0] - torch.logsumexp(logits, 1)
            found: FloatArray = np.where(self._theirs[targets] < 0, -np.inf, chosen.numpy())
            return found

        return self._scored(sequences, score)

    def from_distributions(
        self,
        sequences: Sequences,
        measure: Measure,
        numbers: int,
        wanted: BoolArray | None = None,
    ) -> FloatArray:
        """See `LanguageModel`."""
        torch = _torch()

        def score(logits: Any, targets: IntArray) -> FloatArray:
            ours = np.full((len(targets), len(self.vocabulary)), -np.inf)
            ours[:, self._ours] = torch.log_softmax(logits, 1).numpy()
            return measure(ours, targets)

        found = self._scored(sequences, score, (numbers,))
        if wanted is not None:
            found[~wanted] = 0.0
        return found

    def _scored(
        self,
        sequences: Sequences,
        score: Callable[[Any, IntArray], FloatArray],
        numbers: tuple[int, ...] = (),
    ) -> FloatArray:
        """The values of `score` for all targets, (n_tokens, *numbers); it is given logits (n,
        library's V) and targets (n,).
        """
        scores = np.empty((sequences.n_tokens, *numbers))
        windows: list[tuple[IndexArray, IntArray, FloatArray]] = []
        done = 0
        for ids in sequences.whole():
            read, targets = self._theirs[ids[:-1]], ids[1:]
            read[:1] = self._beginning
            if (read < 0).any():
                raise UsageError(f"{self.name} has no token {UNK}.")
            begin = end = 0
            while end < len(read):
                begin, before, end = self._begin(end + 1), end, self._begin(end + 1) + self._window
                end = min(end, len(read))
                where = scores[done + before : done + end]
                windows.append((read[begin:end], targets[before:end], where))
            done += len(targets)
        windows.sort(key=lambda window: len(window[0]))
        vocabulary = len(self._ours)
        while windows:
            longest = len(windows[-1][0])
            together = max(1, _LOGITS // (longest * vocabulary))
            self._score(windows[-together:], score)
            del windows[-together:]
        return scores

    def _score(
        self,
        windows: list[tuple[IndexArray, IntArray, FloatArray]],
        score: Callable[[Any, IntArray], FloatArray],
    ) -> None:
        """Run a batch of windows, and write the scores of the last targets of each into its
        array.
        """
        torch = _torch()
        longest = max(len(inputs) for inputs, _, _ in windows)
        inputs = np.zeros((len(windows), longest), np.int64)
        mask = np.zeros_like(inputs)
        for row, (ids, _, _) in enumerate(windows):
            inputs[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        with torch.no_grad():
            out = self._network(
                torch.from_numpy(inputs),
                attention_mask=torch.from_numpy(mask),
                **({"use_cache": False} if self._cache else {}),
            )
            for logits, (ids, targets, where) in zip(out.logits, windows, strict=True):
                kept = logits[len(ids) - len(targets) : len(ids)].double()
                where[...] = score(kept, targets)

    # Files ----------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        return {}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        model = cls(**config)
        if model.reading != reading:
            raise LangmodelsError(f"{model.name} has another vocabulary than when it was saved.")
        return model


def _numbering(tokenizer: PiecesTokenizer) -> tuple[Vocabulary, IndexArray, IndexArray]:
    """The vocabulary of a tokenizer, the library's id of each of our ids (-1 for none), and the
    reverse.
    """
    pieces = tokenizer.types
    vocabulary = Vocabulary([piece for piece in pieces if piece != UNK], ends=False)
    ours = vocabulary.encode(pieces).astype(np.int64)
    theirs = np.full(len(vocabulary), -1, np.int64)
    theirs[ours] = np.arange(len(pieces))
    return vocabulary, theirs, ours


def _window(config: Any) -> int | None:
    """The longest context of a model in tokens, by its configuration; None if not stated."""
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
        if isinstance(found := getattr(config, name, None), int) and found > 0:
            return found
    return None


@lru_cache(maxsize=4)
def _opened(name: str) -> tuple[Any, PiecesTokenizer]:
    """The library's model and its tokenizer, loaded once per process."""
    is_folder = Path(name).is_dir()
    try:
        # What is nowhere is refused before the large packages are imported.
        kept = {"local_files_only": is_folder or not _hub_answers()}
        if kept["local_files_only"] and not is_folder and not _was_fetched(name):
            raise LangmodelsError(
                f"{name} is neither a folder nor a model that was fetched before, and the hub "
                "does not answer."
            )
        import transformers
    except ImportError as error:
        raise LangmodelsError(
            "Pretrained models need the packages transformers and torch: "
            "pip install 'langmodels[huggingface]'."
        ) from error
    torch = _torch()
    quiet = transformers.utils.logging
    level = quiet.get_verbosity()
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    try:
        network = transformers.AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, **kept
        )
        fast = transformers.AutoTokenizer.from_pretrained(name, use_fast=True, **kept)
    except MemoryError as error:
        raise LangmodelsError(f"{name} needs more memory than there is.") from error
    except Exception as error:  # of any kind, and often several lines
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise LangmodelsError(
            f"{name} is neither a folder with a causal model nor a model that the hub gives: "
            f"{reason[0]}"
        ) from error
    finally:
        quiet.set_verbosity(level)
    if not getattr(fast, "is_fast", False):
        raise LangmodelsError(f"{name} has no tokenizer of the package tokenizers (a fast one).")
    network.eval()
    size = network.get_output_embeddings().weight.shape[0]
    return network, PiecesTokenizer(model=fast.backend_tokenizer.to_str(), size=size)


def _was_fetched(name: str) -> bool:
    """Whether a model of the hub is in the library's cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:  # the path of a folder that is not there
        return False


def _hub_answers() -> bool:
    """Whether the hub is reachable; asked once, as the library would retry for a minute."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception:  # of any kind: no network, no name server, no permission
        return False
    return True


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise LangmodelsError(
            "Pretrained models need the package torch: pip install 'langmodels[huggingface]'."
        ) from error
    return torch
