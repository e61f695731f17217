"""The command line, run as a user runs it: in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plugin_site import GOOD
from sklearn.linear_model import LinearRegression

import palate
import palate.flavors
from palate._enforcement.plan import compile_inputs
from palate.cli.inspect import field_text
from palate.codecs import decode_input, format_of
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema, TensorSpec

Palate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A regression on an integer, a float and a text column, as most tables are."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"n": [1, 2, 3, 4], "x": [0.5, 1.5, 2.5, 0.0], "kind": ["01", "02", "01", "02"]})
    encode = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    path = tmp_path_factory.mktemp("cli") / "m"
    palate.save_model(make_pipeline(encode, LinearRegression()).fit(frame, [1, 2, 3, 4]), path, input_example=frame)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Palate:
    """Run ``palate`` in a new process, in an empty directory."""

    def command(*arguments: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "palate", *map(str, arguments)],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


ROWS = [{"n": 1, "x": 0.5, "kind": "01"}, {"n": 2, "x": 1.5, "kind": "02"}]
CSV = "kind,x,n\n01,0.5,1\n02,1.5,2\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", CSV),
        ("rows.json", json.dumps(ROWS)),
        ("rows.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("split.json", json.dumps({"columns": ["n", "x", "kind"], "data": [[1, 0.5, "01"], [2, 1.5, "02"]]})),
        ("body.json", json.dumps({"dataframe_records": ROWS})),
        ("inputs.json", json.dumps({"inputs": {"n": [1, 2], "x": [0.5, 1.5], "kind": ["01", "02"]}})),
    ],
)
def test_every_text_format_gives_the_same_predictions(run, saved, tmp_path, name, text) -> None:
    """Cells become the types that the signature declares: "01" stays text."""
    (tmp_path / name).write_text(text)
    if name == "inputs.json":
        pytest.importorskip("pandas")
    done = run("predict", saved, name, "--json")
    assert done.returncode == 0, done.stderr
    expected = palate.load_model(saved).predict(pd.DataFrame(ROWS))
    np.testing.assert_allclose(json.loads(done.stdout)["predictions"], expected)


def test_parquet_goes_in_and_out(run, saved, tmp_path) -> None:
    """With pyarrow, parquet is a format like the others."""
    pytest.importorskip("pyarrow")
    pd.DataFrame(ROWS).to_parquet(tmp_path / "rows.parquet")
    done = run("predict", saved, "rows.parquet", "-o", "out.parquet")
    assert done.returncode == 0, done.stderr
    assert pd.read_parquet(tmp_path / "out.parquet").shape == (2, 1)


def test_csv_of_texts_feeds_a_text_model(run, tmp_path) -> None:
    """A tensor of text gets text, in one dimension."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = np.array(["good day", "bad day"])
    palate.save_model(
        make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0]), tmp_path / "m", input_example=texts
    )
    done = run("predict", "m", "--format", "csv", "--json", stdin="review\ngood day\nbad\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"] == [1, 0]


@pytest.mark.parametrize(
    ("dtype", "text", "expected"),
    [
        ("float64", "a,b\n1,2\n,3\n", [[1.0, 2.0], [None, 3.0]]),
        ("int64", "a,b\n9007199254740993,2\n", [[9007199254740993, 2]]),
        ("bool", "a,b\ntrue,false\n", [[True, False]]),
    ],
)
def test_csv_cells_become_the_tensors_type(dtype, text, expected) -> None:
    """Empty cells are NaN, integers keep every digit, truth values are read."""
    from palate._enforcement.plan import compile_inputs
    from palate.codecs import decode_input
    from palate.schema import Schema, TensorSpec

    schema = Schema((TensorSpec(dtype=dtype, shape=(-1, 2)),))
    given = compile_inputs(schema).enforce(decode_input(text.encode(), "csv", schema).data)
    assert [[None if cell != cell else cell for cell in row] for row in given.tolist()] == expected


def test_parquet_without_a_signature_is_a_frame_as_csv_is(run, tmp_path) -> None:
    """What a model without a signature gets does not depend on the file's format."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0]})
    palate.save_model(LinearRegression().fit(frame, [1, 2, 3]), tmp_path / "m")
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    of_csv, of_parquet = (run("predict", "m", f"rows.{ending}", "--json") for ending in ("csv", "parquet"))
    assert of_parquet.returncode == 0, of_parquet.stderr
    assert of_parquet.stdout == of_csv.stdout


def test_standard_input_and_output_work_in_a_pipe(run, saved) -> None:
    """csv in, csv out, with a header."""
    done = run("predict", saved, "-", "--format", "csv", stdin=CSV)
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header == "prediction"
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("name", "mark", "arguments"),
    [("rows.tsv", "\t", []), ("a.csv", ";", ["--delimiter", ";"]), ("b.csv", "\t", ["--delimiter", "tab"])],
)
def test_csv_may_have_another_delimiter(run, saved, tmp_path, name, mark, arguments) -> None:
    """A .tsv file is read by its tabs; any one character can be named."""
    (tmp_path / name).write_text(CSV.replace(",", mark))
    done = run("predict", saved, name, *arguments)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_csv_of_one_column_feeds_a_function_of_plain_values(run, tmp_path) -> None:
    """A function of list[str] is given the cells as a list."""

    def shout(words: list[str]) -> list[str]:
        return [word.upper() for word in words]

    palate.save_model(shout, tmp_path / "shout")
    done = run("predict", "shout", "--trust", "--format", "csv", stdin="word\nhello\nyou\n")
    assert done.stdout.split() == ["prediction", "HELLO", "YOU"], done.stderr


def test_a_stream_of_predictions_is_written_whole(run, tmp_path) -> None:
    """What a generator yields are the predictions, and not what Python calls the generator."""

    class Counting(palate.PythonModel):
        def predict(self, context, model_input, params=None):
            return len(model_input)

        def predict_stream(self, context, model_input, params=None):
            yield from model_input["a"]

    palate.save_model(Counting(), tmp_path / "m", signature=palate.infer_signature(pd.DataFrame({"a": [1.0]})))
    done = run("predict", "m", "--format", "csv", "--trust", "--method", "predict_stream", stdin="a\n1.5\n2.5\n")
    assert done.stdout == "prediction\n1.5\n2.5\n", done.stderr


def test_a_warning_is_one_line_without_source_code(saved, tmp_path) -> None:
    """A param that the model does not take is told as errors are told."""
    (tmp_path / "rows.csv").write_text(CSV)
    command = [sys.executable, "-m", "palate", "predict", saved, tmp_path / "rows.csv", "--param", "fly=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("palate: Ignored params 'fly'")
    assert len(done.stderr.splitlines()) == 1


def test_traceback_shows_where_an_error_came_from(run, saved) -> None:
    """Only on demand, and the one line still ends it."""
    done = run("--traceback", "predict", saved, "--format", "csv", stdin="n,x,kind\n")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("palate: The model failed")


def test_quickstart_shows_the_others_when_one_flavor_fails(tmp_path, monkeypatch) -> None:
    """What one plugin's samples raise is told in the end, with exit code 1."""
    from click.testing import CliRunner

    from palate.cli import main, quickstart

    def sample_models(flavor: str) -> dict[str, palate.flavors.SampleModel]:
        if flavor != "sklearn":
            raise ZeroDivisionError("out of beads")
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
        return {"line": palate.flavors.SampleModel(model=model, sample=np.eye(1), description="a line")}

    monkeypatch.setattr(quickstart, "sample_models", sample_models)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["quickstart", "--json"])
    assert done.exit_code == 1
    assert "ZeroDivisionError: out of beads" in done.stderr
    assert [run["name"] for run in json.loads(done.stdout)] == ["line"]


def test_the_stored_request_body_is_understood(run, saved) -> None:
    """serving_input_example.json of any model can be given to predict."""
    assert run("predict", saved, saved / "serving_input_example.json").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "text"),
    [
        (["predict", "nowhere", "-", "--format", "csv"], "", 2, "nowhere"),
        (["inspect", "nowhere"], None, 2, "nowhere"),
        (["verify", "nowhere"], None, 2, "nowhere"),
        (["predict", "MODEL", "missing.csv"], None, 2, "missing.csv"),
        (["predict", "MODEL", "data.xyz"], None, 2, "format"),
        (["predict", "MODEL", "-", "--format", "csv"], "n,x\n1,2\n", 1, "kind"),
        (["predict", "MODEL", "-", "--format", "csv"], CSV.replace("1.5", "wide"), 1, "x"),
        (["predict", "MODEL", "-", "--format", "csv"], CSV.replace(",2\n", ",2.5\n"), 1, "n"),
        (["predict", "MODEL", "-", "--format", "csv"], "", 1, "empty"),
        (["predict", "MODEL", "-", "--format", "csv"], CSV + "\n03,1\n", 1, "line 5"),
        (["predict", "MODEL", "-", "--format", "csv"], CSV.replace("1.5", "wide"), 1, "line 3"),
        (["predict", "MODEL", "-", "--format", "csv"], CSV.replace("1.5", "1_5"), 1, "line 3"),
        (["predict", "MODEL", "-", "--format", "csv"], CSV.replace(",", ";"), 1, "--delimiter ';'"),
        (["predict", "MODEL", "-", "--format", "csv"], "n,x,kind\n", 1, "The model failed on this input: ValueError"),
        (["predict", "MODEL", "-", "--format", "csv"], "n\n1\n", 1, "missing; inputs."),
        (["predict", "MODEL", "-", "--format", "csv", "--delimiter", ";;"], CSV, 2, "one character"),
        (["predict", "MODEL"], CSV, 2, "standard input does not tell its format"),
        (["predict", "MODEL", "-", "--format", "json"], "{", 1, "line 1, column 2"),
        (["predict", "MODEL", "-", "--format", "csv", "--method", "fly"], CSV, 2, "fly"),
        (["predict", "MODEL", "-", "--format", "csv", "-o", "no/such/dir/out.csv"], CSV, 2, "no/such/dir"),
        (["predict", "MODEL", "-", "--format", "csv", "--param", "x"], CSV, 2, "name=value"),
        (["predict", "MODEL", "--isolate", "--memory-limit", "2 fish"], CSV, 2, "'2 fish' cannot be read: write bytes"),
        (["predict", "MODEL", "-", "--format", "csv", "--memory-limit", "1MB"], CSV, 2, "memory_limit"),
        (["flavors", "fly"], None, 2, "fly"),
        (["fly"], None, 2, "fly"),
    ],
)
def test_a_mistake_is_one_line_with_the_right_exit_code(run, saved, arguments, stdin, code, text) -> None:
    """1 for a check that failed, 2 for wrong use; no traceback."""
    done = run(*[saved if a == "MODEL" else a for a in arguments], stdin=stdin)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    if done.stderr.startswith("palate:"):
        assert len(done.stderr.splitlines()) == 1


def test_inspect_shows_what_is_known_of_a_column() -> None:
    """Each fact of a column stands beside its type, in words."""
    known = "no cell may be missing; at least 0; at most 1.5"
    assert field_text(ColSpec(type="double", name="x", nullable=False, minimum=0, maximum=1.5)) == (
        "x",
        "double",
        known,
    )
    optional = ColSpec(type="datetime", required=False, nullable=True, timezone="Europe/Vienna", categories=("a",))
    known = "optional; cells may be missing; known: a; in the time zone Europe/Vienna"
    assert field_text(optional) == ("(unnamed)", "datetime", known)
    for enforced in ("closed", "categorical"):
        column = replace(ColSpec(type="string", categories=("a", "b")), **{enforced: True})
        assert field_text(column)[2] == "one of a, b"
    assert field_text(ColSpec(type="long", name=0)) == ("0", "long", "")


def test_inspect_shows_the_model_and_json_says_the_same(run, saved) -> None:
    """People and programs learn the same."""
    shown = run("inspect", saved)
    assert shown.returncode == 0, shown.stderr
    for text in ("sklearn", "safely", "sha256", "model.skops", "MANIFEST.json", "kind", "known: 01, 02"):
        assert text in shown.stdout
    document = json.loads(run("inspect", saved, "--json").stdout)
    assert document["flavor"] == "sklearn"
    assert document["trust_needed"] is False
    assert document["digest"] in shown.stdout


def test_verify_exits_with_one_when_a_file_changed_and_accept_mends_it(run, saved, tmp_path) -> None:
    """The exit code is for scripts."""
    import shutil

    copy = shutil.copytree(saved, tmp_path / "copy")
    assert run("verify", copy).returncode == 0
    (copy / "requirements.txt").write_text("numpy")
    failed = run("verify", copy, "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["ok"] is False
    assert run("verify", copy, "--accept").returncode == 0


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("rows.csv", "a,b\n0.1,0.7\n"),
        ("rows.json", '[{"a": 0.1, "b": 0.7}]'),
        ("rows.jsonl", '{"a": 0.1, "b": 0.7}\n'),
        ("split.json", '{"dataframe_split": {"columns": ["b", "a"], "data": [[0.7, 0.1]]}}'),
        ("columns.json", '{"inputs": {"a": [0.1], "b": [0.7]}}'),
        ("row.json", '{"a": 0.1, "b": 0.7}'),
    ],
)
def test_decimals_of_a_file_become_single_precision(tmp_path, name, body) -> None:
    """Text has no type, so 0.1 is the nearest float32 where the signature says float; what is too large is refused."""
    schema = Schema((ColSpec(type="float", name="a"), ColSpec(type="double", name="b")))
    plan = compile_inputs(schema, from_type_hints=False)
    format_ = format_of(name)
    assert format_ is not None
    frame = plan.enforce(decode_input(body.encode(), format_, schema).data)
    assert [str(dtype) for dtype in frame.dtypes] == ["float32", "float64"]
    assert frame.to_numpy(dtype="float64").tolist() == [[float(np.float32(0.1)), 0.7]]
    with pytest.raises(InvalidInput, match="too large for float32"):
        plan.enforce(decode_input(body.replace("0.1", "1e300").encode(), format_, schema).data)


@pytest.mark.parametrize("body", ["x,y\n0.1,0.7\n", "[[0.1, 0.7]]", '{"inputs": [[0.1, 0.7]]}'])
def test_decimals_of_a_file_become_a_tensor(body) -> None:
    """The same for a nameless tensor, such as a network takes."""
    schema = Schema((TensorSpec(dtype="float32", shape=(-1, 2)),))
    plan = compile_inputs(schema, from_type_hints=False)
    format_ = "csv" if body.startswith("x") else "json"
    array = plan.enforce(decode_input(body.encode(), format_, schema).data)
    np.testing.assert_array_equal(array, np.array([[0.1, 0.7]], "float32"))
    assert array.dtype == "float32"


@pytest.mark.parametrize(
    ("arguments", "allowed", "told"),
    [
        ((), "", "PALATE_ALLOWED_PLUGINS does not list palate-"),
        (("--flavor", "sklearn"), "palate-xgboost", "PALATE_ALLOWED_PLUGINS does not list palate-sklearn"),
        (("--flavor", "broken"), "", "'broken' of {folder}/broken.py cannot be used: ValueError: no luck"),
        (("--flavor", "twin"), "", "'twin' is claimed by {folder}/a/twin.py and by {folder}/b/twin.py"),
        (("--flavor", "python_function"), "", "--flavor: python_function has no sample models"),
        (("--flavor", "lightgbm"), "palate-xgboost", "No installed flavor is called 'lightgbm'"),
    ],
)
def test_quickstart_says_why_it_shows_nothing(tmp_path, run_python, arguments, allowed, told) -> None:
    """A flavor that is not allowed, or broken, need not be installed; nor does one that has nothing to show."""
    (tmp_path / "broken.py").write_text("raise ValueError('no luck')")
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "twin.py").write_text(GOOD.format(package=folder.name))
    plugins = os.pathsep.join(str(tmp_path / name) for name in ("broken.py", "a/twin.py", "b/twin.py"))
    script = "import sys; from palate.cli import main; sys.argv[0] = 'palate'; main()"
    environment = {"PALATE_ALLOWED_PLUGINS": allowed, "PALATE_PLUGINS": plugins if arguments else ""}
    done = run_python(script, "quickstart", *arguments, env=environment)
    assert done.returncode == 2
    assert told.format(folder=tmp_path) in done.stderr
    assert "pip install" not in done.stderr


def test_quickstart_runs_twice_in_one_place(run, tmp_path) -> None:
    """The main job, from training to verified predictions in another process; a second run replaces the first."""
    first = run("quickstart", "--json")
    assert first.returncode == 0, first.stderr
    runs = json.loads(first.stdout)
    assert {r["flavor"] for r in runs} >= {"keras", "pytorch", "sklearn", "xgboost"}
    assert all(r["checks"] == {"files": "ok", "environment": "ok", "predictions": "ok"} for r in runs)
    assert all(r["predictions"] for r in runs)
    told = run("quickstart", "--flavor", "sklearn")
    assert told.returncode == 0, told.stderr
    assert "== xgboost" not in told.stdout
    for text in ("Train", "Save", "new process", "golden", "palate.load_model(path)"):
        assert text in told.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["palate-quickstart"]
    assert "lightgbm" in run("quickstart", "--flavor", "lightgbm").stderr


def test_the_help_of_each_command_begins_with_its_line() -> None:
    """`palate --help` imports none of them, so its lines are written a second time: they are the same."""
    from importlib import import_module

    from palate.cli._group import COMMANDS

    helps = {name: import_module(f"palate.cli.{name}").command.help for name in COMMANDS}
    assert {name: text.partition("\n\n")[0] for name, text in helps.items()} == COMMANDS


def test_help_is_quick_and_imports_no_framework() -> None:
    """``palate --help`` loads neither numpy nor any plugin."""
    script = (
        "import sys\nfrom palate.cli import main\n"
        "try: main(['--help'], prog_name='palate')\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'pandas', 'sklearn_flavor', 'pluggy', 'palate.loading'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_every_command_is_in_the_help_and_has_a_module() -> None:
    """The table that --help prints from names exactly the command modules."""
    from palate import cli
    from palate.cli._group import COMMANDS

    modules = {path.stem for path in Path(cli.__file__).parent.glob("[a-z]*.py")}
    assert modules == set(COMMANDS)


def test_names_in_a_hostile_model_do_not_steer_the_terminal(run, tmp_path) -> None:
    """Control characters are shown escaped, in tables and in errors."""
    (tmp_path / "m").mkdir()
    text = 'flavors: {sklearn: {pickled_model: "x"}}\nrun_id: "a\\e[31mred"\nmlflow_version: "\\e[2J"\n'
    (tmp_path / "m" / "MLmodel").write_text(text)
    for arguments in (["inspect", "m"], ["inspect", "m", "--json"], ["verify", "m"], ["predict", "m", "m/MLmodel"]):
        done = run(*arguments)
        assert "\x1b" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


LOUD = """
import os
import palate
class Loud(palate.PythonModel):
    def predict(self, context, model_input, params=None):
        print("printed")
        os.write(1, b"written\\n")
        return [len(model_input)]
palate.set_model(Loud())
"""


def test_what_a_model_prints_is_not_the_commands_output(tmp_path) -> None:
    """Standard output is one JSON document, whatever the model says; that goes to standard error."""
    (tmp_path / "loud.py").write_text(LOUD)
    palate.save_model(str(tmp_path / "loud.py"), tmp_path / "loud", input_example=[1, 2])
    for command in (["predict", "loud", "--format", "json"], ["verify", "loud"]):
        words = [sys.executable, "-m", "palate", *command, "--trust", "--json"]
        done = subprocess.run(words, cwd=tmp_path, input="[1, 2]", capture_output=True, text=True, check=True)
        json.loads(done.stdout)
        assert "printed" in done.stderr
        assert "written" in done.stderr
