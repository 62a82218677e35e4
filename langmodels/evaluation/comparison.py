"""`compare`: models held against one another on the same text, character for character."""

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
from langmodels.evaluation.budgets import expected_times, parse_budget, run_within
from langmodels.evaluation.candidates import Candidate, Models, label_asked, make_candidates
from langmodels.evaluation.forecast import Work
from langmodels.evaluation.levels import Material, least_count
from langmodels.evaluation.measuring import PLANS, AnyRun, Plan
from langmodels.evaluation.report import write_report
from langmodels.evaluation.report.figures import save_figures, save_plot
from langmodels.evaluation.report.html import fragment
from langmodels.evaluation.report.terminal import render
from langmodels.evaluation.results import ClozeResult, ModelResult, Results, records
from langmodels.evaluation.running import (
    RunCache,
    Trial,
    forecast_of,
    run_trials,
    worthwhile_jobs,
)
from langmodels.evaluation.significance import ALL
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


class Comparison:
    """What `compare` found: prints in a terminal and in a notebook, saves and loads.

    `results` has every figure as plain data.
    """

    def __init__(self, results: Results) -> None:
        self.results = results

    def records(self) -> list[dict[str, Any]]:
        """One flat record a model, best first, for a data frame or a CSV file."""
        return records(self.results)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; see `langmodels.interchange` for infinite figures."""
        data: dict[str, Any] = jsonable(self.results)
        return data

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a JSON file that `load` reads."""
        with atomic_write(path) as file:
            file.write(f"{json_text(self.results, 1)}\n".encode("utf-8", "replace"))

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str]) -> "Comparison":
        """Read a saved comparison. Raises LangmodelsError where the file is none."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(structure(Results, data))
        except OSError as error:
            raise unreadable(path, error) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LangmodelsError(
                f"{path} is not a saved comparison, which `compare --report FILE.json` writes."
            ) from error

    @checked
    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a report: .html, .md, .tex, .csv or .json, by the ending of the name."""
        write_report(self.results, path)

    @checked
    def figures(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the plots of the report as PDF files into a folder; return their paths.

        Raises LangmodelsError without matplotlib.
        """
        return save_figures(self.results, folder)

    @checked
    def plot(self, path: str | os.PathLike[str], names: Sequence[str] = ("quality",)) -> None:
        """Draw into a .png, .svg or .pdf; `names` are those of `report.plots.PLOTS`."""
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

    Finished models are compared with them, as they are.

    Args:
        models: names with options (`"kneser-ney:order=3"`, `"mkn:level=char"`), files, models, or a
            mapping of labels to any of these; None for all registered models that are compared by
            default. Unfitted models are fitted at the level of `corpus`; fitted ones and files are
            measured as they are, in their own tokens and vocabulary. Where one fills blanks, as
            `"bidirectional-gru"` does, all are put to that task, too.
        corpus: splits that kept their text, or a text (a string, the `pathlib.Path` of a file, a
            list of lines), which is divided 80/10/10.
        levels: units at which named models are trained; by default that of the splits, or words.
        order: of n-gram models, by default the level's.
        seed: of everything random.
        seeds: how many seeds random models are trained with.
        budget: "quick", "standard" or "thorough": what the models may cost; or a time for all of it
            ("90s", "10m", "2h"), of which networks have what is left: see `budgets`.
        min_count: least count of known tokens at levels whose types are often rare, where `corpus`
            does not say it: in a text, and at other levels than that of the splits. None: 2 for
            words, 1 for what is tokenized already, as for everything else.
        max_size: largest vocabulary of words there.
        source: where the text came from; its entropy, if known, is the limit.
        plan: what is measured; by default the budget's plan.
        jobs: processes, or an open executor, such as `langmodels.executor(scheduler=...)` is;
            figures do not depend on it, but times do. None: one process a network, up to the number
            of processors and four.
        cache: folder where finished runs are kept and looked up; None for no cache.
        against: label of the model that all others are tested against, or "all" for every pair; by
            default neighbours in the ranking are tested.
        draws: how many settings of each sweep (`"lstm:hidden=64|128:dropout=0|0.3"`) are trained,
            drawn by the seed; None for all. That with the least loss on the validation text stands
            in the comparison.
        compressors: whether those of Python's standard library are shown beside the models.
        settings: further settings to record.
        on_finished: called with the figures of every model as soon as they are complete, one that
            was tried in a sweep as well.
        began: when the work on the text began, by `time.monotonic`, from where a budget that is a
            time counts; None: now.

    Returns the comparison of all models that finished; those that failed are listed with the
    reason, and on Ctrl-C the others as unfinished. A model's figures do not depend on what it is
    compared with.

    Raises UsageError for unknown names and impossible settings, LangmodelsError for a text that is
    too small or lacks, and where every model fails.
    """
    seconds = parse_budget(budget)
    began = time.monotonic() if began is None else began
    if seeds < 1:
        raise UsageError(f"The number of seeds must be at least 1, not {seeds}.")
    if not isinstance(corpus, Splits):
        level = levels[0] if levels else "word"
        tokenizer = make_tokenizer(level)
        least = least_count(tokenizer, min_count)
        corpus = Splits.from_text(corpus, tokenizer, min_count=least)
    material = Material(corpus, min_count=min_count, max_size=max_size)
    levels = tuple(dict.fromkeys(levels)) or (material.level,)
    preset = budget if seconds is None else "standard"
    setting = Setting(level=levels[0], order=order, seed=seed, budget=preset)
    if draws is not None and draws < 1:
        raise UsageError(f"At least one setting of a sweep must be drawn, not {draws}.")

    def tokens_at(level: str) -> int:
        return material.at(level).splits.train.n_tokens

    found = make_candidates(models, levels, setting, draws, tokens_at)
    if draws is not None and not any(candidate.sweep for candidate in found):
        raise UsageError("There is no sweep to draw from; give an option several values, a=1|2.")
    if against is not None and against != ALL:
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
    if against is not None and against != ALL:
        names = names_in_tests(candidates)
        if find_name(against, names) is None:
            meant = [name for name in names if name.startswith(f"{against} (")] or names
            raise UsageError(f"Say which model is to be tested against: one of {', '.join(meant)}.")
    plan = plan or PLANS[preset]
    if not any(candidate.fills_blanks for candidate in candidates):
        plan = replace(plan, blanks=0)
    trials = [
        Trial(candidate, each) for candidate in candidates for each in candidate.seeds(seed, seeds)
    ]
    if jobs is None:
        jobs = worthwhile_jobs(trials)
    kept = RunCache(cache) if cache else None
    seen: dict[tuple[str, str], dict[int, AnyRun]] = {}

    def tell(trial: Trial, run: AnyRun) -> None:
        candidate = trial.candidate
        runs = seen.setdefault((candidate.label, candidate.level), {})
        runs[trial.seed] = run
        if on_finished is not None and len(runs) == len(candidate.seeds(seed, seeds)):
            on_finished(model_result(material, candidate, runs, seed))

    if seconds is None:
        new = [i for i, t in enumerate(trials) if kept is None or not kept.has(t, material, plan)]
        expected = None
        if shown() and new:
            times, measured = expected_times([trials[i] for i in new], material, plan, jobs)
            by_trial = dict(zip(new, times, strict=True))
            expected = [by_trial.get(i, Work(0.0)) for i in range(len(trials))]
            if measured:
                left = forecast_of(expected, trials, jobs).left()
                say(f"About {duration(left)}, if no network stops early.")
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
    finished: dict[str, tuple[Candidate, dict[int, AnyRun]]] = {}
    for i, run in sorted(runs.items()):
        trial = trials[i]
        key = f"{trial.candidate.label}\n{trial.candidate.level}"
        finished.setdefault(key, (trial.candidate, {}))[1][trial.seed] = run
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
