"""The grammars that a graph is held to, each on its own."""

from __future__ import annotations

import io
import json
import os
import zipfile
from typing import Any

import pytest
import torch

from torch_flavor._expressions import expression_problem, is_symbol
from torch_flavor._guarded_operators import GUARDED
from torch_flavor._operators import is_operator
from torch_flavor._program_document import InvalidDocument, rebuild_payloads, rebuild_program
from torch_flavor._treespecs import InvalidSpec, rebuild_spec
from torch_flavor._zip_reading import read_members
from torch_flavor._zip_writing import Region, StitchedFile, lay_out

SYMBOL = "Symbol('s77', positive=True, integer=True)"


def powers(count: int, base: str, name: str = "Pow") -> str:
    """Return a base to the power of eight, to the power of eight, and so on."""
    return f"{name}({base}, Integer(8))" if count == 1 else powers(1, powers(count - 1, base, name), name)


@pytest.mark.parametrize(
    "text",
    [
        SYMBOL,
        f"Add({SYMBOL}, Integer(-1))",
        f"Mul(Integer(2), {SYMBOL})",
        f"FloorDiv(Add({SYMBOL}, Integer(3)), Integer(2))",
        f"Pow({SYMBOL}, Integer(-1))",
        f"Mul(Rational(1, 2), Pow({SYMBOL}, Integer(2)))",
        f"Equality(Mod({SYMBOL}, Integer(2)), Integer(0))",
        "Float('0.5', precision=53)",
        f"Pow(Add(FloorDiv(Add({SYMBOL}, Integer(-1)), Integer(2)), Integer(1)), Integer(2))",
        f"Mul(Add({SYMBOL}, Integer(2)), Add({SYMBOL}, Integer(3)), Float('-1.5e3', precision=53))",
        "Symbol('u0', integer=True)",
        "true",
    ],
)
def test_sizes(text):
    """What sympy writes of sizes is let through."""
    assert expression_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "Symbol('s0').__class__",
        "Symbol('s0')[0]",
        "Symbol('__import__')",
        "Symbol('s12345')",
        "Symbol(Symbol('s0'))",
        "Symbol('s0', commutative=False)",
        "Symbol('s0', integer='x')",
        "9**9**9",
        "Integer(9)",
        "Pow(Integer(9), Integer(9))",
        f"Pow({SYMBOL}, {SYMBOL})",
        f"Pow({SYMBOL}, Pow(Integer(2), Integer(8)))",
        f"PowByNatural({SYMBOL}, Integer(99))",
        "Integer(10000000000000000000000)",
        "Integer('1')if 1 else 2",
        "Integer(__name__)",
        "lambda: 1",
        "[1 for x in (1,)]",
        "s0",
        "sympify('x')",
        "eval('1')",
        "f'{1}'",
        "Add(*[1])",
        "Add(**{})",
        "Add()",
        f"Add({SYMBOL}, evaluate=False)",
        "Float('nan')",
        "Float('1.5', precision=3000000000)",
        "Float(2)",
        "Integer('1e999')",
        "Pow(Integer(2), Integer('1e3'))",
        "Rational('1e999', '1e-999')",
        "Rational(1, 0)",
        "Rational(1)",
        powers(9, "Integer(9223372036854775807)"),
        powers(3, SYMBOL),
        powers(20, "Float('1.5')"),
        powers(1, f"Add({SYMBOL}, Integer(1))"),
        powers(1, powers(1, f"Mod({SYMBOL}, Integer(3))")),
        powers(1, "Integer(2)", "PowByNatural").replace("Integer(2)", powers(1, "Integer(3)", "FloatPow")),
        f"Mul({', '.join([f'Add({SYMBOL}, Integer(1))'] * 8)})",
        "True",
        "1.5",
        "(",
        "",
        "Add(" * 500 + "Integer(1)" + ")" * 500,
        "Integer(1)\n;import os",
        "Integer(１)",  # noqa: RUF001 - a digit that Python takes for one
        f"Add({', '.join([SYMBOL] * 60)})",
        5,
        None,
    ],
)
def test_other_text_is_no_size(text):
    """Everything else is refused before anybody evaluates it; a plain number is no text."""
    allowed = text == "Integer(9)"
    assert (expression_problem(text) is None) == allowed


@pytest.mark.parametrize(
    ("name", "known"), [("s0", True), ("u12", True), ("zuf3", True), ("x", False), ("s", False), (5, False)]
)
def test_symbols(name, known):
    """Symbols have torch's prefixes and numbers of four digits at most."""
    assert is_symbol(name) == known


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.linear.default",
        "torch.ops.aten.add_.Tensor",
        "torch.ops.aten.__and__.Tensor",
        "torch.ops.aten.softmax.int",
        "torch.ops.aten.lstm.input",
        "torch.ops.higher_order.cond",
        "_operator.getitem",
        "math.trunc",
        "torch.sym_max",
    ],
)
def test_operators(target):
    """What models call is on the list."""
    assert is_operator(target)


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.getpid",
        "torch.ops.load_library",
        "torch.ops.aten",
        "torch.ops.aten.linear",
        "torch.ops.aten.linear.default.__call__",
        "torch.ops.aten.linear.__class__",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.as_strided.default",
        "torch.ops.aten.set_.source_Storage",
        "torch.ops.aten.resize_.default",
        "torch.ops.aten.empty.memory_format",
        "torch.ops.aten.add.out",
        "torch.ops.aten.mul.left_t",
        "torch.ops.aten.ctc_loss.Tensor",
        "torch.ops.aten.linalg_lu_solve.default",
        "torch.ops.aten.special_hermite_polynomial_he.default",
        "torch.ops.prims.iota.default",
        "torch.ops.quantized.linear.default",
        "torch.ops.higher_order.while_loop",
        "torch.ops.higher_order.getattr",
        "torch.ops.higher_order.cond.__init__",
        "torch.ops.profiler._record_function_enter_new.default",
        "torch.nn.functional.relu",
        "torch.load",
        "torch.hub.load",
        "_operator.methodcaller",
        "_operator.attrgetter",
        "math.factorial",
        "#ext:op",
        "os.system",
        "",
        5,
        None,
        "torch.ops.aten.l\u0456near.default",
    ],
)
def test_other_targets_are_no_operators(target):
    """Everything else is refused by name."""
    assert not is_operator(target)


def spec(kind: object, context: object, *children: dict[str, object]) -> dict[str, object]:
    """Return a part of a structure."""
    return {"type": kind, "context": context, "children_spec": list(children)}


LEAF = spec(None, None)


@pytest.mark.parametrize(
    ("node", "kind", "context"),
    [
        (spec("builtins.dict", '["a"]', LEAF), "builtins.dict", ["a"]),
        (spec("collections.OrderedDict", '["a"]', LEAF), "builtins.dict", ["a"]),
        (spec("collections.namedtuple", "my.Pair", LEAF, LEAF), "builtins.dict", ["x", "y"]),
        (spec("transformers.Output", '["logits"]', LEAF), "builtins.dict", ["logits"]),
        (spec("my.Data", '[["a"], []]', LEAF), "builtins.dict", ["a"]),
        (spec("builtins.tuple", "null", LEAF), "builtins.tuple", None),
    ],
)
def test_structures(node, kind, context):
    """Classes become dicts of their fields; tuples and lists stay."""
    rebuilt = json.loads(rebuild_spec(json.dumps([1, node]), {"my.Pair": ["x", "y"]}))[1]
    assert (rebuilt["type"], json.loads(rebuilt["context"])) == (kind, context)


@pytest.mark.parametrize(
    "text",
    [
        5,
        "x",
        "[2, {}]",
        json.dumps([1, spec("builtins.dict", '[{"__enum__": true, "fqn": "antigravity:x", "name": "y"}]', LEAF)]),
        json.dumps([1, spec("builtins.dict", '["a", "a"]', LEAF, LEAF)]),
        json.dumps([1, spec("builtins.dict", '["a"]')]),
        json.dumps([1, spec("collections.namedtuple", "other.Pair", LEAF)]),
        json.dumps([1, spec("torch.Size", "5", LEAF)]),
        json.dumps([1, spec(None, "x")]),
        json.dumps([1, spec(["builtins.dict"], "[]")]),
        "[" * 100_000,
        '[1, {"type": "x", "type": null, "context": null, "children_spec": []}]',
        "\ud800",
    ],
)
def test_other_structures_are_refused(text):
    """Enum keys, which torch would import a module for, and parts without names are refused."""
    with pytest.raises(InvalidSpec):
        rebuild_spec(text, {})


@pytest.mark.parametrize("document", [None, [], {}, {"graph_module": 5}, {"graph_module": {}}, 5])
def test_documents_of_something_else(document):
    """A document that is no program is refused, whatever it is."""
    with pytest.raises(InvalidDocument):
        rebuild_program(document)
    with pytest.raises(InvalidDocument):
        rebuild_payloads(document)


def test_long_archives(tmp_path):
    """An archive of more than four gigabytes is laid out, read as zip, and read back strictly."""
    size = (4 << 30) + 5
    (tmp_path / "weights").touch()
    os.truncate(tmp_path / "weights", size)  # a hole, which takes no room
    with (tmp_path / "weights").open("rb") as file:
        records = [("archive/a", Region(0, size, 7)), ("archive/b", b"end"), ("archive/c", Region(1, 3, 7))]
        stitched = io.BufferedReader(StitchedFile(lay_out(records), file))
        with zipfile.ZipFile(stitched) as archive:
            assert [(info.filename, info.file_size) for info in archive.infolist()] == [
                ("archive/a", size),
                ("archive/b", 3),
                ("archive/c", 3),
            ]
            assert archive.read("archive/b") == b"end"
        members = read_members(stitched, "long")
    assert [(member.name, member.size) for member in members] == [
        ("archive/a", size),
        ("archive/b", 3),
        ("archive/c", 3),
    ]
    assert all(member.offset % 64 == 0 for member in members)


aten = torch.ops.aten


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_recurrent_layers_are_checked(kind):
    """Weights that are smaller than the states ask for are refused, and right ones run."""
    kinds = {"lstm": (torch.nn.LSTM, {"proj_size": 3}), "gru": (torch.nn.GRU, {}), "rnn_tanh": (torch.nn.RNN, {})}
    layer = kinds[kind][0](4, 5, num_layers=2, bidirectional=True, **kinds[kind][1])
    call, data = GUARDED[getattr(aten, kind).input], torch.randn(6, 2, 4)
    hidden, cell = torch.zeros(4, 2, 3 if kind == "lstm" else 5), torch.zeros(4, 2, 5)
    states, settings = [hidden, cell] if kind == "lstm" else hidden, (True, 2, 0.0, False, True, False)
    weights = layer._flat_weights
    assert torch.equal(call(data, states, weights, *settings)[0], layer(data)[0])
    for wrong in (weights[:-1], [torch.zeros(1)] * len(weights), [weights[0][:1], *weights[1:]]):
        with pytest.raises(ValueError, match="do not fit together"):
            call(data, states, wrong, *settings)
    short = [hidden[:, :1], cell] if kind == "lstm" else hidden[:, :1]
    with pytest.raises(ValueError, match="do not fit together"):
        call(data, short, weights, *settings)
    with pytest.raises(ValueError, match="do not fit together"):
        call(data[0], states, weights, *settings)


@pytest.mark.parametrize(("kind", "gates"), [("lstm_cell", 4), ("gru_cell", 3), ("rnn_relu_cell", 1)])
def test_recurrent_cells_are_checked(kind, gates):
    """One step needs as many rows of weights as its state has numbers, for each gate."""
    call, state = GUARDED[getattr(aten, kind).default], torch.zeros(2, 5)
    states = [state, state] if kind == "lstm_cell" else state
    weights = torch.randn(gates * 5, 4), torch.randn(gates * 5, 5)
    call(torch.randn(2, 4), states, *weights, torch.zeros(gates * 5))
    for wrong in ((weights[0][:1], weights[1]), (weights[0], weights[1][:1]), (*weights, torch.zeros(1))):
        with pytest.raises(ValueError, match="do not fit together"):
            call(torch.randn(2, 4), states, *wrong)


def test_attention_is_checked():
    """More keys than values, or sizes that differ, are refused; grouped heads are not."""
    call = GUARDED[aten.scaled_dot_product_attention.default]
    q, k, v = torch.randn(1, 4, 3, 8), torch.randn(1, 2, 5, 8), torch.randn(1, 2, 5, 8)
    assert call(q, k, v, None, 0.0, False, enable_gqa=True).shape == (1, 4, 3, 8)
    assert call(q[:, :2], k, v).shape == (1, 2, 3, 8)
    assert call(q[:0, :2], k[:0], v[:0]).shape == (0, 2, 3, 8)
    for wrong in (
        (q[:, :2], k[:, :, :0], v[:, :, :0]),
        (q[:, :2], k, v[:, :, :1]),
        (q[:, :2, :, :1], k, v),
        (q[0, 0, 0], k, v),
    ):
        with pytest.raises(ValueError, match="do not fit together"):
            call(*wrong)


def test_normalization_is_checked():
    """Weights, means and variances are as many as the channels, and those that are needed are there."""
    x, three, two = torch.randn(2, 3, 4), torch.ones(3), torch.ones(2)
    for name, flags in (
        ("batch_norm", (False, 0.1, 1e-5, True)),
        ("instance_norm", (False, 0.1, 1e-5, True)),
        ("native_batch_norm", (False, 0.1, 1e-5)),
        ("_native_batch_norm_legit_no_training", (0.1, 1e-5)),
    ):
        call = GUARDED[getattr(aten, name).default]
        call(x, three, three, three, three, *flags)
        for place in range(4):
            tensors = [two if number == place else three for number in range(4)]
            with pytest.raises(ValueError, match="number of channels"):
                call(x, *tensors, *flags)
        with pytest.raises(ValueError, match="no mean"):
            call(x, three, three, None, None, *flags)
    GUARDED[aten.batch_norm.default](x, None, None, None, None, True, 0.1, 1e-5, True)


def test_other_numbers_are_checked():
    """Lengths, scales, repeats and quotients that kernels take without a look are refused; honest ones pass."""
    v, image = torch.randn(3, 4), torch.rand(1, 3, 7, 5)
    lowest = torch.tensor([-(2**63)])
    right: list[tuple[Any, tuple[Any, ...]]] = [
        (aten._weight_norm.default, (v, torch.ones(3, 1))),
        (aten._weight_norm.default, (v, torch.ones(()), -1)),
        (aten._upsample_bilinear2d_aa.default, (image, [3, 2], False, 0.5, 0.5)),
        (aten._upsample_bicubic2d_aa.default, (image, [14, 10], False)),
        (aten.repeat_interleave.Tensor, (torch.tensor([2, 0, 1]),)),
        (aten.repeat_interleave.self_Tensor, (v, torch.tensor([2]), 0)),
    ]
    for operator, arguments in right:
        assert GUARDED[operator](*arguments).numel()
    wrong: list[tuple[Any, tuple[Any, ...]]] = [
        (aten._weight_norm.default, (v, torch.ones(0), 1)),
        (aten._weight_norm.default, (v, torch.ones(300, 1), 0)),
        (aten._weight_norm.default, (v, torch.ones(3, 1), 7)),
        (aten._upsample_bilinear2d_aa.default, (image, [8, 8], False, 1e-6, 1e-6)),
        (aten._upsample_bicubic2d_aa.default, (image, [1, 1], False, None, float("nan"))),
        (aten.repeat_interleave.Tensor, (torch.tensor([2**62] * 4 + [4]),)),
        (aten.repeat_interleave.self_Tensor, (v, torch.tensor([2, -1, 1]), 0)),
    ]
    for operator, arguments in wrong:
        with pytest.raises(ValueError, match="do not fit together"):
            GUARDED[operator](*arguments)
    for operator, other in ((aten.div.Tensor_mode, torch.tensor([-1])), (aten.divide_.Scalar_mode, -1)):
        with pytest.raises(ValueError, match="divided by -1"):
            GUARDED[operator](lowest, other, rounding_mode="trunc")
        assert GUARDED[operator](lowest + 1, other, rounding_mode="trunc").item() == 2**63 - 1
        assert GUARDED[operator](torch.tensor([-(2**31)], dtype=torch.int32) * 1, 2, rounding_mode="trunc") == -(2**30)
