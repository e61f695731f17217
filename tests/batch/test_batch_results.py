"""Jobs answer for each row what the model answers for all of them at once, whatever they read and write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import palate
from palate.batch import OutputExists, RowsDiffer, predict_files
from palate.batch._writing import write_rows
from palate.codecs import read_csv
from palate.errors import InvalidData, InvalidInput, InvalidOption, MethodNotFound, UnsupportedOutput
from palate.schema import ColSpec, Schema

ROWS = 2500
OUTPUTS = ("o.parquet", "o.csv", "o.jsonl", "o.arrow", "o.npy", "folder")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Return rows of four numbers, and what they are called."""
    random = np.random.default_rng(0)
    return pd.DataFrame(random.normal(size=(ROWS, 4)), columns=list("abcd")).assign(id=range(ROWS))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Path:
    """Return a folder with models of several frameworks."""
    from sklearn.linear_model import LogisticRegression
    from xgboost import XGBClassifier

    place = tmp_path_factory.mktemp("models")
    x, y = table[list("abcd")], (table.a + table.b > 0).astype(int)
    palate.save_model(LogisticRegression().fit(x, y), place / "sklearn", input_example=x[:3])
    palate.save_model(XGBClassifier(n_estimators=5).fit(x, y), place / "xgboost", input_example=x[:3])
    return place


def write(table: pd.DataFrame, format: str) -> str:
    """Write rows as a file, or as folders with values in their names."""
    match format:
        case "parquet":
            table.to_parquet("in.parquet", row_group_size=300, index=False)
        case "csv":
            table.to_csv("in.csv", index=False)
        case "jsonl":
            table.to_json("in.jsonl", lines=True, orient="records", double_precision=15)
        case "arrow":
            whole = pa.Table.from_pandas(table, preserve_index=False)
            with pa.ipc.new_stream("in.arrow", whole.schema) as writer:
                writer.write_table(whole, max_chunksize=300)
        case _:
            for number in range(3):
                Path(f"in.folders/half={number}").mkdir(parents=True)
                part = table[number * 1000 : (number + 1) * 1000]
                part.to_parquet(f"in.folders/half={number}/x.parquet", index=False)
    return f"in.{format}"


def read(output: str) -> pd.DataFrame:
    """Read an output with readers that are not ours."""
    if output == "folder":
        return pd.concat(map(pd.read_parquet, sorted(Path(output).iterdir())), ignore_index=True)
    match output.rpartition(".")[2]:
        case "parquet":
            return pd.read_parquet(output)
        case "csv":
            return pd.read_csv(output)
        case "jsonl":
            return pd.read_json(output, lines=True)
        case "arrow":
            return pa.ipc.open_file(output).read_all().to_pandas()
    array = np.load(output)
    names = ["id", *(["prediction"] if array.shape[1] == 2 else ["prediction_0", "prediction_1"])]
    return pd.DataFrame(array, columns=names)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl", "arrow", "folders"])
@pytest.mark.parametrize("flavor", ["sklearn", "xgboost"])
def test_predictions_are_those_of_one_call(models, table, flavor, format, output) -> None:
    """Of every format to every format, beside their keys and in the order of the rows."""
    model = palate.load_model(models / flavor)
    report = predict_files(model, write(table, format), output, keys=["id"], batch_rows=400)
    found = read(output)
    assert (report.rows, report.rejected, report.resumed, report.output) == (ROWS, 0, 0, output)
    assert found["id"].tolist() == table["id"].tolist()
    assert np.array_equal(found["prediction"], model.predict(table[list("abcd")]))
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("output", OUTPUTS)
def test_other_methods_have_columns_of_their_own(models, table, output) -> None:
    """Of predict_proba, one for each class, with every digit."""
    model = palate.load_model(models / "sklearn")
    keys = [] if output == "o.npy" else ["id"]
    predict_files(model, write(table, "parquet"), output, method="predict_proba", keys=keys, batch_rows=400)
    found = np.load(output) if output == "o.npy" else read(output).drop(columns="id").to_numpy()
    np.testing.assert_allclose(found, model.call("predict_proba", table[list("abcd")]), rtol=1e-9)


@pytest.mark.parametrize("flavor", ["sklearn", "xgboost"])
@pytest.mark.parametrize("isolate", [False, True])
def test_several_processes_give_the_same_file(models, table, flavor, isolate, monkeypatch) -> None:
    """Byte for byte; in this process or in others."""
    monkeypatch.setattr("palate.batch._parts._PART_BYTES", 1)
    source = write(table, "parquet")
    predict_files(models / flavor, source, "one.parquet", keys=["id"])
    predict_files(models / flavor, source, "two.parquet", keys=["id"], workers=1 if isolate else 2, isolate=isolate)
    assert Path("one.parquet").read_bytes() == Path("two.parquet").read_bytes()


def test_arrays_go_to_models_of_tensors(tmp_path) -> None:
    """A network of torch's on npy and on csv, whose predictions are a matrix."""
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(3, 2))
    example = np.random.default_rng(0).normal(size=(500, 3)).astype("float32")
    palate.save_model(network, tmp_path / "torch", input_example=example[:3])
    model = palate.load_model(tmp_path / "torch")
    np.save("in.npy", example)
    want = np.asarray(model.predict(example))
    predict_files(model, "in.npy", "o.npy", batch_rows=64)
    np.testing.assert_allclose(np.load("o.npy"), want, rtol=1e-5)
    pd.DataFrame(example).to_csv("in.csv", index=False)
    predict_files(model, "in.csv", "o.parquet", batch_rows=64)
    np.testing.assert_allclose(pd.read_parquet("o.parquet").to_numpy(), want, rtol=1e-5)


# -- what models return ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["o.parquet", "o.arrow", "o.jsonl", "o.csv"])
@pytest.mark.parametrize("mode", ["texts", "lists", "records", "dates", "missing"])
def test_any_kind_of_value_is_written_as_it_is(job, make_rows, rows_model, mode, output) -> None:
    """Texts with every sort of character, rows of numbers, records, times and missing values."""
    source = make_rows(30)
    job(source, output, mode, batch_rows=7)
    model = palate.load_model(rows_model, trust=True)
    whole = model.predict(pd.read_parquet(source)[["x"]], {"mode": mode}, output="arrow")
    match output.rpartition(".")[2]:
        case "parquet":
            found = parquet.read_table(output)
        case "arrow":
            found = pa.ipc.open_file(output).read_all()
        case "jsonl":
            found = pa.Table.from_pylist([json.loads(line) for line in Path(output).read_text().splitlines()])
        case _:
            found = pa.table(read_csv(Path(output).read_bytes().decode(), None, ",").to_dict("list"))
    assert found["id"].to_pylist() == list(range(30))
    for position in range(whole.num_columns):
        want, given = whole.column(position).to_pylist(), found.column(position + 1).to_pylist()
        if mode == "dates":
            want, given = [pd.Timestamp(value) for value in want], [pd.Timestamp(value) for value in given]
        given = [None if value != value else value for value in given]
        if output == "o.csv" and mode == "records":  # where a text that is a number is one, when nothing tells types
            want, given = list(map(float, want)), list(map(float, given))
        assert given == want


@pytest.mark.parametrize("kind", ["float64", "string", "bool", "int64"])
def test_a_missing_value_alone_in_a_line_of_csv_is_still_a_row(kind) -> None:
    """As a blank line it would be none to whoever reads the file."""
    values = {
        "float64": [None, 1.5] * 5,
        "string": [None, "a\n\nb"] * 5,
        "bool": [None, True] * 5,
        "int64": [None, 3] * 5,
    }
    whole = pa.table({"id": pa.array(values[kind], kind)})
    write_rows(Path("o.csv"), "csv", whole.schema, [whole] * 2, rows=20)
    schema = Schema(
        (ColSpec(type={"float64": "double", "bool": "boolean", "int64": "long"}.get(kind, kind), name="id"),)
    )
    found = list(read_csv(Path("o.csv").read_text(), schema, ",")["id"])
    assert [None if value is None or value != value else value for value in found] == values[kind] * 2
    assert len(pd.read_csv("o.csv", skip_blank_lines=True)) == 20


def test_types_may_change_where_one_holds_all(job, make_rows) -> None:
    """Whole numbers in one batch and decimals in the next come out as decimals."""
    source = make_rows(200)
    report = job(source, "o.parquet", "ints then floats")
    found = parquet.read_table("o.parquet")
    assert found.schema.field("prediction").type == pa.float64()
    assert found["prediction"].to_pylist() == [float(row) for row in range(100)] + [
        row + 0.5 for row in range(100, 200)
    ]
    assert report.rows == 200


@pytest.mark.parametrize("mode", ["ints then texts", "huge ints then floats"])
def test_types_that_no_column_holds_are_refused(job, make_rows, mode) -> None:
    """Numbers and texts; whole numbers that no decimal is equal to: nothing is rounded."""
    with pytest.raises(UnsupportedOutput, match="type"):
        job(make_rows(200), "o.parquet", mode)
    assert not Path("o.parquet").exists()


@pytest.mark.parametrize("output", ["o.parquet", "o.csv", "o.jsonl", "o.arrow", "folder"])
@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_no_rows_give_a_file_without_rows(models, table, format, output) -> None:
    """That has the columns' names; of JSON lines, which name them in each row, there is no file but an empty one."""
    source = write(table[:0], format)
    report = predict_files(models / "sklearn", source, output, keys=["id"])
    assert report.rows == 0
    if output == "o.jsonl":
        assert Path(output).read_bytes() == b""
        return
    assert list(read(output).columns) == ["id", "prediction"]
    assert len(read(output)) == 0


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["u", "v", "w"] * 100),
        pd.date_range("2026-01-01", periods=300, tz="Europe/Vienna"),
        [[1, None]] * 300,
        [b"\xff\x00"] * 300,
        [None] * 300,
    ],
)
@pytest.mark.parametrize("output", ["o.parquet", "o.arrow", "o.jsonl", "o.csv"])
def test_keys_of_any_type_pass_through(job, values, output) -> None:
    """Also categories, of which each row group has a list of its own."""
    frame = pd.DataFrame({"id": values, "x": [float(row) for row in range(300)]})
    frame[:100].to_parquet("a.parquet", index=False)
    frame[100:].to_parquet("b.parquet", index=False, row_group_size=50)
    if output == "o.csv" and isinstance(values, list) and isinstance(values[0], list):
        with pytest.raises(InvalidOption, match="csv cannot"):
            job(["a.parquet", "b.parquet"], output)
        return
    job(["a.parquet", "b.parquet"], output, batch_rows=30)
    found = read(output)
    assert found["prediction"].tolist() == [2.0 * row for row in range(300)]
    if output in ("o.parquet", "o.arrow"):  # text has no times and no bytes to compare
        table = parquet.read_table(output) if output == "o.parquet" else pa.ipc.open_file(output).read_all()
        want = [parquet.read_table(name)["id"].to_pylist() for name in ("a.parquet", "b.parquet")]
        assert table["id"].to_pylist() == [*want[0], *want[1]]
    else:
        assert found["id"].isna().all() == (values[0] is None)


@pytest.mark.parametrize("key", ["prediction", "predict"])
def test_a_key_is_never_lost_under_a_predictions_name(models, table, key) -> None:
    """A column that is called as the predictions are is refused, not replaced."""
    table.assign(**{key: 7}).to_parquet("in.parquet", index=False)
    if key == "predict":
        predict_files(models / "sklearn", "in.parquet", "o.parquet", keys=[key])
        assert set(pd.read_parquet("o.parquet")[key]) == {7}
        return
    with pytest.raises(InvalidOption, match="the predictions have a column 'prediction' too"):
        predict_files(models / "sklearn", "in.parquet", "o.parquet", keys=[key])


def test_keys_may_be_inputs_and_folders(models, table) -> None:
    """In the order they are given."""
    predict_files(models / "sklearn", write(table, "folders"), "o.parquet", keys=["half", "a"])
    found = pd.read_parquet("o.parquet")
    assert list(found.columns) == ["half", "a", "prediction"]
    assert found["half"].tolist() == [0] * 1000 + [1] * 1000 + [2] * 500
    assert found["a"].tolist() == table["a"].tolist()


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"keys": ["nothing"]}, InvalidOption, "nothing"),
        ({"keys": ["id", "id"]}, InvalidOption, "named twice"),
        ({"keys": "id"}, InvalidOption, "one text"),
        ({"params": {"mode": 3}}, InvalidInput, "mode"),
        ({"params": {"mode": 3}, "on_error": "skip"}, InvalidInput, "mode"),
        ({"method": "predict_proba"}, MethodNotFound, "predict_proba"),
        ({"batch_rows": 0}, InvalidOption, "batch_rows"),
        ({"batch_rows": True}, InvalidOption, "batch_rows"),
        ({"workers": -1}, InvalidOption, "workers"),
        ({"max_errors": -1}, InvalidOption, "max_errors"),
        ({"on_error": "ignore"}, InvalidOption, "on_error"),
        ({"errors": "e.jsonl"}, InvalidOption, "no rows are set aside"),
        ({"on_error": "skip", "errors": "in.parquet"}, InvalidOption, "is the input|no file of bad rows"),
        ({"on_error": "skip", "errors": "o.parquet"}, InvalidOption, "is the output"),
        ({"on_error": "skip", "errors": "."}, InvalidOption, "is a folder"),
        ({"on_error": "skip", "errors": "no/e.jsonl"}, InvalidOption, "in none"),
        ({"format": "csv"}, InvalidData, "in.parquet"),
        ({"output_format": "json"}, InvalidOption, "piece by piece"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(job, make_rows, options, error, reason) -> None:
    """With the option's name, and nothing left behind."""
    before = make_rows(10).read_bytes()
    with pytest.raises(error, match=reason):
        job("in.parquet", "o.parquet", **options)
    assert [path.name for path in Path().iterdir()] == ["in.parquet"]
    assert Path("in.parquet").read_bytes() == before


def test_a_model_that_gives_too_few_rows_is_refused(job, make_rows) -> None:
    """Nobody could tell whose predictions they are; no row of it is bad."""
    for on_error in ("fail", "skip"):
        with pytest.raises(RowsDiffer, match="gave 9 predictions for 10 rows"):
            job(make_rows(10), "o.parquet", "few", on_error=on_error)


def test_a_model_whose_rows_depend_on_each_other_is_refused(models, table, tmp_path) -> None:
    """In batches it would answer something else."""

    def mean(model_input: pd.DataFrame) -> Any:
        return model_input["a"] - model_input["a"].mean()

    palate.save_model(mean, tmp_path / "mean", input_example=table[list("abcd")][:3])
    with pytest.raises(InvalidOption, match="may depend on the other rows"):
        predict_files(tmp_path / "mean", write(table, "parquet"), "o.parquet", trust=True)


@pytest.mark.parametrize("output", ["in.parquet", "./in.parquet", "link.parquet"])
def test_the_input_is_never_the_output(job, make_rows, output) -> None:
    """Under whatever name."""
    before = make_rows(10).read_bytes()
    Path("link.parquet").symlink_to("in.parquet")
    with pytest.raises(InvalidOption, match="is the input"):
        job("in.parquet", output)
    assert Path("in.parquet").read_bytes() == before


def test_a_folder_is_never_replaced_by_what_was_read_from_it(job, make_rows) -> None:
    """Nor one that somebody else has put something into."""
    Path("data").mkdir()
    make_rows(10, path="data/part-0.parquet")
    with pytest.raises(InvalidOption, match="is the input"):
        job("data", "data", overwrite=True)
    make_rows(10)
    with pytest.raises(OutputExists, match="a folder with files"):
        job("in.parquet", "data")
    Path("data/thesis.tex").write_text("x")
    with pytest.raises(InvalidOption, match=r"thesis\.tex"):
        job("in.parquet", "data", overwrite=True)
    Path("data/thesis.tex").unlink()
    job("in.parquet", "data", overwrite=True)
    assert [path.name for path in Path("data").iterdir()] == ["part-00000.parquet"]
    assert sorted(path.name for path in Path().iterdir()) == ["data", "in.parquet"]
