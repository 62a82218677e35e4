"""The results of a comparison as tables and sentences, the same for every format."""

from collections.abc import Callable, Iterator, Sequence

from langmodels.evaluation.results import LevelResult, ModelResult, Results, Text
from langmodels.formatting import (
    DASH,
    Table,
    count,
    duration,
    figure,
    interval,
    percent,
    perplexity,
    size,
    times,
)
from langmodels.presets import BUDGETS, Setting

_PARTS = ("training", "validation", "test")
_UNLIKE = "Perplexities and bits per token of different units do not compare; bits/char do."


def heading(results: Results) -> str:
    """A line that names the text of the comparison."""
    text = results.text
    name = text.name or "A text"
    return name if not text.description else f"{name}: {text.description}"


def corpus_table(results: Results) -> Table:
    """The table of the corpus: its parts, tokens, types and unknown tokens."""
    several = len(results.levels) > 1
    rows = []
    for level in results.levels:
        for i, part in enumerate(_PARTS):
            oov = percent(level.oov[i] / max(1, level.tokens[i]))
            unit = [level.reading] if several else []
            rows.append([part, *unit, *map(count, (level.tokens[i], level.types[i])), oov])
            rows[-1].insert(1 + len(unit), count(results.text.characters[i]))
    columns = ["part", *(["unit"] if several else []), "characters", "tokens", "types", "unknown"]
    units = ", ".join(level.reading for level in results.levels)
    notes = [f"Split {results.text.split}; unit of the models: {units}."]
    notes += [note for level in results.levels if (note := rare_note(level))]
    if results.settings.get("cleaning", "none") != "none":
        notes.append(f"The text was cleaned before it was split: {results.settings['cleaning']}.")
    return Table("The text", columns, rows, 2 if several else 1, notes)


def rare_note(level: LevelResult) -> str:
    """A note on how rare tokens were treated, which affects figures much."""
    if level.min_count is None or level.read_by:
        return ""
    if level.oov[0] == 0:
        return "" if level.oov[2] == 0 else f"All {level.unit}s of the training part are known."
    n = level.min_count
    if n < 2:
        return f"The training text itself has <unk> for some {level.unit}s."
    times = {2: "once", 3: "once or twice"}.get(n, f"less than {n} times")
    return f"Training reads {level.unit}s that it has {times} as <unk> (min-count {n})."


def quality_table(results: Results) -> Table:
    """The table of quality: one row per model, best first."""
    several = len(results.levels) > 1
    columns = [*label_columns(results), *(title for title, _ in _figures(results))]
    rows: list[list[str]] = []
    emphasis: set[int] = set()
    limit = results.limit
    for model in results.models:
        if limit and not emphasis and model.bits_per_character > limit.bits:
            emphasis.add(len(rows))
            rows.append(_limit_row(results))
        rows.append([*labels(results, model), *(show(model) for _, show in _figures(results))])
    if limit and not emphasis:
        emphasis.add(len(rows))
        rows.append(_limit_row(results))
    return Table(
        "Quality on the test text, best first",
        columns,
        rows,
        2 if several else 1,
        list(_quality_notes(results)),
        frozenset(emphasis),
    )


def _figures(results: Results) -> list[tuple[str, Callable[[ModelResult], str]]]:
    """Titles and contents of the columns; with several units, the ranking figure comes first."""
    ranking = [
        (f"bits/{results.per}", lambda m: figure(m.bits_per_character, 3)),
        ("95 % interval", _interval),
    ]
    if any(m.spread is not None for m in results.models):
        ranking.append(("seeds ±", lambda m: figure(m.spread, 3)))
    own = [("perplexity", lambda m: perplexity(m.perplexity))]
    if any(m.perplexity_spread is not None for m in results.models):
        own.append(("± of it", lambda m: figure(m.perplexity_spread, 2)))
    if results.per == "char":
        own.append(("bits/token", lambda m: figure(m.bits_per_token, 3)))
    return [*ranking, *own] if len(results.levels) > 1 else [*own, *ranking]


def _interval(model: ModelResult) -> str:
    return interval(model.interval) if model.interval else f"{percent(model.zero_share)} p = 0"


def _limit_row(results: Results) -> list[str]:
    bits = figure(results.limit.bits if results.limit else None, 3)
    cells = {f"bits/{results.per}": bits}
    return [*limit_labels(results), *(cells.get(title, "") for title, _ in _figures(results))]


def _quality_notes(results: Results) -> Iterator[str]:
    yield from _notes_on_figures(results)
    yield from _notes_on_defaults(results)
    for level in results.levels:
        paid = [f"{name} {figure(bits, 3)}" for name, bits in level.extras.items() if bits > 0]
        if paid:
            yield f"Included for models of {_units(level)}, in bits/char: {', '.join(paid)}."
        if level.lowered:
            yield f"Models of {_units(level)} see lower-cased text; capitals are paid for apart."
    yield from _notes_on_training(results)
    if results.limit:
        yield f"The limit: {results.limit.note}."


def _notes_on_figures(results: Results) -> Iterator[str]:
    """How to read the columns, and how the text was scored."""
    if len(results.levels) > 1:
        yield _UNLIKE
    if any(m.zero_share for m in results.models):
        yield (
            "infinite: some test tokens have probability zero; their share stands for the interval."
        )
    for model in results.models:
        if not model.is_distribution:
            yield f"* {model.label}: scores, not probabilities; renormalised at every token here."
    if results.text.resampled == "documents":
        yield f"Intervals and tests are over the {_documents(results.text)} of the test text."
    if any(level.carried for level in results.levels):
        of = "each document" if results.text.documents[2] > 1 else "the text"
        yield (
            f"State is carried over the lines of {of} (--carry): recurrent networks, "
            "Transformers and caches remember what stood before a line."
        )


def _notes_on_defaults(results: Results) -> Iterator[str]:
    """The hyper-parameters that labels do not show: orders, and the defaults of long texts."""
    if orders := _orders(results):
        yield orders
    if any(not m.finished for m in results.models):
        named = str(results.settings.get("budget"))
        budget = named if named in BUDGETS else "standard"
        yield from dict.fromkeys(
            chosen
            for level in results.levels
            if not level.read_by
            and (chosen := Setting(level.level, budget=budget, tokens=level.tokens[0]).chosen)
        )


def _notes_on_training(results: Results) -> Iterator[str]:
    """Which models were not trained here, warnings, sweeps, and single random starts."""
    finished = dict.fromkeys(m.label for m in results.models if m.finished)
    if finished:
        yield (
            f"{', '.join(finished)}: finished, measured as they are; whether they were trained on "
            "any of this text is not known here."
        )
    for warning in dict.fromkeys(w for m in results.models for w in m.warnings):
        of = ", ".join(dict.fromkeys(m.label for m in results.models if warning in m.warnings))
        yield f"{of}: {warning}"
    once = [
        m.label
        for m in results.models
        if "seed" in m.options and len(m.seeds) == 1 and not m.finished
    ]
    for sweep in results.sweeps:
        best, n = sweep.tries[0].label, len(sweep.tries)
        yield f"{best}: the best of {n} settings on the validation text."
    if once:
        of = ", ".join(dict.fromkeys(once))
        yield f"{of}: trained from one random start; --seeds shows how much that matters."


def _documents(text: Text) -> str:
    """How many documents are resampled, and whether some are grouped."""
    n, units = text.documents[2], text.units
    return f"{count(n)} documents" + (f" (in {units} groups)" if units < n else "")


def _units(level: LevelResult) -> str:
    return level.reading.replace(level.unit, f"{level.unit}s", 1)


def _orders(results: Results) -> str:
    """The order of n-gram models, if their labels do not say it."""
    models = [m for m in results.models if m.options.get("order")]
    hidden = [m for m in models if "order=" not in m.label]
    if hidden and len({m.options["order"] for m in models}) == 1:
        return f"Order of n-grams: {hidden[0].options['order']}."
    several = len({m.level for m in hidden if not m.finished}) > 1
    parts = []
    for level in results.levels:
        models = [m for m in hidden if m.level == level.level]
        for order in sorted({m.options["order"] for m in models}):
            of = [m for m in models if m.options["order"] == order]
            named = ", ".join(m.label for m in of if m.finished or not several)
            parts.append(f"{order} ({named or f'{level.unit}s'})")
    return f"Order of n-grams: {', '.join(parts)}." if parts else ""


def labels(results: Results, model: ModelResult) -> list[str]:
    """The cells that name a model: its label with marks, and its unit if there are several."""
    label = model.label + ("" if model.is_distribution else "*")
    unit = next(level.reading for level in results.levels if level.level == model.level)
    return [label, unit] if len(results.levels) > 1 else [label]


def label_columns(results: Results) -> list[str]:
    """The titles of the columns that name a model."""
    return ["model", "unit"] if len(results.levels) > 1 else ["model"]


def compressors_table(results: Results) -> Table | None:
    """The table of compressors; None if they were not asked for."""
    if not results.compressors:
        return None
    rows = [
        [c.name, figure(c.alone, 3), figure(c.after_training, 3)]
        for c in sorted(results.compressors, key=lambda c: c.after_training)
    ]
    notes = [
        "bits/char of the test text: compressed by itself, and by how much it makes a file longer "
        "that begins with the training text. zlib looks back over 32 kB."
    ]
    return Table("Compressors", ["", "alone", "after the training text"], rows, 1, notes)


def sweep_tables(results: Results) -> Iterator[Table]:
    """A table for each sweep: its settings and their figures on the validation text."""
    for sweep in results.sweeps:
        names = list(sweep.tries[0].options)
        columns = [*names, "validation perplexity", "test perplexity", f"test bits/{results.per}"]
        rows = [
            [
                *(_shown(t.options[name]) for name in names),
                perplexity(t.validation.perplexity),
                perplexity(t.perplexity),
                figure(t.bits_per_character, 3),
            ]
            for t in sweep.tries
        ]
        tried = len(sweep.tries)
        drawn = (
            f"{tried} of its {sweep.settings} settings, drawn at random,"
            if (tried < sweep.settings)
            else f"all {tried} settings"
        )
        notes = [
            f"{sweep.name}: {drawn} were trained; the first, with the least loss on the validation "
            "text, stands in the comparison. What the test text says of the others chose nothing."
        ]
        several = len(results.levels) > 1
        where = f", {sweep.level} level" if several else ""
        yield Table(f"Settings tried{where}", columns, rows, len(names), notes, frozenset([0]))


def cost_table(results: Results) -> Table:
    """The table of costs."""
    columns = [*label_columns(results), "parameters", "size", "peak", "training", "tokens/s"]
    rows = [
        [
            *labels(results, m),
            count(m.parameters),
            size(m.size),
            size(m.timing.full.peak),
            duration(m.timing.full.seconds),
            count(_rounded(m.timing.full.rate)),
        ]
        for m in results.models
    ]
    notes = [
        "size: bytes of the model's arrays. peak: growth of resident memory while training "
        "(Linux). tokens/s: scoring the test text, after a warm-up."
    ]
    return Table("Cost", columns, rows, len(label_columns(results)), notes)


def _rounded(value: float) -> float:
    """A number rounded to three significant digits."""
    return float(f"{value:.3g}")


def growth_table(results: Results) -> Table | None:
    """How loss, time and size change with the training text; None if only one size was measured."""
    sizes = training_shares(results)
    if len(sizes) < 2:
        return None
    several = len(results.levels) > 1
    columns = [*label_columns(results), *map(_share, sizes), "time", "size"]
    rows = []
    for m in results.models:
        values = [g.bits_per_character if several else g.perplexity for g in m.growth]
        cells = [figure(v, 3) if several else perplexity(v) for v in values]
        growth = (m.timing.exponents["seconds"].value, m.exponents["size"].value)
        rows.append([*labels(results, m), *padded(cells, len(sizes)), *map(times, growth)])
    emphasis = frozenset[int]()
    if results.limit and (several or results.by_character(results.levels[0].level)):
        bits = results.limit.bits
        emphasis = frozenset([len(rows)])
        cell = figure(bits, 3) if several else perplexity(2**bits)
        rows.append([*limit_labels(results), *[cell] * len(sizes), "", ""])
    what = f"bits/{results.per}" if several else "perplexity"
    notes = [
        f"{what} after training on that share of the training text, its vocabulary kept. "
        "time, size: what a doubling of the text multiplies training time and model size by."
    ]
    left = len(label_columns(results))
    return Table("As the training text grows", columns, rows, left, notes, emphasis)


def training_shares(results: Results) -> list[float]:
    """The measured sizes of the training text as shares of the whole, the whole last."""
    longest = max(results.models, key=lambda m: len(m.growth)).growth
    return [g.tokens / longest[-1].tokens if g.tokens else 1.0 for g in longest]


def padded(cells: Sequence[str], n: int) -> list[str]:
    """Cells for `n` sizes; sizes that were too small for a model get a dash."""
    return [*[DASH] * (n - len(cells)), *cells]


def limit_labels(results: Results) -> list[str]:
    """The cells that name the limit, in the columns of `labels`."""
    return [limit_name(results), *[""] * (len(label_columns(results)) - 1)]


def limit_name(results: Results) -> str:
    bound = results.limit is not None and results.limit.is_bound
    return "bound on the limit" if bound else "the limit (entropy)"


def _share(value: float) -> str:
    return "all" if value > 0.999 else f"1/{round(1 / value)}"


def steps_table(results: Results) -> Table | None:
    """How the time of one prediction grows with the context."""
    lengths = sorted({n for m in results.models for n in m.timing.steps})
    if not lengths:
        return None
    columns = [*label_columns(results), *map(str, lengths), "exponent"]
    rows = [
        [
            *labels(results, m),
            *(_microseconds(m.timing.steps.get(n)) for n in lengths),
            str(m.timing.exponents["steps"]),
        ]
        for m in results.models
    ]
    notes = [
        "Microseconds for one more token after a context of so many. exponent a: time grows as "
        "length^a; 0 is constant."
    ]
    title = "Time for a step, by length of the context"
    return Table(title, columns, rows, len(label_columns(results)), notes)


def _microseconds(seconds: float | None) -> str:
    return DASH if seconds is None else figure(1e6 * seconds, 1 if seconds < 1e-4 else 0)


def unfinished(results: Results) -> list[str]:
    """Sentences on models without figures: those that failed, and those stopped by Ctrl-C."""
    lines = [f"No figures for {label}: {why}" for label, why in results.failures.items()]
    if results.unfinished:
        lines.append(f"Interrupted; not finished: {', '.join(results.unfinished)}.")
    return lines


def samples(results: Results) -> list[tuple[str, str]]:
    """Label and sampled text of each model."""
    return [(" ".join(labels(results, m)), m.sample) for m in results.models]


def settings_table(results: Results) -> Table:
    """The table of settings that determine the figures."""
    rows = [[k, _shown(v)] for k, v in {**results.settings, **results.environment}.items()]
    return Table("Settings", ["setting", "value"], rows, 2)


def models_table(results: Results) -> Table:
    """The table of models: descriptions and hyper-parameters."""
    rows = [
        [
            *labels(results, m),
            m.summary,
            ", ".join(f"{k}={v}" for k, v in m.options.items() if _is_set(v)) or DASH,
        ]
        for m in results.models
    ]
    left = len(label_columns(results)) + 2
    return Table("The models", [*label_columns(results), "what it is", "options"], rows, left)


def _is_set(value: object) -> bool:
    """Whether an option is worth showing: neither None, False nor empty; 0 is shown."""
    return bool(value) or (isinstance(value, int) and not isinstance(value, bool))


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return DASH if value is None else str(value)
