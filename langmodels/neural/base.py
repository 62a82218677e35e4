"""The base class of neural models: options, training, files."""

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
"""Tokens of the training text on which a trained network is checked for divergence."""

_DIVERGED = 700.0
"""A loss in nats per token, beyond which the perplexity overflows float64."""


class NetworkModel(Model, Generic[N]):
    """A model that is one network, trained by gradient descent.

    `options` are its `TrainingOptions`; after `fit`, `history` is the record of the training run.

    Args:
        dtype: data type of weights and activations: float32 or float64.
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
            return network.shape.cutoffs  # those chosen for the size of the vocabulary
        return getattr(self.options if hasattr(self.options, name) else self, name)

    @abstractmethod
    def make_network(self, vocabulary: int) -> N:
        """A network for a vocabulary of this size, not yet initialised."""

    @abstractmethod
    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Any]:
        """The training batches of a corpus, each in at most `n_shards` shards for threads."""

    @abstractmethod
    def _validation_loss(self, corpus: Corpus) -> float:
        """The mean of -log p over a corpus in nats per token, for early stopping."""

    @abstractmethod
    def _sample_line(self, tokens: int) -> str:
        """A sample of at most `tokens` tokens, to show after every epoch."""

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
        """Train on a corpus. Returns self.

        If the corpus has no `<unk>`, a tenth of the words that occur once, another tenth in every
        epoch, are replaced by it (`RareAsUnknown`): a network that never sees `<unk>` makes it
        almost impossible, and its figures could not be compared with those of other models.

        Args:
            corpus: the training text.
            validation: held-out text for early stopping; the weights with the lowest loss on it are
                kept. Without it the last weights are kept.
            init: a trained model of this class and of these sizes, from whose weights to start,
                without its optimizer state. The corpus must be read with `Corpus.extending`, as a
                plain text is, so that the ids of new tokens follow those of `init`. New rows of
                weights start as copies of that of `<unk>`, or, in an adaptive softmax, as the mean
                of the rarest class.
            checkpoint: a file to which the state of training is written; if it exists, training
                resumes from it, with the same result as an uninterrupted run.
            checkpoint_seconds: time between checkpoints; there is also one after every epoch.
            sample: length in tokens of a sample to show after every epoch, if progress is shown.
            after_epoch: is called with the figures of each epoch, and may use the model as it then
                is.

        Ctrl-C ends training after the current step, with the best weights so far. Raises
        LangmodelsError if training diverges or the checkpoint belongs to another run; the model is
        then not fitted.
        """
        if init is not None and not isinstance(corpus, Corpus):
            corpus = Corpus.extending(init.reading, corpus)
        corpus, validation = self.adopt(corpus, validation)
        if init is not None and hasattr(self, "cutoffs"):
            network: Any = init.network
            self.cutoffs = network.shape.cutoffs  # the default depends on the vocabulary's size
        self._initialise()
        if init is not None:
            self._copy_weights(init)
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
            sample=(lambda: self._sample_line(sample)) if sample else None,
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
            self._check_not_diverged(corpus)
        except BaseException:
            self._reading = None
            raise
        return self

    def untrained(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Adopt the vocabulary of a corpus and initialise the weights, without training."""
        self.adopt(corpus, validation)
        self._initialise()
        return self

    def _initialise(self) -> None:
        """Create the network for the model's vocabulary, with random weights."""
        self._network = self.make_network(len(self.vocabulary))
        self._network.initialise(self.options.seed)

    def _copy_weights(self, init: "NetworkModel[Any]") -> None:
        """Copy the weights of another model. Raises UsageError if its class, sizes or reading
        differ.
        """
        try:
            if type(init) is not type(self):
                raise UsageError(f"it is a {type(init).__name__}, not a {type(self).__name__}")
            self._check_extends(init)
            n_new = len(self.vocabulary) - len(init.vocabulary)
            before = init.network.parameters
            for name, array in self._network.parameters.items():
                _copy_extended(name, before[name], array, n_new, len(self.vocabulary))
        except UsageError as error:
            self._reading = None
            raise UsageError(f"Training cannot start from the other model: {error}.") from error
        self._network.refresh()

    def _check_extends(self, init: Any) -> None:
        """Raise UsageError unless this model has the options of `init` and reads text in the same
        way; its vocabulary may have more tokens at the end.
        """
        here, there = self.get_params(), init.get_params()
        for name, value in there.items():
            free = hasattr(self.options, name) or "dropout" in name or name in ("dtype", "cutoffs")
            if not free and value != here[name]:
                raise UsageError(f"it has {name}={value}, not {here[name]}")
        if not self.reading.is_like(init.reading):
            raise UsageError("the text was cleaned or tokenized in another way")
        if not self.vocabulary.extends(init.vocabulary):
            raise UsageError("the text was not read with its vocabulary; see Corpus.extending")

    def _check_not_diverged(self, corpus: Corpus) -> None:
        """Raise LangmodelsError if the loss on the start of the training text shows divergence.

        A training step checks the loss before its update; this checks the last update, and detects
        states that grow without bound in text longer than the chunks of training.
        """
        with np.errstate(all="ignore"):
            loss = self._validation_loss(corpus.head(_PROBE))
        if not (loss < _DIVERGED and np.isfinite(self._network.parameters.flat).all()):
            raise LangmodelsError(
                f"Training diverged: the loss on the training text is {loss:.4g} nats per token. "
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
        """What must be equal in a run that resumes from a checkpoint: options and checksums."""
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
        """Checksums of a text as the model reads it, for checkpoints."""
        found = [len(corpus.ids), zlib.crc32(np.ascontiguousarray(corpus.ids).tobytes())]
        if corpus.carry:
            found.append(zlib.crc32(np.flatnonzero(corpus.begins_afresh).tobytes()))
        if isinstance(self, LanguageModel) and self.reads_spelling:
            found.append(zlib.crc32("\0".join(corpus.unknown or ()).encode("utf-8", "replace")))
        return found

    @property
    def network(self) -> N:
        """The network, for inspection; each thread gets its own replica."""
        return self._network

    @property
    def _network(self) -> N:
        """The replica of this thread: layers write to workspaces, which threads must not share."""
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
        """The number of weights and biases."""
        return self._network.parameters.flat.size

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        return {"arguments": self.get_params(), "history": self.history.as_dict()}

    def arrays(self) -> dict[str, Array]:
        return dict(self._network.parameters.items())

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, {"arguments": dict[str, Any], "history": History})
        # Files of version 0.1 contain options that the model does not have, as None.
        known = parameters(cls)
        arguments = {k: v for k, v in config["arguments"].items() if k in known or v}
        _check_sizes(arguments, arrays)
        model = cls(**arguments)
        model.history = History.from_dict(config["history"])
        model.reading = reading
        model._restore_more(config, arrays)
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

    def _restore_more(self, config: dict[str, Any], arrays: Mapping[str, Array]) -> None:
        """Restore what else `make_network` needs from `config` and `arrays`; for subclasses."""


def _copy_extended(name: str, before: Array, after: Array, n_new: int, size: int) -> None:
    """Copy weights to an array of the same shape, or with `n_new` more entries along one axis.

    Where that axis has one entry for each of the `size` tokens of the new vocabulary, the new ones
    are copies of that of `<unk>`; otherwise it is the rarest class of an adaptive softmax, and they
    are the mean of the existing ones. Raises UsageError for other shapes.
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
    """Raise LangmodelsError for sizes larger than the arrays of a file allow, before a network of
    these sizes is allocated.
    """
    numbers = sum(array.size for array in arrays.values())
    training = {f.name for f in fields(TrainingOptions)}
    for name, value in arguments.items():
        limit = len(arrays) if name in ("layers", "highways") else numbers
        values = value if isinstance(value, list) else [value]
        if name not in training and any(type(v) is int and v > limit for v in values):
            raise LangmodelsError(f"its setting {name}={value} does not fit its arrays.")


class NeuralModel(NetworkModel[N], LanguageModel[S], Generic[S, N]):
    """A language model that is one network."""

    @property
    def reads_streams(self) -> bool:
        """Whether the network is a `SequenceNetwork` whose state can be carried over text of any
        length, as `DynamicModel` needs.
        """
        return False

    @abstractmethod
    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Chunk]:
        """See `NetworkModel`."""

    def _validation_loss(self, corpus: Corpus) -> float:
        return -float(self.score_sequences(corpus).mean())  # unchecked: NaN must not raise here

    def _sample_line(self, tokens: int) -> str:
        return self.sample_text(max_tokens=tokens, seed=0)
