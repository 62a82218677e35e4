"""The page as one HTML file that contains the models and the code to compute with them.

It needs no server, no network and no Python. Its figures are those of the models: it contains the
tables of n-gram models and the weights of networks, and does the same arithmetic in double
precision.
"""

import base64
import gzip
import hashlib
import json
import os
import posixpath
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import regex

from langmodels import __version__
from langmodels.arrays import Array
from langmodels.errors import LangmodelsError, UsageError
from langmodels.interchange import json_text
from langmodels.models.base import LanguageModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural.layers.softmax import Softmax
from langmodels.neural.recurrent.model import RecurrentModel
from langmodels.neural.training.history import was_interrupted
from langmodels.ngram import NGramModel
from langmodels.ngram.interpolation import JelinekMercer, KneserNey
from langmodels.ngram.katz import Katz
from langmodels.ngram.smoothing import StupidBackoff
from langmodels.playground.classroom import Classroom
from langmodels.playground.panels.counts import METHODS, fitted
from langmodels.playground.panels.shannon import LETTERS, passage
from langmodels.playground.room import Room, Slot
from langmodels.playground.server import static_files
from langmodels.storage import atomic_write
from langmodels.text.tokenization import Tokenizer
from langmodels.text.words import UNICODE_WORDS, WordTokenizer

LEVELS = ("word", "char", "whitespace")
"""Levels at which an exported page can tokenize text."""
PASSAGES = 100
"""Passages of Shannon's game."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)
CELLS = ("rnn", "gru", "lstm")
"""Recurrent cells that an exported page can compute."""

OF_WORDS = ("unigram", "mle:order=2", "mkn:order=3", "gru:hidden=48")
OF_LETTERS = ("unigram", "mle:order=3", "mkn:order=5", "gru:hidden=48")
"""Models of an exported page by default: n-gram models, and one small network."""


def rooms_of(classroom: Classroom, level: str, names: Sequence[str] = ()) -> list[Room]:
    """Rooms with trained models: the text at a level, and at level char for Shannon's game.

    `classroom` must have no models of its own. Networks are trained in double precision, as the
    page computes in it. Raises UsageError for a level or a model that a page cannot compute.
    """
    if level not in LEVELS:
        raise UsageError(f"A page by itself cuts text in {', '.join(LEVELS)}, not {level}.")
    rooms = []
    for each in dict.fromkeys((level, "char")):
        room = classroom.room(level=each)
        rooms.append(room)
        for name in names or (OF_LETTERS if each == "char" else OF_WORDS):
            model = classroom.make(name, each)
            if isinstance(model, RecurrentModel) and ":dtype=" not in name:
                model = classroom.make(f"{name}:dtype=float64", each)
            if not isinstance(model, UnigramModel | NGramModel | RecurrentModel):
                raise _impossible(name)
            began = time.monotonic()
            model.fit(room.splits.train, room.splits.validation)
            if was_interrupted(model):
                raise KeyboardInterrupt
            seconds = time.monotonic() - began
            room.slots[name] = Slot(name, "ready", "", 1.0, seconds, model)
    return rooms


class Arrays:
    """The arrays of a page, compressed and as text; equal arrays are stored once."""

    def __init__(self) -> None:
        self.packed: dict[str, dict[str, Any]] = {}

    def add(self, array: Array) -> str:
        """Add an array and return its name. Integers are stored as int32."""
        kept = np.ascontiguousarray(array)
        if kept.dtype.kind in "iub":
            kept = kept.astype("<i4")
        elif kept.dtype != np.float32:
            kept = kept.astype("<f8")
        data = kept.tobytes()
        name = hashlib.sha256(f"{kept.dtype} {kept.shape}".encode() + data).hexdigest()[:16]
        if name not in self.packed:
            packed = base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()
            self.packed[name] = {"dtype": kept.dtype.str[1:], "data": packed}
        return name


def export_page(rooms: Sequence[Room], path: str | os.PathLike[str]) -> dict[str, Any]:
    """Write a page of some rooms and all their models; it opens with the first room.

    Returns a record of its size and contents. Raises UsageError for levels and models that a page
    cannot compute, LangmodelsError where the file cannot be written.
    """
    arrays = Arrays()
    packed = [_room(room, arrays) for room in rooms]
    data = {"version": __version__, "rooms": packed, "arrays": arrays.packed}
    page = _page(json_text(data).replace("<", "\\u003c"))
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "replace"))
    return {
        "bytes": len(page.encode("utf-8", "replace")),
        "rooms": [
            {
                "text": room.text.name,
                "level": room.level,
                "models": [name for name, _ in room.ready()],
            }
            for room in rooms
        ],
    }


def _page(data: str) -> str:
    """The HTML of the page around its data; the scripts of the served page are embedded."""
    files = {name: content.decode("utf-8") for name, content in static_files().items()}
    modules = {name: _module(name, text) for name, text in files.items() if name.endswith(".js")}
    modules["backend.js"] = modules.pop("local/backend.js")
    imports = {
        f"langmodels/{name}": "data:text/javascript;base64,"
        + base64.b64encode(text.encode("utf-8")).decode()
        for name, text in modules.items()
    }
    icon = base64.b64encode(files["icon.svg"].encode()).decode()
    body = files["index.html"]
    for old, new in (
        ('<script type="module" src="main.js"></script>\n', ""),
        (
            '<link rel="stylesheet" href="style.css">\n',
            f"<style>\n{files['style.css']}</style>\n"
            f'<script type="importmap">{json.dumps({"imports": imports})}</script>\n',
        ),
        ('href="icon.svg"', f'href="data:image/svg+xml;base64,{icon}"'),
        (
            '<meta charset="utf-8">\n',
            '<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
        ),
        (
            "</body>",
            f'<script type="application/json" id="data">{data}</script>\n'
            '<script type="module">import "langmodels/main.js";</script>\n</body>',
        ),
    ):
        if old not in body:
            raise LangmodelsError("The files of the page are damaged; install langmodels again.")
        body = body.replace(old, new)
    return body


def _module(name: str, text: str) -> str:
    """A script with imports from `langmodels/dom.js` in place of relative ones like `./dom.js`."""
    folder = posixpath.dirname(name)

    def named(found: regex.Match[str]) -> str:
        return f'from "langmodels/{posixpath.normpath(posixpath.join(folder, found[1]))}"'

    return str(regex.sub(r'from "(\.[^"]*)"', named, text))


def _room(room: Room, arrays: Arrays) -> dict[str, Any]:
    """The data of a room, with which the page computes."""
    models = [_model(name, model, arrays) for name, model in room.ready()]
    train, test = room.splits.train, room.splits.test
    order = max([2, *(m["order"] for m in models if "order" in m)])
    counts = room.counts(order)
    kn = KneserNey()
    record = room.record()
    return {
        **record,
        "reading": _reading(train.tokenizer),
        "vocabulary": train.vocabulary.tokens,
        "special": train.vocabulary.n_special,
        "models": [{**m, **s} for m, s in zip(models, record["models"], strict=True)],
        "counts": {
            "words": [arrays.add(a) for a in counts.words],
            "starts": [arrays.add(a) for a in counts.child_start],
            "raw": [arrays.add(a) for a in counts.counts],
            "continuation": [arrays.add(kn.order_counts(counts, k)) for k in range(1, order)],
        },
        "bigrams": {name: fitted(room, name, {}).fitted for name in METHODS},
        "test": test.text or "",
        "passages": _passages(test.text or ""),
    }


def _passages(text: str) -> list[list[int]]:
    """Offsets of passages for Shannon's game: of what is shown, of the letters, of their end."""
    found = []
    try:
        for seed in range(PASSAGES):
            each = passage(text, seed, LETTERS)
            whole = each.before + each.letters
            begin = len(text[: text.find(whole)]) + len(each.before)
            found.append([begin - len(each.before), begin, begin + len(each.letters)])
    except LangmodelsError:
        return []
    return found


def _reading(tokenizer: Tokenizer) -> dict[str, Any]:
    """How the page tokenizes text. Raises UsageError for a tokenizer that it does not have."""
    if tokenizer.level not in LEVELS or tokenizer.config() != type(tokenizer)().config():
        raise UsageError(
            f"A page by itself cuts text in {', '.join(LEVELS)}, not {tokenizer.level}."
        )
    found: dict[str, Any] = {"level": tokenizer.level}
    if isinstance(tokenizer, WordTokenizer):
        classes: dict[str, str] = {}
        # The first alternative is only there for speed.
        pattern = UNICODE_WORDS.partition(")|")[2].replace("*+", "*").replace("++", "+")
        every = "".join(chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000)

        def ranges(found: regex.Match[str]) -> str:
            key = f"K{len(classes)}"
            for known, (name, _) in named.items():
                if known == found[0]:
                    return f"[{{{name}}}]"
            runs = regex.findall(f"{found[0]}+", every)
            spans = "".join(_span(run) for run in runs)
            classes[key] = spans
            named[found[0]] = (key, spans)
            return f"[{{{key}}}]"

        named: dict[str, tuple[str, str]] = {}
        inner = r"\[(?:\\p\{[^}]*\})+\]|\\p\{[^}]*\}|\\S"
        found |= {"pattern": regex.sub(inner, ranges, pattern), "classes": classes}
    return found


def _span(run: str) -> str:
    """Consecutive characters as a range of a regular expression, as JavaScript writes it.

    A run of matches may jump where the surrogates are, which no text has.
    """
    first, last = ord(run[0]), ord(run[-1])
    return f"\\u{{{first:x}}}" + ("" if first == last else f"-\\u{{{last:x}}}")


def _model(name: str, model: LanguageModel[Any], arrays: Arrays) -> dict[str, Any]:
    """The data of a model. Raises UsageError for one that the page cannot compute."""
    if isinstance(model, UnigramModel):
        p = arrays.add(model.log_distribution(None))
        return {
            "type": "unigram",
            "log_prob": p,
            "caveat": model.caveat,
            "method": model.smoothing,
            "options": {"alpha": model.alpha},
        }
    if isinstance(model, NGramModel):
        return _ngram(model, arrays)
    if isinstance(model, RecurrentModel):
        return _recurrent(name, model, arrays)
    raise _impossible(name)


def _impossible(name: str) -> UsageError:
    return UsageError(
        "A page by itself computes n-gram models and recurrent networks (rnn, gru, lstm) without "
        f"windows, not {name}."
    )


def _ngram(model: NGramModel, arrays: Arrays) -> dict[str, Any]:
    tables, method = model.tables, model.smoothing
    calculable = method.name in METHODS or isinstance(method, StupidBackoff)
    return {
        "type": "ngram",
        "order": model.order,
        "words": [arrays.add(a) for a in tables.words],
        "starts": [arrays.add(a) for a in tables.child_start],
        "log_prob": [arrays.add(a) for a in tables.log_prob],
        "backoff": [arrays.add(a) for a in tables.backoff],
        "unseen_backoff": tables.unseen_backoff,
        "whole_contexts": method.whole_contexts,
        "caveat": model.caveat,
        "method": method.name if calculable and max(method.min_counts, default=1) == 1 else "",
        "options": method.get_params(),
        "continuation": isinstance(method, KneserNey),
        "fitted": model.fitted,
        "cutoff": method.cutoff if isinstance(method, Katz) else None,
        "buckets": JelinekMercer._BUCKETS,
    }


def _recurrent(name: str, model: RecurrentModel, arrays: Arrays) -> dict[str, Any]:
    network = model.network
    plain = type(network.output) is Softmax and model.cell in CELLS
    if model.window is not None or not plain or model.reads_spelling:
        raise _impossible(name)
    values = dict(network.parameters.items())
    layers = [
        {
            key: arrays.add(values[f"recurrent.{k}.{key}"])
            for key in ("input", "hidden", "bias", "hidden_bias")
            if f"recurrent.{k}.{key}" in values
        }
        for k in range(model.layers)
    ]
    embedding, tied = values.get("embedding.weight"), "output.weight" not in values
    return {
        "type": "recurrent",
        "cell": model.cell,
        "hidden": model.hidden,
        "layers": layers,
        "embedding": None if embedding is None else arrays.add(embedding),
        "output": arrays.add(values["embedding.weight" if tied else "output.weight"]),
        "bias": arrays.add(values["output.bias"]),
        "caveat": model.caveat,
    }
