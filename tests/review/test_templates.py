"""Prompt templates: what is replaced, what is kept, and what front matter may hold."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._review.templates import Argument, Template, parse_template

EXAMPLE = """\
---
description: Fix one issue, with a test
arguments:
  issue: {description: Text of the issue, required: true, tag: issue}
  area: {description: Folder, default: src}
title: "Fix {{area}}"
attempts: 2
mode: code
---
Fix the issue below in {{area}}. Write a failing test first.

{{issue}}
"""


def parse(text: str, *, is_trusted: bool = False) -> Template:
    """Parse a template of a repository, or of the user."""
    return parse_template(text, name="fix", is_trusted=is_trusted)


def with_arguments(body: str, *names: str) -> Template:
    """Return a template with a body and optional arguments."""
    return Template(name="t", body=body, digest="", arguments=tuple(Argument(name=name) for name in names))


def test_a_template_is_read() -> None:
    """Every key of the front matter is read, and the digest is that of the whole file."""
    expected = Template(
        name="fix",
        description="Fix one issue, with a test",
        arguments=(
            Argument(name="issue", description="Text of the issue", is_required=True, tag="issue"),
            Argument(name="area", description="Folder", default="src"),
        ),
        title="Fix {{area}}",
        attempts=2,
        mode="code",
        body="Fix the issue below in {{area}}. Write a failing test first.\n\n{{issue}}\n",
        digest=hashlib.sha256(EXAMPLE.encode()).hexdigest(),
    )

    assert expected == parse(EXAMPLE)


def test_a_template_is_rendered() -> None:
    """A value is inserted, a default takes the place of a missing one, and a tag is on lines of its own."""
    rendered = parse(EXAMPLE).render({"issue": "It is\nslow.\n"})
    prompt = "Fix the issue below in src. Write a failing test first.\n\n<issue>\nIt is\nslow.\n</issue>\n"

    assert (prompt, "Fix src", "fix") == (rendered.prompt, rendered.title, rendered.template)


@given(st.text())
def test_text_without_declared_placeholders_is_kept(body: str) -> None:
    """Without front matter a file is its prompt, byte for byte."""
    template = parse("\n" + body)

    assert "\n" + body == template.render({}).prompt


@given(st.text(alphabet="{}ab_ \n$"), st.text(alphabet="{}ab_ \n$"))
def test_only_declared_placeholders_are_replaced_and_once(body: str, value: str) -> None:
    """The parts between placeholders are unchanged, and inserted placeholders are text."""
    prompt = with_arguments(body, "a").render({"a": value}).prompt

    assert value.join(body.split("{{a}}")) == prompt


@pytest.mark.parametrize(
    "text", ["{{secrets.X}}", "${{ a }}", "{{ a }}", "{{A}}", "{{a-b}}", "{a}", "{{b}}", "{{}}", "{%a%}"]
)
def test_what_is_no_placeholder(text: str) -> None:
    """Expressions of other systems, and names that are not declared, stay as they are."""
    assert text == with_arguments(text, "a").render({"a": "x"}).prompt


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{a}}", "<a>\nx\n</a>"),
        ("before {{a}} after", "before \n<a>\nx\n</a>\n after"),
        ("one\n{{a}}\ntwo", "one\n<a>\nx\n</a>\ntwo"),
        ("one\r\n{{a}}\r\n", "one\r\n<a>\nx\n</a>\r\n"),
    ],
)
def test_a_tag_is_on_lines_of_its_own(body: str, expected: str) -> None:
    """Line ends are added only where the placeholder shares its line."""
    template = Template(name="t", body=body, digest="", arguments=(Argument(name="a", tag="a"),))

    assert expected == template.render({"a": "x"}).prompt


@given(st.lists(st.sampled_from(["</a>", "</A >", "< / a>", "</a-2>", "</a-3", "<a>", "text", "\n"])).map("".join))
def test_a_value_cannot_end_its_tag(value: str) -> None:
    """The closing tag of a value stands once, after the value."""
    template = Template(name="t", body="{{a}}", digest="", arguments=(Argument(name="a", tag="a"),))
    prompt = template.render({"a": value}).prompt
    tag = re.match(r"<([a-z0-9-]+)>\n", prompt)[1]  # type: ignore[index]
    closings = re.findall(rf"<\s*/\s*{tag}(?![a-z0-9_-])", prompt, re.IGNORECASE)

    assert (1, True) == (len(closings), prompt.endswith(f"\n</{tag}>"))


@pytest.mark.parametrize(
    ("values", "message", "remedy"),
    [
        ({}, "the template fix needs issue", "--arg issue=VALUE"),
        ({"issue": "x", "isue": "y"}, "the template fix has no argument 'isue'", "its arguments: issue, area"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, str], message: str, remedy: str) -> None:
    """A missing or undeclared value is an error that names it."""
    with pytest.raises(errors.ConfigurationError) as raised:
        parse(EXAMPLE).render(values)

    assert (message, remedy) == (str(raised.value), raised.value.remedy)


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("provider: jules", "a template of a repository cannot set 'provider'"),
        ("environment: prod", "a template of a repository cannot set 'environment'"),
        ("base_url: https://example.com", "there is no key 'base_url'"),
        ("agent: rm -rf .", "there is no key 'agent'"),
        ("attempts: many", "attempts should be a number from 1 to 99, not 'many'"),
        ("attempts: 0", "attempts should be a number from 1 to 99, not '0'"),
        ("mode: yolo", "mode should be code or ask, not 'yolo'"),
        ("title: [a]", "title should be a text"),
        ("arguments: [a]", "arguments should be a mapping"),
        ("arguments: {A: x}", "'A' cannot be an argument"),
        ("arguments: {a: {type: int}}", "the argument a has an unknown key 'type'"),
        ("arguments: {a: {required: yes}}", "required of a should be true or false"),
        ("arguments: {a: {required: true, default: x}}", "the argument a is required and has a default"),
        ("arguments: {a: {tag: 'x>'}}", "'x>' cannot be a tag"),
        ("arguments: {a: {default: [1]}}", "the default of a should be a text"),
        ("title: a\ntitle: b", "the key 'title' is written twice"),
        ("- a", "its front matter is not a mapping"),
        ("title: 'a", "its front matter is not YAML"),
        ("a: &x b\ntitle: *x", "its front matter has an alias"),
        ("title: a\x01b", "its front matter has the character U+0001"),
        ('title: "\\ud800"', "its front matter has '\\ud800', which is half a character"),
        ("title: !!python/object/apply:os.system [id]", "title should be a text"),
        ("x: " + "[" * 5000, "its front matter has more than 10 levels"),
        ("x: " + "{a: " * 5000, "its front matter has more than 10 levels"),
        ("title: " + "x" * 70_000, "its front matter has more than"),
    ],
)
def test_front_matter_that_is_refused(front: str, reason: str) -> None:
    """The error names the template and the key, and has a remedy."""
    with pytest.raises(errors.ConfigurationError) as raised:
        parse(f"---\n{front}\n---\nbody")

    assert f"the template fix is not usable: {reason}" in str(raised.value)
    assert raised.value.remedy


def test_front_matter_without_an_end() -> None:
    """A line of dashes at the start opens front matter, which has to end."""
    with pytest.raises(errors.ConfigurationError, match="its front matter has no end"):
        parse("---\ntitle: x\nbody")


def test_a_template_of_the_user_may_set_more() -> None:
    """The user's own template may choose the provider and where the task runs."""
    template = parse("---\nprovider: jules\nbranch: main\n---\nx", is_trusted=True)

    assert {"provider": "jules", "branch": "main"} == template.settings


def test_scalars_stay_text() -> None:
    """Defaults that look like other types are the text that was written."""
    front = "arguments: {a: {default: yes}, b: {default: 1.10}, c: {default: 2026-11-28}, d: {default: ''}}"
    template = parse(f"---\n{front}\n---\n{{{{a}}}} {{{{b}}}} {{{{c}}}} {{{{d}}}}.")

    assert "yes 1.10 2026-11-28 ." == template.render({}).prompt


def test_carriage_returns_are_kept() -> None:
    """A file with CRLF has front matter, and its body keeps its line ends."""
    assert "one\r\ntwo\r\n" == parse("---\r\ntitle: x\r\n---\r\none\r\ntwo\r\n").body


def test_findings() -> None:
    """Unused arguments, undeclared placeholders and an empty prompt are reported."""
    template = Template(name="t", body=" {{b}}", digest="", arguments=(Argument(name="a"),))
    empty = Template(name="t", body=" \n", digest="")

    assert ("the argument a is not used", "{{b}} is not declared and stays as it is") == template.findings()
    assert ("the prompt is empty",) == empty.findings()


@given(st.text())
def test_any_text_is_a_template_or_one_error(text: str) -> None:
    """Any front matter is read or refused with the one error."""
    result: object
    try:
        result = parse(f"---\n{text}\n---\nbody")
    except errors.ConfigurationError as error:
        result = error

    assert isinstance(result, Template | errors.ConfigurationError)
