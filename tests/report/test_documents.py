"""The layouts: Markdown, HTML, JSON, SARIF and the terminal."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest
from torch_stabilize.codes import page_address
from torch_stabilize.explain import room
from torch_stabilize.report.as_json import report_json, schema
from torch_stabilize.report.diff_view import diff_files, shown_at
from torch_stabilize.report.documents import report_html, report_markdown, summary
from torch_stabilize.report.lines import lines
from torch_stabilize.report.places import Place
from torch_stabilize.report.sarif import sarif
from torch_stabilize.report.terminal import print_diff, print_report
from torch_stabilize.report.view import Finding, Report, Stage

from tests.report.made_up import CODES, made_up_report

DIFF = """diff --git a/x.cu b/y z.cu
similarity index 90%
rename from x.cu
rename to y z.cu
--- a/x.cu
+++ b/y z.cu
@@ -1 +1 @@
-a
+b
"""


def in_terminal(report: Report) -> str:
    file = io.StringIO()
    print_report(report, lines(file))
    return file.getvalue()


def test_terminal_lists_places_as_compilers_do_and_never_breaks_a_line() -> None:
    lines = in_terminal(made_up_report(Stage.WRITTEN)).splitlines()
    assert "  csrc/stable/norm.cu:4:5 TSA190 no stable form of `mystery` <script>" in lines
    assert "Sites: 3 found = 2 rewritten + 1 diagnosed + 0 allowed" in lines
    assert "  csrc/norm.cu -> csrc/stable/norm.cu  3 edits" in lines
    assert lines[-1] == "  torch-stabilize verify norm"


def test_terminal_keeps_square_brackets() -> None:
    file = io.StringIO()
    lines(file).print("x[i] [red]y[/red]")
    assert file.getvalue() == "x[i] [red]y[/red]\n"


def test_colour_is_added_where_it_is_asked_for_and_the_text_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    lines(plain).print("a ", ("[b]", "cyan"), style="bold")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    lines(coloured).print("a ", ("[b]", "cyan"), style="bold")
    assert plain.getvalue() == "a [b]\n" != coloured.getvalue()
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured.getvalue()) == plain.getvalue()


def test_a_diff_is_printed_byte_for_byte_where_nobody_looks() -> None:
    file = io.StringIO()
    print_diff(DIFF, lines(file))
    assert file.getvalue() == DIFF


def test_a_diff_is_taken_apart_by_file() -> None:
    (file,) = diff_files(DIFF)
    assert (file.old, file.path) == ("x.cu", "y z.cu")
    assert [line.kind for line in file.lines] == ["header"] * 6 + ["hunk", "removed", "added"]


def test_lines_of_a_diff_have_their_numbers() -> None:
    """A line that looks like a header is one of the file; "\\ No newline" is no line of any."""
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -3,3 +7,3 @@ f\n same\n--- gone\n+++ come\n\\ No newline at end of file\n last\n"
    (file,) = diff_files(diff)
    assert [(line.kind, line.before, line.after) for line in file.lines[3:]] == [
        ("hunk", 0, 0),
        ("same", 3, 7),
        ("removed", 4, 0),
        ("added", 0, 8),
        ("same", 0, 0),
        ("same", 5, 9),
    ]


def test_a_finding_is_shown_at_its_line_after_else_before() -> None:
    files = diff_files(DIFF)
    places = {
        1: (("x.cu", 1), ("y z.cu", 1)),
        2: (("x.cu", 1), None),  # its line is gone
        3: (("x.cu", 5), ("y z.cu", 5)),  # the diff leaves it out
        4: (None, ("y z.cu", 1)),
    }
    assert shown_at(files, places) == {("y z.cu", 8): (1, 4), ("y z.cu", 7): (2,)}


def test_markdown_has_the_evidence_and_escapes_tables() -> None:
    text = report_markdown(made_up_report(Stage.WRITTEN, verified=True))
    assert text.startswith("# Move `norm` to the libtorch stable ABI\n")
    assert "- `csrc/stable/norm.cu:4:5` **TSA190** no stable form of `mystery` \\<script\\>\n" in text
    assert "| moved: `csrc/norm.cu` to `csrc/stable/norm.cu` | 3 | +3 -2 |" in text
    assert "| compile | ok | 1 unit \\| stable headers alone |" in text
    assert (
        "\nLaunches:\n\n- `csrc/stable/norm.cu:7` **TSA826** error: norm_kernel: runs on the default stream\n" in text
    )
    assert "torch-stabilize verify" not in text  # it was run
    assert "\n\n\n" not in text


class Outside(HTMLParser):
    """Collects what a page would load, and tags that stay open."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.within: list[str] = []
        self.pages: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        links = [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        self.within += [link[1:] for link in links if link.startswith("#")]
        self.pages += [link for link in links if tag == "a" and not link.startswith("#")]
        self.loads += [link for link in links if tag != "a"]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_loads_nothing_and_escapes() -> None:
    page = report_html(made_up_report(Stage.WRITTEN, verified=True))
    reader = Outside()
    reader.feed(page)
    assert reader.open == []
    assert reader.loads == []
    assert set(reader.pages) == {page_address(finding.code) for finding in made_up_report().findings}
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "@import" not in page
    assert '<span class="added">+  STD_TORCH_CHECK(x.defined());</span>' in page


def test_html_shows_findings_in_the_diff_with_links_both_ways() -> None:
    page = report_html(made_up_report())
    reader = Outside()
    reader.feed(page)
    assert sorted(set(reader.ids)) == sorted(reader.ids)
    assert set(reader.within) <= set(reader.ids)
    assert {"finding-1", "line-1", "finding-2", "line-2", "manual", "review", "diff"} <= set(reader.within)
    assert (
        '<span class="same">   x.mystery();</span><span class="note" id="line-2"><a href="#finding-2">TSA190</a>'
        in page
    )
    headings = re.findall(r'<h2 id="(\w+)">', page)
    assert headings == ["manual", "review", "note", "diff"]


def test_json_follows_its_schema() -> None:
    for report in (made_up_report(), made_up_report(Stage.COMMITTED, verified=True)):
        document: dict[str, Any] = json.loads(report_json(report))
        jsonschema.Draft202012Validator.check_schema(schema("report"))
        jsonschema.validate(document, schema("report"))
        assert document["findings"][1]["place_after"] == {"path": "csrc/stable/norm.cu", "line": 4, "column": 5}
        assert document["sites"] == {"found": 3, "rewritten": 2, "diagnosed": 1, "allowed": 0}


def test_sarif_places_every_finding_and_describes_every_rule() -> None:
    report = made_up_report()
    log = json.loads(sarif([(finding, report.place(finding)) for finding in report.findings], CODES))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["TSA190", "TSA201", "TSA601"]
    names = [rule["name"] for rule in run["tool"]["driver"]["rules"]]
    assert names == ["AMethodWithoutAStableFormB", "TORCH_CHECKIsSTD_TORCH_CHECK", "SourcesAreFoundByAGlob"]
    pages = [rule["helpUri"] for rule in run["tool"]["driver"]["rules"]]
    assert pages[0] == "https://torch-stabilize.readthedocs.io/en/latest/codes/TSA190/"
    assert [(r["level"], rules[r["ruleIndex"]]) for r in run["results"]] == [
        ("warning", "TSA201"),
        ("error", "TSA190"),
        ("note", "TSA601"),
    ]
    location = run["results"][1]["locations"][0]["physicalLocation"]
    assert location == {
        "artifactLocation": {"uri": "csrc/norm.cu", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 12},
    }
    assert "call it through the dispatcher" in run["results"][1]["message"]["text"]


def test_sarif_knows_a_finding_again_though_lines_moved() -> None:
    finding = made_up_report().findings[0]
    other = replace(finding, message="no stable form of `qr`")

    def marks(*found: tuple[Finding, Place]) -> list[str]:
        results = json.loads(sarif(found, CODES))["runs"][0]["results"]
        return [result["partialFingerprints"]["findingHash/v1"] for result in results]

    here, below, elsewhere = (Place("csrc/norm.cu", 3, 5), Place("csrc/norm.cu", 9, 5), Place("csrc/rope.cu", 3, 5))
    first, second, third, fourth = marks((finding, here), (finding, below), (other, here), (finding, elsewhere))
    assert len({first, second, third, fourth}) == 4
    assert marks((finding, below)) == [first]
    (rule,) = json.loads(sarif([(finding, here)], CODES))["runs"][0]["tool"]["driver"]["rules"]
    assert rule["properties"]["tags"] == ["libtorch-stable-abi", room(finding.code)]


def test_summary_counts_in_words() -> None:
    assert summary(made_up_report()) == "1 file moved, 1 created"
