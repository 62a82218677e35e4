"""The pages of the documentation, and running what stands on them.

A block of code is run as a reader would, in the order of its page, in a folder of the page's own:

- `console`: lines that begin with "$ langmodels" are run, and what they print is what is shown;
  a line "..." stands for anything.
- `sh`: lines that begin with "langmodels" are run; other programs are not.
- `python` is executed, `pycon` too, with the results that are shown.

`<!-- not run: REASON -->` before a block, and `<!-- recorded -->` before one whose output was made
in minutes or on another machine, leave it at reading the commands: they must make sense.
"""

import contextlib
import doctest
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from langmodels.cli.main import command_parser, main
from langmodels.datasets import find_source
from langmodels.datasets.tasks import TASKS
from langmodels.evaluation.candidates import make_candidates
from langmodels.presets import Setting
from langmodels.pretrained import is_pretrained_name

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")))
    if page.exists()
]
STAND_INS = ("book.txt", "mine.txt", "train.txt", "valid.txt", "test.txt")
"""Names of texts of the reader's own, for which the beginning of the tale is used."""

_BLOCK = re.compile(r"(?:<!-- ([^>]*) -->\n)?```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, whether it is run, and its line in the page."""

    language: str
    text: str
    is_run: bool
    recorded: bool
    span: tuple[int, int]

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The command lines of `langmodels` in it, each with the output shown after it."""
        if self.language == "console":
            parts = re.split(r"^\$ langmodels (.*)\n", self.text, flags=re.MULTILINE)[1:]
            return list(zip(parts[::2], parts[1::2], strict=True))
        if self.language in ("sh", "bat"):
            text = self.text.replace("\\\n", " ")
            return [(line, "") for line in re.findall(r"^langmodels (.*)$", text, re.MULTILINE)]
        return []


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    for match in _BLOCK.finditer(page):
        mark, language, text = match[1] or "", match[2], match[3]
        skipped = mark.startswith("not run: ") or mark == "recorded"
        found.append(Block(language, text, not skipped, mark == "recorded", match.span(3)))
    return found


@dataclass
class Desk:
    """Where the blocks of a page are run: a folder with the texts it names, and Python's names.

    The folder must be the working one.
    """

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "corpora", self.folder / "corpora", dirs_exist_ok=True)
        tale = (ROOT / "corpora" / "wonderland.txt").read_text(encoding="utf-8")
        for name in STAND_INS:
            (self.folder / name).write_text(tale[:6000], encoding="utf-8")
        (self.folder / "words.txt").write_text("\n".join(tale[:600].split()), encoding="utf-8")

    def run(self, command: str) -> str:
        """What a command line of `langmodels` prints; it must succeed. `<` and `>` are understood.

        Raises AssertionError with its errors.
        """
        words = shlex.split(command, comments=True)
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.ExitStack() as stack:
            if "<" in words:
                text = Path(words.pop(words.index("<") + 1)).read_bytes()
                words.remove("<")
                stdin = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8")
                stack.enter_context(_replaced("stdin", stdin))
            target = words.pop(words.index(">") + 1) if ">" in words else None
            words = [word for word in words if word != ">"]
            stack.enter_context(contextlib.redirect_stdout(output))
            stack.enter_context(contextlib.redirect_stderr(errors))
            status = main(words)
        assert status == 0, f"langmodels {command}\n{errors.getvalue()}"
        if target is not None:
            Path(target).write_text(output.getvalue(), encoding="utf-8")
        return output.getvalue()

    def execute(self, block: Block, where: str) -> None:
        """Run the Python of a block. Raises AssertionError where it prints something else."""
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, where, "exec"), self.names)
        elif block.language == "pycon":
            test = doctest.DocTestParser().get_doctest(block.text, self.names, where, where, 0)
            report = io.StringIO()
            runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
            runner.run(test, out=report.write, clear_globs=False)
            assert not runner.failures, report.getvalue()
            self.names.update(test.globs)


@contextlib.contextmanager
def _replaced(name: str, stream: io.TextIOBase) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"sys.{name}", stream)
        yield


def says(output: str, shown: str) -> bool:
    """Whether an output is as shown, except for blanks; a line "..." stands for any lines."""
    words, at = " ".join(output.split()), 0
    parts = [" ".join(part.split()) for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)]
    if len(parts) == 1:
        return words == parts[0]
    for part in parts:
        found = words.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return words.startswith(parts[0]) and words.endswith(parts[-1])


def check_sense(command: str) -> None:
    """Read a command line that takes too long to be run; what it names must exist.

    Raises what the command would raise.
    """
    words = shlex.split(re.sub(r" [<>] \S+", "", command), comments=True)
    args = command_parser(words[0]).parse_intermixed_args(words[1:])
    corpus = getattr(args, "corpus", None)
    for name in corpus if isinstance(corpus, list) else [corpus] if corpus else []:
        if name.partition("?")[0].partition(":")[0] in ("synthetic", "gutenberg", "python-docs"):
            find_source(name)
    if getattr(args, "task", None):
        assert args.task.partition("?")[0] in TASKS
    models = getattr(args, "models", None)
    if words[0] == "compare" and models:
        # Others are files, or models of the hub.
        names = [n for n in models.split(",") if not (Path(n).suffix or is_pretrained_name(n))]
        assert make_candidates(names, ["word"], Setting())
