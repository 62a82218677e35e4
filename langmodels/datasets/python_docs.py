"""The language reference that CPython includes for `help()`: English prose without a download."""

import importlib
import re
from collections.abc import Iterable, Iterator

from langmodels.errors import LangmodelsError

NAME = "python-docs"
DESCRIPTION = "the prose of the language reference that comes with Python (technical English)"

_UNDERLINE = re.compile(r"([^\w\s])\1{2,}")
_BULLET = re.compile(r"^(?:\*|\d+\.|\[\d+\]|#\.) +")
_EMPHASIS = re.compile(r"(?<![\w*])(\*\*?)(\S(?:[^*]*[^\s*])?)\1(?![\w*])")
_SENTENCE = re.compile(r"[\"'“(*]*[A-Z].*[.:;?!][\"'”)]*( ?\[\d+\])*", re.DOTALL)
_CODE = re.compile(r"::=|>>>|^\.\.\. |\bdef \w+\(|^\(Pdb\)|^(from \w+ )?import \w+$", re.MULTILINE)
_HYPHENATED = re.compile(r"(?<=\w-)\n(?=\w)")


def read_python_docs() -> Iterator[str]:
    """Yield the text in pieces, a topic each: titles and paragraphs, one a line.

    Raises LangmodelsError where this Python was built or packaged without its reference.
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except (ImportError, AttributeError) as error:
        raise LangmodelsError(
            "This Python comes without its reference (the module pydoc_data.topics); install "
            "Python's documentation for help(), or choose another corpus."
        ) from error
    return prose(topics[name] for name in sorted(topics))


def prose(topics: Iterable[str]) -> Iterator[str]:
    """Yield the titles and paragraphs of each text in Sphinx's plain text format, one a line.

    Wrapped lines are joined. Underlines, bullets and the asterisks of emphasis are dropped; so is
    what is not prose: code, grammar rules, signatures, tables. Topics overlap, and a paragraph that
    has come before is left out, lest a test split repeat the training split.
    """
    seen: set[str] = set()
    for topic in topics:
        lines = []
        for block in re.split(r"\n\s*\n", topic.expandtabs()):
            for paragraph in _paragraphs(block):
                if paragraph not in seen:
                    seen.add(paragraph)
                    lines.append(paragraph + "\n")
        if lines:
            yield "".join(lines)


def _paragraphs(block: str) -> Iterator[str]:
    lines = [line.strip() for line in block.strip().splitlines()]
    if len(lines) == 2 and _UNDERLINE.fullmatch(lines[1]):
        yield _plain(lines[0])
        return
    paragraph: list[str] = []
    for line in [*lines, "* "]:  # a last bullet, to come to the end of the last paragraph
        if _BULLET.match(line) or line == "* ":
            text = "\n".join(paragraph)
            if _SENTENCE.fullmatch(text) and text.count(" ") >= 3 and not _CODE.search(text):
                yield _plain(text)
            paragraph = []
        paragraph.append(_BULLET.sub("", line, count=1))


def _plain(text: str) -> str:
    text = _HYPHENATED.sub("", text)
    return " ".join(_EMPHASIS.sub(r"\2", text).split())
