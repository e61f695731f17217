"""The smallest case of each bug of MLflow: what goes in, what MLflow makes of it, what Palate answers."""

from __future__ import annotations

import json
from dataclasses import dataclass

from differential.bugs import COLUMN_ZERO, DOUBLED, FRAMES, LABEL_TRUE, MISSING_OBJECTS, NANOSECONDS, ROWS
from differential.schemas import array, column, named, obj, param, tensor

__all__ = ["EXAMPLES", "Example"]

TIME = "dt.datetime(2020, 1, 1)"


@dataclass(frozen=True, slots=True)
class Example:
    """One case. The answers are expressions for the cells of the last column, or the items of the array or param."""

    bug: str
    schema: str
    given: str
    mlflow: str
    palate: str | None = None
    """None stands for a refusal."""
    kind: str = "inputs"
    pandas: str = "23"
    """The major releases that show it."""


def frame(cells: str) -> str:
    """Return the expression of a frame with one column."""
    return f"pd.DataFrame({{'a': pd.Series({cells}, dtype=object)}})"


EXAMPLES = (
    Example("Text read as numbers", named(column("double")), frame("['1', 2.5]"), "[1.0, 2.5]"),
    Example("Text read as numbers", named(column("double")), frame("['', 2.5]"), "[None, 2.5]"),
    Example(MISSING_OBJECTS, named(column("double")), frame("[{}, 1]"), "[None, 1]"),
    Example(MISSING_OBJECTS, named(column("double")), "{'a': []}", "[None]", "[]"),
    Example(
        "Numbers read as times", named(column("datetime")), frame(f"[{TIME}, 5]"), f"[{TIME}, np.datetime64(5, 'ns')]"
    ),
    Example(
        "Numbers read as times",
        json.dumps([param("a", "datetime", ["2020-01-01"], shape=(-1,))]),
        "{'a': [b'2020-01-02']}",
        "[dt.date(2020, 1, 2)]",
        kind="params",
    ),
    Example("Integers rounded", named(column("double")), frame("[2**53 + 1, None]"), "[2**53, None]"),
    Example("Integers rounded", named(column(array("double"))), frame("[[2**53 + 1, 0.5]]"), "[[2**53, 0.5]]"),
    Example("Integers rounded", json.dumps([param("a", "double", 1.0)]), "{'a': 2**53 + 1}", "2**53", kind="params"),
    Example(
        "Items made text or truth values", named(column(array("boolean"))), frame("[['false', 1]]"), "[[True, True]]"
    ),
    Example("Items made text or truth values", named(column(array("binary"))), frame("[[None]]"), "[[b'None']]"),
    Example("Items made text or truth values", named(column(array("string"))), frame("[['a', 1]]"), "[['a', '1']]"),
    Example(
        "Items made text or truth values",
        named(column(array("string"))),
        frame("[['abc', None]]"),
        "[['a', 'n']]",
        pandas="3",
    ),
    Example(
        "Missing text made text",
        named(column("string")),
        "pd.DataFrame({'a': pd.Series(['a', None], dtype=pd.ArrowDtype(pa.string()))})",
        "['a', '<NA>']",
        "['a', None]",
    ),
    Example("Trailing NUL lost", named(column(array("string"))), frame("[['a\\0']]"), "[['a']]", "[['a\\0']]"),
    Example(
        "Times read as integers",
        named(column(array("datetime"))),
        frame(f"[[{TIME}]]"),
        "[[1577836800 * 10**9]]",
        f"[[{TIME}]]",
    ),
    Example(
        "Text passed as truth values", named(column("boolean")), frame("['false', 'x']"), "['false', 'x']", pandas="2"
    ),
    Example(
        "Objects passed as text or truth values",
        named(column(obj(p="string"))),
        "[{'a': {'p': 2**70}}]",
        "[{'p': 2**70}]",
    ),
    Example(
        "Objects passed as text or truth values",
        named(column(obj(p="string"))),
        "[{'a': {'p': np.datetime64('3000-01-01', 'Y')}}]",
        "[{'p': np.datetime64('3000-01-01', 'Y')}]",
        pandas="2",
    ),
    Example(
        "An array passed as an empty dict",
        named(column(obj(p="string"), required=False)),
        "[{'a': np.array([{}], dtype=object)}]",
        "[np.array([{}], dtype=object)]",
    ),
    Example(
        "Anything made one type",
        named(column(array("any"))),
        frame("[np.array(['a', True, 2**53 + 1], dtype=object)]"),
        "[np.array(['a', 'True', '9007199254740993'])]",
        "[np.array(['a', True, 2**53 + 1], dtype=object)]",
    ),
    Example(
        "Anything made one type",
        named(column("any")),
        frame("[2**53 + 1, None]"),
        "[2**53, None]",
        "[2**53 + 1, None]",
    ),
    Example(FRAMES, json.dumps([tensor("float64", (-1,))]), "pd.DataFrame({'a': ['1.5', '2']})", "np.array([1.5, 2])"),
    Example(FRAMES, json.dumps([tensor("int64", (-1,))]), "pd.DataFrame({'a': [1.7]})", "np.array([1])"),
    Example(
        FRAMES,
        json.dumps([tensor("int64", (-1, 2))]),
        "pd.DataFrame({'a': [np.array([0.5, 1.5])]})",
        "np.array([[0.5, 1.5]])",
    ),
    Example(
        COLUMN_ZERO,
        named(column("double", 1), column("double", 0)),
        "pd.DataFrame({1: [0.5], 0: [2.5]})",
        "[0.5]",
        "[2.5]",
    ),
    Example(
        DOUBLED,
        named(column("any")),
        "pd.DataFrame([[1, 2], [3, 4]], columns=['a', 'a'])",
        "['a', 'a']",
    ),
    Example(LABEL_TRUE, named(column("double", 1)), "pd.DataFrame({True: [0.5], 'b': [1.5]})", "[0.5]"),
    Example(ROWS, named(column("double", required=False)), "pd.DataFrame({'b': [1, 2]})", "[]", "[0, 1]"),
    Example(
        NANOSECONDS,
        json.dumps([param("a", "datetime", "2020-01-01")]),
        "{'a': pd.Timestamp('2020-01-01T00:00:00.123456789')}",
        "dt.datetime(2020, 1, 1, 0, 0, 0, 123456)",
        kind="params",
    ),
)
