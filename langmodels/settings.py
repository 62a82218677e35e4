"""Hyper-parameters, which stand in the signature of a constructor and nowhere else.

Their names, types and defaults are read from it, their meanings from the `Args:` section of the
class's docstring; `repr`, `get_params`, model files, lists of options and errors derive from these.
"""

import functools
import inspect
import re
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from langmodels.arguments import alternatives, check_arguments, check_keywords
from langmodels.errors import UsageError
from langmodels.names import Late

F = TypeVar("F", bound=Callable[..., Any])
Target = Callable[..., Any]
"""A class or a function that takes hyper-parameters."""

_KEYWORDS = inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True)
class Parameter:
    """One hyper-parameter: `meaning` in a clause; `default` is `REQUIRED` where there is none."""

    name: str
    annotation: Any
    default: Any
    meaning: str

    REQUIRED = inspect.Parameter.empty

    @property
    def type(self) -> str:
        """Its type as Python writes it: `int | None`."""
        return " | ".join(map(_as_python, alternatives(self.annotation)))

    @property
    def kind(self) -> str:
        """Its type in words: `whole number or none`."""
        return " or ".join(dict.fromkeys(map(_in_words, alternatives(self.annotation))))


def forwards(to: Target | None = None, *, without: Collection[str] = ()) -> Callable[[F], F]:
    """Decorate what hands its `**keywords` on: to `to`, or a constructor to that of the base class.

    Those of `without` are not handed on. Constructors that hand all of them on to the base class
    need no decoration.
    """

    def decorate(function: F) -> F:
        function.__forwards__ = to, frozenset(without)  # type: ignore[attr-defined]
        return function

    return decorate


def parameters(target: Target) -> Mapping[str, Parameter]:
    """The hyper-parameters of a class or function by name, those that it hands on included.

    Where a class and its base have one of the same name, that of the class counts.
    """
    return _parameters(_there(target))


@functools.cache
def _parameters(target: Target) -> Mapping[str, Parameter]:
    meanings: dict[str, str] = {}
    for source in reversed(list(_documented(target))):
        meanings |= meanings_of(source)
    return {
        name: Parameter(name, p.annotation, p.default, meanings.get(name, ""))
        for name, p in signature(target).parameters.items()
        if p.kind is not _KEYWORDS
    }


def signature(target: Target) -> inspect.Signature:
    """What a class or function takes, with the parameters that it hands on written out.

    `**keywords` remain where it is not known what becomes of them.
    """
    return _signature(_there(target))


@functools.cache
def _signature(target: Target) -> inspect.Signature:
    found: dict[str, inspect.Parameter] = {}
    rest: inspect.Parameter | None = None
    kept_back: set[str] = set()
    for depth, (own, without) in enumerate(_sources(target)):
        rest = None
        for name, parameter in own.items():
            if parameter.kind is _KEYWORDS:
                rest = parameter
            elif name not in kept_back:
                if depth:  # it was given by name
                    parameter = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
                # A default of the class's own, in the place that its base gives the parameter.
                found[name] = found.pop(name, parameter)
        kept_back |= without
    ordered = sorted(found.values(), key=lambda parameter: parameter.kind)
    return inspect.Signature([*ordered, *([rest] if rest else [])])


def check_options(target: Target, given: Collection[str], name: str) -> None:
    """Raise UnknownOptionError for the first option that `target`, called `name`, does not take."""
    check_keywords(signature(target), given, name)


def meanings_of(target: Any) -> dict[str, str]:
    """The `Args:` section of a docstring: the meaning of each parameter in it."""
    found: dict[str, str] = {}
    _, _, section = (inspect.getdoc(target) or "").partition("\nArgs:\n")
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        entry = re.match(r"    (\w+): (.*)", line)
        if entry:
            found[entry[1]] = entry[2]
        elif found and line.strip():
            found[list(found)[-1]] += f" {line.strip()}"
    return found


def parse_name(text: str) -> tuple[str, dict[str, Any]]:
    """A name and its options, as typed: `name` or `name:option=value:option=value`.

    Values are read as whole numbers, several of them joined by `+`, numbers, true/false, none, or
    else words. Raises UsageError for options written wrongly.

    >>> parse_name("kneser-ney:order=3")
    ('kneser-ney', {'order': 3})
    """
    name, *parts = text.strip().split(":")
    options: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise UsageError(f"In {text!r}, write options as name:option=value, not {part!r}.")
        if "=" in value:
            raise UsageError(f"In {text!r}, write a colon before every option, not {part!r}.")
        options[key.strip().replace("-", "_")] = _value(value.strip())
    return name, options


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "none":
        return None
    if "+" in text.strip("+"):
        numbers = text.split("+")
        if all(map(str.isdecimal, numbers)):
            return tuple(map(int, numbers))
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


class _Signature:
    """The signature of a class as `help` and editors show it, worked out when it is asked for."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        return signature(owner)


class Configurable:
    """What is made of hyper-parameters: arguments of the constructor, kept under the same names.

    Subclasses state them in the signature of `__init__`, and what they mean in the `Args:` section
    of their docstring; keywords that they do not know go on to `super().__init__`. An unknown one,
    and one of the wrong kind, is refused by name before the constructor runs.
    """

    __signature__ = _Signature()

    def __new__(cls, *args: Any, **kwargs: Any) -> typing.Self:
        check_options(cls, kwargs, cls.__name__)
        check_arguments(signature(cls), args, kwargs)
        return super().__new__(cls)

    def get_params(self) -> dict[str, Any]:
        """Hyper-parameters by name: what makes another one like this, not fitted."""
        return {name: self._param(name) for name in self._parameters()}

    def _parameters(self) -> Mapping[str, Parameter]:
        return parameters(type(self))

    def _param(self, name: str) -> Any:
        return getattr(self, name)

    def __repr__(self) -> str:
        known = self._parameters()
        shown = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value != known[name].default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def _there(target: Target) -> Target:
    """The class or function itself."""
    return target.target if isinstance(target, Late) else target


def _sources(
    target: Target,
) -> Iterator[tuple[dict[str, inspect.Parameter], frozenset[str]]]:
    """Through which functions keywords go: what each takes, and what it does not hand on."""
    to, without = _forwarded(target)
    if isinstance(target, functools.partial):
        for own, kept_back in _sources(target.func):
            yield {n: p for n, p in own.items() if n not in target.keywords}, kept_back
    elif isinstance(target, type):
        own = {}
        for cls in target.__mro__:
            function = cls.__dict__.get("__init__")
            if function is None or cls is object:
                continue
            to, without = _forwarded(function)
            own = _own_parameters(function)
            own.pop(next(iter(own)))  # self
            yield own, without
            if to is not None or not _takes_more(own):
                break
        if not own:
            yield {}, frozenset()
    else:
        yield _own_parameters(target), without
    if to is not None:
        yield from _sources(to)


def _documented(target: Target) -> Iterator[Any]:
    """Whose docstrings say what the parameters mean, those that count first."""
    if isinstance(target, functools.partial):
        yield from _documented(target.func)
    elif isinstance(target, type):
        for cls in target.__mro__[:-1]:
            yield cls
            to, _ = _forwarded(cls.__dict__.get("__init__"))
            if to is not None:
                yield from _documented(to)
    else:
        yield target
    to, _ = _forwarded(target)
    if to is not None:
        yield from _documented(to)


def _forwarded(function: Any) -> tuple[Target | None, frozenset[str]]:
    """What `forwards` was told."""
    found: tuple[Target | None, frozenset[str]]
    found = getattr(function, "__forwards__", (None, frozenset()))
    return found


def _own_parameters(function: Target) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function, eval_str=True).parameters)
    except NameError:  # an annotation that is only imported for type checkers
        return dict(inspect.signature(function).parameters)


def _takes_more(own: Mapping[str, inspect.Parameter]) -> bool:
    return any(p.kind is _KEYWORDS for p in own.values())


def _as_python(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if annotation in (None, type(None)):
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(annotation))


_WORDS = {int: "whole number", float: "number", bool: "true or false", str: "word"}


def _in_words(annotation: Any) -> str:
    if annotation in (None, type(None)):
        return "none"
    if typing.get_origin(annotation) is typing.Annotated:
        return _in_words(typing.get_args(annotation)[0])
    if typing.get_args(annotation):
        return f"{_in_words(typing.get_args(annotation)[0])}s joined by +"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
