"""Optimizers: update rules for weights w given gradients g, in place on flat vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from langmodels.arrays import Array, BoolArray
from langmodels.errors import UsageError
from langmodels.names import Registry

_BLOCK = 32_768  # elements updated at once: w, g and the optimizer's state fit in the L2 cache


class Optimizer:
    """The base class: updates a flat vector w (n,) by the gradient g (n,) of the loss.

    `l2` adds l2/2 |w|^2 to the loss, that is l2 w to the gradient. `state` holds the vectors (n,)
    that the rule keeps between steps, under the `names` of its class; `updates` counts the steps.
    """

    names: tuple[str, ...] = ()

    def __init__(self, size: int, dtype: DTypeLike, *, l2: float = 0.0) -> None:
        self.state = {name: np.zeros(size, dtype) for name in self.names}
        self.l2 = l2
        self.updates = 0
        self._size = size

    def step(self, w: Array, g: Array, learning_rate: float) -> None:
        """Take a step on the whole vector; g is overwritten."""
        self.begin_step()
        self.update(w, g, learning_rate, slice(0, self._size))

    def begin_step(self) -> None:
        """Count a step; call it once before `update`, which may run on parts in parallel."""
        self.updates += 1

    def update(
        self, w: Array, g: Array, learning_rate: float, part: slice, factor: float = 1.0
    ) -> None:
        """Update a slice of w with `factor` times the gradient g; g is overwritten."""
        scratch = np.empty(min(_BLOCK, part.stop - part.start), w.dtype)
        for begin in range(part.start, part.stop, _BLOCK):
            block = slice(begin, min(begin + _BLOCK, part.stop))
            wb, gb, tmp = w[block], g[block], scratch[: block.stop - begin]
            if factor != 1:
                gb *= factor
            if self.l2:
                gb += np.multiply(wb, self.l2, out=tmp)
            self._apply(wb, gb, tmp, learning_rate, *(v[block] for v in self._vectors()))

    def _vectors(self) -> list[Array]:
        """The vectors whose blocks `_apply` gets as `state`."""
        return list(self.state.values())

    def _apply(self, w: Array, g: Array, tmp: Array, lr: float, *state: Array) -> None:
        """Update a block of w and of the state; g and tmp may be overwritten."""
        g *= lr
        w -= g


class SGD(Optimizer):
    """Stochastic gradient descent: w -= lr g."""


class Momentum(Optimizer):
    """Momentum: v = 0.9 v + g, w -= lr v (Polyak 1964, the heavy ball method)."""

    names = ("velocity",)
    momentum = 0.9

    def _apply(self, w: Array, g: Array, tmp: Array, lr: float, *state: Array) -> None:
        (v,) = state
        v *= self.momentum
        v += g
        w -= np.multiply(v, lr, out=tmp)


class Adagrad(Optimizer):
    """Adagrad: s += g^2, w -= lr g / (sqrt(s) + eps) (Duchi, Hazan and Singer 2011)."""

    names = ("squares",)
    epsilon = 1e-10

    def _apply(self, w: Array, g: Array, tmp: Array, lr: float, *state: Array) -> None:
        (s,) = state
        s += np.multiply(g, g, out=tmp)
        _scaled_step(w, g, s, tmp, lr, self.epsilon)


class RMSprop(Optimizer):
    """RMSprop: s = 0.9 s + 0.1 g^2, w -= lr g / (sqrt(s) + eps) (Hinton's lecture 6e, 2012)."""

    names = ("squares",)
    decay = 0.9
    epsilon = 1e-7

    def _apply(self, w: Array, g: Array, tmp: Array, lr: float, *state: Array) -> None:
        (s,) = state
        _average(s, self.decay, np.multiply(g, g, out=tmp))
        _scaled_step(w, g, s, tmp, lr, self.epsilon)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1).

    m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) g^2, and with bias correction at step t
    w -= lr m' / (sqrt(s') + eps), m' = m / (1 - beta1^t), s' = s / (1 - beta2^t); beta1 = 0.9.
    """

    names = ("mean", "squares")
    epsilon = 1e-8

    def __init__(
        self, size: int, dtype: DTypeLike, *, l2: float = 0.0, beta2: float = 0.999
    ) -> None:
        super().__init__(size, dtype, l2=l2)
        self.betas = (0.9, beta2)

    def _apply(self, w: Array, g: Array, tmp: Array, lr: float, *state: Array) -> None:
        m, s = state
        beta1, beta2 = self.betas
        _average(s, beta2, np.multiply(g, g, out=tmp))
        _average(m, beta1, g)
        # m' / (sqrt(s') + eps) = m root / (1 - beta1^t) / (sqrt(s) + eps root): the corrections
        # are scalars, applied to lr and eps rather than to the vectors.
        root = (1 - beta2**self.updates) ** 0.5
        np.sqrt(s, out=tmp)
        tmp += self.epsilon * root
        np.divide(m, tmp, out=tmp)
        tmp *= lr * root / (1 - beta1**self.updates)
        w -= tmp


class AdamW(Adam):
    """Adam with decoupled weight decay: before each step w -= lr decay w (Loshchilov and Hutter
    2019, algorithm 2).

    `decayed` (n,) is true for the weights that decay; None: all.
    """

    def __init__(
        self,
        size: int,
        dtype: DTypeLike,
        *,
        decay: float = 0.01,
        beta2: float = 0.999,
        decayed: BoolArray | None = None,
    ) -> None:
        super().__init__(size, dtype, beta2=beta2)
        self.decay = decay
        self._decays = None if decayed is None else (decay * decayed).astype(dtype)

    def _vectors(self) -> list[Array]:
        return [*super()._vectors(), *([] if self._decays is None else [self._decays])]

    def _apply(self, w: Array, g: Array, tmp: Array, lr: float, *state: Array) -> None:
        if self._decays is None:
            w *= 1 - lr * self.decay
        else:
            np.multiply(state[2], -lr, out=tmp)
            tmp += 1
            w *= tmp
        super()._apply(w, g, tmp, lr, *state[:2])


def _average(mean: Array, decay: float, new: Array) -> None:
    """Set mean = decay mean + (1 - decay) new, in place; `new` is overwritten."""
    mean *= decay
    new *= 1 - decay
    mean += new


def _scaled_step(w: Array, g: Array, squares: Array, tmp: Array, lr: float, eps: float) -> None:
    """Set w -= lr g / (sqrt(squares) + eps), in place; `tmp` is overwritten."""
    np.sqrt(squares, out=tmp)
    tmp += eps
    np.divide(g, tmp, out=tmp)
    tmp *= lr
    w -= tmp


OPTIMIZERS: Registry[type[Optimizer]] = Registry(
    "optimizer",
    {
        "sgd": SGD,
        "momentum": Momentum,
        "adagrad": Adagrad,
        "rmsprop": RMSprop,
        "adam": Adam,
        "adamw": AdamW,
    },
    group="langmodels.optimizers",
)


def make_optimizer(
    name: str,
    size: int,
    dtype: DTypeLike,
    l2: float = 0.0,
    *,
    beta2: float = 0.999,
    decayed: BoolArray | None = None,
) -> Optimizer:
    """An optimizer by name, for a vector of `size` elements.

    For "adamw" `l2` is the decoupled weight decay, of the weights where `decayed` (size,) is true;
    `beta2` is for "adam" and "adamw". Raises UsageError for an unknown name or a negative `l2`.
    """
    rule = OPTIMIZERS.find(name)
    if l2 < 0:
        raise UsageError(f"The L2 penalty must be 0 or more, not {l2}.")
    if issubclass(rule, AdamW):
        return rule(size, dtype, decay=l2, beta2=beta2, decayed=decayed)
    if issubclass(rule, Adam):
        return rule(size, dtype, l2=l2, beta2=beta2)
    return rule(size, dtype, l2=l2)


def sum_gradients(g: Array, others: Sequence[Array], part: slice) -> float:
    """Add a slice of the other gradients (n,) to that of g (n,), in place, and return the squared
    norm of the slice.

    Block by block, for the cache; the squared norms of blocks are added in double precision.
    """
    total = 0.0
    for begin in range(part.start, part.stop, _BLOCK):
        block = slice(begin, min(begin + _BLOCK, part.stop))
        for other in others:
            g[block] += other[block]
        total += float(np.dot(g[block], g[block]))
    return total
