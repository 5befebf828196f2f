from __future__ import annotations

import pytest
from tests.web.diffs.diff_support import view
from tests.web.diffs.html_reader import Reader, foreign

from coatcheck._patches.parse import Patch
from coatcheck._web.diffs.file_facts import facts_of
from coatcheck._web.diffs.file_list import PAGE, file_list
from coatcheck._web.diffs.file_section import body_html, files_of, files_of_interdiff, section_html
from coatcheck._web.diffs.interdiff import interdiff

HEAD = "diff --git a/f b/f\n"


@pytest.mark.parametrize(
    ("header", "facts"),
    [
        ("new file mode 100644\n", ("new file",)),
        ("new file mode 100755\n", ("new executable file",)),
        ("new file mode 120000\n", ("new symbolic link",)),
        ("deleted file mode 100644\n", ("deleted file",)),
        ("old mode 100644\nnew mode 100755\n", ("now executable", "mode 100644 → 100755")),
        ("old mode 100755\nnew mode 100644\n", ("no longer executable", "mode 100755 → 100644")),
        ("old mode 100644\nnew mode 120000\n", ("file becomes symbolic link", "mode 100644 → 120000")),
        ("index 1111111..2222222 160000\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", ("submodule",)),
        ("index 1111111..2222222 100644\nBinary files a/f and b/f differ\n", ("binary; the diff does not contain it",)),
    ],
)
def test_facts_of_a_file_are_words(header: str, facts: tuple[str, ...]) -> None:
    """Modes, kinds and binary content are words beside the name, and a file without lines shows them in its place."""
    [file] = files_of(Patch(f"{HEAD}{header}".encode()).files)
    html = section_html(file, view(), body=body_html(file, view()))

    assert file.change is not None
    assert facts == facts_of(file.change)
    assert all(fact in html for fact in facts)


def test_renames_name_both_paths() -> None:
    """A moved file has both names, and how much of it stayed."""
    text = b"diff --git a/old b/new\nsimilarity index 95%\nrename from old\nrename to new\n"
    html = section_html(files_of(Patch(text).files)[0], view())

    assert [True] * 3 == [part in html for part in ("<bdi>new</bdi>", '<bdi class="was">old</bdi>', "95% unchanged")]


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "\u202eevil", "\x1b[2J", "a\nb",
    "&lt;", "\udcff", "a" + "\u0301" * 40, "../../etc/passwd", "'onclick='x", "\u2028", " ",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_lines_are_text(name: str) -> None:
    """No name and no line of a diff makes an element, an attribute or an address, in any part of the page."""
    raw = name.encode("utf-8", "surrogateescape")
    quoted = b"".join(b"\\%03o" % byte for byte in raw)
    text = b'diff --git "a/%s" "b/%s"\nnew file mode 100644\n--- /dev/null\n+++ "b/%s"\n@@ -0,0 +1 @@ %s\n+%s\n' % (
        quoted, quoted, quoted, raw.replace(b"\n", b" "), raw.replace(b"\n", b" "),
    )  # fmt: skip
    files = files_of(Patch(text).files)
    html = file_list(files, view("split")).html + section_html(files[0], view())

    assert [] == foreign(html)
    assert html == html.encode().decode()
    assert not any(each in html for each in ("\u202e", "\x1b", "\u2028", "\u0301" * 4))


def test_a_hunk_that_cannot_be_read_is_shown_as_text() -> None:
    """A file whose hunk does not count shows why, and its text; the other files are shown as usual."""
    text = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n+<b>\n"
    change = Patch(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+<b>\n").files[0]
    broken = type(change)(text, 0, len(text), 1, 1)
    html = body_html(files_of([broken])[0], view())

    assert ("cannot be read as a diff" in html, "+&lt;b&gt;" in html) == (True, True)


def test_five_thousand_files_are_on_pages() -> None:
    """Each file is on one page; the page of a file is found by its anchor; what is not shown yet is a link."""
    part = "diff --git a/d{0} b/d{0}\nnew file mode 100644\n--- /dev/null\n+++ b/d{0}\n@@ -0,0 +1 @@\n+x\n"
    files = files_of(Patch("".join(map(part.format, range(5_000))).encode()).files)
    pages = [file_list(files, view(), number=number) for number in (1, 50, 99)]
    found = file_list(files, view(), anchor=files[4_321].anchor)

    assert [(1, 50, 5_000), (50, 50, 5_000), (50, 50, 5_000)] == [
        (each.number, each.pages, each.files) for each in pages
    ]
    assert [PAGE] * 3 == [each.html.count("<details") for each in pages]
    assert (44, True) == (found.number, f'id="{files[4_321].anchor}"' in found.html)


def test_large_diffs_begin_with_their_first_file() -> None:
    """Of sixty files of 50 kB the first one is on the page, and the others are links that load them."""
    body = "".join(f"+{number} {'x' * 40}\n" for number in range(1_000))
    part = "diff --git a/{0} b/{0}\nnew file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1,1000 @@\n" + body
    files = files_of(Patch("".join(map(part.format, range(60))).encode()).files)

    html = file_list(files, view()).html

    assert (60, 200) == (html.count('<p class="lazy">'), len(Reader(html).lines))


def test_a_path_twice_has_two_anchors() -> None:
    """The second change of a path has another anchor; the first has that of the path."""
    one = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
    first, second = files_of(Patch(one + one.replace(b"+b\n", b"+c\n")).files)

    assert f"{first.anchor}-2" == second.anchor


def test_differences_name_how_they_were_computed() -> None:
    """A file that one candidate changes is named so, and two diffs that cannot be combined are shown as diffs."""
    other = b"--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n"
    base = "diff --git a/f b/f\nindex {}..9999999 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-{}\n+<x>\n"
    left, right = (
        Patch(base.format(*pair).encode() + extra)
        for pair, extra in ((("1111111", "a"), other), (("2222222", "b"), b""))
    )
    files = files_of_interdiff(interdiff(left, right), ("candidate 1", "candidate 2"))
    html = file_list(files, view()).html

    assert "only candidate 1 changes this file" in html
    assert '<span class="r">--a</span>' in html
    assert [] == foreign(html)
