"""What the pages take from the code itself: commands, tables of names, the reference of modules.

MkDocs calls these functions by their names, before and while it builds the site.
"""

import argparse
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402
from mkdocs.structure.pages import Page  # noqa: E402

import langmodels  # noqa: E402
from langmodels import presets, registry  # noqa: E402
from langmodels.cli import main as cli  # noqa: E402
from langmodels.datasets.synthetic import GENERATORS, parameter_help  # noqa: E402
from langmodels.evaluation import report  # noqa: E402
from langmodels.ngram.methods import SMOOTHINGS  # noqa: E402
from langmodels.text.levels import TOKENIZERS  # noqa: E402


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the made pages where the navigation has a folder."""
    made = {"commands/": command_pages, "api/": module_pages}
    config.nav = [_filled(entry, made) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages, and those that stand elsewhere in the repository."""
    pages = {**command_pages(), **module_pages(), **repository_pages()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the tables that a page asks for by `<!-- table: NAME -->`."""
    return re.sub(r"<!-- table: (\w+) -->", lambda found: TABLES[found[1]](), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have long command lines go on indented, and broken before an option, not inside it."""
    return re.sub(
        r'(<div class="language-sh highlight">.*?<code>)(.*?)(</code>)',
        lambda found: found[1] + _command_lines(found[2]) + found[3],
        html,
        flags=re.DOTALL,
    )


def _command_lines(code: str) -> str:
    lines = []
    for line in code.splitlines(keepends=True):
        parts = re.split(r"(<[^>]*>)", line)  # text, and the tags between
        parts[::2] = [
            re.sub(r"(?<![\w-])--?\w[\w-]*", r"<span>\g<0></span>", s) for s in parts[::2]
        ]
        whole = line.count("<span") == line.count("</span")
        lines.append(f'<span class="command">{"".join(parts)}</span>' if whole else line)
    return "".join(lines)


def _filled(entry: Any, made: dict[str, Callable[[], dict[str, str]]]) -> Any:
    ((title, content),) = entry.items()
    folder = made.get(content) if isinstance(content, str) else None
    return {title: list(folder()) if folder else content}


# Commands ---------------------------------------------------------------------------------------


def command_pages() -> dict[str, str]:
    """A page for every command, from its parser, after one that lists them."""
    rows = [(f"[`{name}`]({name}.md)", purpose) for name, purpose in cli.COMMANDS.items()]
    overview = (
        "# Commands\n\n`langmodels COMMAND --help` says what these pages say. All commands take "
        "`--json`, whose fields are [here](../json.md); the exit status is explained "
        "[here](../exit-status.md).\n\n" + _table(("command", "what it does"), rows)
    )
    pages = {"commands/index.md": overview}
    return pages | {f"commands/{name}.md": command_page(name) for name in cli.COMMANDS}


def command_page(name: str) -> str:
    """What `langmodels NAME --help` says, as a page."""
    parser = cli.command_parser(name)
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
    parts = [f"# {name}", parser.description or "", f"```text\n{_folded(usage)}\n```"]
    for group in parser._action_groups:
        rows = [
            (_written(action), _explained(parser, action))
            for action in group._group_actions
            if action.help != argparse.SUPPRESS
        ]
        if rows:
            title = (group.title or "").capitalize()
            parts += [f"## {title}", _table(("", ""), rows)]
    parts += _epilog(parser.epilog or "")
    return "\n\n".join(parts) + "\n"


def _written(action: argparse.Action) -> str:
    """An argument as it is typed."""
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = ""
    if action.nargs != 0:
        choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
        value = " " + str(action.metavar or choices or action.dest.upper())
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _explained(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return _escaped(parser._get_formatter()._expand_help(action)) if action.help else ""


def _epilog(epilog: str) -> Iterator[str]:
    """The paragraphs of an epilog: indented examples become blocks."""
    for paragraph in epilog.strip().split("\n\n"):
        lines = paragraph.splitlines()
        if lines and lines[0].endswith(":") and all(line.startswith("  ") for line in lines[1:]):
            yield f"## {lines[0][:-1].capitalize()}"
            lines = lines[1:]
        if lines and all(line.startswith("  ") for line in lines):
            yield "```sh\n" + "\n".join(line[2:] for line in lines) + "\n```"
        elif lines:
            yield _escaped(" ".join(lines))


def _folded(usage: str, width: int = 78) -> str:
    """A usage line cut between its options."""
    words = re.findall(r"(?:\[(?:[^][]|\[[^][]*\])*\]|[^][\s])+", usage)
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return "\n".join(lines)


# Tables -----------------------------------------------------------------------------------------


def models_table() -> str:
    """Every registered model."""
    aliases: dict[str, list[str]] = {}
    for alias, name in registry.MODELS.aliases.items():
        aliases.setdefault(name, []).append(alias)
    rows = [
        (
            ", ".join(f"`{called}`" for called in (spec.name, *aliases.get(spec.name, []))),
            spec.family,
            _escaped(spec.summary),
            "yes" if spec.compared else "",
        )
        for spec in (*registry.MODELS.values(), *registry.CLOZE_MODELS.values())
    ]
    return _table(("name", "family", "what it is", "in `compare` unasked"), rows)


def smoothings_table() -> str:
    """Every smoothing method."""
    rows = [(f"`{name}`", _summary(method)) for name, method in SMOOTHINGS.items()]
    return _table(("`smoothing=`", "what it is"), rows)


def levels_table() -> str:
    """Every level of tokens."""
    rows = [(f"`{level}`", _summary(tokenizer)) for level, tokenizer in TOKENIZERS.items()]
    return _table(("`--level`", "what it is"), rows)


def generators_table() -> str:
    """Every generator of text whose entropy is known."""
    rows = [
        (f"`synthetic:{kind}`", _summary(generator), f"`{parameter_help(generator)}`")
        for kind, generator in GENERATORS.items()
    ]
    return _table(("name", "what it is", "parameters and their defaults"), rows)


def reports_table() -> str:
    """Every format of `compare --report`."""
    return ", ".join(f"`{ending}`" for ending in report.FORMATS)


def budgets_table() -> str:
    """What a budget means for an LSTM of words."""
    settings = {budget: presets.Setting(budget=budget) for budget in presets.BUDGETS}
    options = {budget: presets.lstm(setting) for budget, setting in settings.items()}
    names = list(dict.fromkeys(name for given in options.values() for name in given))
    rows = [(f"`{n}`", *(str(options[b].get(n, "")) for b in presets.BUDGETS)) for n in names]
    return _table(("option of `lstm`", *presets.BUDGETS), rows)


def sizes_table() -> str:
    """What the length of a text means for models of words."""
    rows = []
    for size in presets.SIZES:
        settings = [presets.Setting.of_size(size, "word", b) for b in presets.BUDGETS]
        found = [presets.lstm(setting) for setting in settings]
        epochs = ", ".join(str(options["epochs"]) for options in found)
        batch = f"{found[0]['batch_size']} by {found[0]['steps']}"
        rows.append((f"{size.words:,}", str(settings[0].ngram_order), epochs, batch))
    heads = (
        "words of training text",
        "order of n-grams",
        f"epochs of `lstm`: {', '.join(presets.BUDGETS)}",
    )
    return _table((*heads, "batch: sequences by tokens"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "models": models_table,
    "smoothings": smoothings_table,
    "levels": levels_table,
    "generators": generators_table,
    "reports": reports_table,
    "budgets": budgets_table,
    "sizes": sizes_table,
}


def _summary(thing: object) -> str:
    return _escaped((thing.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = ([" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _escaped(text: str) -> str:
    return re.sub(r"(?<!`)<(/?[a-z]+)>(?!`)", r"`<\1>`", text).replace("*", "\\*")


# Modules ----------------------------------------------------------------------------------------


def module_pages() -> dict[str, str]:
    """A page for `langmodels` itself and one for every room below it."""
    rooms = [module.name for module in pkgutil.iter_modules(langmodels.__path__)]
    pages = {"api/index.md": _face()}
    for room in rooms:
        if room not in ("__main__", "cli"):
            pages[f"api/{room}.md"] = _module_page(f"langmodels.{room}")
    return pages


def _face() -> str:
    """What `import langmodels` offers."""
    names = sorted(langmodels.__all__, key=str.lower)
    blocks = (f"::: langmodels.{name}\n" for name in names)
    return "# langmodels\n\nWhat `import langmodels` offers.\n\n" + "\n".join(blocks)


def _module_page(name: str) -> str:
    """A package with all its modules, or a module."""
    package = importlib.import_module(name)
    path = getattr(package, "__path__", [])
    names = [name, *(module.name for module in pkgutil.walk_packages(path, f"{name}."))]
    options = "    options:\n      show_root_toc_entry: true\n      show_submodules: false\n"
    return f"# {name}\n\n" + "\n".join(f"::: {module}\n{options}" for module in names)


# Pages that stand elsewhere in the repository ---------------------------------------------------


def repository_pages() -> dict[str, str]:
    """Changes, how to contribute, and the measurements that `benchmarks/run_all.py` wrote."""
    pages = {"changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")}
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pages["contributing.md"] = contributing.replace("(docs/", "(").replace("CHANGELOG", "changelog")
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.md")):
        if path.name != "README.md":
            pages[f"results/measured/{path.name}"] = path.read_text(encoding="utf-8")
    return pages
