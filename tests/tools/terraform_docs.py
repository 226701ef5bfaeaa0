"""Tables of inputs and outputs, from the modules' own files into docs/reference.md and the modules' README.md.

python -m tests.tools.terraform_docs write | check
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- inputs and outputs: `make docs` -->", "<!-- end of inputs and outputs -->"

_BLOCK = re.compile(r'^(variable|output) "([^"]+)" \{$(.*?)^\}$', re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"^  description = <<-([A-Z]+)\n(.*?)^  \1$", re.MULTILINE | re.DOTALL)
_ONE_LINE = re.compile(r'^  description = "((?:[^"\\]|\\.)*)"$', re.MULTILINE)
_BULLET = re.compile(r"^( *)- ((?:`[^`]+`(?:, )?)+)(.*)$")
_NAMES = re.compile(r"`([^`]+)`")
_CLOSING = {"(": ")", "{": "}", "[": "]"}


@dataclass(frozen=True)
class Attribute:
    """A value that an input takes: its path in the input, its type, and its default ("" where it is required)."""

    path: str
    kind: str
    default: str


@dataclass(frozen=True)
class Documented:
    """A variable or an output."""

    name: str
    text: str  #: the description before its list
    bullets: dict[str, str]  #: attribute -> what it is
    attributes: list[Attribute]  #: the input itself first


def split_top(text: str, separators: str) -> Iterator[str]:
    """Parts of an expression between separators that stand in no bracket and no string."""
    waiting: list[str] = []
    start, quoted = 0, False
    for position, char in enumerate(text):
        if char == '"' and text[position - 1] != "\\":
            quoted = not quoted
        elif not quoted and char in _CLOSING:
            waiting.append(_CLOSING[char])
        elif not quoted and waiting and char == waiting[-1]:
            waiting.pop()
        elif not quoted and not waiting and char in separators:
            yield text[start:position].strip()
            start = position + 1
    yield text[start:].strip()


def _inside(expression: str, call: str) -> str | None:
    """What stands in `call(...)`; None if the expression is none of these."""
    return expression[len(call) + 1 : -1].strip() if expression.startswith(f"{call}(") else None


def attributes_of(path: str, expression: str, default: str) -> Iterator[Attribute]:
    """The value of this type at this path, and all that is in it."""
    kind, members = expression, ""
    for collection in ("list", "set", "map"):
        if (inner := _inside(expression, collection)) is not None:
            step = ".<name>" if collection == "map" else "[]"
            if _inside(inner, "object") is None:
                continue
            kind, members, path_within = f"{collection} of objects", inner, path + step
            break
    else:
        path_within = path
        if _inside(expression, "object") is not None:
            kind, members = "object", expression
    yield Attribute(path, kind, default)
    body = (_inside(members, "object") or "").removeprefix("{").removesuffix("}")
    for member in split_top(body, ",\n"):
        name, _, wanted = (part.strip() for part in member.partition("="))
        if not name:
            continue
        optional = _inside(wanted, "optional")
        parts = list(split_top(optional, ",")) if optional is not None else [wanted, ""]
        given = ", ".join(parts[1:]) if len(parts) > 1 else "null"
        yield from attributes_of(f"{path_within}.{name}", parts[0], given)


def _assigned(body: str, name: str) -> str | None:
    """The expression that a block assigns to an argument, on one line or up to where its brackets close."""
    found = re.search(rf"^  {name} *= ", body, re.MULTILINE)
    return next(split_top(body[found.end() :], "\n")) if found else None


def _described(body: str) -> tuple[str, dict[str, str]]:
    """Description before its list, and the list by attribute; text after the list belongs to the former."""
    heredoc, one_line = _HEREDOC.search(body), _ONE_LINE.search(body)
    if heredoc is None:
        return (one_line.group(1).replace('\\"', '"') if one_line else ""), {}
    text: list[str] = []
    bullets: dict[str, str] = {}
    for line in heredoc.group(2).splitlines():
        if bullet := _BULLET.match(line.removeprefix("    ")):
            said = bullet.group(3).removeprefix(":").strip().rstrip(",;.")
            bullets |= {name: said for name in _NAMES.findall(bullet.group(2)) if name not in bullets}
        else:
            text.append(line.strip())
    return " ".join(text), bullets


def documented(folder: Path, kind: str) -> list[Documented]:
    """Every variable, or every output, of a module, sorted by name. Raises ValueError for one without a description."""
    found = []
    for file in sorted(folder.glob("*.tf")):
        for block, name, body in _BLOCK.findall(file.read_text(encoding="utf-8")):
            if block != kind:
                continue
            text, bullets = _described(body)
            if not text:
                raise ValueError(f"{file.name}: {kind} {name} has no description")
            default = _assigned(body, "default") or ""
            expression = _assigned(body, "type") or ""
            attributes = list(attributes_of(name, expression, default)) if kind == "variable" else []
            found.append(Documented(name, text, bullets, attributes))
    return sorted(found, key=lambda one: one.name)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _shown_default(attribute: Attribute) -> str:
    """Long defaults are told by their rows."""
    if attribute.default == "":
        return "required"
    return _code(attribute.default) if len(attribute.default) <= 60 else "see below"


def _bullet_of(input_: Documented, attribute: Attribute) -> str:
    """What the list says of an attribute: by its path in the input, else by its own name."""
    within = attribute.path[len(input_.name) :].replace(".<name>", "").replace("[]", "").lstrip(".")
    return input_.bullets.get(within, input_.bullets.get(within.rsplit(".", 1)[-1], ""))


def render(folder: Path) -> str:
    """The tables of a module."""
    lines = ["| input | type | default | what it is |", "|---|---|---|---|"]
    for input_ in documented(folder, "variable"):
        for attribute in input_.attributes:
            own = attribute.path == input_.name
            said = input_.text if own else _bullet_of(input_, attribute)
            name = f"**`{attribute.path}`**" if own else f"`{attribute.path}`"
            lines.append(f"| {name} | {_code(attribute.kind)} | {_shown_default(attribute)} | {_cell(said)} |")
    lines += ["", "| output | what it is |", "|---|---|"]
    lines += [f"| `{output.name}` | {_cell(output.text)} |" for output in documented(folder, "output")]
    return "\n".join(lines)


def pages() -> dict[Path, Path]:
    """Page -> module whose tables are in it."""
    modules = sorted(path.parent for path in (ROOT / "modules").glob("*/versions.tf"))
    return {ROOT / "docs" / "reference.md": ROOT, **{module / "README.md": module for module in modules}}


def with_tables(page: str, tables: str) -> str:
    """The page with these tables between its marks. Raises ValueError for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write every page, or tell which ones are not as their module is; exit code 1 if there are any."""
    if arguments not in (["write"], ["check"]):
        print("usage: python -m tests.tools.terraform_docs write | check", file=sys.stderr)
        return 2
    behind = []
    for page, module in pages().items():
        text = page.read_text(encoding="utf-8")
        wanted = with_tables(text, render(module))
        if wanted == text:
            continue
        behind.append(str(page.relative_to(ROOT)))
        if arguments == ["write"]:
            page.write_text(wanted, encoding="utf-8")
    for name in behind:
        print(f"{'written' if arguments == ['write'] else 'behind its module'}: {name}")
    return 1 if behind and arguments == ["check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
