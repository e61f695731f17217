"""Figures do not depend on how rows are cut into files and batches; what later rows contradict is an error."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evaluation_models import Chosen, Columns, saved

from palate.errors import InvalidOption
from palate.evaluation import evaluate_model
from palate.evaluation._labels import Labels
from palate.evaluation.errors import InvalidPredictions, InvalidSlice, LabelsDiffer, TaskUnknown

INSIDE = [0.2, 0.3, 0.4, 0.9] * 25
BEYOND = [-3.0, 3.0, -2.0, 2.5] * 25
PLAIN = {"latency": False, "resamples": 0}


def values(evaluation) -> dict[str, float | None]:
    """Return the figures by name."""
    return {metric.name: metric.value for metric in evaluation.metrics}


def in_files(folder, *frames) -> str:
    """Write each frame as a file of one folder."""
    folder.mkdir()
    for at, frame in enumerate(frames):
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / f"{at}.parquet")
    return str(folder)


@pytest.fixture
def one_score(tmp_path):
    """Return a model that returns its input p."""
    return saved(Columns(), pd.DataFrame({"p": [0.5, -0.5]}), tmp_path / "m")


def margins(scores) -> pd.DataFrame:
    """Return rows whose class is told by the sign of the score."""
    return pd.DataFrame({"p": scores, "y": (np.array(scores) > 0).astype(int)})


def test_one_score_a_row(one_score) -> None:
    """Scores are margins in all batches if they are in one."""
    frame = margins(INSIDE + BEYOND)
    whole, cut = (
        evaluate_model(one_score, frame, target="y", task="binary", batch_rows=rows, **PLAIN) for rows in (1000, 50)
    )
    assert whole.metric("accuracy").value == 1
    assert values(cut) == values(whole)


def test_one_probability_a_row(one_score) -> None:
    """Scores that are probabilities in all batches are read as such."""
    frame = margins(INSIDE).assign(y=[0, 0, 0, 1] * 25)
    whole, cut = (evaluate_model(one_score, frame, target="y", batch_rows=rows, **PLAIN) for rows in (1000, 10))
    assert whole.metric("accuracy").value == 1
    assert "log_loss" in values(whole)
    assert values(cut) == values(whole)


@pytest.mark.parametrize("rows", [1000, 50])
def test_numbers_beyond_those_of_the_first_rows(one_score, rows: int) -> None:
    """Numbers were read as probabilities of 1 because they were from 0 to 1: all have to be."""
    with pytest.raises(TaskUnknown, match="numbers beyond these"):
        evaluate_model(one_score, margins(INSIDE + BEYOND), target="y", batch_rows=rows, **PLAIN)


def test_margins_after_probabilities_were_summed_up(one_score) -> None:
    """Rows that were not held cannot be read again: the error says what helps, and it does."""
    options = {"target": "y", "task": "binary", "batch_rows": 50, "max_held_bytes": 1, **PLAIN}
    with pytest.raises(InvalidPredictions, match=r"later ones have other numbers.*max_held_bytes"):
        evaluate_model(one_score, margins(INSIDE + BEYOND), **options)
    assert evaluate_model(one_score, margins(BEYOND + INSIDE), **options).metric("accuracy").value == 1


def test_fractions_after_whole_numbers(one_score) -> None:
    """Scores that look like classes in the first rows are refused by name."""
    frame = margins([-1.0, 1.0] * 25 + INSIDE)
    with pytest.raises(InvalidPredictions, match=r"read as classes, and later ones have fractions"):
        evaluate_model(one_score, frame, target="y", task="binary", batch_rows=50, **PLAIN)


def several_margins() -> pd.DataFrame:
    """Return rows of two labels, each told by the sign of its score."""
    frame = pd.DataFrame({"p0": INSIDE + BEYOND, "p1": INSIDE[::-1] + BEYOND[::-1]})
    return frame.assign(a=(frame["p0"] > 0).astype(int), b=(frame["p1"] > 0).astype(int))


@pytest.fixture
def two_scores(tmp_path):
    """Return a model that returns its inputs p0 and p1."""
    return saved(Columns(), pd.DataFrame({"p0": [0.5], "p1": [0.5]}), tmp_path / "m")


def test_labels(two_scores) -> None:
    """The scores of labels are margins in all batches if they are in one."""
    frame = several_margins()
    whole, cut = (evaluate_model(two_scores, frame, target=["a", "b"], batch_rows=rows, **PLAIN) for rows in (1000, 50))
    assert whole.metric("subset_accuracy").value == 1
    assert values(cut) == values(whole)


def test_labels_that_become_scores(two_scores) -> None:
    """Zeros and ones are scores if other rows have fractions, and ranked with them."""
    hard = pd.DataFrame({"p0": [0.0, 1.0] * 25, "p1": [1.0, 0.0] * 25}).assign(a=[0, 1] * 25, b=[1, 0] * 25)
    frame = pd.concat([hard, several_margins()], ignore_index=True)
    whole, cut = (evaluate_model(two_scores, frame, target=["a", "b"], batch_rows=rows, **PLAIN) for rows in (1000, 50))
    assert "roc_auc" in values(whole)
    assert values(cut) == values(whole)
    with pytest.raises(InvalidPredictions, match="later ones have fractions"):
        evaluate_model(two_scores, frame, target=["a", "b"], batch_rows=50, max_held_bytes=1, **PLAIN)


def test_zeros_and_ones_as_floats_are_labels(two_scores) -> None:
    """Without a fraction in any row there are no scores, and other numbers are refused."""
    hard = pd.DataFrame({"p0": [0.0, 1.0] * 25, "p1": [1.0, 0.0] * 25}).assign(a=[0, 1] * 25, b=[1, 0] * 25)
    found = evaluate_model(two_scores, hard, target=["a", "b"], batch_rows=10, **PLAIN)
    assert found.metric("subset_accuracy").value == 1
    assert "roc_auc" not in values(found)
    with pytest.raises(InvalidPredictions, match="neither 0 nor 1"):
        evaluate_model(two_scores, hard.assign(p0=2.0), target=["a", "b"], batch_rows=10, **PLAIN)


@pytest.mark.parametrize("limit", [{}, {"max_held_bytes": 1}], ids=["held", "summed up"])
def test_text_that_comes_late(limit, tmp_path) -> None:
    """A class that the target spells only in a later file is the model's own."""
    model = saved(Chosen("p"), pd.DataFrame({"p": [True, False]}), tmp_path / "m")
    frame = pd.DataFrame({"p": [False] * 90 + [True] * 110, "y": ["false"] * 100 + ["true"] * 100})
    whole = evaluate_model(model, frame, target="y", positive="true", **PLAIN)
    folder = in_files(tmp_path / "rows", frame[:100], frame[100:])
    cut = evaluate_model(model, folder, target="y", positive="true", **PLAIN, **limit)
    assert cut.task == "binary"
    assert cut.classes == ("false", "true")
    assert values(cut) == pytest.approx(values(whole))


def test_spellings_that_are_one_class() -> None:
    """Two spellings of a number are refused in the first rows, and in later ones."""
    labels = Labels("y")
    labels.encode_true(pa.array(["1", "0"]))
    labels.encode_predicted(pa.array([1, 0]))
    with pytest.raises(LabelsDiffer):
        labels.encode_true(pa.array(["1.0"]))
    labels = Labels("y")
    labels.encode_true(pa.array([1, 0]))
    labels.encode_predicted(pa.array(["1"]))
    with pytest.raises(LabelsDiffer):
        labels.encode_predicted(pa.array(["1.0"]))


@pytest.mark.parametrize("rows", [100, 2])
@pytest.mark.parametrize(("true", "predicted"), [([-1, 1], [0, 1]), ([0, 1], [-1, 1])], ids=["signs", "bits"])
def test_two_ways_to_write_two_classes(true, predicted, rows: int, tmp_path) -> None:
    """A target of -1 and 1 is not what a model that says 0 and 1 was trained on."""
    frame = pd.DataFrame({"p": predicted * 20, "y": true * 20})
    model = saved(Columns(), frame[["p"]], tmp_path / "m")
    with pytest.raises(LabelsDiffer, match="only '1' is the same"):
        evaluate_model(model, frame, target="y", batch_rows=rows, **PLAIN)
    found = evaluate_model(model, frame, target="y", task="multiclass", **PLAIN)
    assert found.classes == (-1, 0, 1)
    assert any("lacks some that it does" in note for note in found.notes)


def test_classes_that_meet_in_part_are_noted(tmp_path) -> None:
    """A note names the classes that only one side has; where one side has them all there is none."""
    frame = pd.DataFrame({"p": ["a", "b", "c"] * 20, "y": ["b", "c", "d"] * 20})
    model = saved(Columns(), frame[["p"]], tmp_path / "m")
    notes = evaluate_model(model, frame, target="y", **PLAIN).notes
    assert any("does not know or predict ('d')" in note and "('a')" in note for note in notes)
    few = evaluate_model(model, frame.assign(y=["a", "b", "b"] * 20), target="y", **PLAIN)
    assert not any("does not know or predict" in note for note in few.notes)


@pytest.mark.parametrize(
    ("column", "text", "meant"),
    [
        ([True, False], "false", False),
        ([True, False], "True", True),
        ([0, 1], "0", 0),
        ([0, 0], "1", 1),
        ([7, 7], "8", 8),
        ([True, True], "false", False),
    ],
)
def test_positive_as_text(column, text: str, meant: object, tmp_path) -> None:
    """A command line gives the class as text, which is read as the target writes its own."""
    frame = pd.DataFrame({"p": column * 20, "y": column * 20})
    found = evaluate_model(
        saved(Columns(), frame[["p"]], tmp_path / "m"), frame, target="y", positive=text, task="binary", **PLAIN
    )
    assert (found.positive, type(found.positive)) == (meant, type(meant))
    assert {type(label) for label in found.classes} == {type(meant)}
    assert len(found.classes) == 2


@pytest.mark.parametrize("column", [[0, 1], [1, 1]], ids=["two classes", "one class"])
def test_positive_of_another_kind(column, tmp_path) -> None:
    """Text that is no number is no class among numbers."""
    frame = pd.DataFrame({"p": column * 20, "y": column * 20})
    with pytest.raises(InvalidOption, match="'yes' is no class"):
        evaluate_model(saved(Columns(), frame[["p"]], tmp_path / "m"), frame, target="y", positive="yes", **PLAIN)


def sliced(tmp_path, first, later, **options):
    """Return label, value and rows of each slice by a column whose halves are in two files."""
    halves = [pd.DataFrame({"p": [0, 1] * 20, "y": [0, 1] * 20, "s": half}) for half in (first, later)]
    model = saved(Columns(), halves[0][["p"]], tmp_path / "m")
    found = evaluate_model(model, in_files(tmp_path / "rows", *halves), target="y", by="s", **PLAIN, **options)
    return [(part.label, part.value, part.rows) for part in found.slices]


def test_integers_then_fractions(tmp_path) -> None:
    """Integers of one file and fractions of another are numbers of one column."""
    assert sliced(tmp_path, [1] * 40, [1.25, 1.5] * 20) == [("1", 1.0, 40), ("1.25", 1.25, 20), ("1.5", 1.5, 20)]


def test_nothing_then_integers(tmp_path) -> None:
    """A file where the column is missing does not tell what it is."""
    big = 2**53
    found = sliced(tmp_path, [None] * 40, [big, big + 1] * 20)
    assert found == [(str(big), big, 20), (str(big + 1), big + 1, 20), ("(missing)", None, 40)]


def test_nothing_then_integers_that_are_summed_up(tmp_path) -> None:
    """Where the first rows, which tell the parts, are all missing, those that follow are in none."""
    found = sliced(tmp_path, [None] * 40, [0, 1] * 20, max_held_bytes=1, batch_rows=40)
    assert found == [("(missing)", None, 40)]


def test_text_then_nothing(tmp_path) -> None:
    """Missing cells of no type are missing among text."""
    assert sliced(tmp_path, ["a", "b"] * 20, [None] * 40)[-1] == ("(missing)", None, 40)


@pytest.mark.parametrize("limit", [{}, {"max_held_bytes": 1}], ids=["held", "summed up"])
def test_integers_beyond_what_floats_hold(limit, tmp_path) -> None:
    """Integers are told apart to the last digit."""
    big = 2**53
    found = sliced(tmp_path, [big - 1, big, big + 1, big + 2] * 10, [big + 1] * 40, **limit)
    assert found == [(str(big + at), big + at, 50 if at == 1 else 10) for at in (-1, 0, 1, 2)]


def test_numbers_that_differ_late(tmp_path) -> None:
    """Labels have as many digits as tell values apart."""
    near = float(np.nextafter(1, 2))
    labels = [label for label, _value, _rows in sliced(tmp_path, [1.0, near] * 20, [Decimal("1.5")] * 40)]
    assert len(set(labels)) == len(labels) == 3


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ([1] * 40, ["1", "x"] * 20),
        (["1", "x"] * 20, [1] * 40),
        ([True, False] * 20, [1, 0] * 20),
        ([1] * 40, [True, False] * 20),
        ([2**53 + 1] * 40, [0.5] * 40),
    ],
    ids=["number, text", "text, number", "truth, number", "number, truth", "great integers, fractions"],
)
def test_two_types_in_one_column(first, later, tmp_path) -> None:
    """Values that cannot be compared are refused, and both types named."""
    with pytest.raises(
        InvalidSlice, match=r"'s': some of its cells are \w+ and others \w+\. Hint: give the column one"
    ):
        sliced(tmp_path, first, later)


def test_the_least_integer(tmp_path) -> None:
    """The number that stands for a missing cell is refused, and not taken for one."""
    with pytest.raises(InvalidSlice, match="least of all integers"):
        sliced(tmp_path, [1] * 40, [-(2**63), 1] * 20)


def test_integers_with_missing_cells(tmp_path) -> None:
    """Integers keep their digits beside missing cells."""
    big = 2**53 + 1
    cells = pd.array([big, None, big + 1, big + 2] * 10, dtype="Int64")
    found = sliced(tmp_path, cells, [big] * 40)
    assert found == [
        (str(big), big, 50),
        (str(big + 1), big + 1, 10),
        (str(big + 2), big + 2, 10),
        ("(missing)", None, 10),
    ]


def test_categories_that_are_numbers(tmp_path) -> None:
    """Categories are each a value of their own, however many numbers they are."""
    frame = pd.DataFrame({"p": [0, 1] * 20, "y": [0, 1] * 20, "s": pd.Categorical(list(range(20)) * 2)})
    model = saved(Columns(), frame[["p"]], tmp_path / "m")
    assert len(evaluate_model(model, frame, target="y", by="s", batch_rows=10, **PLAIN).slices) == 20
