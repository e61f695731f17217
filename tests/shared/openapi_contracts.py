"""Contracts of models of every kind, for tests of the OpenAPI document; none of them is a real model's."""

from __future__ import annotations

import json
from datetime import datetime

from palate.schema import (
    AnyType,
    Array,
    ColSpec,
    Map,
    Object,
    ParamSpec,
    Property,
    Scalar,
    Schema,
    SparkVector,
    TensorSpec,
)
from palate.serving._contract import ModelContract
from palate.signature import MethodSignature, Signature

__all__ = ["HOSTILE_NAMES", "SCALARS", "SIGNATURES", "contract_of", "every_contract"]

SCALARS: tuple[Scalar, ...] = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
HOSTILE_NAMES = (
    *(
        "$ref",
        "~1",
        "~0",
        "",
        "/",
        "a/b",
        "..",
        "é",
        "日本",
        "\U0001f600",
        '"quoted"',
        "it's",
        "a b",
        "<script>",
        "&amp;",
    ),
    *(
        "{name}",
        "%7B",
        "__proto__",
        "constructor",
        "$id",
        "$schema",
        "$defs",
        "discriminator",
        "\x00",
        "\n",
        "x" * 3000,
    ),
)

_DAY = datetime(2024, 5, 6)  # noqa: DTZ001 - times of a signature have no zone
_NESTED = Object(
    (
        Property("tags", Array("string")),
        Property("scores", Map("double"), required=False),
        Property("grid", Array(Array("float"))),
        Property("inner", Object((Property("when", "datetime", required=False), Property("on", "boolean")))),
    )
)

SIGNATURES: dict[str, Signature] = {
    "none": Signature(),
    "scalars": Signature(inputs=Schema(tuple(ColSpec(type=kind, name=f"a_{kind}") for kind in SCALARS))),
    "nullable": Signature(
        inputs=Schema(tuple(ColSpec(type=kind, name=f"a_{kind}", nullable=True) for kind in SCALARS)),
    ),
    "complete": Signature(
        inputs=Schema(tuple(ColSpec(type=kind, name=f"a_{kind}", nullable=False) for kind in SCALARS)),
    ),
    "facts": Signature(
        inputs=Schema(
            (
                ColSpec(type="long", name="age", minimum=0.5, maximum=150),
                ColSpec(type="double", name="share", minimum=0, maximum=1.5, nullable=False),
                ColSpec(type="string", name="colour", categories=("red", "green"), closed=True),
                ColSpec(type="long", name="grade", categories=(1, 2, 3), categorical=True, nullable=False),
                ColSpec(type="string", name="city", categories=("Wien", "Graz")),
                ColSpec(type="datetime", name="day", categories=(_DAY,), closed=True),
                ColSpec(type="datetime", name="moment", timezone="Europe/Vienna"),
                ColSpec(type="boolean", name="member", categories=(True,), closed=True),
            )
        )
    ),
    "bounds": Signature(
        inputs=Schema(
            (
                ColSpec(type="integer", name="below", maximum=-5),
                ColSpec(type="long", name="far", minimum=2**40, maximum=2**41),
                ColSpec(type="float", name="narrow", minimum=0.1, maximum=0.3),
                ColSpec(type="float", name="least", minimum=2.1),
                ColSpec(type="double", name="most", maximum=-0.1, nullable=True),
            )
        )
    ),
    "optional": Signature(
        inputs=Schema((ColSpec(type="double", name="a"), ColSpec(type="string", name="b", required=False)))
    ),
    "nested": Signature(
        inputs=Schema(
            (
                ColSpec(type=_NESTED, name="object"),
                ColSpec(type=_NESTED, name="maybe", required=False),
                ColSpec(type=Map("long"), name="map"),
                ColSpec(type=Array(Array("double")), name="matrix", required=False),
                ColSpec(type=AnyType(), name="any"),
                ColSpec(type=Array(AnyType()), name="anys"),
                ColSpec(type=SparkVector(), name="vector"),
            )
        )
    ),
    "one_unnamed": Signature(inputs=Schema((ColSpec(type="double"),))),
    "unnamed_array": Signature(inputs=Schema((ColSpec(type=Array("double")),))),
    "unnamed_map": Signature(inputs=Schema((ColSpec(type=Map("long")),))),
    "unnamed_vector": Signature(inputs=Schema((ColSpec(type=SparkVector()),))),
    "unnamed": Signature(inputs=Schema((ColSpec(type="double"), ColSpec(type="string")))),
    "numbered": Signature(inputs=Schema((ColSpec(type="double", name=0), ColSpec(type="long", name=1)))),
    "tensor": Signature(
        inputs=Schema((TensorSpec(dtype="float32", shape=(-1, 2, 3)),)),
        outputs=Schema((TensorSpec(dtype="float32", shape=(-1, 2)),)),
    ),
    "tensor_dtypes": Signature(
        inputs=Schema(
            tuple(
                TensorSpec(dtype=dtype, shape=(-1, 2), name=dtype)
                for dtype in (
                    *("bool", "str", "bytes", "object", "int8", "int64", "uint8", "uint64", "float16", "float64"),
                    *("longdouble", "complex64", "datetime64[ns]"),
                )
            )
        )
    ),
    "tensor_bytes": Signature(inputs=Schema((TensorSpec(dtype="bytes", shape=(-1, 2)),))),
    "tensor_pairs": Signature(
        inputs=Schema(
            tuple(TensorSpec(dtype=dtype, shape=(-1, 2), name=dtype) for dtype in ("str", "uint8", "datetime64[ns]"))
        )
    ),
    "image": Signature(inputs=Schema((TensorSpec(dtype="float32", shape=(-1, 64, 64)),))),
    "tensor_scalar": Signature(inputs=Schema((TensorSpec(dtype="float64", shape=()),))),
    "tensor_anything": Signature(inputs=Schema((TensorSpec(dtype="object", shape=(-1,)),))),
    "hints": Signature(inputs=Schema((ColSpec(type=_NESTED),)), from_type_hints=True),
    "hints_whole": Signature(inputs=Schema((ColSpec(type="long"),)), from_type_hints=True),
    "params": Signature(
        inputs=Schema((ColSpec(type="double", name="a"),)),
        params=(
            ParamSpec(name="temperature", type="double", default=0.5),
            ParamSpec(name="seed", type="long", default=None),
            ParamSpec(name="stop", type="string", default=["a"], shape=(-1,)),
            ParamSpec(name="since", type="datetime", default=_DAY),
            ParamSpec(name="deep", type=Object((Property("$ref", "string"),)), default={"$ref": "#/nowhere"}),
        ),
    ),
    "methods": Signature(
        inputs=Schema((ColSpec(type="double", name="a"),)),
        outputs=Schema((TensorSpec(dtype="int64", shape=(-1,)),)),
        methods={
            "predict_proba": MethodSignature(outputs=Schema((TensorSpec(dtype="float64", shape=(-1, 2)),))),
            "explain": MethodSignature(
                outputs=Schema(tuple(ColSpec(type=kind, name=kind) for kind in SCALARS)),
                params=(ParamSpec(name="top", type="integer", default=3),),
            ),
        },
    ),
    "hostile": Signature(
        inputs=Schema(tuple(ColSpec(type="double", name=name) for name in HOSTILE_NAMES)),
        outputs=Schema(tuple(ColSpec(type="string", name=name) for name in HOSTILE_NAMES)),
        params=tuple(ParamSpec(name=name, type="string", default=name) for name in HOSTILE_NAMES),
    ),
}


def contract_of(
    signature: Signature, *, name: str = "model", version: str = "1", example: object = None
) -> ModelContract:
    """Return the contract of a model with that signature; *example* is a body in MLflow's form."""
    return ModelContract(
        name=name,
        version=version,
        default_method="predict",
        signatures={method: signature.of(method) for method in ("predict", *signature.methods)},
        flavor="sklearn",
        example=None if example is None else json.dumps(example).encode(),
    )


def every_contract() -> list[ModelContract]:
    """Return a contract for each signature, called like it."""
    return [contract_of(signature, name=name) for name, signature in SIGNATURES.items()]
