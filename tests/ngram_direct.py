"""N-gram smoothing computed the slow and direct way, from dictionaries and the papers' formulas.

Nothing here is shared with the package: it is what the array code is held against. A text is a list
of sequences of word ids, each with 1 (`<s>`) before it; words are predicted from the N-1 before
them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cache

Gram = tuple[int, ...]
BOS = 1


class Direct:
    """Counts of a text, and p(word | history) by each method."""

    def __init__(self, text: Sequence[Sequence[int]], order: int, vocabulary_size: int) -> None:
        self.text, self.order, self.words = text, order, vocabulary_size - 1
        self.count: Counter[Gram] = Counter()
        for sequence in text:
            for k in range(1, order + 1):
                for i in range(len(sequence) - k + 1):
                    self.count[tuple(sequence[i : i + k])] += 1
        # c(h w) over w, by h: the empty context has everything that is predicted.
        self.successors: dict[Gram, Counter[int]] = defaultdict(Counter)
        for gram, c in self.count.items():
            if gram != (BOS,):
                self.successors[gram[:-1]][gram[-1]] = c
        self.before: dict[Gram, set[int]] = defaultdict(set)
        for gram in self.count:
            if len(gram) > 1:
                self.before[gram[1:]].add(gram[0])

    def context(self, history: Sequence[int]) -> Gram:
        return tuple(history[max(0, len(history) - self.order + 1) :])

    def total(self, h: Gram) -> int:
        return sum(self.successors[h].values()) if h in self.successors else 0

    # The simple ones ------------------------------------------------------------------------

    def mle(self, history: Sequence[int], w: int, *, backoff: bool = False) -> float:
        h = self.context(history)
        while backoff and self.total(h) == 0:
            h = h[1:]
        return self.successors[h][w] / self.total(h) if self.total(h) else 1 / self.words

    def additive(self, history: Sequence[int], w: int, alpha: float) -> float:
        h = self.context(history)
        c = self.successors[h][w] if h in self.successors else 0
        return (c + alpha) / (self.total(h) + alpha * self.words)

    def stupid(self, history: Sequence[int], w: int, factor: float) -> float:
        h = self.context(history)
        if h in self.successors and self.successors[h][w]:
            return self.successors[h][w] / self.total(h)
        if not h:
            return factor / self.words
        return factor * self.stupid(h[1:], w, factor)

    # Interpolated ---------------------------------------------------------------------------

    def witten_bell(self, history: Sequence[int], w: int) -> float:
        def p(h: Gram) -> float:
            lower = p(h[1:]) if h else 1 / self.words
            if self.total(h) == 0:
                return lower
            types = len(self.successors[h])
            return (self.successors[h][w] + types * lower) / (self.total(h) + types)

        return p(self.context(history))

    def jelinek_mercer(
        self, history: Sequence[int], w: int, weight: Callable[[int, int], float]
    ) -> float:
        """`weight(order, n(h))`."""

        def p(h: Gram) -> float:
            lower = p(h[1:]) if h else 1 / self.words
            n = self.total(h)
            if n == 0:
                return lower
            share = weight(len(h) + 1, n)
            return share * self.successors[h][w] / n + (1 - share) * lower

        return p(self.context(history))

    def discounted(
        self,
        history: Sequence[int],
        w: int,
        counts: Callable[[int], dict[Gram, int]],
        discount: Callable[[int, int], float],
    ) -> float:
        """max(c - D(c), 0) / n + (sum of D) / n * p(w | h'), with `counts(order)` for c."""

        def p(h: Gram) -> float:
            lower = p(h[1:]) if h else 1 / self.words
            order = len(h) + 1
            after = self.after(counts, order).get(h, {})
            n = sum(after.values())
            if n == 0:
                return lower
            gamma = sum(discount(order, c) for c in after.values()) / n
            c = after.get(w, 0)
            return (c - (discount(order, c) if c else 0)) / n + gamma * lower

        return p(self.context(history))

    @cache  # noqa: B019
    def after(
        self, counts: Callable[[int], dict[Gram, int]], order: int
    ) -> dict[Gram, dict[int, int]]:
        """The counts of the words that follow each context."""
        result: dict[Gram, dict[int, int]] = defaultdict(dict)
        for gram, c in counts(order).items():
            result[gram[:-1]][gram[-1]] = c
        return result

    def plain_counts(self, order: int) -> dict[Gram, int]:
        return {g: c for g, c in self.count.items() if len(g) == order and g != (BOS,)}

    def kneser_ney_counts(self, order: int) -> dict[Gram, int]:
        if order == self.order:
            return self.plain_counts(order)
        return {
            g: c if g[0] == BOS else len(self.before[g])
            for g, c in self.plain_counts(order).items()
        }

    # Back-off -------------------------------------------------------------------------------

    def katz(self, history: Sequence[int], w: int, factors: Sequence[Sequence[float]]) -> float:
        """`factors[order - 1]` are d_1, d_2, ...; Katz (1987), equations 6 to 9."""

        def keep(order: int, c: int) -> float:
            d = factors[order - 1]
            return d[c - 1] if 0 < c <= len(d) else 1.0

        @cache
        def p(h: Gram, w: int) -> float:
            order, n = len(h) + 1, self.total(h)
            if n == 0:
                return p(h[1:], w)
            after = self.successors[h]
            seen = {v: keep(order, c) * c for v, c in after.items()}
            left = n - sum(seen.values())
            if all(keep(order, c) == 1.0 for c in after.values()):
                n, left = n + 1, 1
            if not h:
                unseen = self.words - len(after)
                if unseen == 0:
                    return seen[w] / sum(seen.values())
                return seen[w] / n if w in seen else left / n / unseen
            if len(after) == self.words:
                return seen[w] / sum(seen.values())
            if w in seen:
                return seen[w] / n
            return left / n * p(h[1:], w) / (1 - sum(p(h[1:], v) for v in after))

        return p(self.context(history), w)


def modified_discounts(counts: Sequence[int]) -> tuple[float, float, float] | None:
    """D1, D2, D3+ by Chen and Goodman's equation 26; None where they cannot be had."""
    n = Counter(counts)
    if not (n[1] and n[2] and n[3]):
        return None
    y = n[1] / (n[1] + 2 * n[2])
    d = (1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
    return d if all(1e-9 < x <= j for j, x in enumerate(d, 1)) else None
