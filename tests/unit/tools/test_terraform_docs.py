"""The tables of inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.terraform_docs import ROOT, Attribute, attributes_of, documented, pages, render, split_top, with_tables

_MODULE = """
variable "plain" {
  type        = string
  description = "A \\"quoted\\" word | and a bar."
  nullable    = false

  validation {
    condition     = var.plain != ""
    error_message = "..."
  }
}

variable "nested" {
  type = object({
    size = optional(number, 3)
    by_name = optional(map(object({
      image = string
      tags  = optional(list(string), ["a, b"])
    })), {})
    rules = list(object({ id = string, on = optional(bool, true) }))
  })
  description = <<-EOT
    What is nested.
    - `size`: how large,
    - `by_name`: by name:
      - `image`, `tags`: what runs,
    - `rules`: what holds.
    It ends so.
  EOT
  default     = {}
}

output "told" {
  description = "What is told."
  value       = 1
}
"""


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages()])
def test_tables_are_as_the_modules_are(page: str) -> None:
    """Failure covered: tables that were written by hand, and tell what the module once took."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert with_tables(text, render(pages()[ROOT / page])) == text, "run `make docs`"


def test_attributes_are_told_with_their_defaults_however_deep(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(_MODULE, encoding="utf-8")
    nested, plain = documented(tmp_path, "variable")
    assert plain.text == 'A "quoted" word | and a bar.'
    assert plain.attributes == [Attribute("plain", "string", "")]
    assert nested.text == "What is nested. It ends so."
    assert nested.attributes == [
        Attribute("nested", "object", "{}"),
        Attribute("nested.size", "number", "3"),
        Attribute("nested.by_name", "map of objects", "{}"),
        Attribute("nested.by_name.<name>.image", "string", ""),
        Attribute("nested.by_name.<name>.tags", "list(string)", '["a, b"]'),
        Attribute("nested.rules", "list of objects", ""),
        Attribute("nested.rules[].id", "string", ""),
        Attribute("nested.rules[].on", "bool", "true"),
    ]
    tables = render(tmp_path).splitlines()
    assert '| `nested.by_name.<name>.tags` | `list(string)` | `["a, b"]` | what runs |' in tables
    assert '| **`plain`** | `string` | required | A "quoted" word \\| and a bar. |' in tables
    assert tables[-1] == "| `told` | What is told. |"


def test_an_optional_without_a_default_is_null() -> None:
    assert [*attributes_of("x", "object({ y = optional(string) })", "")][1] == Attribute("x.y", "string", "null")


def test_separators_in_brackets_and_strings_part_nothing() -> None:
    assert [*split_top('a(b, c), "d, e", [f, {g = 1, h = 2}]', ",")] == ["a(b, c)", '"d, e"', "[f, {g = 1, h = 2}]"]


def test_what_has_no_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('variable "bare" {\n  type = string\n}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="variable bare has no description"):
        render(tmp_path)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        with_tables("# A page\n", "")
