"""`scale`: how cost and quality grow with the training text, and a step's cost with the context."""

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
"""Lengths of the context after which a step is timed."""

MAX_DOUBLINGS = 20


@checked
def scale(
    models: Models | None,
    corpus: Splits | RawText,
    *,
    doublings: int = 4,
    budget: str = "standard",
    **options: Any,
) -> Comparison:
    """Train every model on texts of size n / 2^doublings, ..., n / 2, n and measure what grows.

    All sizes share vocabulary and test text. `options` are those of `compare`; the comparison that
    comes back is a full one. Raises UsageError for less than two doublings, for models that only
    fill blanks and for finished ones, and what `compare` raises.
    """
    if not 2 <= doublings <= MAX_DOUBLINGS:
        raise UsageError(
            f"Scaling needs from 2 to {MAX_DOUBLINGS} doublings of the text, not {doublings}."
        )
    if parse_budget(budget) is not None:
        raise UsageError(
            "Scaling trains every model on texts of several sizes, which a time is not given out "
            f"for; name a budget: {', '.join(BUDGETS)}."
        )
    levels = options.get("levels") or [Setting().level]
    for candidate in make_candidates(models, levels, Setting()):
        if candidate.fills_blanks:
            raise UsageError(f"{candidate.label} fills blanks; scaling is for language models.")
        if candidate.sweep is not None:
            raise UsageError(
                f"{candidate.sweep.name} is a sweep; choose a setting with `langmodels compare` "
                "first, and scale that one."
            )
        if candidate.finished is not None:
            raise UsageError(f"{candidate.label} is finished; scaling trains models anew.")
    growth = tuple(2.0**-k for k in range(doublings, 0, -1))
    plan = replace(PLANS[budget], growth=growth, contexts=CONTEXTS)
    return compare(models, corpus, budget=budget, plan=plan, **options)
