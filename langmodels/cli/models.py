"""`langmodels models`: list the models, or the options of one."""

import argparse
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from langmodels.cli.options import add_json_option
from langmodels.cli.output import facts_table, make_table, print_json
from langmodels.errors import LangmodelsError
from langmodels.formatting import DASH
from langmodels.presets import BUDGETS, SIZES, SMALLER, Setting, Size
from langmodels.registry import ALL_MODELS, ModelSpec, any_model_spec
from langmodels.settings import Parameter
from langmodels.text.levels import TOKENIZERS

EPILOG = """\
examples:
  langmodels models
  langmodels models lstm
  langmodels models modified-kneser-ney --json

Options follow the name: --model lstm:hidden=512:dropout=0.5. Hyphens, underscores and case of names
do not matter. Models of other installed packages are listed, too.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", nargs="?", metavar="NAME", help="list the options of this model")
    add_json_option(parser)


def run(args: argparse.Namespace, console: Console) -> int | None:
    """List models or options."""
    if args.model is not None:
        _one(any_model_spec(args.model), args.json, console)
    else:
        _all(args.json, console)
    return None


def _all(as_json: bool, console: Console) -> None:
    listed = [
        _entry(what, name, registry) for what, registry in ALL_MODELS.items() for name in registry
    ]
    if as_json:
        print_json(listed)
        return
    left = ("name", "family", "what it is", "compared")
    for what, group in groupby(listed, key=lambda entry: str(entry["for"])):
        table = make_table(*left, left=left, title=what)
        table.columns[0].no_wrap = True
        for entry in group:
            also = f" (also {', '.join(entry['aliases'])})" if entry["aliases"] else ""
            summary = Text(f"{entry['error'] or entry['summary']}{also}")
            compared = "by default" if entry["compared"] else ""
            table.add_row(entry["name"], entry["family"], summary, compared)
        console.print(table)
    console.print("`langmodels models NAME` lists the options of one.")


def _entry(what: str, name: str, registry: Any) -> dict[str, Any]:
    aliases = sorted(alias for alias, known in registry.aliases.items() if known == name)
    entry = {"name": name, "for": what, "family": "", "summary": "", "error": ""}
    try:
        spec = registry[name]
    except LangmodelsError as error:
        return {**entry, "compared": False, "aliases": aliases, "error": str(error)}
    described = {"family": spec.family, "summary": spec.summary}
    return {**entry, **described, "compared": spec.compared, "aliases": aliases}


def _one(spec: ModelSpec[Any], as_json: bool, console: Console) -> None:
    values = _values(spec, SIZES[0])
    if as_json:
        options = [
            {
                "name": p.name,
                "type": p.type,
                "meaning": p.meaning,
                "default": None if p.default is Parameter.REQUIRED else p.default,
                "values": _of_option(p.name, values),
                "long": {size.words: _of_option(p.name, _values(spec, size)) for size in SIZES[1:]},
            }
            for p in spec.parameters.values()
        ]
        report = {"name": spec.name, "family": spec.family, "summary": spec.summary}
        print_json({**report, "caveat": _caveat(spec), "options": options})
        return
    rows = {"family": spec.family, "what it is": spec.summary}
    if _caveat(spec):
        rows["note"] = _caveat(spec)
    console.print(facts_table(rows, title=spec.name))
    if not spec.parameters:
        console.print("It has no options.")
        return
    table = make_table("option", "default", "type", "meaning", left=("option", "type", "meaning"))
    table.columns[0].no_wrap = True
    for p in spec.parameters.values():
        table.add_row(p.name, typed(p.default), p.kind, Text(p.meaning.rstrip(".")))
    console.print(table)
    _by_setting(spec, values, console)


Values = dict[str, dict[str, dict[str, Any]]]
"""Default options by level and budget."""


def _values(spec: ModelSpec[Any], size: Size) -> Values:
    """The default options for texts of a size."""
    return {
        level: {b: spec.options(Setting.of_size(size, level, b)) for b in BUDGETS}
        for level, _ in TOKENIZERS.working()
    }


def _of_option(name: str, values: Values) -> dict[str, dict[str, Any]]:
    return {
        level: {budget: found.get(name) for budget, found in by_budget.items()}
        for level, by_budget in values.items()
    }


def _caveat(spec: ModelSpec[Any]) -> str:
    """The sentence to print beside figures of the model; empty for most."""
    if any(p.default is Parameter.REQUIRED for p in spec.parameters.values()):
        return ""  # another package's model, which cannot be made without arguments
    return str(getattr(spec.make(Setting(), {}), "caveat", ""))


def _by_setting(spec: ModelSpec[Any], values: Values, console: Console) -> None:
    """Print the defaults that depend on level and budget."""
    table = make_table("option", "level", *BUDGETS, left=("option", "level"))
    table.title = "defaults that depend on the level and on --budget"
    for name, parameter in spec.parameters.items():
        rows: dict[tuple[str, ...], list[str]] = {}
        for level, by_budget in values.items():
            found = tuple(typed(by_budget[budget].get(name)) for budget in BUDGETS)
            rows.setdefault(found, []).append(level)
        if list(rows) == [(typed(parameter.default),) * len(BUDGETS)]:
            continue
        for k, (found, levels) in enumerate(rows.items()):
            shown = "all" if len(rows) == 1 else ", ".join(levels)
            table.add_row("" if k else name, shown, *found)
    if table.row_count:
        console.print(table)
    _by_size(spec, console)


def _by_size(spec: ModelSpec[Any], console: Console) -> None:
    """Print the defaults that depend on the length of the text, for words."""
    columns = [_values(spec, size)["word"] for size in SIZES]
    heads = [f"{size.words:,}" for size in SIZES]
    table = make_table("option", "budget", *heads, left=("option", "budget"))
    table.columns[0].no_wrap = True
    table.title = f"defaults by words of text ({SMALLER} tokens of other units count as one)"
    for name in spec.parameters:
        shown: dict[tuple[str, ...], list[str]] = {}
        for budget in BUDGETS:
            found = tuple(typed(column[budget].get(name)) for column in columns)
            shown.setdefault(found, []).append(budget)
        if all(len(set(found)) == 1 for found in shown):
            continue
        for k, (found, budgets) in enumerate(shown.items()):
            of = "all" if len(shown) == 1 else ", ".join(budgets)
            table.add_row("" if k else name, of, *found)
    if table.row_count:
        console.print(table)


def typed(value: object) -> str:
    """A value as it is typed on the command line.

    >>> typed(None), typed(True), typed((1, 2)), typed(0.5)
    ('none', 'true', '1+2', '0.5')
    """
    if value is Parameter.REQUIRED or value == ():
        return DASH
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return "+".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
