"""A report as a file: what it says, that it needs nothing else, and that no name in it is more than text."""

from __future__ import annotations

import html.parser
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from evaluations import HOSTILE, binary, compared, empty, hostile, multiclass, regression
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import SaveFailed
from palate.evaluation._report import render_report, write_json, write_report
from palate.evaluation.gate import check_gate, make_gate
from palate.evaluation.results import Comparison, Evaluation, Latency, Metric, Pictures, Residuals

ALL = {
    "binary": binary(),
    "multiclass": multiclass(),
    "many classes": multiclass(20),
    "regression": regression(),
    "nothing": empty(),
    "comparison": compared(),
}
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(html.parser.HTMLParser):
    """A page taken apart: its elements, those that are open, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, with single spaces."""
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(params=ALL)
def result(request: pytest.FixtureRequest) -> Evaluation | Comparison:
    """Return each kind of result."""
    return ALL[request.param]


def test_every_tag_is_closed(result: Evaluation | Comparison) -> None:
    """The page is put together properly, whatever is in it; so is each picture, to a reader of XML."""
    text = render_report(result)
    assert Page(text).open == []
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(picture)


def test_a_report_needs_nothing_else(result: Evaluation | Comparison) -> None:
    """No script, and nothing that is fetched: no address stands in any attribute."""
    page = Page(render_report(result))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "a", "use", "image"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "xlink:href", "action", "srcset", "style"}
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in render_report(result)
    assert "@import" not in render_report(result)


def test_equal_values_give_equal_bytes(tmp_path: Path, result: Evaluation | Comparison) -> None:
    """A report has no time, no chance and no path of its own in it."""
    files = [tmp_path / name for name in ("a.html", "b.html")]
    for file in files:
        write_report(result, file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Nothing depends on the order of sets, which is another one in each process."""
    script = "import sys, evaluations; from palate.evaluation._report import write_report; "
    script += "write_report(evaluations.compared(), sys.argv[1])"
    shared = str(Path(__file__).resolve().parents[1] / "shared")
    for seed in "1", "2":
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": shared}
        subprocess.run([sys.executable, "-c", script, tmp_path / f"{seed}.html"], check=True, env=environment)
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_a_report_says_what_was_evaluated() -> None:
    """Model, version, identity, data, rows, time and how intervals were made can all be read in it."""
    text = Page(render_report(binary())).text
    for told in (
        "Evaluation of screening, version 3",
        "Binary classification on 285 rows, 3 left out, from holdout.parquet.",
        "2026-11-28 15:04:05 UTC",
        f"sha256:{'3f5c' * 16}",
        "models:/screening/3",
        "from 1,000 bootstrap samples, seed 0",
        "scikit-learn 1.9.1",
        "3 rows were left out: their target is missing.",
        "Looked for malignant",
        "1.27 ms",
    ):
        assert told in text


def test_every_figure_stands_in_the_report() -> None:
    """Each metric has its value, its interval and the name that a rule uses."""
    found = binary()
    text = Page(render_report(found)).text
    for metric in found.metrics:
        assert f"{metric.name} {metric.value:.4f} {metric.low:.4f} to {metric.high:.4f}" in text


def test_slices_stand_in_the_report() -> None:
    """Each slice of each metric has a row, with its rows and value."""
    found = binary()
    text = Page(render_report(found)).text
    for part in found.slices:
        for metric in part.metrics:
            assert f"{part.label} {part.rows} {metric.value:.4f}" in text


def test_a_confusion_matrix_is_a_table() -> None:
    """Each cell of a small matrix can be read: rows, and the share of the true class."""
    found = binary()
    matrix = found.pictures.confusion
    assert matrix is not None
    text = Page(render_report(found)).text
    for label, counts in zip(matrix.labels, matrix.counts, strict=True):
        cells = " ".join(f"{count:.0f} {count / sum(counts):.0%}" for count in counts)
        assert f"{label} {cells}" in text


def test_a_large_confusion_matrix_is_a_picture_and_a_list() -> None:
    """Of many classes the matrix is drawn, and the most frequent mistakes are named."""
    found = multiclass(20)
    matrix = found.pictures.confusion
    assert matrix is not None
    text = render_report(found)
    assert "20 true classes down, 20 predicted classes across" in text
    mistakes = [(n, -i, -j) for i, row in enumerate(matrix.counts) for j, n in enumerate(row) if i != j]
    count, row, column = max(mistakes)
    share = count / sum(matrix.counts[-row])
    assert f"class {-row} class {-column} {count:.0f} {share:.0%}" in Page(text).text
    drawn = sum(d.count("M") for d in re.findall(r'<path class="(?:hit|miss) level-\d" d="([^"]*)"', text))
    assert drawn == sum(n > 0 for line in matrix.counts for n in line)


def test_many_curves_name_the_worst() -> None:
    """Where classes are too many to be told apart, the six with the smallest area are, and it is said."""
    found = multiclass(20)
    text = Page(render_report(found)).text
    worst = sorted(found.pictures.roc, key=lambda curve: curve.area or 0)[:6]
    for curve in worst:
        assert f"{curve.label} area {curve.area:.4f}" in text
    assert "14 other classes" in text
    assert "Named are the 6 classes with the smallest area." in text


def test_a_comparison_says_what_is_real() -> None:
    """The headline counts real differences; each row has both values, the difference, the verdict and the test."""
    text = Page(render_report(compared())).text
    assert "screening, version 3 compared with screening, version 2" in text
    assert "Of 8 figures, B is better in 3 and A in 0; in 5, a difference may be chance." in text
    for found in compared().differences:
        verdict = "B is better" if found.better else "may be chance"
        assert f"{verdict} {found.a:.4f} {found.b:.4f} {found.difference:+.4f}".replace("-", "\N{MINUS SIGN}") in text
    assert "p < 0.001, exact McNemar" in text
    assert "p = 0.210, paired bootstrap" in text


def test_a_gate_stands_above_all() -> None:
    """What a gate said, and why, is in the report of what it judged."""
    found = compared()
    gate = make_gate(["accuracy >= 0.8", "p99 latency <= 1 ms", "auc >= 0.9"])
    text = Page(render_report(found, gate=check_gate(gate, found))).text
    assert "The gate failed" in text
    assert "passed accuracy >= 0.8" in text
    assert "failed p99 latency <= 1 ms the p99 latency in ms is 1.27, which is not <= 1" in text
    assert "undecidable auc >= 0.9 there is no metric 'auc': did you mean roc_auc?" in text
    passed = render_report(found, gate=check_gate(make_gate(["accuracy >= 0.8"]), found))
    assert "The gate passed" in Page(passed).text


# -- what strangers put into it ----------------------------------------------------------------------------------------


def test_hostile_names_are_text() -> None:
    """Whatever a class, a column or a model is called is shown as that text, and makes no element and no attribute."""
    found = hostile()
    gate = check_gate(make_gate([f"accuracy >= 0.9 for x={HOSTILE.split(' ')[0].replace(chr(34), '')[:20]}"]), found)
    page = Page(render_report(found, gate=gate))
    plain = Page(render_report(replace(multiclass(7), slices=binary().slices, importance=binary().importance)))
    assert page.open == []
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements} | {"small", "section", "code"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert names <= {name for _, attributes in plain.elements for name in attributes} | {"title"}
    assert HOSTILE.replace("\u202e", "\\u202e") in page.text


def test_marks_of_direction_and_controls_are_shown() -> None:
    """A name cannot turn the text around it, nor hide in it; text from right to left stands on its own."""
    text = render_report(hostile())
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "a\\u0000b\\u001b[31m" in text
    assert "<bdi>שלום עולם</bdi>" in text


def test_long_and_empty_labels_are_shown() -> None:
    """A long label loses its middle where there is no room; an empty one is shown as such, a missing one too."""
    text = Page(render_report(hostile())).text
    assert "…" in text
    assert "“”" in text
    assert "(missing)" in text


def test_half_a_character_is_written(tmp_path: Path) -> None:
    """A lone surrogate, as in a hostile file's name, keeps nothing from being written."""
    found = empty(name="a\ud800b")
    write_report(found, tmp_path / "a.html")
    write_json(found, tmp_path / "a.json")
    assert b"a?b" in (tmp_path / "a.html").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text())["name"] == "a\ud800b"


@settings(max_examples=40)
@given(
    st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3),
    st.lists(st.floats(min_value=-1e300, max_value=1e300), min_size=1, max_size=6),
)
def test_any_numbers_can_be_drawn(triple: list[float | None], values: list[float]) -> None:
    """No value, interval or residual keeps a report from being written, and none leaves a number that is none in it."""
    metric = Metric(name="own", value=triple[0], low=triple[1], high=triple[2], greater_is_better=None)
    edges = tuple(sorted([*values, values[0]]))
    residuals = Residuals(
        edges=edges, counts=tuple(1.0 for _ in edges[1:]), actual=tuple(values), predicted=tuple(reversed(values))
    )
    part = replace(binary().slices[0], metrics=(metric,))
    found = empty(metrics=(metric,), slices=(part,), pictures=Pictures(residuals=residuals))
    text = render_report(found)
    for d in re.findall(r' (?:d|cx|cy|r)="([^"]*)"', text):
        assert not re.search("nan|inf|e", d), d


def test_a_fast_model_has_a_latency() -> None:
    """Microseconds are not rounded to nothing, and seconds have no exponent."""
    latency = Latency(rows_per_call=1, calls=9, mean_ms=0.0123, p50_ms=0.012, p95_ms=0.02, p99_ms=1234.4)
    text = Page(render_report(empty(latency=latency))).text
    assert "median 0.012 ms" in text
    assert "mean 0.0123 ms" in text
    assert "99 of 100 1,234 ms" in text


# -- files -------------------------------------------------------------------------------------------------------------


def test_json_has_everything(tmp_path: Path, result: Evaluation | Comparison) -> None:
    """The JSON is the value itself; a number that JSON has no word for is null."""
    write_json(result, tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert document == json.loads(json.dumps(result.to_dict()))


def test_json_has_no_nan(tmp_path: Path) -> None:
    """NaN and infinity are no JSON."""
    write_json(empty(metrics=(Metric(name="own", value=float("nan"), high=float("inf")),)), tmp_path / "a.json")
    (metric,) = json.loads((tmp_path / "a.json").read_text())["metrics"]
    assert (metric["value"], metric["high"]) == (None, None)


@pytest.mark.parametrize("write", [write_report, write_json])
def test_a_file_is_replaced_in_one_step(tmp_path: Path, write: object) -> None:
    """The old file is there until the new one is whole, nothing is left beside it, and a link keeps leading on."""
    assert callable(write)
    target, link = tmp_path / "report", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    before = target.stat().st_ino
    write(empty(), link)
    assert target.stat().st_ino != before
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "report"]
    assert "screening" in target.read_text()


@pytest.mark.parametrize("write", [write_report, write_json])
def test_what_the_disk_refuses_is_told(tmp_path: Path, write: object) -> None:
    """A folder that is not there, or a folder in the place of the file, is one typed error, and nothing is left."""
    assert callable(write)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "nowhere" / "a.html", tmp_path / "folder"):
        with pytest.raises(SaveFailed, match="Nothing was saved"):
            write(empty(), path)
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


def test_a_full_disk_costs_nothing() -> None:
    """A device is written to, not replaced; a full one is told."""
    with pytest.raises(SaveFailed, match="No space left"):
        write_report(empty(), "/dev/full")
    assert Path("/dev/full").is_char_device()


def test_modules_load_nothing_heavy() -> None:
    """Reports and gates bring no template engine and no scikit-learn before they are used."""
    heavy = ("jinja2", "sklearn", "pandas", "pyarrow", "matplotlib")
    modules = "palate.evaluation, palate.cli.evaluate"
    code = f"import sys, {modules}; print([n for n in {heavy} if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
