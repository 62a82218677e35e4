"""Damage: of bytes, and of what they mean. Every one is made from a seeded generator."""

import json
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from langmodels.tensors import _DTYPES

from .wholes import apart, together

Generator = np.random.Generator

_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 2.5, 1e30, -1e30, float("nan"), float("inf"), 10**9, 2**63,
    10**40, "", "x", "1", [], {}, [1], ["x"], [[]], {"x": 1}, "\ud800", [0.5, 0.5],
]  # fmt: skip
_ODD_NUMBERS = [0.0, -0.0, 1.0, -1.0, 5.0, -50.0, 1e-30, 1e30, -1e30, np.nan, np.inf, -np.inf]
_ODD_WORDS = [
    b"nan", b"inf", b"-inf", b"1e999", b"-99", b"0", b"5", b"-0.5", b"1", b"x", b"", b"<s>",
    b"</s>", b"<unk>", b"the", b"99999999999999999999", b"\\data\\", b"\\end\\",
    b"\xff", b"\xc2\xa0", b"\t",
]  # fmt: skip


def damage(data: bytes, name: str, rng: Generator) -> bytes:
    """The contents of a file, changed in one to three ways."""
    kinds: list[Callable[[bytes, Generator], bytes]] = [bits, stretches]
    if name.endswith((".lm", ".ckpt", ".run")):
        kinds += [header, settings, values, values]
    elif name.endswith(".bin"):
        kinds += [frame, frame, numbers, numbers]
    elif name.endswith(".compressed"):
        kinds += [sealed, sealed]
    elif name.endswith((".arpa", ".counts")):
        kinds += [lines, words, words]
    elif name.endswith((".json", ".pieces")):
        kinds += [document, document]
    elif name.endswith((".jsonl", ".nbest")):
        kinds += [lines, records, records]
    elif name.endswith(".work"):
        kinds = [member]
    elif name.endswith(".sentences"):
        kinds += [message, message, message]
    elif name.endswith((".csv", ".words", ".kaldi", ".costs")):
        kinds += [lines, words, words]
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        try:
            data = kinds[int(rng.integers(len(kinds)))](data, rng)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            continue  # what was damaged before has no such meaning any more
    return data


# Bytes ---------------------------------------------------------------------------------------


def bits(data: bytes, rng: Generator) -> bytes:
    """One to eight bits turned over."""
    changed = bytearray(data)
    for at in rng.integers(8 * len(data), size=int(rng.integers(1, 9))).tolist():
        changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def stretches(data: bytes, rng: Generator) -> bytes:
    """Cut short, a stretch left out, repeated, zeroed, or made of noise."""
    a, b = sorted(rng.integers(len(data) + 1, size=2).tolist())
    b = min(b, a + int(rng.integers(1, 200)))
    return [
        data[:a],
        data[:a] + data[b:],
        data[:b] + data[a:],
        data[:a] + bytes(b - a) + data[b:],
        data[:a] + rng.bytes(b - a) + data[b:],
    ][int(rng.integers(5))]


def sealed(data: bytes, rng: Generator) -> bytes:
    """Changed behind the checksum of a compressed text, which is then right again.

    But for how long the text is: a few bytes may well stand for a long one, as zeros do for zeros.
    """
    if zlib.crc32(data[8:]).to_bytes(4, "big") != data[4:8]:
        raise ValueError("damaged already")
    kind, head = [bits, stretches][int(rng.integers(2))], data[8:_NUMBERS]
    if rng.random() < 0.3:
        head = kind(head, rng)[: len(head)]
        body = head + data[8 + len(head) :]
    else:
        body = data[8:_AFTER] + kind(data[_AFTER:], rng)
    return data[:4] + zlib.crc32(body).to_bytes(4, "big") + body


_NUMBERS, _AFTER = 21, 25  # where lengths stand in a compressed text


def member(data: bytes, rng: Generator) -> bytes:
    """A file of several that is changed, or gone."""
    files = apart(data)
    name = list(files)[int(rng.integers(len(files)))]
    if rng.random() < 0.1:
        del files[name]
        return together(files)
    kinds = [bits, stretches]
    if files[name][8:9] == b"{":
        kinds += [header, values]
    with suppress(IndexError):  # of one without arrays
        files[name] = kinds[int(rng.integers(len(kinds)))](files[name], rng)
    return together(files)


# KenLM's binary files -------------------------------------------------------------------------


def frame(data: bytes, rng: Generator) -> bytes:
    """Damage in the header, or in the words at the end."""
    at = 160 if rng.random() < 0.7 else len(data) - 2000
    kind = [bits, stretches, numbers][int(rng.integers(3))]
    if at == 160:
        return kind(data[:at], rng) + data[at:]
    return data[:at] + kind(data[at:], rng)


def numbers(data: bytes, rng: Generator) -> bytes:
    """A stretch of four or eight bytes that is an odd number."""
    odd = _ODD_NUMBERS[int(rng.integers(len(_ODD_NUMBERS)))]
    dtype = ("<f4", "<f8", "<i4", "<i8")[int(rng.integers(4))]
    with np.errstate(all="ignore"):
        new = np.array([odd]).astype(dtype).tobytes()
    at = int(rng.integers(len(data) - 8)) // 4 * 4
    return data[:at] + new + data[at + len(new) :]


# Safetensors ---------------------------------------------------------------------------------


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _joined(header: dict[str, Any], rest: bytes, rng: Generator) -> bytes:
    """With the checksums of before, with none, as version 0.1 wrote, or without alignment."""
    if rng.random() < 0.8 and isinstance(header.get("__metadata__"), dict):
        header["__metadata__"].pop("crc32", None)
    text = json.dumps(header).encode()
    if rng.random() < 0.9:
        text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text + rest


def _odd(rng: Generator) -> Any:
    return _ODD[int(rng.integers(len(_ODD)))]


def _replaced(value: Any, rng: Generator) -> Any:
    """A JSON value in which something, somewhere, is something else, within strings of JSON too."""
    if isinstance(value, str) and value.startswith("{") and rng.random() < 0.9:
        return json.dumps(_replaced(json.loads(value), rng))
    inner = (isinstance(value, dict | list)) and len(value) > 0
    if not inner or rng.random() < 0.15:
        if isinstance(value, int | float) and rng.random() < 0.5:
            return type(value)(value * (1 + rng.standard_normal()))
        return _odd(rng)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[int(rng.integers(len(keys)))]
    changed: Any = dict(value) if isinstance(value, dict) else list(value)
    if rng.random() < 0.1:
        del changed[key]
    else:
        changed[key] = _replaced(value[key], rng)
    return changed


def header(data: bytes, rng: Generator) -> bytes:
    """An entry of the header that is another."""
    found, rest = _split(data)
    return _joined(_replaced(found, rng), rest, rng)


def settings(data: bytes, rng: Generator) -> bytes:
    """A setting, in the JSON inside the metadata, that is another."""
    found, rest = _split(data)
    metadata = found["__metadata__"]
    names = [name for name in metadata if name != "crc32"]
    name = names[int(rng.integers(len(names)))]
    try:
        metadata[name] = json.dumps(_replaced(json.loads(metadata[name]), rng))
    except ValueError:
        metadata[name] = str(_odd(rng))
    return _joined(found, rest, rng)


def values(data: bytes, rng: Generator) -> bytes:
    """Numbers of an array that are others, or two that changed places."""
    found, rest = _split(data)
    names = [n for n in found if n != "__metadata__"]
    entry = found[names[int(rng.integers(len(names)))]]
    begin, end = entry["data_offsets"]
    array = np.frombuffer(rest[begin:end], _DTYPES[entry["dtype"]]).copy()
    at = int(rng.integers(len(array)))
    with np.errstate(all="ignore"):
        choice = int(rng.integers(4))
        if choice == 0:
            odd = _ODD_NUMBERS[int(rng.integers(len(_ODD_NUMBERS)))]
            array[at] = np.array(odd).astype(array.dtype)
        elif choice == 1:
            array[at] = array[int(rng.integers(len(array)))]
        elif choice == 2:
            array[at] += np.array(rng.integers(-3, 4)).astype(array.dtype)
        else:
            array[at:] = np.array(_ODD_NUMBERS[int(rng.integers(9))]).astype(array.dtype)
    return _joined(found, rest[:begin] + array.tobytes() + rest[end:], rng)


# Text ----------------------------------------------------------------------------------------


def lines(data: bytes, rng: Generator) -> bytes:
    """A line left out, repeated, or in the place of another."""
    found = data.split(b"\n")
    a, b = rng.integers(len(found), size=2).tolist()
    choice = int(rng.integers(3))
    if choice == 0:
        del found[a]
    elif choice == 1:
        found.insert(b, found[a])
    else:
        found[a], found[b] = found[b], found[a]
    return b"\n".join(found)


def words(data: bytes, rng: Generator) -> bytes:
    """A field of a line that is another."""
    found = list(re.finditer(rb"[^\s=]+", data))
    field = found[int(rng.integers(len(found)))]
    if rng.random() < 0.3:
        new = found[int(rng.integers(len(found)))][0]
    else:
        new = _ODD_WORDS[int(rng.integers(len(_ODD_WORDS)))]
    return data[: field.start()] + new + data[field.end() :]


def document(data: bytes, rng: Generator) -> bytes:
    """A value of a JSON document that is another."""
    return json.dumps(_replaced(json.loads(data), rng)).encode()


def records(data: bytes, rng: Generator) -> bytes:
    """A JSON document of one line in which something is another."""
    found = data.splitlines()
    at = int(rng.integers(len(found)))
    found[at] = document(found[at], rng)
    return b"\n".join(found) + b"\n"


# Protocol buffers ----------------------------------------------------------------------------


Field = tuple[int, int, bytes]
"""Number, kind and value of a field of a message."""

_ODD_VARINTS = [
    0,
    1,
    2,
    5,
    6,
    7,
    100,
    1 << 31,
    (1 << 31) - 1,
    1 << 32,
    (1 << 63) - 1,
    (1 << 64) - 1,
]


def message(data: bytes, rng: Generator) -> bytes:
    """A field, at whatever depth, that is another, left out, repeated or in another's place."""
    fields = _fields(data)
    a, b = rng.integers(len(fields), size=2).tolist()
    number, kind, value = fields[a]
    choice = int(rng.integers(8))
    if choice == 0:
        del fields[a]
    elif choice == 1:
        fields.insert(b, fields[a])
    elif choice == 2:
        fields[a], fields[b] = fields[b], fields[a]
    elif choice == 3:
        fields[a] = (int(rng.integers(1, 50)), kind, value)
    elif kind == 0:
        odd = _ODD_VARINTS[int(rng.integers(len(_ODD_VARINTS)))]
        fields[a] = (number, kind, _varint(odd))
    elif kind == 5:
        with np.errstate(all="ignore"):
            odd_number = np.float32(_ODD_NUMBERS[int(rng.integers(len(_ODD_NUMBERS)))])
        fields[a] = (number, kind, odd_number.tobytes())
    elif kind == 2:
        with suppress(ValueError, IndexError):  # what is no message inside is a text
            fields[a] = (number, kind, message(value, rng))
            return _message(fields)
        words = [*_ODD_WORDS, b"\xe2\x96\x81", b"\0", b"<0x41>", b"a" * 1000, value + value]
        fields[a] = (number, kind, words[int(rng.integers(len(words)))])
    return _message(fields)


def _fields(data: bytes) -> list[Field]:
    """The fields of a message. Raises ValueError or IndexError for what is none."""
    fields: list[Field] = []
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        begin = at
        if kind == 0:
            _, at = _read_varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            size, begin = _read_varint(data, at)
            at = begin + size
        if at > len(data) or kind not in (0, 1, 2, 5) or not number:
            raise ValueError("no message")
        fields.append((number, kind, data[begin:at]))
    return fields


def _message(fields: list[Field]) -> bytes:
    """Inverse of `_fields`."""
    parts = []
    for number, kind, value in fields:
        size = _varint(len(value)) if kind == 2 else b""
        parts += [_varint(number << 3 | kind), size, value]
    return b"".join(parts)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
