"""What all neural models have in common: settings, fitting, files."""

import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Generic, Self, TypeVar

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import Array
from langmodels.checks import WEIGHT, Expected, check_arrays, check_values
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.model import Model
from langmodels.neural.network import Network
from langmodels.neural.training.batches import Batches, Chunk
from langmodels.neural.training.checkpoints import Checkpoint
from langmodels.neural.training.history import Epoch, History
from langmodels.neural.training.options import TrainingOptions
from langmodels.neural.training.trainer import TRAINING, Trainer
from langmodels.neural.training.unknown import RareAsUnknown, seen_once
from langmodels.settings import forwards, parameters
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading
from langmodels.text.vocabulary import Vocabulary
from langmodels.threads import PerThread, cpu_count

S = TypeVar("S")
N = TypeVar("N", bound=Network[Any])

_PROBE = 4000
"""Tokens of the training text that a trained network is tried on."""

_HOPELESS = 700.0
"""Nats a token at which a perplexity is past all numbers."""


class NetworkModel(Model, Generic[N]):
    """A model that is a network, trained by gradient descent.

    `options` are the settings of training, `history` (after `fit`) its course.

    Args:
        dtype: of all numbers, float32 or float64.
    """

    @forwards(TrainingOptions)
    def __init__(self, dtype: str = "float32", **training: Any) -> None:
        if dtype not in ("float32", "float64"):
            raise UsageError(f"The dtype must be float32 or float64, not {dtype!r}.")
        self.dtype = dtype
        self.options = TrainingOptions(**training)
        self.history = History()

    def _param(self, name: str) -> Any:
        network: Any = vars(self).get("_trained")
        if name == "cutoffs" and network is not None and network.shape.cutoffs:
            return network.shape.cutoffs  # what was chosen for its vocabulary
        return getattr(self.options if hasattr(self.options, name) else self, name)

    @abstractmethod
    def make_network(self, vocabulary: int) -> N:
        """A network for a vocabulary of this size, parameters not yet set."""

    @abstractmethod
    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Any]:
        """The corpus in batches."""

    @abstractmethod
    def _validation_loss(self, corpus: Corpus) -> float:
        """What early stopping goes by, in nats a token."""

    @abstractmethod
    def _show(self, tokens: int) -> str:
        """Something of about so many tokens, to be looked at during training."""

    @checked
    def fit(
        self,
        corpus: AnyText,
        validation: AnyText | None = None,
        *,
        init: "NetworkModel[Any] | None" = None,
        checkpoint: str | None = None,
        checkpoint_seconds: float = 300,
        sample: int = 0,
        after_epoch: Callable[[Epoch], None] | None = None,
    ) -> Self:
        """Train on a corpus. With `validation` the weights that were best on it are kept.

        Where the corpus has no `<unk>`, a tenth of the words that occur once stand for it, others
        in every epoch (`RareAsUnknown`), so that unknown words are charged what they cost other
        models and not what a network charges for what it was never shown.

        `init`: a trained model of this kind and these sizes, from whose weights training begins,
        instead of random ones; its optimizer's memory is not kept. The corpus must be read as its
        text was, as `Corpus.extending` does and as a plain text is: what is new stands behind the
        tokens that it knows, and begins with what it learnt of `<unk>`; in the output of an
        adaptive softmax, with the mean of what it learnt of the words of the rarest class.

        `checkpoint`: a file to write the state of training to, every so many seconds and after
        every epoch; where it exists already, training goes on from it and arrives at the same
        weights as if it had never stopped. `sample`: tokens to show after every epoch where
        progress is shown. `after_epoch` is called with the figures of each; the model can be used
        in it as it then is.

        Ctrl-C ends training after the step under way, with the best weights so far. Raises
        LangmodelsError where training diverges, be it in the last step, or the checkpoint is of
        another run; the model is not fitted then.
        """
        if init is not None and not isinstance(corpus, Corpus):
            corpus = Corpus.extending(init.reading, corpus)
        corpus, validation = self.adopt(corpus, validation)
        if init is not None and hasattr(self, "cutoffs"):
            network: Any = init.network
            self.cutoffs = network.shape.cutoffs  # however many words are added
        self._begin()
        if init is not None:
            self._take_over(init)
        o = self.options
        shards = o.threads or self._network.shards(o.batch_size, cpu_count())
        batches = self.make_batches(corpus, shards)
        if len(seen_once(corpus)):
            batches = RareAsUnknown(batches, corpus, o.seed)
        trainer = Trainer(
            self._network,
            batches,
            self.options,
            n_tokens=corpus.n_tokens,
            validate=None if validation is None else lambda: self._validation_loss(validation),
            sample=(lambda: self._show(sample)) if sample else None,
            checkpoint=None
            if checkpoint is None
            else Checkpoint(
                checkpoint,
                self._identity(corpus, validation, batches, from_init=init is not None),
                checkpoint_seconds,
            ),
            after_epoch=after_epoch,
            description=f"{TRAINING} {self.kind}",
        )
        try:
            self.history = trainer.run()
            self._check_fitted(corpus)
        except BaseException:
            self._reading = None
            raise
        return self

    def untrained(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Take over the vocabulary and set the first weights, without any training."""
        self.adopt(corpus, validation)
        self._begin()
        return self

    def _begin(self) -> None:
        self._network = self.make_network(len(self.vocabulary))
        self._network.initialise(self.options.seed)

    def _take_over(self, init: "NetworkModel[Any]") -> None:
        """Begin from the weights of another model. Raises UsageError where they do not fit."""
        try:
            if type(init) is not type(self):
                raise UsageError(f"it is a {type(init).__name__}, not a {type(self).__name__}")
            self._check_extends(init)
            n_new = len(self.vocabulary) - len(init.vocabulary)
            before = init.network.parameters
            for name, array in self._network.parameters.items():
                _grow(name, before[name], array, n_new, len(self.vocabulary))
        except UsageError as error:
            self._reading = None
            raise UsageError(f"The model cannot go on from the other one: {error}.") from error
        self._network.refresh()

    def _check_extends(self, init: Any) -> None:
        """Raise UsageError unless the model is as large as another and reads text as it does.

        It may know more tokens.
        """
        here, there = self.get_params(), init.get_params()
        for name, value in there.items():
            free = hasattr(self.options, name) or "dropout" in name or name in ("dtype", "cutoffs")
            if not free and value != here[name]:
                raise UsageError(f"it has {name}={value}, not {here[name]}")
        if not self.reading.is_like(init.reading):
            raise UsageError("the text was cleaned or cut in another way")
        if not self.vocabulary.extends(init.vocabulary):
            raise UsageError("the text was not read with its vocabulary; see Corpus.extending")

    def _check_fitted(self, corpus: Corpus) -> None:
        """Raise LangmodelsError unless the network is of use on the text it was trained on.

        Each step checks what it began with. What the last one did shows here, and so does a state
        that grows without end in text longer than the chunks of training.
        """
        with np.errstate(all="ignore"):
            loss = self._validation_loss(corpus.head(_PROBE))
        if not (loss < _HOPELESS and np.isfinite(self._network.parameters.flat).all()):
            raise LangmodelsError(
                "Training went astray: the network is left with a loss of "
                f"{loss:.4g} nats a token on its own training text. "
                "Lower the learning rate or clip the gradient."
            )

    def _identity(
        self,
        corpus: Corpus,
        validation: Corpus | None,
        batches: Batches[Any],
        *,
        from_init: bool = False,
    ) -> dict[str, Any]:
        first = {"first weights": zlib.crc32(self._network.parameters.flat.tobytes())}
        return {
            **(first if from_init else {}),
            "kind": self.kind,
            **self.get_params(),
            "threads": batches.n_shards,
            "training text": self._digest(corpus),
            "validation text": None if validation is None else self._digest(validation),
            "vocabulary": zlib.crc32("\0".join(self.vocabulary.tokens).encode("utf-8", "replace")),
        }

    def _digest(self, corpus: Corpus) -> list[int]:
        """What tells a text from others, and one that is read in this way from others."""
        found = [len(corpus.ids), zlib.crc32(np.ascontiguousarray(corpus.ids).tobytes())]
        if corpus.carry:
            found.append(zlib.crc32(np.flatnonzero(corpus.begins_afresh).tobytes()))
        if isinstance(self, LanguageModel) and self.reads_spelling:
            found.append(zlib.crc32("\0".join(corpus.unknown or ()).encode("utf-8", "replace")))
        return found

    @property
    def network(self) -> N:
        """The network, for those who want to look inside; each thread has its own replica."""
        return self._network

    @property
    def _network(self) -> N:
        # Layers work in arrays of their own, which two threads would write at once.
        return self._replicas.get(self._replica)

    @_network.setter
    def _network(self, network: N) -> None:
        self._trained, self._replicas = network, PerThread[N]()
        self._replicas.get(lambda: network)

    def _replica(self) -> N:
        replica = self._trained.replica()
        replica.refresh()
        return replica

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return self._network.parameters.flat.size

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        return {"arguments": self.get_params(), "history": self.history.as_dict()}

    def arrays(self) -> dict[str, Array]:
        return dict(self._network.parameters.items())

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, {"arguments": dict[str, Any], "history": History})
        # Version 0.1 noted, as not set, what some models do not take.
        known = parameters(cls)
        arguments = {k: v for k, v in config["arguments"].items() if k in known or v}
        _check_sizes(arguments, arrays)
        model = cls(**arguments)
        model.history = History.from_dict(config["history"])
        model.reading = reading
        model._recall(config, arrays)
        model._network = model.make_network(len(reading.vocabulary))
        weights = model._network.parameters
        check_arrays(
            arrays,
            {n: Expected("float32 float64", a.shape, **WEIGHT) for n, a in weights.items()},
        )
        for name, array in weights.items():
            array[...] = arrays[name]
        model._network.refresh()
        if isinstance(model, LanguageModel):
            model.check_start()
        return model

    def _recall(self, config: dict[str, Any], arrays: Mapping[str, Array]) -> None:
        """Take back what else `config` and `arrays` gave that the network is made from."""


def _grow(name: str, before: Array, after: Array, n_new: int, size: int) -> None:
    """Copy weights to an array of their shape, or of one that is longer by the new tokens.

    A row or column for each token of the vocabulary (`size`) is, for new ones, that of `<unk>`.
    Where there is one for each token of the rarest class alone, as in an adaptive softmax, it is
    the mean of those that were there. Raises UsageError for other shapes.
    """
    longer = [k for k, (a, b) in enumerate(zip(before.shape, after.shape, strict=True)) if a != b]
    if not longer:
        after[...] = before
        return
    axis = longer[0]
    old, new = np.moveaxis(before, axis, 0), np.moveaxis(after, axis, 0)
    if len(longer) > 1 or len(new) - len(old) != n_new:
        raise UsageError(f"its array {name} has the shape {before.shape}, not {after.shape}")
    new[: len(old)] = old
    new[len(old) :] = old[Vocabulary.unk_id] if len(new) == size else old.mean(axis=0)


def _check_sizes(arguments: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Raise LangmodelsError for a network that is larger than its arrays, before it is made."""
    numbers = sum(array.size for array in arrays.values())
    training = {f.name for f in fields(TrainingOptions)}
    for name, value in arguments.items():
        limit = len(arrays) if name in ("layers", "highways") else numbers
        values = value if isinstance(value, list) else [value]
        if name not in training and any(type(v) is int and v > limit for v in values):
            raise LangmodelsError(f"its setting {name}={value} does not fit its arrays.")


class NeuralModel(NetworkModel[N], LanguageModel[S], Generic[S, N]):
    """A language model that is a network."""

    @property
    def reads_streams(self) -> bool:
        """Whether its network is a `SequenceNetwork` that reads every sequence to its end."""
        return False

    @abstractmethod
    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Chunk]:
        """The corpus in batches."""

    def _validation_loss(self, corpus: Corpus) -> float:
        return -float(self.score_sequences(corpus).mean())  # may be no number, which is noted

    def _show(self, tokens: int) -> str:
        return self.sample_text(max_tokens=tokens, seed=0)
