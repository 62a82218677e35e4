"""Word embeddings computed from characters, so that words outside the vocabulary have one too."""

import threading
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from langmodels.arrays import Array, IntArray
from langmodels.errors import UsageError
from langmodels.neural.layers.base import Embedding, Generator, Layer, Linear, add_rows, rows
from langmodels.neural.layers.parameters import Shape
from langmodels.text.vocabulary import UNK, Vocabulary

_PAD, _BEGIN, _END, _UNSEEN = range(4)
"""Codes of padding, of the boundaries of a word, and of characters not in the training vocabulary.

The special tokens' codes follow, then those of the characters.
"""
_MAX_CHARACTERS = 48  # a longer word is cut off

_NUMBERING = threading.Lock()  # two threads must not give two words the same id


class Spellings:
    """Words as rows of character codes, `codes` (n, longest): begin, characters, end, padding.

    The row of a word of the vocabulary is its token id; a special token is spelled by one code of
    its own. Other words get the following ids in the order in which they are first read.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        ordinary = vocabulary.tokens[vocabulary.n_special :]
        alphabet = sorted({character for word in ordinary for character in word})
        first = _UNSEEN + 1 + vocabulary.n_special
        self._codes = {character: first + i for i, character in enumerate(alphabet)}
        self.n_symbols = first + len(alphabet)
        specials = [[_UNSEEN + 1 + i] for i in range(vocabulary.n_special)]
        self.codes: IntArray = _rows([*specials, *map(self._spell, ordinary)])
        self.n_known = len(self.codes)
        self._others: dict[str, int] = {}
        self._vocabulary = vocabulary

    def _spell(self, word: str) -> list[int]:
        return [self._codes.get(character, _UNSEEN) for character in word[:_MAX_CHARACTERS]]

    def ids(self, words: Sequence[str]) -> IntArray:
        """The row of each word, (len(words),); words outside the vocabulary are added as rows."""
        ids = self._vocabulary.encode(words)
        unknown = [i for i in np.flatnonzero(ids == Vocabulary.unk_id).tolist() if words[i] != UNK]
        with _NUMBERING:
            new = dict.fromkeys(words[i] for i in unknown if words[i] not in self._others)
            if new:
                self._others |= {word: len(self.codes) + i for i, word in enumerate(new)}
                self.codes = _rows(map(self._spell, new), self.codes)
        for i in unknown:
            ids[i] = self._others[words[i]]
        return ids


def _rows(words: Iterable[list[int]], before: IntArray | None = None) -> IntArray:
    """The rows `before`, then one for each word: begin, codes, end, padded to the longest word."""
    spelled = [[_BEGIN, *codes, _END] for codes in words]
    width = max(map(len, spelled), default=0)
    done = 0 if before is None else len(before)
    if before is not None:
        width = max(width, before.shape[1])
    codes = np.full((done + len(spelled), width), _PAD, np.int32)
    if before is not None:
        codes[:done, : before.shape[1]] = before
    for row, word in enumerate(spelled, start=done):
        codes[row, : len(word)] = word
    return codes


class Highway(Layer):
    """y = t g + (1 - t) x, g = relu(x W + b), t = sigmoid(x W' + b') (Srivastava, Greff and
    Schmidhuber 2015, equation 3).

    Parameters: `transform.*` (W, b) and `gate.*` (W', b').
    """

    def __init__(self, width: int) -> None:
        self.transform, self.gate = Linear(width, width), Linear(width, width)
        super().__init__(parts={"transform": self.transform, "gate": self.gate})

    def initialise(self, rng: Generator) -> None:
        """As linear layers, but b' = -2, so that at first most of x passes unchanged."""
        super().initialise(rng)
        self.values["gate.bias"].fill(-2)

    def forward(self, x: Array) -> Array:
        """Map x (N, n) to y (N, n)."""
        self._x = x
        self._g = np.maximum(self.transform.forward(x), 0)
        with np.errstate(over="ignore"):  # exp overflows to inf, and 1 / (1 + inf) is 0
            self._t = 1 / (1 + np.exp(-self.gate.forward(x)))
        y: Array = self._t * (self._g - x) + x
        return y

    def backward(self, dy: Array) -> Array:
        """Map dL/dy (N, n) to dL/dx (N, n)."""
        t, g, x = self._t, self._g, self._x
        dx: Array = self.transform.backward(dy * t * (g > 0)).copy()
        dx += self.gate.backward(dy * (g - x) * t * (1 - t))
        dx += dy * (1 - t)
        return dx


class SpelledEmbedding(Embedding):
    """Word embeddings computed from characters (Kim et al. 2016, sections 2.2 and 2.3).

    Component f of a word's vector is max_i tanh(C[i : i + w] * F_f + b_f) over the positions i of
    the word, C (characters, d) being its embedded characters and F_f (w d,) a filter of width w;
    highway layers follow. Each word type of a batch is computed once, however often it occurs.

    Parameters: `characters` (n_symbols, d), `filter.{w}` (w d, filters), `bias` (width,), and
    `highway.{k}.*`.

    Args:
        spellings: the character codes of words.
        characters: d, the width of the character embeddings.
        filters: the number of filters of each width.
        highways: the number of highway layers.
    """

    table = None  # a word outside the vocabulary has a vector, too

    def __init__(
        self,
        spellings: Spellings,
        characters: int,
        filters: dict[int, int],
        highways: int,
    ) -> None:
        if characters < 1 or not filters or min(filters) < 1 or min(filters.values()) < 1:
            raise UsageError(
                "The width of character vectors, and the widths and numbers of filters, must be at "
                "least 1."
            )
        self.spellings, self.filters = spellings, filters
        self.width = sum(filters.values())
        self.tied = False
        self.highways = [Highway(self.width) for _ in range(highways)]
        own: dict[str, Shape] = {
            "characters": (spellings.n_symbols, characters),
            "bias": (self.width,),
            **{f"filter.{w}": (w * characters, n) for w, n in filters.items()},
        }
        parts = {f"highway.{k}": layer for k, layer in enumerate(self.highways)}
        Layer.__init__(self, own, parts)

    def initialise(self, rng: Generator) -> None:
        """Characters standard normal; filters uniform in [-sqrt(3/(w d)), sqrt(3/(w d))], so that
        their outputs have unit variance; b = 0.

        With less variance the maxima are nearly the same for all words, and training is slow to
        tell them apart.
        """
        for name, array in self.values.items():
            if name.startswith("filter"):
                bound = (3 / len(array)) ** 0.5
                array[...] = rng.uniform(-bound, bound, array.shape)
        self.values["characters"][...] = rng.standard_normal(self.shapes["characters"])
        Layer.initialise(self, rng)

    def forward(self, tokens: Array) -> Array:
        """Word ids (...), as `Spellings.ids` returns them, to vectors (..., width)."""
        types, self._inverse = np.unique(tokens.ravel(), return_inverse=True)
        codes = self.spellings.codes[types]
        self._order_others(types, codes)
        lengths = np.count_nonzero(codes != _PAD, axis=1)
        longest = max(int(lengths.max()), *self.filters)
        codes = np.pad(codes, ((0, 0), (0, max(0, longest - codes.shape[1]))))[:, :longest]
        self._codes = codes
        vectors = np.take(self.values["characters"], codes, axis=0)
        self._flat = vectors.reshape(len(types), -1)
        y = np.empty((len(types), self.width), vectors.dtype)
        self._chosen: list[NDArray[np.intp]] = []
        for part, width, windows in self._windows():
            z = windows @ self.values[f"filter.{width}"]
            places = np.arange(z.shape[1])
            # Windows must not reach into the padding, except the first one in words shorter than
            # the filter.
            outside = places > np.maximum(lengths - width, 0)[:, None]
            z[outside] = -np.inf
            chosen = z.argmax(axis=1)
            self._chosen.append(chosen)
            y[:, part] = np.take_along_axis(z, chosen[:, None], axis=1)[:, 0]
        y += self.values["bias"]
        self._y = np.tanh(y, out=y)
        for layer in self.highways:
            y = layer.forward(y)
        return y[self._inverse].reshape(*tokens.shape, self.width)

    def _order_others(self, types: Array, codes: IntArray) -> None:
        """Sort the words outside the vocabulary by their spelling, in place in `codes`.

        Their ids are in the order of first occurrence. Without sorting, a row's place in the matrix
        products, and with it the rounding, would depend on what was read before.
        """
        first = int(np.searchsorted(types, self.spellings.n_known))
        if first + 1 >= len(types):
            return
        order = np.arange(len(types))
        order[first:] = first + np.lexsort(codes[first:].T[::-1])
        codes[...] = codes[order]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        self._inverse = place[self._inverse]

    def _windows(self) -> list[tuple[slice, int, Array]]:
        """For each width w, the columns of its filters in the output, w, and all windows of w
        characters, (N, positions, w d).
        """
        size = self.shapes["characters"][1]
        found, begin = [], 0
        for width, n in self.filters.items():
            windows = sliding_window_view(self._flat, width * size, axis=1)[:, ::size]
            found.append((slice(begin, begin + n), width, windows))
            begin += n
        return found

    def backward(self, dx: Array) -> None:
        """Compute the gradients of the parameters from dL/dx of the word vectors, (..., width)."""
        dy = np.zeros_like(self._y)
        add_rows(dy, self._inverse, rows(dx))
        for layer in reversed(self.highways):
            dy = layer.backward(dy)
        dy = dy * (1 - self._y * self._y)
        dy.sum(axis=0, out=self.gradients["bias"])
        d_flat = np.zeros_like(self._flat)
        size = self.shapes["characters"][1]
        for (part, width, windows), chosen in zip(self._windows(), self._chosen, strict=True):
            dz = np.zeros((*windows.shape[:2], chosen.shape[1]), dy.dtype)
            np.put_along_axis(dz, chosen[:, None], dy[:, None, part], axis=1)
            flat = rows(np.ascontiguousarray(windows))
            np.matmul(flat.T, rows(dz), out=self.gradients[f"filter.{width}"])
            d_windows = dz @ self.values[f"filter.{width}"].T
            for k in range(width):
                places = slice(k * size, (k + windows.shape[1]) * size)
                part_of = d_windows[:, :, k * size : (k + 1) * size]
                d_flat[:, places] += part_of.reshape(len(d_flat), -1)
        gradient = self.gradients["characters"]
        gradient.fill(0)
        add_rows(gradient, self._codes.ravel(), d_flat.reshape(-1, size))
