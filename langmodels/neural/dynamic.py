"""Dynamic evaluation: a network whose weights are updated by the text that it scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np

from langmodels.arrays import Array, FloatArray, IntArray
from langmodels.checks import Expected, check_arrays, check_values
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.parts import (
    common_reading,
    fit_parts,
    part_arrays,
    part_config,
    restore_part,
)
from langmodels.neural.base import NeuralModel
from langmodels.neural.layers.base import rows
from langmodels.neural.network import SequenceNetwork
from langmodels.neural.training.batches import StreamBatches
from langmodels.neural.training.history import was_interrupted
from langmodels.progress import Meter, track
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.threads import PerThread, Workers

RATES = (0.0, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4)
"""The learning rates tried on the validation text if none is given."""

_TUNED_ON = 20_000  # most validation tokens used to choose the rate
_COLUMNS, _CHUNKS = 16, 32  # places in the training text, and chunks at each, that give the RMS
_DAMPING = 0.2  # eps, as a fraction of the mean RMS


@dataclass(frozen=True, eq=False)
class DynamicState:
    """The current weights, and the chunk that is being read.

    Attributes:
        weights: the weights (n_parameters,) for this chunk; never modified.
        before: the network's states before the first input of the chunk.
        inputs: the tokens of the chunk read so far.
        targets: the token after each input but the last.
        after: the network's states after all inputs.
    """

    weights: Array
    before: Any
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    after: Any


@dataclass(frozen=True, eq=False)
class _Memory:
    """What `score_on` passes to its next call: the inputs and targets (n,) of the unfinished chunk,
    and the weights and states before it.
    """

    weights: Array
    states: Any
    inputs: IntArray
    targets: IntArray


@dataclass
class _Learner:
    """The network of a thread, with weights of its own, and the vector last copied to these."""

    network: SequenceNetwork[Any]
    loaded: Array | None = None


class DynamicModel(LanguageModel[DynamicState]):
    """Dynamic evaluation: a network that is trained further on the text that it scores.

    After every `every` tokens of a sequence it takes the step

        w <- w - rate g / (RMS + eps) + decay (w0 - w),

    where g is the gradient of the mean loss on these tokens, RMS the root mean square of such
    gradients on the training text, element by element, eps 0.2 times the mean of RMS, and w0 the
    trained weights, from which every sequence starts. Krause, Kahembwe, Murray and Renals 2018,
    "Dynamic Evaluation of Neural Sequence Models", section 4, without their scaling of the decay
    by RMS; first used in language modelling by Mikolov et al. 2010. p(x | h) depends only on the
    tokens before x, and sums to one.

    `fit` trains the network if it is not trained yet. A rate that is not given is then chosen from
    `RATES` by the loss on the validation text; without one it is 3e-4.

    Args:
        base: the network.
        rate: learning rate, at least 0; none: chosen on the validation text.
        decay: fraction by which the weights return to the trained ones at each step, from 0 to
            below 1.
        every: tokens between two steps.

    Raises UsageError for values outside their range, and for networks that cannot carry a state
    over text of any length.
    """

    kind = "dynamic"

    def __init__(
        self,
        base: NeuralModel[Any, Any],
        *,
        rate: float | None = None,
        decay: float = 0.003,
        every: int = 20,
    ) -> None:
        if not base.reads_streams:
            raise UsageError(
                "Dynamic evaluation needs a recurrent network without a window, or a Transformer "
                "with rotary positions."
            )
        if rate is not None and rate < 0:
            raise UsageError(f"The rate must be 0 or more, not {rate}.")
        if not 0 <= decay < 1:
            raise UsageError(f"The decay must be at least 0 and below 1, not {decay}.")
        if every < 1:
            raise UsageError(f"every must be at least 1, not {every}.")
        self.base = base
        self._given = rate
        self.rate = 3e-4 if rate is None else rate
        self.decay, self.every = decay, every
        self._learners: PerThread[_Learner] = PerThread()
        self._reading = common_reading([base])

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Train the network if it is not trained yet, measure the RMS of its gradients on `corpus`,
        and choose the rate on `validation`. Returns self.
        """
        corpus, validation = self.adopt(corpus, validation)
        fit_parts([self.base], corpus, validation)
        self._learners = PerThread()
        self._measure(corpus)
        if validation is not None and self._given is None and not was_interrupted(self.base):
            self._choose_rate(validation.head(_TUNED_ON))
        return self

    def _measure(self, corpus: Corpus) -> None:
        """Set `rms` (n_parameters,), the root mean square of the gradient of each weight over
        chunks of the training text, one sequence at a time.
        """
        network = self._loaded()
        batches = StreamBatches(corpus, _COLUMNS, self.every)
        chunks = [chunk for shards in islice(batches.epoch(0), _CHUNKS) for chunk in shards]
        squares = np.zeros(network.parameters.flat.size)
        n = 0
        for column in range(chunks[0].targets.shape[1]):
            for chunk in chunks:
                one = chunk.part(slice(column, column + 1))
                network.loss(one, 1 / one.n_targets, None)
                squares += np.square(network.gradients.flat, dtype=np.float64)
                n += 1
        self.rms: Array = np.sqrt(squares / n).astype(network.dtype)

    def _choose_rate(self, held_out: Corpus) -> None:
        """Set the rate to that of `RATES` with the lowest loss on a text."""
        losses = {}
        for rate in RATES:
            self.rate = rate
            losses[rate] = self.cross_entropy(held_out)
        self.rate = min(RATES, key=lambda rate: losses[rate])

    # The two functions ----------------------------------------------------------------------

    def start(self) -> DynamicState:
        """The state after `<s>`, with the trained weights."""
        network = self._loaded()
        zero = network.zero_states(1)
        weights = self.base.network.parameters.flat
        bos = self.vocabulary.bos_id
        return DynamicState(weights, zero, (bos,), (), self._step(weights, zero, bos))

    def advance(self, state: DynamicState, token: int) -> DynamicState:
        """The state after one more token, and after a gradient step if that completes a chunk."""
        self.vocabulary.check_id(token)
        return self._advance(state, token, token)

    def start_after(self, state: DynamicState, last: int) -> DynamicState:
        """See `Contexts`; weights and states are kept, and `<s>` is read."""
        return self._advance(state, last, self.vocabulary.bos_id)

    def _advance(self, state: DynamicState, target: int, token: int) -> DynamicState:
        """The state after predicting `target` and reading `token`."""
        weights, before, inputs = state.weights, state.before, state.inputs
        targets = (*state.targets, target)
        if len(inputs) == self.every:
            read = np.array(inputs, np.int32), np.array(targets, np.int32)
            _, weights, before = self._learn(weights, before, *read)
            inputs = targets = ()
        after = self._step(weights, before if not inputs else state.after, token)
        return DynamicState(weights, before, (*inputs, token), targets, after)

    def log_distribution(self, state: DynamicState) -> FloatArray:
        """Log p of every next token in nats under the current weights, (V,)."""
        network = self._loaded(state.weights)
        log_p: FloatArray = network.output.log_distribution(network.top(state.after))[0]
        return log_p

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`; every sequence starts from the trained weights."""
        # A batch of one sequence has too little work for a second BLAS thread.
        with Workers(1), track("Learning while scoring", total=sequences.n_tokens) as meter:
            scores = [self._read(*stream, None, meter)[0] for stream in sequences.streams()]
        return np.concatenate(scores) if scores else np.empty(0)

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """See `LanguageModel`; the memory is a `_Memory`."""
        ((inputs, targets),) = sequences.streams()
        with Workers(1), track("Learning while scoring", total=len(targets)) as meter:
            return self._read(inputs, targets, memory, meter)

    def _read(
        self, inputs: IntArray, targets: IntArray, memory: "_Memory | None", meter: Meter
    ) -> tuple[FloatArray, "_Memory"]:
        """Log p of targets (n,) in nats, for inputs (n,) read with gradient steps, and the memory
        after them.
        """
        if memory is None:
            nothing = np.empty(0, np.int32)
            trained = self.base.network.parameters.flat
            memory = _Memory(trained, self._loaded().zero_states(1), nothing, nothing)
        weights, states, known = memory.weights, memory.states, len(memory.targets)
        inputs = np.concatenate([memory.inputs, inputs])
        targets = np.concatenate([memory.targets, targets])
        whole = len(inputs) - len(inputs) % self.every
        scores = [np.empty(0)]
        before = weights, states
        for k in range(0, len(inputs), self.every):
            part = slice(k, k + self.every)
            before = weights, states
            found, weights, states = self._learn(weights, states, inputs[part], targets[part])
            scores.append(found)
            meter.advance(len(found))
        if whole < len(inputs):
            weights, states = before
        return np.concatenate(scores)[known:], _Memory(
            weights, states, inputs[whole:], targets[whole:]
        )

    def _step(self, weights: Array, states: Any, token: int) -> Any:
        """The network's states after reading a token with given weights."""
        network = self._loaded(weights)
        network.forward(np.array([[token]]), states)
        return network.final_states

    def _learn(
        self, weights: Array, states: Any, inputs: IntArray, targets: IntArray
    ) -> tuple[FloatArray, Array, Any]:
        """Read a chunk, inputs and targets (k,), then take a gradient step if k is `every`.

        Returns log p of the targets in nats, before the step, and the weights and states after it.
        """
        network = self._loaded(weights)
        h = network.forward(inputs[:, None], states)
        after = network.final_states
        scores = network.output.log_prob(rows(h), targets)
        if self.rate == 0 or len(inputs) < self.every:
            return scores, weights, after
        _, dh = network.output.loss(rows(h), targets, 1 / len(targets))
        network.backward(dh.reshape(h.shape))
        change = self.rate * network.gradients.flat
        # Where RMS + eps is 0, gradients were zero throughout: these weights do not change.
        scale = self.rms + _DAMPING * self.rms.mean()
        change = np.divide(change, scale, out=np.zeros_like(change), where=scale > 0)
        change += self.decay * (weights - self.base.network.parameters.flat)
        return scores, weights - change, after

    def _loaded(self, weights: Array | None = None) -> SequenceNetwork[Any]:
        """The network of this thread with the given weights, by default the trained ones."""
        trained = self.base.network.parameters.flat
        size = len(self.vocabulary)
        learner = self._learners.get(lambda: _Learner(self.base.make_network(size)))
        weights = trained if weights is None else weights
        if weights is not learner.loaded:
            learner.network.parameters.flat[...] = weights
            learner.network.refresh()
            learner.loaded = weights
        return learner.network

    @property
    def n_parameters(self) -> int:
        """The parameters of the network, plus two for rate and decay."""
        return self.base.n_parameters + 2

    # Files ----------------------------------------------------------------------------------

    def _param(self, name: str) -> Any:
        return self._given if name == "rate" else super()._param(name)

    def config(self) -> dict[str, Any]:
        return {
            "base": part_config(self.base),
            "rate": self.rate,
            "decay": self.decay,
            "every": self.every,
            "given": self._given,
        }

    def arrays(self) -> dict[str, Array]:
        return {**part_arrays({"base": self.base}), "rms": self.rms}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, {"rate": float, "decay": float, "every": int, "given": float | None})
        base = restore_part("base", config["base"], arrays, reading)
        if not isinstance(base, NeuralModel):
            raise LangmodelsError("its base model is not a neural network.")
        weights = base.network.parameters.flat
        check_arrays(arrays, {"rms": Expected("float32 float64", weights.shape, 0, 1e8)})
        model = cls(base, rate=config["rate"], decay=config["decay"], every=config["every"])
        model._given = config["given"]
        model.rms = np.array(arrays["rms"])
        return model
