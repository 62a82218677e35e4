"""`compare`: train and measure several models on the same split of a text."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from langmodels.arguments import Seed, checked
from langmodels.datasets import Source
from langmodels.errors import LangmodelsError, UsageError, unreadable
from langmodels.evaluation.budgets import parse_budget, run_within
from langmodels.evaluation.candidates import Candidate, Models, Trial, label_asked, make_candidates
from langmodels.evaluation.forecast import Work
from langmodels.evaluation.levels import Material, least_count
from langmodels.evaluation.measuring import PLANS, AnyRun, Plan
from langmodels.evaluation.report import write_report
from langmodels.evaluation.report.figures import save_figures, save_plot
from langmodels.evaluation.report.html import fragment
from langmodels.evaluation.report.terminal import render
from langmodels.evaluation.results import ClozeResult, ModelResult, Results, records
from langmodels.evaluation.run_cache import RunCache
from langmodels.evaluation.running import (
    forecast_of,
    run_trials,
    worthwhile_jobs,
)
from langmodels.evaluation.significance import ALL
from langmodels.evaluation.speeds import expected_times
from langmodels.evaluation.summary import find_name, model_result, names_in_tests, summarise
from langmodels.execution import Jobs
from langmodels.formatting import duration
from langmodels.interchange import json_text, jsonable, structure
from langmodels.presets import Setting
from langmodels.progress import say, shown
from langmodels.storage import atomic_write
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits
from langmodels.text.streams import RawText

_SHORT = 30.0
"""The longest time, in seconds, that is not told at the beginning unless it was measured."""


class Comparison:
    """The outcome of `compare`. It displays itself in terminals and notebooks.

    `results` holds every figure as plain data.
    """

    def __init__(self, results: Results) -> None:
        self.results = results

    def records(self) -> list[dict[str, Any]]:
        """One flat dictionary per model, best first, for a data frame or a CSV file."""
        return records(self.results)

    def to_json(self) -> dict[str, Any]:
        """All results as JSON values; see `langmodels.interchange` for infinite figures."""
        data: dict[str, Any] = jsonable(self.results)
        return data

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all results to a JSON file, which `load` reads."""
        with atomic_write(path) as file:
            file.write(f"{json_text(self.results, 1)}\n".encode("utf-8", "replace"))

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str]) -> "Comparison":
        """Read a saved comparison.

        Raises LangmodelsError where the file cannot be read or holds anything else.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(structure(Results, data))
        except OSError as error:
            raise unreadable(path, error) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LangmodelsError(
                f"{path} is not a saved comparison; `langmodels compare --report FILE.json` writes "
                "one."
            ) from error

    @checked
    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a report; the suffix of `path` chooses .html, .md, .tex, .csv or .json.

        Raises what `write_report` raises.
        """
        write_report(self.results, path)

    @checked
    def figures(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write each plot of the report to a PDF file in a folder; returns their paths.

        Raises LangmodelsError where matplotlib is not installed.
        """
        return save_figures(self.results, folder)

    @checked
    def plot(self, path: str | os.PathLike[str], names: Sequence[str] = ("quality",)) -> None:
        """Draw the plots of these `names`, keys of `report.plots.PLOTS`, side by side in one
        .png, .svg or .pdf file.

        Raises UsageError for other names, LangmodelsError where matplotlib is not installed.
        """
        save_plot(self.results, path, names)

    def __rich__(self) -> RenderableType:
        return render(self.results)

    def __repr__(self) -> str:
        models = self.results.models
        best = f", {models[0].label} best" if models else ""
        return f"<Comparison of {len(models)} models{best}>"

    def _repr_html_(self) -> str:
        return fragment(self.results)


@checked
def compare(
    models: Models | None,
    corpus: Splits | RawText,
    *,
    levels: Sequence[str] = (),
    order: int | None = None,
    seed: Seed = 0,
    seeds: int = 1,
    budget: str = "standard",
    min_count: int | None = None,
    max_size: int | None = None,
    source: Source | None = None,
    plan: Plan | None = None,
    jobs: Jobs | None = 1,
    cache: str | os.PathLike[str] | None = None,
    against: str | None = None,
    draws: int | None = None,
    compressors: bool = False,
    settings: Mapping[str, Any] | None = None,
    on_finished: Callable[[ModelResult | ClozeResult], None] | None = None,
    began: float | None = None,
) -> Comparison:
    """Train models on the training part of a text and compare them on its test part.

    Fitted models can take part; they are measured without further training.

    Args:
        models: names with options (`"kneser-ney:order=3"`, `"mkn:level=char"`), paths of model
            files, models, or a mapping of labels to any of these; None for the registered models
            that are compared by default. Unfitted models are fitted at the level of `corpus`;
            fitted ones and files are measured as they are, with their own tokens and vocabulary.
            Where one only fills blanks, as `"bidirectional-gru"` does, all are measured on that
            task, too.
        corpus: splits that kept their text, or a text (a string, the `pathlib.Path` of a file, a
            list of lines), which is divided 80/10/10.
        levels: units at which named models are trained; by default that of the splits, or words.
        order: order of n-gram models; None for the default of the level.
        seed: seed of training, sampling and resampling.
        seeds: how many seeds random models are trained with.
        budget: "quick", "standard" or "thorough", which sets the sizes and epochs of models; or a
            time for the whole comparison ("90s", "10m", "2h"), of which networks get what n-gram
            models leave; see `budgets`.
        min_count: least training count of a known token at levels whose types are often rare; used
            where `corpus` is a text, and at levels other than that of the splits. None for the
            default of the tokenizer: 2 for words, 1 for all else, text tokenized before included.
        max_size: largest vocabulary at such levels, other than that of the splits; None: no limit.
        source: where the text came from; its entropy, if known, is shown as the limit.
        plan: what is measured; None for the plan of the budget.
        jobs: number of processes, or an open executor, such as
            `langmodels.executor(scheduler=...)`; times depend on it, other figures do not. None for
            one process per network, at most four and at most the number of processors.
        cache: folder in which finished runs are stored and looked up; None for no cache.
        against: label of the model that all others are tested against, or "all" to test every pair;
            None to test each model against the next one in the ranking.
        draws: how many settings of each sweep (`"lstm:hidden=64|128:dropout=0|0.3"`) are trained,
            drawn at random with `seed`; None for all. The setting with the least validation loss
            enters the comparison.
        compressors: whether to show the compressors of Python's standard library, too.
        settings: further settings to record in the results.
        on_finished: called with the figures of each model as soon as it has been trained with all
            its seeds, each setting of a sweep included.
        began: the time, by `time.monotonic`, from which a time budget counts; None for now.

    Returns the comparison of all models that finished. Models that failed are listed with the
    reason; after Ctrl-C, those that remain are listed as unfinished. The figures of a model do not
    depend on which others it is compared with.

    Raises UsageError for unknown names and impossible settings, LangmodelsError where the text is
    missing or too small, or where every model fails.
    """
    seconds = parse_budget(budget)
    began = time.monotonic() if began is None else began
    if seeds < 1:
        raise UsageError(f"The number of seeds must be at least 1, not {seeds}.")
    if draws is not None and draws < 1:
        raise UsageError(f"At least one setting of a sweep must be drawn, not {draws}.")
    if not isinstance(corpus, Splits):
        level = levels[0] if levels else "word"
        tokenizer = make_tokenizer(level)
        least = least_count(tokenizer, min_count)
        corpus = Splits.from_text(corpus, tokenizer, min_count=least)
    material = Material(corpus, min_count=min_count, max_size=max_size)
    levels = tuple(dict.fromkeys(levels)) or (material.level,)
    preset = budget if seconds is None else "standard"
    setting = Setting(level=levels[0], order=order, seed=seed, budget=preset)
    candidates, against = _candidates(models, levels, setting, draws, against, material)
    plan = plan or PLANS[preset]
    if not any(candidate.fills_blanks for candidate in candidates):
        plan = replace(plan, blanks=0)
    trials = [
        Trial(candidate, each) for candidate in candidates for each in candidate.seeds(seed, seeds)
    ]
    if jobs is None:
        jobs = worthwhile_jobs(trials)
    kept = RunCache(cache or None)
    seen: dict[tuple[str, str], dict[int, AnyRun]] = {}

    def tell(trial: Trial, run: AnyRun) -> None:
        candidate = trial.candidate
        runs = seen.setdefault((candidate.label, candidate.level), {})
        runs[trial.seed] = run
        if on_finished is not None and len(runs) == len(candidate.seeds(seed, seeds)):
            on_finished(model_result(material, candidate, runs, seed))

    if seconds is None:
        expected = _forecast_work(trials, material, plan, jobs, kept) if shown() else None
        runs, failed = run_trials(
            trials, material, plan, jobs=jobs, cache=kept, expected=expected, tell=tell
        )
    else:
        trials, runs, failed = run_within(
            seconds, trials, material, plan, jobs=jobs, cache=kept, tell=tell, began=began
        )
    names = names_in_tests([trial.candidate for trial in trials])
    failures = {
        f"{names[i]}, seed {trials[i].seed}" if names.count(names[i]) > 1 else names[i]: str(error)
        for i, error in sorted(failed.items())
    }
    if failed and not runs:
        raise LangmodelsError("; ".join(f"{label}: {why}" for label, why in failures.items()))
    finished: dict[tuple[str, str], tuple[Candidate, dict[int, AnyRun]]] = {}
    for i, run in sorted(runs.items()):
        candidate = trials[i].candidate
        key = candidate.label, candidate.level
        finished.setdefault(key, (candidate, {}))[1][trials[i].seed] = run
    recorded = {
        "levels": list(levels),
        "order": order,
        "seed": seed,
        "seeds": seeds,
        "budget": budget,
        "max_size": max_size,
        "against": against,
        **({} if draws is None else {"draws": draws}),
        **(settings or {}),
    }
    missing = [name for i, name in enumerate(names) if i not in runs and i not in failed]
    return Comparison(
        summarise(
            material,
            list(finished.values()),
            source,
            recorded,
            seed,
            missing,
            failures,
            against,
            compressors,
        )
    )


def _candidates(
    models: Models | None,
    levels: Sequence[str],
    setting: Setting,
    draws: int | None,
    against: str | None,
    material: Material,
) -> tuple[list[Candidate], str | None]:
    """The candidates that names and models stand for, and the label that `against` stands for.

    The defaults of named models depend on the length of the text at their level. Finished models
    get the level at which `material` has the text as they read it. Raises UsageError where names or
    options are unknown, there is no sweep to draw from, or `against` is none or several of the
    models.
    """

    def tokens_at(level: str) -> int:
        return material.at(level).splits.train.n_tokens

    found = make_candidates(models, levels, setting, draws, tokens_at)
    if draws is not None and not any(candidate.sweep for candidate in found):
        raise UsageError(
            "There is no sweep to draw from; give an option several values, as in "
            "lstm:hidden=64|128."
        )
    one_asked = against is not None and against != ALL
    if against is not None and one_asked:
        against = label_asked(against, found)
        labels = [candidate.label for candidate in found]
        if against.partition(" (")[0] not in labels:
            raise UsageError(
                f"There is no model {against!r} to test against; there are {', '.join(labels)}."
            )
    for level in dict.fromkeys(c.level for c in found if not c.given):
        if chosen := replace(setting, level=level, tokens=tokens_at(level)).chosen:
            say(chosen)
    candidates = [
        candidate
        if candidate.finished is None
        else replace(candidate, level=material.read_by(candidate.finished, candidate.label, levels))
        for candidate in found
    ]
    if against is not None and one_asked:
        names = names_in_tests(candidates)
        if find_name(against, names) is None:
            meant = [name for name in names if name.startswith(f"{against} (")] or names
            raise UsageError(f"Say which model to test against: one of {', '.join(meant)}.")
    return candidates, against


def _forecast_work(
    trials: Sequence[Trial], material: Material, plan: Plan, jobs: Jobs, cache: RunCache
) -> list[Work] | None:
    """The expected time of each trial, 0 for those in the cache; None where all are.

    Prints the expected total, unless that is short and was not measured.
    """
    new = [i for i, t in enumerate(trials) if not cache.has(t, material, plan)]
    if not new:
        return None
    times, measured = expected_times([trials[i] for i in new], material, plan, jobs)
    by_trial = dict(zip(new, times, strict=True))
    expected = [by_trial.get(i, Work(0.0)) for i in range(len(trials))]
    left = forecast_of(expected, trials, jobs).left()
    if measured or left > _SHORT:
        how = "" if measured else " at usual speeds"
        say(f"About {duration(left)}{how}, if no network stops early.")
    return expected
