"""Arguments of public functions and constructors, looked at before anything is done with them.

What is wanted stands in the annotations and nowhere else; what is given instead is named in one
sentence, which says what to do where that is known.
"""

import functools
import inspect
import numbers
import operator
import os
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ParamSpec, TypeVar

from langmodels.errors import UsageError
from langmodels.names import nearest

P = ParamSpec("P")
R = TypeVar("R")

_MANY = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_SHOWN = 40  # characters of a value that is shown


class ArgumentError(UsageError, TypeError):
    """An argument of the wrong kind; a TypeError, as Python has it, and a sentence."""


class UnknownOptionError(UsageError, TypeError):
    """A keyword that nothing takes; a TypeError, as Python has it, and a sentence."""


@dataclass(frozen=True)
class AtLeast:
    """The least value of a number, in its annotation: `Annotated[int, AtLeast(0)]`."""

    least: int

    def __repr__(self) -> str:
        return f"at least {self.least}"


Seed = Annotated[int, AtLeast(0)]
"""Of a generator of random numbers."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function: an argument that is not what its annotation says is an ArgumentError,
    and a keyword that it does not take an UnknownOptionError.

    Of several values one of each type is looked at, of streams, which come once, none.

    >>> @checked
    ... def first(words: list[str], n: int) -> list[str]:
    ...     return words[:n]
    >>> first("a rose", 1)
    Traceback (most recent call last):
        ...
    langmodels.arguments.ArgumentError: words must be a list of strings, not 'a rose'; put it in a \
list.
    """

    @functools.wraps(function)
    def looked_at(*args: P.args, **kwargs: P.kwargs) -> R:
        signature = _signature(function)
        if kwargs:
            check_keywords(signature, kwargs, function.__name__)
        check_arguments(signature, args, kwargs)
        return function(*args, **kwargs)

    return looked_at


def check_keywords(signature: inspect.Signature, given: Iterable[str], name: str) -> None:
    """Raise UnknownOptionError for the first keyword that is not taken by what is called `name`."""
    known = {
        parameter.name: parameter.kind
        for parameter in signature.parameters.values()
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL)
    }
    if inspect.Parameter.VAR_KEYWORD in known.values():
        return
    known.pop("self", None)
    for option in given:
        if option not in known:
            hint = nearest(option, known) if known else "it has none."
            raise UnknownOptionError(f"{name} has no option {option!r}; {hint}")


def check_arguments(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Raise ArgumentError for the first argument that is not what its annotation says.

    Missing ones, and more than there are places for, are left to the call itself.
    """
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError:
        return
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        kind = parameter.annotation
        if parameter.kind not in _MANY and kind is not parameter.empty:
            check_argument(name, kind, value)


def check_argument(name: str, kind: Any, value: Any) -> None:
    """Raise ArgumentError where a value is not what an annotation says."""
    if _is(kind, value):
        return
    given, inside = _culprit(kind, value)
    raise ArgumentError(
        f"{name} must be {_in_words(kind)}, not {inside}{_shown(given)}{_hint(kind, given)}."
    )


def check_fields(dataclass: object) -> None:
    """`check_arguments` of what a dataclass was made of, for its `__post_init__`."""
    made_by: Callable[..., Any] = type(dataclass)
    check_arguments(_signature(made_by), (), vars(dataclass))


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that is only imported for type checkers
        return inspect.signature(function)


def _is(kind: Any, value: Any) -> bool:
    """Whether a value is what an annotation says, as far as it can be told without using it."""
    found: bool
    origin = typing.get_origin(kind)
    if kind in (None, type(None)):
        found = value is None
    elif kind is int:
        found = _is_whole(value)
    elif kind is float:
        found = isinstance(value, numbers.Real) and not isinstance(value, bool)
    elif origin is Annotated:
        plain, *limits = typing.get_args(kind)
        found = _is(plain, value) and all(value >= limit.least for limit in limits)
    elif origin in (typing.Union, types.UnionType):
        found = any(_is(one, value) for one in typing.get_args(kind))
    elif origin is typing.Literal:
        found = value in typing.get_args(kind)
    elif origin is Callable:
        found = callable(value)
    elif _is_several(kind):
        items = _items(kind, value)
        found = items is not None and all(_is(_item(kind), one) for one in items)
    else:
        cls = origin or kind
        found = not _is_class(cls) or isinstance(value, cls)
    return found


def _is_whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)


def _is_several(kind: Any) -> bool:
    """Whether an annotation is that of a list, a stream or a mapping of something."""
    origin = typing.get_origin(kind)
    return (
        isinstance(origin, type)
        and issubclass(origin, Iterable)
        and origin.__module__ in ("builtins", "collections.abc")
    )


def _is_class(cls: Any) -> bool:
    """Whether it can be told of values if they are of this class."""
    if not isinstance(cls, type) or cls in (object, Any) or getattr(cls, "_is_protocol", False):
        return False
    return cls.__module__ != "collections.abc"


def _item(kind: Any) -> Any:
    """What several things must be, each of them."""
    arguments = typing.get_args(kind)
    if _length(kind) is not None:
        return typing.Union[arguments]  # noqa: UP007 - of as many as there are
    return arguments[-1] if issubclass(typing.get_origin(kind), Mapping) else arguments[0]


def _length(kind: Any) -> int | None:
    """How many there must be, if that is known."""
    arguments = typing.get_args(kind)
    fixed = typing.get_origin(kind) is tuple and arguments[-1] is not ...
    return len(arguments) if fixed else None


def _items(kind: Any, value: Any) -> Collection[Any] | None:
    """One of each type among several values, none of a stream; None for what is not several."""
    origin = typing.get_origin(kind)
    if issubclass(origin, Mapping) != isinstance(value, Mapping) or not isinstance(value, Iterable):
        return None
    if isinstance(value, str | bytes) or hasattr(value, "columns"):  # a frame iterates over names
        return None
    if not isinstance(value, Collection):
        return None if issubclass(origin, Collection) else ()
    if _length(kind) not in (None, len(value)):
        return None
    items = value.values() if isinstance(value, Mapping) else value
    return {type(one): one for one in items}.values()


def _culprit(kind: Any, value: Any) -> tuple[Any, str]:
    """What is wrong about a value: one of its items where it is several, as it should be."""
    for several in filter(_is_several, alternatives(kind)):
        for one in _items(several, value) or ():
            if not _is(_item(several), one):
                return one, "one with "
    return value, ""


def alternatives(kind: Any) -> Iterator[Any]:
    """The kinds of which an annotation allows any."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for one in typing.get_args(kind):
            yield from alternatives(one)
    else:
        yield kind


_WORDS = {
    "int": ("a whole number", "whole numbers"),
    "float": ("a number", "numbers"),
    "bool": ("True or False", "trues and falses"),
    "str": ("a string", "strings"),
    "PathLike": ("a path", "paths"),
    "Path": ("a path", "paths"),
    "ndarray": ("an array", "arrays"),
    "Callable": ("a function", "functions"),
    "NoneType": ("None", "Nones"),
}


def _in_words(kind: Any, *, many: bool = False) -> str:
    """What an annotation wants: `a number or None`, `an NGramModel`, `a list of strings`."""
    kinds = list(alternatives(kind))
    words: list[str] = []
    for one in kinds:
        if _is_several(one):
            inside = list(alternatives(_item(one)))
            above = [k for k in kinds[: kinds.index(one)] if not _is_several(k)]
            what = "these" if inside == above else _in_words(_item(one), many=True)
            origin = typing.get_origin(one)
            shape = "a dictionary" if issubclass(origin, Mapping) else "a list"
            if not issubclass(origin, Collection):
                shape = "a list or a stream"
            of = f"{_length(one)} {what}" if _length(one) else f"{shape} of {what}"
            words.append(shape if _item(one) is Any else of)
        elif typing.get_origin(one) is Annotated:
            plain, *limits = typing.get_args(one)
            least = "".join(f" of {limit.least} or more" for limit in limits)
            words.append(f"{_in_words(plain, many=many)}{least}")
        elif typing.get_origin(one) is typing.Literal:
            words += map(repr, typing.get_args(one))
        else:
            name = getattr(typing.get_origin(one) or one, "__name__", str(one))
            words.append(_WORDS.get(name, (_with_article(name), f"{name}s"))[many])
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} or {last}" if first else last


def _with_article(name: str) -> str:
    # Capitals that are read one by one: an NGramModel, an LSTMModel, but a UnigramModel.
    vowel = name[0] in "AEIOaeio" or (name[:2].isupper() and name[0] in "FHLMNRSX")
    return f"{'an' if vowel else 'a'} {name}"


def _shown(value: Any) -> str:
    if value is None or isinstance(value, str | bytes | numbers.Number):
        text = repr(value)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return _WORDS.get(name, [_with_article(name)])[0]


def _hint(kind: Any, value: Any) -> str:
    """What to do, as the end of the sentence, where what is given is almost what is wanted."""
    kinds = list(alternatives(kind))
    for several in filter(_is_several, kinds):
        mapping = issubclass(typing.get_origin(several), Mapping)
        if _is(_item(several), value) and (_item(several) is not Any or isinstance(value, str)):
            return "; give it a name, {name: it}" if mapping else "; put it in a list"
        kinds += alternatives(_item(several))
    if isinstance(value, str | os.PathLike) and any(hasattr(k, "load") for k in kinds):
        return "; langmodels.load opens the file of one"
    wants_path = any(typing.get_origin(k) is os.PathLike for k in kinds)
    if wants_path and hasattr(value, "save") and not isinstance(value, type):
        return "; save it, and give the path of its file"
    return ""
