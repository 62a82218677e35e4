"""Hyper-parameters, which are declared only in the signature of a constructor.

Their names, types and defaults are read from it, and their meanings from the `Args:` section of the
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
    """A hyper-parameter. `meaning`: in a clause; `default`: `REQUIRED` if there is none."""

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
    """Decorator for a function that passes its `**keywords` on to `to`, except those in `without`.

    Without `to`, it is a constructor that passes them to that of its base class; one that passes
    all of them needs no decoration.
    """

    def decorate(function: F) -> F:
        function.__forwards__ = to, frozenset(without)  # type: ignore[attr-defined]
        return function

    return decorate


def parameters(target: Target) -> Mapping[str, Parameter]:
    """The hyper-parameters of a class or function by name, including those that it passes on.

    If a class and its base have one of the same name, that of the class counts.
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
    """The signature of a class or function, with the parameters that it passes on written out.

    `**keywords` remain only if it is not known where they are passed to.
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
                if depth:  # a parameter that is passed on can only be given by name
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
    """The meaning of each parameter in the `Args:` section of a docstring."""
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
    """The signature of a class, for `help` and editors; computed at each access."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        return signature(owner)


class Configurable:
    """Base of classes with hyper-parameters: constructor arguments, kept as attributes.

    Subclasses declare them in the signature of `__init__`, and their meanings in the `Args:`
    section of their docstring; they pass other keywords on to `super().__init__`. Unknown arguments
    and those of a wrong type are refused before the constructor runs, in errors that name them.
    """

    __signature__ = _Signature()

    def __new__(cls, *args: Any, **kwargs: Any) -> typing.Self:
        check_options(cls, kwargs, cls.__name__)
        check_arguments(signature(cls), args, kwargs)
        return super().__new__(cls)

    def get_params(self) -> dict[str, Any]:
        """The hyper-parameters by name; the constructor makes an unfitted copy from them."""
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
    """The functions that keywords pass through: (own parameters, names that are not passed on)."""
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
    """The classes and functions whose docstrings explain the parameters, in order of precedence."""
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
    """The arguments of the decorator `forwards`, if a function has it."""
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
