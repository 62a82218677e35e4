"""`scale`: how quality and cost grow with the training text, and the time of one prediction with
the context.
"""

from dataclasses import replace
from typing import Any

from langmodels.arguments import checked
from langmodels.errors import UsageError
from langmodels.evaluation.budgets import parse_budget
from langmodels.evaluation.candidates import Models, make_candidates
from langmodels.evaluation.comparison import Comparison, compare
from langmodels.evaluation.measuring import PLANS
from langmodels.presets import BUDGETS, Setting
from langmodels.text.splits import Splits
from langmodels.text.streams import RawText

CONTEXTS = (1, 4, 16, 64, 256, 1024)
"""Context lengths, in tokens, at which one prediction is timed."""

MAX_DOUBLINGS = 20
"""2^20 parts: a text of a million tokens begins with one."""


@checked
def scale(
    models: Models | None,
    corpus: Splits | RawText,
    *,
    doublings: int = 4,
    budget: str = "standard",
    **options: Any,
) -> Comparison:
    """Train every model on the first n / 2^doublings, ..., n / 2, n training tokens, and measure
    loss, size, memory and time at each size.

    All sizes have the same vocabulary and test text. `options` are those of `compare`. Returns a
    full comparison. Raises UsageError for less than 2 or more than `MAX_DOUBLINGS` doublings, for a
    time as budget, for finished models, sweeps and models that only fill blanks, and all that
    `compare` raises.
    """
    if not 2 <= doublings <= MAX_DOUBLINGS:
        raise UsageError(
            f"Scaling needs from 2 to {MAX_DOUBLINGS} doublings of the text, not {doublings}."
        )
    if parse_budget(budget) is not None:
        raise UsageError(
            "Scaling has no time budget, since every model is trained on texts of several sizes; "
            f"name a budget: {', '.join(BUDGETS)}."
        )
    levels = options.get("levels") or [Setting().level]
    for candidate in make_candidates(models, levels, Setting()):
        if candidate.fills_blanks:
            raise UsageError(
                f"{candidate.label} only fills blanks; scaling is for language models."
            )
        if candidate.sweep is not None:
            raise UsageError(
                f"{candidate.sweep.name} is a sweep; choose a setting with `langmodels compare` "
                "first, and scale that one."
            )
        if candidate.finished is not None:
            raise UsageError(
                f"{candidate.label} is trained already; scaling trains every model, so name it "
                "with its options instead."
            )
    growth = tuple(2.0**-k for k in range(doublings, 0, -1))
    plan = replace(PLANS[budget], growth=growth, contexts=CONTEXTS)
    return compare(models, corpus, budget=budget, plan=plan, **options)
