"""Writes docs/api.md, the reference of `edgespeech_runtime`, from its signatures and docstrings.

python docs/make_api.py           # write it
python docs/make_api.py --check   # exit with 1 where it is not up to date
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edgespeech_runtime
from edgespeech_runtime import errors, live
from edgespeech_runtime.ctc.language_model import NgramModel, open_language_model
from edgespeech_runtime.long.speech import SpeechOptions, speech_spans
from edgespeech_runtime.tasks.model import Model

PAGE = Path(__file__).with_name("api.md")
LINE = 110  # characters of a signature in one line
HEAD = """# The runtime's Python interface

Written from the docstrings of `edgespeech_runtime` by `make api`; a test compares. An introduction with examples is the
[runtime's README](../runtime/README.md).
"""
SECTIONS = {
    "Loading": "load devices Device DeviceWarning register_provider",
    "Models": "CtcModel EncoderDecoderModel ClassificationModel FrameClassificationModel EmbeddingModel FeatureModel",
    "Results": (
        "Transcript Word Character TextSegment Alternative AlignedWord AlignedCharacter Classification Label "
        "FrameLabels Segment Prediction"
    ),
    "Subtitles": "to_srt to_vtt to_textgrid",
    "Audio": "read_audio AudioBlocks AudioWarning",
}
OTHERS = {  # public names of modules below
    "Language models": ("edgespeech_runtime.ctc.language_model", (open_language_model, NgramModel)),
    "Finding speech": ("edgespeech_runtime.long.speech", (speech_spans, SpeechOptions)),
}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        if title == "Models":
            parts.append("What all models have:\n")
            parts += entry(Model, "Model", "edgespeech_runtime.tasks")
        for name in names.split():
            parts += entry(getattr(edgespeech_runtime, name), name, "edgespeech_runtime")
    parts.append("## Live captions\n")
    for name in live.__all__:
        parts += entry(getattr(live, name), name, "edgespeech_runtime.live")
    for title, (module, items) in OTHERS.items():
        parts.append(f"## {title}\n")
        for item in items:
            parts += entry(item, item.__name__, module)
    parts.append("## Errors\n")
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n", 2)[2]
    parts.append(f"In `edgespeech_runtime.errors`:\n\n```\n{tree}\n```\n")
    return "\n".join(parts)


def entry(item: Any, name: str, module: str) -> Iterator[str]:
    """A function, or a class with its methods."""
    yield f"### {name}\n"
    if inspect.isclass(item):
        yield code(f"class {module}.{name}{class_arguments(item)}")
        yield prose(item)
        for method, home in methods(item):
            yield f"#### {name}.{method}\n"
            yield from member(vars(home)[method], method)
    else:
        yield code(f"{module}.{name}{signature(item)}")
        yield prose(item)


def member(value: Any, name: str) -> Iterator[str]:
    """A method or a property."""
    if isinstance(value, property):
        yield code(f"{name}: {annotation(function_node(value.fget).returns)}  # property")
        yield prose(value.fget)
    else:
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        yield code(f"{name}{signature(function, bound=not isinstance(value, staticmethod))}")
        yield prose(function)


def methods(cls: type) -> Iterator[tuple[str, type]]:
    """Public methods and properties by name with the class that defines each, in the order of the classes.

    Those of `Model` are listed with it alone.
    """
    seen: set[str] = set()
    for home in cls.__mro__:
        if not home.__module__.startswith("edgespeech_runtime") or (home is Model and cls is not Model):
            continue
        for name, value in vars(home).items():
            is_method = callable(value) or isinstance(value, property | classmethod | staticmethod)
            if name.startswith("_") or name in seen or not is_method or inspect.isclass(value):
                continue
            seen.add(name)
            if documented(cls, name):
                yield name, home


def documented(cls: type, name: str) -> bool:
    """Whether a method explains itself, and is not explained where it is defined first."""
    value = inspect.getattr_static(cls, name)
    text = getattr(getattr(value, "fget", value), "__doc__", None) or ""
    return bool(text) and not (issubclass(cls, Model) and text.startswith("See "))


def class_arguments(cls: type) -> str:
    """What makes an instance; "" where users do not."""
    init = vars(cls).get("__init__")
    try:
        return signature(init, bound=True) if init is not None and init.__doc__ else fields(cls)
    except (OSError, TypeError):
        return fields(cls)


def fields(cls: type) -> str:
    """The fields of a dataclass or a named tuple with those that it inherits; "" for another class."""
    if not hasattr(cls, "__dataclass_fields__") and not hasattr(cls, "_fields"):
        return ""
    found: dict[str, str] = {}
    for home in reversed(cls.__mro__):
        if home.__module__.startswith("edgespeech_runtime"):
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(home))).body
            for line in getattr(node, "body", []):
                if isinstance(line, ast.AnnAssign):
                    value = default_text(line.value)
                    found[ast.unparse(line.target)] = f"{annotation(line.annotation)}{value}"
    return arguments([f"{name}: {text}" for name, text in found.items() if not name.startswith("_")])


def default_text(value: ast.expr | None) -> str:
    """A field's default as it is read; that of a factory is what it makes."""
    if value is None:
        return ""
    if isinstance(value, ast.Call):
        factories = [word.value for word in value.keywords if word.arg == "default_factory"]
        return f" = {ast.unparse(factories[0])}()" if factories else ""
    return f" = {ast.unparse(value)}"


def signature(function: Any, bound: bool = False) -> str:
    """`(name: annotation = default, ...) -> annotation`, annotations as they are written in the source."""
    node = function_node(function)
    defaults = {name: value.default for name, value in inspect.signature(inspect.unwrap(function)).parameters.items()}
    listed, given = [], node.args
    positional = [*given.posonlyargs, *given.args]
    for argument in positional[1:] if bound else positional:
        listed.append(parameter(argument, defaults))
    if given.vararg is not None:
        listed.append("*" + parameter(given.vararg, {}))
    elif given.kwonlyargs:
        listed.append("*")
    listed += [parameter(argument, defaults) for argument in given.kwonlyargs]
    if given.kwarg is not None:
        listed.append("**" + parameter(given.kwarg, {}))
    result = annotation(node.returns)
    return arguments(listed) + (f" -> {result}" if result not in ("", "None") else "")


def parameter(argument: ast.arg, defaults: dict[str, Any]) -> str:
    """One parameter."""
    text = f"{argument.arg}: {annotation(argument.annotation)}" if argument.annotation else argument.arg
    default = defaults.get(argument.arg, inspect.Parameter.empty)
    if default is inspect.Parameter.empty:
        return text
    return f"{text} = {default.__name__ if inspect.isroutine(default) else repr(default)}"


def arguments(listed: list[str]) -> str:
    """Them in one line, or in a line each."""
    line = f"({', '.join(listed)})"
    return line if len(line) <= LINE else "(\n" + "".join(f"    {each},\n" for each in listed) + ")"


def function_node(function: Any) -> ast.FunctionDef:
    """The definition of a function in its source."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    return node  # type: ignore[return-value]  # nothing else comes of a function


def annotation(node: ast.expr | None) -> str:
    """An annotation as text, without the quotes of those that are resolved later."""
    if node is None:
        return ""
    text = ast.unparse(node)
    return text if is_literal(node) else re.sub(r"['\"]([\w.\[\], |]+)['\"]", r"\1", text)


def is_literal(node: ast.expr) -> bool:
    """Whether quotes belong to what an annotation means."""
    return any(isinstance(part, ast.Name) and part.id == "Literal" for part in ast.walk(node))


def code(text: str) -> str:
    """A block of Python."""
    return f"```python\n{text}\n```\n"


def prose(item: Any) -> str:
    """The docstring, its lists of attributes and errors as lists of Markdown."""
    lines, is_list = [], False
    for line in inspect.cleandoc(inspect.unwrap(item).__doc__ or "").splitlines():
        if re.fullmatch(r"(Attributes|Raises|Args):", line):
            lines += [line, ""]
            is_list = True
        elif is_list and line.startswith("    ") and not line.startswith("     "):
            lines.append(re.sub(r"^    ([\w, ]+):", r"- `\1`:", line))
        elif is_list and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            is_list = is_list and not line
            lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
