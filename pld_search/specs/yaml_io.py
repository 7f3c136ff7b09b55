"""YAML as a tree that remembers the position of every key and value.

`load` turns text into `Map` and `Seq`: a dict and a list with the marks of their keys and values. So a problem that is
found long after reading, in a merged study or in one field of a system, still names file, line and column. Plain
scalars follow a small, strict grammar: `1e-4` is a number. Words that YAML 1.1 reads in a surprising way (`no`,
`24:00:00`, `0777`, dates) are refused unless they are quoted. Nothing is constructed from a tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from pld_search.errors import ConfigError, KeyPath, Position, Problem

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 50
_MAX_PROBLEMS = 100

_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_NULL = ("", "~", "null", "Null", "NULL")
_YES_NO = re.compile(r"(?:yes|no|on|off)", re.IGNORECASE)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BASED = re.compile(r"[-+]?0(?:[0-7_]+|[xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|nan)|[-+]?(?:inf|infinity|nan)", re.IGNORECASE)


class Map(dict[str, Any]):
    """A mapping that knows the position of itself, its keys and its values; marks survive copies and merges."""

    def __init__(self, items: Iterable[tuple[str, Any]] | dict[str, Any] = (), mark: Position | None = None) -> None:
        super().__init__(items)
        self.mark = mark
        self.marks: dict[str, tuple[Position | None, Position | None]] = {}

    def put(self, key: str, value: Any, marks: tuple[Position | None, Position | None]) -> None:
        """Sets `key` together with the marks of the key and of its value."""
        self[key] = value
        self.marks[key] = marks

    def marks_of(self, key: str) -> tuple[Position | None, Position | None]:
        """Returns the marks of the key and of its value; the mapping's own mark if they are unknown."""
        return self.marks.get(key, (self.mark, self.mark))

    def copy(self) -> Map:
        """Returns a shallow copy with its own marks."""
        other = Map(self, self.mark)
        other.marks = dict(self.marks)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Map:
        return copied(self)  # type: ignore[no-any-return]


class Seq(list[Any]):
    """A list that knows the position of itself and its items."""

    def __init__(
        self, items: Iterable[Any] = (), mark: Position | None = None, marks: Iterable[Position | None] = ()
    ) -> None:
        super().__init__(items)
        self.mark = mark
        self.marks: list[Position | None] = list(marks)

    def __deepcopy__(self, memo: dict[int, Any]) -> Seq:
        return copied(self)  # type: ignore[no-any-return]


def copied(tree: Any) -> Any:
    """Returns a deep copy with all marks; other dicts and lists become `Map` and `Seq` without marks."""
    if isinstance(tree, dict):
        result = Map(((key, copied(value)) for key, value in tree.items()), getattr(tree, "mark", None))
        result.marks = dict(getattr(tree, "marks", {}))
        return result
    if isinstance(tree, list | tuple):
        return Seq((copied(item) for item in tree), getattr(tree, "mark", None), getattr(tree, "marks", ()))
    return tree


def remarked(tree: Any, change: Callable[[Position], Position]) -> Any:
    """Returns a deep copy with every mark changed."""

    def changed(mark: Position | None) -> Position | None:
        return None if mark is None else change(mark)

    if isinstance(tree, Map):
        result = Map(mark=changed(tree.mark))
        for key, value in tree.items():
            marks = tree.marks_of(key)
            result.put(key, remarked(value, change), (changed(marks[0]), changed(marks[1])))
        return result
    if isinstance(tree, Seq):
        return Seq(
            [remarked(item, change) for item in tree], changed(tree.mark), [changed(mark) for mark in tree.marks]
        )
    return tree


def borrowed(tree: Any, name: str, mark: Position | None = None) -> Any:
    """Returns a deep copy of a file's tree for use as a base: its marks carry the file's `name`.

    With `mark`, the place where the name was written, all marks become that place, so that no problem names a line of a
    shipped file.
    """
    return remarked(tree, lambda own: replace(mark or own, base=name))


def plain(tree: Any) -> Any:
    """Returns the tree as built-in dicts and lists."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    return [plain(item) for item in tree] if isinstance(tree, list | tuple) else tree


def mark_at(tree: Any, path: KeyPath, of: Literal["key", "value"] = "value") -> Position | None:
    """Returns where `path` was written, or the nearest place above it if it was not written itself. None for values
    that a program added.
    """
    mark: Position | None = getattr(tree, "mark", None)
    for index, part in enumerate(path):
        if isinstance(tree, Map) and part in tree:
            key_mark, value_mark = tree.marks_of(str(part))
            last = index == len(path) - 1
            own = key_mark if last and of == "key" else value_mark
            mark = own if part in tree.marks else own or mark
            tree = tree[str(part)]
        elif isinstance(tree, Seq) and isinstance(part, int) and part < len(tree):
            mark = (tree.marks[part] if part < len(tree.marks) else None) or mark
            tree = tree[part]
        else:
            break
    return mark


def value_at(tree: Any, path: KeyPath) -> Any:
    """Returns the value at `path`, which must exist."""
    for part in path:
        tree = tree[part]
    return tree


def marks_below(tree: Any, path: KeyPath) -> list[Position]:
    """Returns the marks of every key and item written at `path` and inside it; empty if `path` was not written."""
    for part in path[:-1]:
        if not (isinstance(tree, Map) and part in tree):
            return []
        tree = tree[str(part)]
    if not (isinstance(tree, Map) and path and path[-1] in tree):
        return []
    last = str(path[-1])
    inner = [mark for leaf in _inner_marks(tree[last]) for mark in leaf]
    return [mark for mark in (*tree.marks_of(last), *inner) if mark is not None]


def _inner_marks(tree: Any) -> Iterable[tuple[Position | None, ...]]:
    if isinstance(tree, Map):
        for key, value in tree.items():
            yield tree.marks_of(key)
            yield from _inner_marks(value)
    elif isinstance(tree, Seq):
        yield tuple(tree.marks)
        for item in tree:
            yield from _inner_marks(item)


def load_file(path: Path) -> Map:
    """Reads the mapping of a YAML file. Raises ConfigError with every problem of the file."""
    name = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(Problem("no such file", mark=Position(name, 1, 1))) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", mark=Position(name, 1, 1))) from None
    if len(data) > MAX_BYTES:
        raise ConfigError(_too_large(name))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        head = data[: error.start]
        mark = Position(name, head.count(b"\n") + 1, error.start - (head.rfind(b"\n") + 1) + 1)
        raise ConfigError(Problem("the file is not UTF-8 text", mark=mark)) from None
    return load(text, name)


def load(text: str, file: str) -> Map:
    """Reads the mapping in `text`; its marks carry the name `file`. Raises ConfigError with every problem of the
    text.
    """
    tree = load_value(text, file)
    if not isinstance(tree, Map):
        message = "the file is empty" if tree is None else "the file must hold a mapping (key: value)"
        raise ConfigError(Problem(message, mark=mark_at(tree, ()) or Position(file, 1, 1)))
    return tree


def load_value(text: str, file: str) -> Any:
    """Reads any one YAML value in `text`, also the right-hand side of `--set`. Raises ConfigError with every
    problem.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(_too_large(file))
    tabs = [
        Problem(
            "a tab in the indentation; YAML indents with spaces",
            mark=Position(file, number, len(line) - len(line.lstrip(" ")) + 1),
        )
        for number, line in enumerate(text.split("\n"), start=1)
        if line.lstrip(" ").startswith("\t") and line.strip()
    ]
    if tabs:
        raise ConfigError(tabs[:_MAX_PROBLEMS])
    try:
        reader = _Reader(text.removeprefix("\ufeff"), file)
        node = reader.get_single_node()
    except yaml.reader.ReaderError as error:
        raise ConfigError(_bad_character(text, file, error)) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax(error, text, file)) from None
    builder = _Builder(file, reader.problems)
    tree = None if node is None else builder.build(node, ())
    if builder.problems:
        raise ConfigError(sorted(builder.problems, key=_position)[:_MAX_PROBLEMS])
    return tree


def _too_large(file: str) -> Problem:
    return Problem(
        f"the file is larger than {MAX_BYTES:,} bytes; a configuration file is smaller", mark=Position(file, 1, 1)
    )


def _position(problem: Problem) -> tuple[int, int]:
    return (problem.mark.line, problem.mark.column) if problem.mark else (0, 0)


def _bad_character(text: str, file: str, error: yaml.reader.ReaderError) -> Problem:
    position = error.position if isinstance(error.position, int) else 0
    head = text[:position]
    mark = Position(file, head.count("\n") + 1, position - (head.rfind("\n") + 1) + 1)
    character = error.character if isinstance(error.character, int) else ord(str(error.character)[0])
    return Problem("a character that YAML does not allow", mark=mark, given=f"U+{character:04X}")


_OPENED = {
    "while scanning a quoted scalar": "quote",
    "while parsing a flow mapping": "brace",
    "while parsing a flow sequence": "bracket",
}
"""PyYAML's name for the thing it was reading -> the sign that opened it."""
_CLOSING = {"'}'": "brace", "']'": "bracket"}


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = _position_of(error.problem_mark or error.context_mark, file)
    what = (error.problem or "not YAML").replace("'\\t'", "a tab")
    if "a tab" in what:
        return Problem("a tab where YAML needs spaces", mark=mark)
    if opened := _OPENED.get(str(error.context)):
        return _within(opened, _position_of(error.context_mark, file), mark, what, text)
    if isinstance(error, yaml.composer.ComposerError) and "single document" in str(error.context):
        return Problem("more than one document ('---') in one file", mark=mark)
    if closing := _CLOSING.get(what.rpartition("but found ")[2]):
        return Problem(f"this {closing} closes nothing", mark=mark)
    return Problem(f"not YAML: {what}" + (f" ({error.context})" if error.context else ""), mark=mark)


def _within(opened: str, began: Position, stopped: Position, what: str, text: str) -> Problem:
    """Returns the problem between an opening sign and the position where reading stopped.

    If the file ends, a sign closes something else, or a later line is not indented deeper, the opening sign is the
    mistake. Otherwise a comma may be missing.
    """
    lines = text.split("\n")
    outside = stopped.line > began.line and _indent(lines, stopped) <= _indent(lines, began)
    if "end" in what or outside or what.rpartition("but got ")[2] in _CLOSING:
        return Problem(f"this {opened} is not closed", mark=began)
    if "but got" in what:
        before = f"a comma is missing before this, or the {opened} of line {began.line}, column {began.column}"
        return Problem(f"{before} is not closed", mark=stopped)
    return Problem(f"not YAML: {what} (in the {opened} of line {began.line})", mark=stopped)


def _indent(lines: list[str], mark: Position) -> int:
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    return len(line) - len(line.lstrip())


def _position_of(mark: yaml.Mark | None, file: str) -> Position:
    return Position(file, 1, 1) if mark is None else Position(file, mark.line + 1, mark.column + 1)


class _Reader(yaml.SafeLoader):
    """Composes nodes with a limit on nesting, and records every explicit tag. It constructs nothing."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text)
        self.file = file
        self.level = 0
        self.problems: list[Problem] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = Position(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.append(Problem("tags are not used here", mark=mark, given=tag))
        self.level += 1
        if self.level > MAX_DEPTH:
            raise ConfigError(Problem(f"nested more than {MAX_DEPTH} deep", mark=mark))
        node = super().compose_node(parent, index)
        self.level -= 1
        return node


class _Builder:
    """Turns nodes into a tree. Aliases are written out, so that their content counts towards the limit."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file, self.problems, self.nodes = file, problems, 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.nodes += 1
        mark = self.mark(node)
        if self.nodes > MAX_NODES:
            raise ConfigError(Problem(f"more than {MAX_NODES:,} values, aliases written out", mark=mark))
        if len(path) > MAX_DEPTH:
            raise ConfigError(Problem(f"nested more than {MAX_DEPTH} deep", mark=mark))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, mark)
        if isinstance(node, yaml.SequenceNode):
            items = [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return Seq(items, mark, [self.mark(item) for item in node.value])
        return self.scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: KeyPath, mark: Position) -> Map:
        tree = Map(mark=mark)
        for key_node, value_node in node.value:
            key, where = self.key(key_node, path), self.mark(key_node)
            if key is None:
                continue
            if key in tree:
                first = tree.marks_of(key)[0]
                self.problems.append(
                    Problem(
                        f"the key is written twice, first in line {first.line if first else '?'}", (*path, key), where
                    )
                )
            tree.put(key, self.build(value_node, (*path, key)), (where, self.mark(value_node)))
        return tree

    def key(self, node: yaml.Node, path: KeyPath) -> str | None:
        """Returns the key, which must be one word; None, with a problem recorded, if it is not."""
        value = self.scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(node, yaml.ScalarNode) and node.value == "<<" and node.style is None:
            self.problems.append(
                Problem(
                    "merge keys ('<<') are not used here; systems, base: and --set change a value",
                    path,
                    self.mark(node),
                )
            )
        elif isinstance(value, str) and value:
            return value
        elif not isinstance(node, yaml.ScalarNode) or value is not _REFUSED:
            given = node.value if isinstance(node, yaml.ScalarNode) else "a mapping or a list"
            self.problems.append(
                Problem(_KEY_OF_A_NUMBER if _is_number(value) else _KEY, path, self.mark(node), given=str(given))
            )
        return None

    def scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.style is not None:  # type: ignore[attr-defined]  # quoted or a block: text, unchanged
            return node.value
        try:
            return scalar(node.value)
        except _Trap as trap:
            self.problems.append(
                Problem(trap.rule, path, self.mark(node), given=node.value, suggestion=trap.suggestion)
            )
            return _REFUSED

    def mark(self, node: yaml.Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


_REFUSED = object()
_KEY = "a key is a word; quote it if this is one"
_KEY_OF_A_NUMBER = "a number alone is no key; a place in a run has a unit, `0 %` or `100 steps`"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Trap(ValueError):
    """An unquoted word that YAML 1.1 reads in a surprising way."""

    def __init__(self, rule: str, suggestion: str | None = None) -> None:
        super().__init__(rule)
        self.rule, self.suggestion = rule, suggestion


def scalar(text: str) -> Any:
    """Converts an unquoted scalar to None, bool, int, float or str. Raises `_Trap` (a ValueError) for an ambiguous
    one.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _YES_NO.fullmatch(text):
        meant = "true" if text.lower() in ("yes", "on") else "false"
        raise _Trap(
            "an unquoted yes, no, on or off is a truth value to some readers and a word to others",
            f'{meant} or "{text}"',
        )
    if _NOT_FINITE.fullmatch(text):
        raise _Trap("infinity and NaN are not numbers here")
    if _DATE.fullmatch(text):
        raise _Trap("an unquoted date is not a text", f'"{text}"')
    if _BASE_60.fullmatch(text):
        raise _Trap("unquoted digits with colons are a number in base 60 to YAML 1.1", f'"{text}"')
    if _INT.fullmatch(text):
        return int(_bounded(text))
    if _BASED.fullmatch(text):
        raise _Trap(
            "a number with a leading 0 is octal, hexadecimal or binary to YAML 1.1; write it in decimal or quote it",
            f'"{text}"',
        )
    return float(_bounded(text)) if _FLOAT.fullmatch(text) else text


def _bounded(text: str) -> str:
    if len(text) > 40 or not -1e30 <= float(text.replace("_", "")) <= 1e30:
        raise _Trap("a number outside -1e30 .. 1e30, or with more than 40 digits")
    return text


class _NoAliases:
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


class _Writer(_NoAliases, yaml.SafeDumper):
    """Writes YAML that `load` reads back as an equal value."""


_CWriter: Any = type("_CWriter", (_NoAliases, getattr(yaml, "CSafeDumper", yaml.SafeDumper)), {})
"""The same by libyaml, faster; as `_Writer` where PyYAML was built without libyaml."""
_LONGEST_KEY = 100
"""The two emitters put longer keys, from 123 characters on, on lines of their own by different rules."""


@lru_cache(maxsize=4096)
def _style_of(value: str) -> str | None:
    """Returns the quotes of a text: double ones for characters that are escaped, single ones for a text that would not
    be read as a text, None where it is written as it is.
    """
    if not value.isprintable():  # YAML folds some unprintable characters unless they are escaped
        return '"'
    try:
        quoted = not isinstance(scalar(value), str) or value == "<<"
    except _Trap:
        quoted = True
    return "'" if quoted else None


def _text(writer: _Writer, value: str) -> yaml.Node:
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=_style_of(value))


for _writer in (_Writer, _CWriter):
    _writer.add_representer(str, _text)
    _writer.add_representer(Map, lambda writer, value: writer.represent_dict(dict(value)))
    _writer.add_representer(Seq, lambda writer, value: writer.represent_list(list(value)))
    _writer.add_representer(tuple, lambda writer, value: writer.represent_list(list(value)))


def dump(value: Any) -> str:
    """Returns `value` as YAML that `load_value` reads back as an equal value; keys keep their order. Raises ValueError
    for NaN or infinity.
    """
    if _has_nonfinite(value):
        raise ValueError("NaN and infinity cannot be written")
    writer = _CWriter if isinstance(value, dict | list) and _equal_in_c(value) else _Writer
    return _dumped(value, writer)


def _dumped(value: Any, writer: Any) -> str:
    text: str = yaml.dump(value, Dumper=writer, sort_keys=False, allow_unicode=True, width=150, default_flow_style=None)
    return text


def _equal_in_c(value: Any) -> bool:
    """Whether libyaml writes the same text as Python's emitter: every text is printable ASCII, and no key is empty or
    long. The two differ in characters beyond the BMP, and in the lines of an escaped text.
    """
    if isinstance(value, dict):
        return all(
            isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY and _equal_in_c(key) and _equal_in_c(item)
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return all(map(_equal_in_c, value))
    return not isinstance(value, str) or (value.isascii() and value.isprintable())


def _has_nonfinite(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nonfinite(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_has_nonfinite(item) for item in value)
    return isinstance(value, float) and not float("-inf") < value < float("inf")
