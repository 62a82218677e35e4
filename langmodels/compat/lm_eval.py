"""Models for EleutherAI's evaluation harness, the package `lm-eval` (0.4).

    import lm_eval
    from langmodels.compat.lm_eval import HarnessModel

    lm_eval.simple_evaluate(model=HarnessModel("tale.lm"), tasks=["lambada_openai"])

Importing this module registers the name `langmodels` with the harness, for `model="langmodels"` and
`model_args="model=tale.lm"`.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from langmodels.arrays import FloatArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.models.base import LanguageModel
from langmodels.registry import load
from langmodels.text.cleaning import clean

_MOST = 256
"""Most tokens that are generated if a task does not say how many."""


@register_model("langmodels")
class HarnessModel(LM):  # type: ignore[misc]
    """Any language model, as the harness uses it: requests are answered by scores and samples.

    For models of lines, such as those of words, each line of a request that is not blank is a
    sequence: only the line in which a continuation begins is its context. A token that begins in
    the context and ends in the continuation belongs to the continuation.

    Args:
        model: a fitted model, or a name that `load` opens.
        seed: seed of texts that are not generated greedily.
    """

    def __init__(
        self, model: LanguageModel[Any] | str | os.PathLike[str], seed: int = 0, **_: Any
    ) -> None:
        super().__init__()
        self.model = model if isinstance(model, LanguageModel) else load(model)
        self.rng = np.random.default_rng(seed)

    def loglikelihood(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """(log p(continuation | context) in nats, whether greedy decoding gives it)."""
        return [self._continuation(*request.args) for request in requests]

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """Log p of whole texts in nats."""
        return [float(self._scores(request.args[0])[1].sum()) for request in requests]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Generate a continuation of each context, up to the first of the strings that end it."""
        return [self._generated(*request.args) for request in requests]

    def _continuation(self, context: str, continuation: str) -> tuple[float, bool]:
        if self.model.reading.has_lines:
            context = context.rpartition("\n")[2]
            context = context if context.strip() else ""
        ids, scores = self._scores(context + continuation)
        first = self._tokens_within(context, continuation)
        return float(scores[first:].sum()), self._is_greedy(ids, first)

    def _tokens_within(self, context: str, continuation: str) -> int:
        """How many tokens of context and continuation end in the context, which is one line."""
        cleaning, tokenizer = self.model.cleaning, self.model.tokenizer
        line = self._lines(context + continuation)[0]
        line, context = ("".join(clean([text], cleaning)) for text in (line, context))
        try:
            return int(np.count_nonzero(tokenizer.token_ends(line) <= len(context)))
        except LangmodelsError:  # tokens that are not substrings of the text
            return len(tokenizer.tokenize(context))

    def _lines(self, text: str) -> list[str]:
        if not self.model.reading.has_lines:
            return [text]
        *lines, last = text.split("\n")
        return [*(line for line in lines if line.strip()), last]

    def _scores(self, text: str) -> tuple[IntArray, FloatArray]:
        """The ids of a text without its last end, and log p of each in nats."""
        sequences = self.model.sequences_of(self._lines(text))
        ids, scores = sequences.targets, self.model.score_sequences(sequences)
        return (ids[:-1], scores[:-1]) if self.model.vocabulary.ends else (ids, scores)

    def _is_greedy(self, ids: IntArray, first: int) -> bool:
        """Whether every token from index `first` on is the most probable one."""
        model = self.model
        state = model.start()
        for k, token in enumerate(ids.tolist()):
            if k >= first and token != int(np.argmax(model.log_distribution(state))):
                return False
            ended = token == model.vocabulary.eos_id
            state = model.start() if ended else model.advance(state, token)
        return True

    def _generated(self, context: str, options: dict[str, Any]) -> str:
        until = options.get("until") or []
        ends = [until] if isinstance(until, str) else list(until)
        greedy = not options.get("do_sample") or not options.get("temperature", 1.0)
        text = self.model.sample_text(
            self._lines(context)[-1],
            max_tokens=int(options.get("max_gen_toks", _MOST)),
            greedy=greedy,
            temperature=1.0 if greedy else float(options.get("temperature", 1.0)),
            top_k=options.get("top_k") or None,  # 0 is none in the harness
            top_p=options.get("top_p") or None,
            seed=self.rng,
        )
        return min((text.partition(end)[0] for end in ends if end), key=len, default=text)
