"""From runs to results: means over seeds, intervals, tests and breakdowns of the loss."""

import math
import os
import platform
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from langmodels import __version__
from langmodels.arrays import FloatArray
from langmodels.datasets import Source
from langmodels.evaluation.blanks import mean_filled
from langmodels.evaluation.breakdown import bits, disagreements
from langmodels.evaluation.candidates import Candidate, SweepOf
from langmodels.evaluation.compressors import compressed_sizes
from langmodels.evaluation.contexts import context_counts
from langmodels.evaluation.levels import LevelMaterial, Material
from langmodels.evaluation.measuring import AnyRun, ClozeRun, Fit, Run
from langmodels.evaluation.results import (
    ClozeResult,
    Compressor,
    Cost,
    Differences,
    Growth,
    LevelResult,
    Limit,
    ModelResult,
    PairedTest,
    Results,
    Sweep,
    Text,
    Timing,
    Try,
    Validation,
)
from langmodels.evaluation.significance import ALL, Ranked, one_against_all, paired_tests
from langmodels.evaluation.statistics import (
    block_sums,
    bootstrap_interval,
    growth_exponent,
)
from langmodels.models.scores import perplexity_at
from langmodels.text.corpus import Corpus
from langmodels.text.splits import Splits
from langmodels.text.vocabulary import UNK

LONGEST_CONTEXT = 8
"""Tokens of the longest contexts that are looked up in the training text."""

PASSAGE = 400
"""Characters of the passage whose losses are shown token by token."""


def summarise(
    material: Material,
    finished: Sequence[tuple[Candidate, dict[int, AnyRun]]],
    source: Source | None,
    settings: dict[str, Any],
    seed: int,
    unfinished: Sequence[str] = (),
    failures: Mapping[str, str] | None = None,
    against: str | None = None,
    compressors: bool = False,
) -> Results:
    """The results of a comparison, from the runs of its candidates.

    Args:
        material: the text, at every level.
        finished: candidates with their runs by seed.
        source: where the text came from, if known.
        settings: what is recorded of the call.
        seed: of resampling.
        unfinished: names of models that Ctrl-C left unfinished.
        failures: why other models have no figures, by name.
        against: as in `compare`.
        compressors: whether to measure the compressors of the standard library.

    Of a sweep, only the setting with the least validation loss is compared.
    """
    measured = [
        _Summary(candidate, found, material.at(candidate.level), seed)
        for candidate, runs in finished
        if (found := {s: run for s, run in runs.items() if isinstance(run, Run)})
    ]
    sweeps, passed_over = _choose(measured)
    summaries = sorted((s for s in measured if s not in passed_over), key=lambda s: s.rank)
    levels = list(dict.fromkeys(candidate.level for candidate, _ in finished))
    splits = material.splits
    limit = None
    per = {material.at(level).costs.per for level in levels}
    if source is not None and source.entropy_bits is not None and per == {"char"}:
        limit = Limit(source.entropy_bits, source.entropy_is_bound, source.entropy_note)
    parts = (splits.train, splits.validation, splits.test)
    shared = material.at(levels[0])
    name = source.name if source else splits.train.name.removesuffix(" (training part)")
    return Results(
        text=Text(
            name,
            source.description if source and not source.is_plain else "",
            splits.how,
            tuple(c.characters for c in parts),  # type: ignore[arg-type]
            tuple(1 if c.lines is None else len(c.lines) - 1 for c in parts),  # type: ignore[arg-type]
            shared.resampled,
            len(shared.edges) - 1,
        ),
        limit=limit,
        levels=[_level_result(material.at(level)) for level in levels],
        models=[s.result() for s in summaries],
        tests=_tests(summaries, seed, against),
        differences=_differences(summaries),
        settings=settings,
        environment=_environment(),
        unfinished=list(dict.fromkeys(unfinished)),
        failures=dict(failures or {}),
        clear_best=_is_clear(summaries, seed),
        sweeps=sweeps,
        compressors=_compressors(splits) if compressors else [],
        cloze=[
            _cloze_result(candidate, cloze_runs)
            for candidate, runs in finished
            if (cloze_runs := [run for run in runs.values() if isinstance(run, ClozeRun)])
        ],
    )


def model_result(
    material: Material, candidate: Candidate, runs: Mapping[int, AnyRun], seed: int
) -> ModelResult | ClozeResult:
    """The figures of one candidate, from its runs by seed."""
    fitted = {s: run for s, run in runs.items() if isinstance(run, Run)}
    if fitted:
        return _Summary(candidate, fitted, material.at(candidate.level), seed).result()
    return _cloze_result(candidate, [run for run in runs.values() if isinstance(run, ClozeRun)])


def _compressors(splits: Splits) -> list[Compressor]:
    """What the compressors of the standard library make of the test text.

    Raises LangmodelsError where the splits did not keep their text.
    """
    train, test = ("".join(part.stream()) for part in (splits.train, splits.test))
    before, alone, both = (
        compressed_sizes(text.encode("utf-8", "surrogatepass"))
        for text in (train, test, train + test)
    )
    n = max(1, len(test))
    return [
        Compressor(name, 8 * alone[name] / n, 8 * (both[name] - before[name]) / n) for name in alone
    ]


def _cloze_result(candidate: Candidate, runs: Sequence[ClozeRun]) -> ClozeResult:
    return ClozeResult(
        candidate.label,
        candidate.name,
        candidate.level,
        candidate.summary,
        as_recorded(candidate.options),
        runs[0].parameters,
        runs[0].seconds,
        mean_filled([run.filled for run in runs]),
    )


def _choose(measured: Sequence["_Summary"]) -> tuple[list[Sweep], set["_Summary"]]:
    """The sweeps, one per level, and the settings of each that were not chosen: all but that with
    the least validation loss.
    """
    groups: dict[tuple[SweepOf, str], list[_Summary]] = {}
    for summary in measured:
        candidate = summary.candidate
        if candidate.sweep is not None:
            groups.setdefault((candidate.sweep, candidate.level), []).append(summary)
    sweeps, passed_over = [], set[_Summary]()
    for (sweep, level), tried in groups.items():
        tried.sort(key=lambda s: (s.validation, s.label))
        passed_over.update(tried[1:])
        tries = [
            Try(
                s.label,
                as_recorded({k: s.candidate.options.get(k) for k in sweep.options}),
                s.validation_figures,
                perplexity_at(-float(s.scores.mean())),
                s.bits_per_character,
                len(s.runs),
                s is tried[0],
            )
            for s in tried
        ]
        sweeps.append(Sweep(sweep.name, level, sweep.settings, tries))
    return sweeps, passed_over


class _Summary:
    """The runs of one candidate: figures averaged over seeds, and losses by block of the text.

    `scores`: mean log p of every test target, in nats, (n,). `blocks`: bits in each block with each
    of S seeds, (S, B), the extras of the level included; set only where `finite`.
    """

    def __init__(
        self, candidate: Candidate, runs: dict[int, Run], material: LevelMaterial, seed: int
    ) -> None:
        self.candidate = candidate
        self.runs = runs
        self.first = runs[min(runs)]
        self.fits = [
            _mean_fit(fits) for fits in zip(*(run.fits for run in runs.values()), strict=True)
        ]
        self.material = material
        self.seed = seed
        self.scores: FloatArray = np.mean([run.scores for run in runs.values()], axis=0)
        self.characters = material.costs.length
        self.bits_per_character = self._per_character(-float(self.scores.sum()))
        self.zero_share = float(np.isneginf(self.scores).mean())
        self.validation = float(np.mean([run.validation for run in runs.values()]))
        if self.finite:
            costs = [material.costs.extra - run.scores for run in runs.values()]
            sums = [block_sums(each, material.costs.ends, material.edges) for each in costs]
            self.blocks: FloatArray = np.array(sums) / math.log(2)  # (S, B)

    @property
    def label(self) -> str:
        return self.candidate.label

    @property
    def validation_figures(self) -> Validation:
        return Validation(perplexity_at(self.validation), self.validation / math.log(2))

    @property
    def finite(self) -> bool:
        return math.isfinite(self.bits_per_character)

    @property
    def rank(self) -> tuple[float, float, str, str]:
        return (self.bits_per_character, self.zero_share, self.label, self.candidate.level)

    def _per_character(self, nats: float) -> float:
        """Bits per character, from the total loss on the test tokens in nats."""
        total = nats + float(self.material.costs.extra.sum())
        return total / math.log(2) / self.characters

    def result(self) -> ModelResult:
        first, n = self.first, len(self.scores)
        filled = [run.filled for run in self.runs.values() if run.filled is not None]
        growth = [
            Growth(f.tokens, f.size, perplexity_at(f.nats / n), self._per_character(f.nats))
            for f in self.fits
        ]
        tokens = [f.tokens for f in self.fits]
        loss = -float(self.scores.mean())
        token_bits = bits(self.scores)
        groups = self.material.groupings
        shown = passage_length(self.material)
        return ModelResult(
            label=self.label,
            name=self.candidate.name,
            level=self.candidate.level,
            summary=self.candidate.summary,
            options=as_recorded(self.candidate.options),
            perplexity=perplexity_at(loss),
            bits_per_token=loss / math.log(2),
            bits_per_character=self.bits_per_character,
            interval=bootstrap_interval(self.blocks, np.diff(self.material.edges), seed=self.seed)
            if self.finite
            else None,
            zero_share=self.zero_share,
            seeds={s: self._per_character(r.fits[-1].nats) for s, r in sorted(self.runs.items())},
            is_distribution=first.is_distribution,
            parameters=first.parameters,
            context_length=first.context_length,
            growth=growth,
            exponents={
                "size": growth_exponent(tokens, [g.size for g in growth]),
                "bits": growth_exponent(tokens, [g.bits_per_character for g in growth]),
            },
            bands={g.name: g.means(token_bits) for g in groups},
            calibration=first.calibration,
            sample=first.sample,
            passage=token_bits[:shown].tolist(),
            history=first.history,
            warnings=[*first.warnings, *filter(None, [self.candidate.caveat])],
            timing=Timing(
                [Cost(f.tokens, f.seconds, f.peak, f.rate) for f in self.fits],
                first.steps,
                {
                    "seconds": growth_exponent(tokens, [f.seconds for f in self.fits]),
                    "peak": growth_exponent(tokens, [f.peak or math.nan for f in self.fits]),
                    "rate": growth_exponent(tokens, [f.rate for f in self.fits]),
                    "steps": growth_exponent(list(first.steps), list(first.steps.values())),
                },
            ),
            filled=mean_filled(filled) if filled else None,
            finished=self.candidate.finished is not None,
            validation=self.validation_figures,
            perplexities={
                s: perplexity_at(-float(r.scores.mean())) for s, r in sorted(self.runs.items())
            },
        )


def _mean_fit(fits: Sequence[Fit]) -> Fit:
    """The mean over models trained with different seeds; the largest of their memory peaks."""
    peaks = [fit.peak for fit in fits if fit.peak is not None]
    return Fit(
        fits[0].tokens,
        float(np.mean([fit.nats for fit in fits])),
        float(np.mean([fit.seconds for fit in fits])),
        fits[0].size,
        float(np.mean([fit.rate for fit in fits])),
        max(peaks) if peaks else None,
    )


def passage_length(material: LevelMaterial) -> int:
    """The number of targets of the passage that is shown token by token."""
    return int(np.searchsorted(material.costs.ends, PASSAGE, side="right"))


def _level_result(material: LevelMaterial) -> LevelResult:
    train, validation, test = (
        material.splits.train,
        material.splits.validation,
        material.splits.test,
    )
    characters = material.costs.length
    return LevelResult(
        level=material.level,
        tokenizer=repr(test.tokenizer),
        tokens=(train.n_tokens, validation.n_tokens, test.n_tokens),
        types=(train.n_types, validation.n_types, test.n_types),
        oov=(train.n_oov, validation.n_oov, test.n_oov),
        vocabulary=len(train.vocabulary),
        extras={k: v / math.log(2) / characters for k, v in material.costs.parts.items()},
        lowered=bool(getattr(test.tokenizer, "lower", False)),
        per=material.costs.per,
        contexts=context_counts(train, test, LONGEST_CONTEXT),
        groups={g.name: (g.labels, g.counts) for g in material.groupings},
        passage=test.vocabulary.decode(test.targets[: passage_length(material)].tolist()),
        min_count=_least_count(train),
        read_by=material.read_by,
        carried=test.carry,
    )


def _least_count(train: Corpus) -> int:
    """The least count of a known token in the training part.

    Where the corpus has its unknown tokens: one more than the count of the most frequent of them,
    else the count of the rarest known token.
    """
    unknown = Counter(token for token in train.unknown or () if token != UNK)
    if unknown:
        return 1 + max(unknown.values())
    counts = train.id_counts()
    known = counts[train.vocabulary.n_special :]
    return int(known.min()) if len(known) else 0


def _tests(summaries: Sequence["_Summary"], seed: int, against: str | None) -> list[PairedTest]:
    """The tests of `paired_tests`, among models with finite losses.

    No tests, and a warning, where the model to test against has infinite losses or failed: an error
    would discard what may have taken hours to compute.
    """
    ranked, sizes = _ranked(summaries)
    if against is None or against == ALL:
        return paired_tests(ranked, sizes, against, seed)
    named = find_name(against, [name for name, _ in ranked])
    if named is None:
        warnings.warn(
            f"{against} has no finite figures: nothing is tested against it.", stacklevel=2
        )
        return []
    return paired_tests(ranked, sizes, named, seed)


def find_name(asked: str, names: Sequence[str]) -> str | None:
    """Which of `names`, as `names_in_tests` makes them, is meant by a name or label; None where
    none is, or several are.
    """
    if asked in names:
        return asked
    found = [n for n in names if n.startswith(f"{asked} (") or asked.startswith(f"{n} (")]
    return found[0] if len(found) == 1 else None


def _is_clear(summaries: Sequence["_Summary"], seed: int) -> bool:
    """Whether the best model is significantly better than every other one.

    Models with infinite loss count as worse without a test.
    """
    ranked, sizes = _ranked(summaries)
    if len(summaries) < 2 or not ranked:
        return False
    return all(t.significant for t in one_against_all(ranked, sizes, ranked[0][0], seed))


def _ranked(summaries: Sequence["_Summary"]) -> tuple[Ranked, FloatArray]:
    """Models with finite losses, best first, with their bits by block, and the blocks' sizes."""
    finite = [s for s in summaries if s.finite]
    names = names_in_tests([s.candidate for s in summaries])
    ranked = [(name, s.blocks) for name, s in zip(names, summaries, strict=True) if s.finite]
    return ranked, np.diff(finite[0].material.edges) if finite else np.empty(0)


def names_in_tests(candidates: Sequence[Candidate]) -> list[str]:
    """The names of models in tests: their labels, followed by the level where there are several."""
    several = len({candidate.level for candidate in candidates}) > 1
    return [f"{c.label} ({c.level})" if several else c.label for c in candidates]


def _differences(summaries: Sequence[_Summary]) -> list[Differences]:
    """The test tokens on which the two best models of each level differ most."""
    found = []
    for level in dict.fromkeys(s.candidate.level for s in summaries):
        best = [s for s in summaries if s.candidate.level == level and s.finite][:2]
        if len(best) == 2:
            a, b = best
            tokens = disagreements(a.material.splits.test, bits(a.scores), bits(b.scores))
            found.append(Differences(level, (a.label, b.label), tokens))
    return found


def _environment() -> dict[str, str]:
    return {
        "langmodels": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": version("scipy"),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count() or 1),
    }


def as_recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they would be read back from JSON: tuples become lists."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
