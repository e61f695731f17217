"""Classes as target and model write them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.evaluation._labels import Labels
from palate.evaluation.errors import InvalidTarget, LabelsDiffer

FORMS = {
    "int": lambda number: number,
    "float": float,
    "text": str,
    "text of a float": lambda number: str(float(number)),
}


@given(st.lists(st.integers(-50, 50), min_size=1), st.sampled_from(list(FORMS)), st.sampled_from(list(FORMS)))
def test_numbers_in_any_form(numbers, true_form: str, predicted_form: str) -> None:
    """Whole numbers meet as ints, floats and text, and keep the target's form."""
    labels = Labels("y")
    written = [FORMS[true_form](number) for number in numbers]
    true = labels.encode_true(pa.array(written))
    if {true_form, predicted_form} == {"text", "text of a float"}:
        return  # two ways to write a number as text are two texts
    predicted = labels.encode_predicted(pa.array([FORMS[predicted_form](number) for number in numbers]))
    assert true.tolist() == predicted.tolist()
    kept = str if "text" in true_form else int
    assert {type(label) for label in labels.met} == {kept}
    assert [labels.met[code] for code in true] == [label if kept is str else int(label) for label in written]


@given(st.lists(st.text(min_size=1), min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_text_is_itself(true: list[str], predicted: list[str]) -> None:
    """Text is never taken for anything else."""
    labels = Labels("y")
    codes = labels.encode_true(pa.array(true)).tolist()
    found = labels.encode_predicted(pa.array(predicted)).tolist()
    assert [labels.met[code] for code in codes + found] == true + predicted


def test_missing_cells_have_no_code() -> None:
    """Null and NaN are no class."""
    labels = Labels("y")
    assert labels.encode_true(pa.array([1.0, None, float("nan"), 2.0])).tolist() == [0, -1, -1, 1]


def test_a_dictionary_is_what_it_holds() -> None:
    """Categories that no row is of are no classes."""
    labels = Labels("y")
    cells = pa.DictionaryArray.from_arrays([1, 0, None], ["b", "a", "unused"])
    assert labels.encode_true(cells).tolist() == [0, 1, -1]
    assert labels.met == ["a", "b"]


@pytest.mark.parametrize("cells", [pa.array([0.5]), pa.array([b"x"]), pa.array([[1]])], ids=["half", "bytes", "list"])
def test_what_is_no_class(cells) -> None:
    """Fractions, bytes and lists are no classes."""
    with pytest.raises(InvalidTarget):
        Labels("y").encode_true(cells)


def test_text_after_numbers() -> None:
    """A target does not change its kind from one file to the next."""
    labels = Labels("y")
    labels.encode_true(pa.array([1]))
    with pytest.raises(InvalidTarget, match="both text and numbers"):
        labels.encode_true(pa.array(["a"]))


def test_a_number_that_is_no_truth_value() -> None:
    """What was 0 and 1 for truth values cannot become 2 later."""
    labels = Labels("y")
    labels.encode_true(pa.array([True, False]))
    assert labels.encode_predicted(pa.array([0, 1])).tolist() == [1, 0]
    with pytest.raises(LabelsDiffer, match=r"bool.*int"):
        labels.encode_predicted(pa.array([2]))
