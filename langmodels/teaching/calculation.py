"""How an n-gram model computes a probability: counts, discounts and back-off, order by order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels import notebooks
from langmodels.arguments import checked
from langmodels.arrays import IntArray
from langmodels.errors import UsageError
from langmodels.models.unigram import UnigramModel
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.interpolation import AbsoluteDiscounting, Interpolated
from langmodels.ngram.katz import Katz
from langmodels.ngram.model import NGramModel
from langmodels.ngram.smoothing import (
    Additive,
    MaximumLikelihood,
    Smoothing,
    StupidBackoff,
    predicted_counts,
)
from langmodels.ngram.tables import NGramTables
from langmodels.text.vocabulary import BOS, Vocabulary

FORMULAS = {
    "mle": "c / n",
    "laplace": "(c + 1) / (n + V)",
    "lidstone": "(c + α) / (n + α V)",
    "jelinek_mercer": "λ c / n + (1 - λ) p(w | h′)",
    "witten_bell": "c / (n + t) + t / (n + t) · p(w | h′)",
    "absolute": "(c - D) / n + γ p(w | h′)",
    "kneser_ney": "(c - D) / n + γ p(w | h′)",
    "modified_kneser_ney": "(c - D(c)) / n + γ p(w | h′)",
    "katz": "d c / n where c > 0, else γ p(w | h′)",
    "stupid_backoff": "c / n where c > 0, else factor · s(w | h′)",
}
"""The formula of the probability at each order, by smoothing method."""
GENERAL = "share + γ p(w | h′)"
_OTHERS = "The calculation is shown for models of all n-grams of their text, as they were fitted."


@dataclass(frozen=True)
class Order:
    """One order of a calculation: `prob` = `share` + `weight` * `lower`.

    `context`: h. `count`: c(hw) as the method counts (for the lower orders of Kneser-Ney, the
    number of different words before the n-gram). `total`: the sum n(h) of such counts after h.
    `types`: the number of different words that they are of. `discount`: what is subtracted from the
    count; for Katz the factor it is multiplied by, for additive methods what is added. `share`: the
    n-gram's own part of the probability. `weight`: the factor of `lower`, which is the probability
    after the next shorter context h′.
    """

    order: int
    context: tuple[str, ...]
    count: float
    total: float
    types: int
    discount: float | None
    share: float
    weight: float
    lower: float

    @property
    def prob(self) -> float:
        """p(w | h)."""
        return self.share + self.weight * self.lower


@dataclass(frozen=True)
class Calculation:
    """The probability of a token after a context, as an n-gram model computes it.

    `orders`: from the shortest context to the longest. `uniform`: 1 / V, the `lower` of the
    shortest. `formula`: the formula of every order. `note`: a caution, if there is one.
    """

    token: str
    method: str
    formula: str
    vocabulary: int
    uniform: float
    orders: tuple[Order, ...]
    note: str = ""

    @property
    def prob(self) -> float:
        """p(token | context)."""
        return self.orders[-1].prob if self.orders else self.uniform

    def _repr_html_(self) -> str:
        """For notebooks: a table with a row for each order."""
        rows = (
            (
                notebooks.escaped(" ".join(o.context) or "nothing"),
                f"{o.count:g}",
                f"{o.total:g}",
                f"{o.types:,}",
                "" if o.discount is None else f"{o.discount:.4g}",
                f"{o.share:.4g} + {o.weight:.4g} · {o.lower:.4g}",
                f"{o.prob:.4g}",
            )
            for o in self.orders
        )
        head = ("after", "c", "n", "types", "discount", "share + weight · shorter context", "p")
        caption = f"p({self.token} | …), {self.method}: {self.formula}"
        note = f"<p>{notebooks.escaped(self.note)}</p>" if self.note else ""
        return notebooks.table(head, rows, caption) + note

    def records(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "token": self.token,
            "method": self.method,
            "formula": self.formula,
            "vocabulary": self.vocabulary,
            "uniform": self.uniform,
            "prob": self.prob,
            "note": self.note,
            "orders": [
                {
                    "order": o.order,
                    "context": list(o.context),
                    "count": o.count,
                    "total": o.total,
                    "types": o.types,
                    "discount": o.discount,
                    "share": o.share,
                    "weight": o.weight,
                    "lower": o.lower,
                    "prob": o.prob,
                }
                for o in self.orders
            ],
        }


@checked
def calculation(
    model: NGramModel | UnigramModel, counts: NGramCounts, context: Sequence[str], token: str
) -> Calculation:
    """The calculation of p(token | context), where the context begins a sequence.

    `counts`: the counts that the model was fitted to, up to its order or a higher one. Raises
    UsageError for a model that is not simply a smoothing of these counts, such as one that was
    pruned or read from another tool's file.
    """
    vocabulary = model.vocabulary
    method, order, name, tables = _parts(model)
    whole = max(method.min_counts, default=1) <= 1 and counts.order >= order
    if isinstance(model, NGramModel):
        whole &= method.fitted() == model.fitted and model.ngram_counts == counts.sizes[:order]
    if not whole:
        raise UsageError(_OTHERS)
    ids = [Vocabulary.bos_id, *vocabulary.encode(list(context)).tolist()]
    tokens = [BOS, *(vocabulary.token(i) for i in ids[1:])]
    word = vocabulary.id(token)
    n = min(order - 1, len(ids))
    ids, tokens = ids[len(ids) - n :], tokens[len(ids) - n :]
    trail = _Trail(_of_order(counts, order), tables, method, ids, tokens, word)
    orders, note = trail.follow()
    log_p = model.log_prob(word, vocabulary.encode(list(context)))
    if not math.isclose(orders[-1].prob, math.exp(log_p), rel_tol=1e-3, abs_tol=1e-30):
        raise UsageError(_OTHERS)
    return Calculation(
        token=token,
        method=name,
        formula=FORMULAS.get(name, GENERAL),
        vocabulary=vocabulary.n_predictable,
        uniform=1 / vocabulary.n_predictable,
        orders=tuple(orders),
        note=note,
    )


def _parts(
    model: NGramModel | UnigramModel,
) -> tuple[Smoothing, int, str, NGramTables | None]:
    """The smoothing method of a model, its order, the method's name, and its tables."""
    if isinstance(model, UnigramModel):
        method = Additive(model.alpha) if model.alpha else MaximumLikelihood()
        return method, 1, model.smoothing, None
    return model.smoothing, model.order, model.smoothing.name, model.tables


def _of_order(counts: NGramCounts, n: int) -> NGramCounts:
    """The counts of n-grams up to order n."""
    if counts.order == n:
        return counts
    return NGramCounts(
        counts.words[:n], counts.child_start[: n - 1], counts.counts[:n], counts.suffixes[:n]
    )


@dataclass
class _Trail:
    """The calculation for one token (`word`) after one context (`ids`, `tokens`)."""

    counts: NGramCounts
    tables: NGramTables | None
    method: Smoothing
    ids: list[int]
    tokens: list[str]
    word: int

    def follow(self) -> tuple[list[Order], str]:
        """The orders, shortest context first, and a note."""
        method = self.method
        if isinstance(method, Additive):
            return self._whole(method.alpha)
        if isinstance(method, MaximumLikelihood):
            return self._backing_off() if method.backoff else self._whole(0.0)
        found: list[Order] = []
        lower = 1 / (self.counts.vocabulary_size - 1)
        for k in range(1, len(self.ids) + 2):
            if isinstance(method, Interpolated):
                found.append(self._interpolated(method, k, lower))
            elif isinstance(method, Katz):
                found.append(self._katz(method, k, lower))
            elif isinstance(method, StupidBackoff):
                found.append(self._stupid(method, k, lower))
            else:
                raise UsageError(f"The calculation of {method.name} cannot be shown.")
            lower = found[-1].prob
        return found, ""

    def _place(self, k: int) -> tuple[int, slice, int]:
        """(node of the context of k-1 words, slice of its k-grams, index of ours in the slice).

        A node or an index of -1 stands for an n-gram that was not seen.
        """
        if k == 1:
            return 0, slice(0, self.counts.vocabulary_size), self.word
        node = self._node(self.ids[len(self.ids) - k + 1 :])
        if node < 0:
            return -1, slice(0, 0), -1
        begin, end = self.counts.child_start[k - 2][node : node + 2].tolist()
        at = int(self.counts.find(k, np.array([node]), np.array([self.word]))[0])
        return node, slice(begin, end), at - begin if at >= 0 else -1

    def _node(self, ids: Sequence[int]) -> int:
        node = ids[0]
        for k, word in enumerate(ids[1:], start=2):
            node = int(self.counts.find(k, np.array([node]), np.array([word]))[0])
            if node < 0:
                return -1
        return node

    def _line(
        self,
        k: int,
        c: IntArray,
        at: int,
        *,
        discount: float | None = None,
        share: float,
        weight: float,
        lower: float,
        total: float | None = None,
    ) -> Order:
        return Order(
            order=k,
            context=tuple(self.tokens[len(self.tokens) - k + 1 :]),
            count=int(c[at]) if at >= 0 else 0,
            total=int(c.sum()) if total is None else total,
            types=int(np.count_nonzero(c)),
            discount=discount,
            share=share,
            weight=weight,
            lower=lower,
        )

    def _interpolated(self, method: Interpolated, k: int, lower: float) -> Order:
        _, part, at = self._place(k)
        c = method.order_counts(self.counts, k)[part]
        share, weight, discount = 0.0, 1.0, None
        if len(c):
            shares, gammas = method.shares(c, np.array([0, len(c)], np.int32), k)
            weight = float(gammas[0])
            share = float(shares[at]) if at >= 0 else 0.0
        if isinstance(method, AbsoluteDiscounting):
            known = [0.0, *method.discounts[k - 1]]
            count = int(c[at]) if at >= 0 else 0
            discount = known[min(count, len(known) - 1)]
        return self._line(k, c, at, discount=discount, share=share, weight=weight, lower=lower)

    def _katz(self, method: Katz, k: int, lower: float) -> Order:
        node, part, at = self._place(k)
        c = predicted_counts(self.counts, k)[part]
        if node < 0 or not len(c):
            return self._line(k, c, -1, share=0.0, weight=1.0, lower=lower)
        tables = self.tables
        assert tables is not None
        count = int(c[at]) if at >= 0 else 0
        factors = [0.0, *method.discounts[k - 1], 1.0]
        kept = factors[min(count, len(factors) - 1)] if count else None
        if count or k == 1:
            share = float(np.exp(tables.log_prob[k - 1][part.start + at]))
            total = kept * count / share if kept else float(c.sum())
            return self._line(
                k, c, at, discount=kept, share=share, weight=0.0, lower=lower, total=total
            )
        weight = float(np.exp(tables.backoff[k - 2][node]))
        return self._line(k, c, at, share=0.0, weight=weight, lower=lower)

    def _stupid(self, method: StupidBackoff, k: int, lower: float) -> Order:
        _, part, at = self._place(k)
        c = predicted_counts(self.counts, k)[part]
        if at >= 0 and c[at]:
            share = float(c[at]) / float(c.sum())
            return self._line(k, c, at, share=share, weight=0.0, lower=lower)
        return self._line(k, c, at, share=0.0, weight=method.factor, lower=lower)

    def _whole(self, alpha: float) -> tuple[list[Order], str]:
        """(c + alpha) / (n + alpha V) after the whole context."""
        k = len(self.ids) + 1
        _, part, at = self._place(k)
        c = predicted_counts(self.counts, k)[part]
        n_words = self.counts.vocabulary_size - 1
        count, total = float(c[at]) if at >= 0 else 0.0, float(c.sum()) + alpha * n_words
        note = "" if total else "The context was never seen: 0/0 is replaced by 1/V."
        share, weight = ((count + alpha) / total, 0.0) if total else (0.0, 1.0)
        discount = alpha or None
        line = self._line(
            k, c, at, discount=discount, share=share, weight=weight, lower=1 / n_words
        )
        return [line], note

    def _backing_off(self) -> tuple[list[Order], str]:
        """The relative frequency after the longest suffix of the context that was seen."""
        for k in range(len(self.ids) + 1, 0, -1):
            _, part, at = self._place(k)
            c = predicted_counts(self.counts, k)[part]
            if c.sum():
                share = float(c[at]) / float(c.sum()) if at >= 0 else 0.0
                return [self._line(k, c, at, share=share, weight=0.0, lower=0.0)], ""
        raise AssertionError("some word was seen")
