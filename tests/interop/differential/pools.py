"""What random inputs are made of: values as expressions, by what they are, and the dtypes that hold them."""

from __future__ import annotations

__all__ = ["ARRAY_DTYPES", "DTYPES", "FITTING", "ITEMS"]

WIDTHS = (8, 16, 32, 64)
SIGNED = {bits: (f"-2**{bits - 1}", f"2**{bits - 1} - 1") for bits in WIDTHS}
SMALL = ("0", "1", "2", "5", "100")
REAL = ("0.0", "-0.0", "0.5", "1.0", "2.0", "-3.25", "float('nan')", "float('inf')", "float('-inf')")
DAYS = ("'2020-01-01'", "'1969-12-31T23:59:59'", "'2024-02-29T12:34:56'", "None")
TEXT = ("'a'", "''", "'1'", "'0.5'", "'true'", "'false'", "'2020-01-01'", "'é'", "'a\\0'", "' x '", "'nan'")

# Single values, as they stand in lists, dicts and object columns.
ITEMS: dict[str, tuple[str, ...]] = {
    "truth": ("True", "False", "np.bool_(True)"),
    "whole": (*SMALL, "-1", "2**31 - 1", "2**31", "2**53", "2**53 + 1", "2**63 - 1", "2**63", "2**70", "2**70 + 1"),
    "small whole": (*SMALL, "-1"),
    "numpy": (
        "np.int8(3)",
        "np.int32(7)",
        "np.int64(2**53 + 1)",
        "np.uint64(2**63)",
        "np.float32(0.1)",
        "np.float16(2)",
    ),
    "real": (*REAL, "0.1", "1e300", "5e-324", "2.0**53", "16777217.0", "np.float64(0.1)"),
    "decimal": ("Decimal('0.5')", "Decimal('0.1')", "Decimal(3)", "Decimal('NaN')"),
    "complex": ("1j", "1 + 0j"),
    "text": (*TEXT, "np.str_('x')"),
    "bytes": ("b'a'", "b''", "b'a\\0'", "b'\\xff'"),
    "time": (
        "dt.datetime(2020, 1, 1, 2, 3, 4, 567)",
        "dt.date(2020, 1, 1)",
        "np.datetime64('2020-01-01')",
        "np.datetime64('2020-01-01T00:00:00.123456789')",
        "pd.Timestamp('2020-01-01T00:00:00.123456789')",
        "dt.datetime(1677, 9, 22)",
    ),
    "odd time": (
        "dt.date(3000, 1, 1)",
        "dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)",
        "dt.timedelta(seconds=1)",
        "np.timedelta64(1, 'ns')",
        "np.datetime64('3000', 'Y')",
    ),
    "missing": ("None", "float('nan')", "pd.NA", "pd.NaT", "np.datetime64('NaT')"),
    "none": ("None",),
    "container": ("[]", "[1]", "{}", "{'k': 1}", "(1, 2)", "np.arange(2)", "set()"),
}

# pandas dtypes, and what a column of each may hold. A name with a bracket or a dot is an expression.
DTYPES: dict[str, tuple[str, ...]] = {
    **{f"'int{bits}'": (*SMALL, *SIGNED[bits]) for bits in WIDTHS},
    **{f"'uint{bits}'": (*SMALL, f"2**{bits} - 1") for bits in WIDTHS},
    **{f"'Int{bits}'": (*SMALL, *SIGNED[bits], "None") for bits in WIDTHS},
    **{f"'UInt{bits}'": (*SMALL, f"2**{bits} - 1", "None") for bits in WIDTHS},
    **{f"'int{bits}[pyarrow]'": (*SMALL, *SIGNED[bits], "None") for bits in WIDTHS},
    **{f"'uint{bits}[pyarrow]'": (*SMALL, f"2**{bits} - 1", "None") for bits in WIDTHS},
    "'float16'": (*REAL, "65504.0", "None"),
    "'float32'": (*REAL, "0.1", "16777216.0", "1e38", "None"),
    "'float64'": (*REAL, "0.1", "1e300", "5e-324", "2.0**53", "None"),
    "'Float32'": (*REAL[:6], "0.1", "None"),
    "'Float64'": (*REAL[:6], "0.1", "1e300", "None"),
    "'float[pyarrow]'": (*REAL[:6], "None"),
    "'double[pyarrow]'": (*REAL[:6], "0.1", "1e300", "None"),
    "'>i4'": SMALL,
    "'>i8'": (*SMALL, "2**53 + 1"),
    "'>f4'": ("0.5", "1.0"),
    "'>f8'": ("0.5", "1.0", "0.1"),
    "'complex64'": ("1j", "0.5"),
    "'complex128'": ("1j", "1.0"),
    "'bool'": ("True", "False"),
    "'boolean'": ("True", "False", "None"),
    "'bool[pyarrow]'": ("True", "False", "None"),
    "'str'": (*TEXT, "None"),
    "'string'": (*TEXT, "None"),
    "'string[python]'": (*TEXT, "None"),
    "'string[pyarrow]'": (*TEXT, "None"),
    "pd.ArrowDtype(pa.string())": (*TEXT, "None"),
    "pd.ArrowDtype(pa.large_string())": (*TEXT, "None"),
    "pd.ArrowDtype(pa.binary())": ("b'a'", "b''", "None"),
    "pd.ArrowDtype(pa.decimal128(10, 2))": ("Decimal('0.5')", "Decimal(3)", "None"),
    "pd.ArrowDtype(pa.date32())": ("dt.date(2020, 1, 1)", "None"),
    "pd.ArrowDtype(pa.list_(pa.int64()))": ("[1, 2]", "[]", "None"),
    "pd.ArrowDtype(pa.list_(pa.string()))": ("['a', 'bc']", "[]", "None"),
    "pd.ArrowDtype(pa.struct([('x', pa.int64())]))": ("{'x': 1}", "None"),
    "'timestamp[ns][pyarrow]'": ("pd.Timestamp('2020-01-01T00:00:00.123456789')", "None"),
    "'timestamp[us][pyarrow]'": ("pd.Timestamp('2020-01-01')", "None"),
    "pd.ArrowDtype(pa.timestamp('us', tz='UTC'))": ("pd.Timestamp('2020-01-01', tz='UTC')", "None"),
    "'duration[s][pyarrow]'": ("dt.timedelta(seconds=1)", "None"),
    "'datetime64[s]'": (*DAYS, "'3000-01-01'", "'0001-01-01'"),
    "'datetime64[ms]'": (*DAYS, "'3000-01-01'"),
    "'datetime64[us]'": (*DAYS, "'3000-01-01'"),
    "'datetime64[ns]'": (*DAYS, "'2262-04-11'", "'1677-09-22'"),
    "'datetime64[ns, UTC]'": DAYS,
    "'datetime64[s, UTC]'": DAYS,
    "'datetime64[ns, UTC+02:00]'": DAYS,
    "'timedelta64[ns]'": ("1", "2", "None"),
    "'timedelta64[s]'": ("'1s'", "'2s'", "None"),
    "'period[M]'": ("'2020-01'", "None"),
    "'interval'": ("pd.Interval(0, 1)", "pd.Interval(1, 2)"),
    "'Sparse[int]'": SMALL,
    "'Sparse[float64]'": ("0.5", "1.0", "float('nan')"),
    "pd.SparseDtype('float32', 0)": ("0.5", "0.0"),
    "'Sparse[bool]'": ("True", "False"),
}

_WHOLE = tuple(f"'{sign}int{bits}'" for sign in ("", "u") for bits in (8, 16, 32))
_TIMES = tuple(f"'datetime64[{unit}]'" for unit in ("s", "ms", "us", "ns"))

# Per scalar type the items, and the dtypes, that MLflow mostly takes for it.
FITTING: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "boolean": (("truth",), ("'bool'", "'bool'", "'boolean'", "'bool[pyarrow]'")),
    "integer": (("small whole",), ("'int8'", "'int16'", "'int32'", "'uint8'", "'uint16'", "'Int32'", "'Int8'")),
    "long": (("small whole",), (*_WHOLE, "'int64'", "'Int64'", "'Int16'", "'UInt8'", "'int64[pyarrow]'")),
    "float": (("real", "small whole"), ("'float16'", "'float32'", "'Float32'", "'float[pyarrow]'")),
    "double": (("real",), (*_WHOLE, "'float16'", "'float32'", "'float64'", "'Float64'", "'>f8'", "'double[pyarrow]'")),
    "string": (("text",), ("'str'", "'string'", "'string[python]'", "'string[pyarrow]'")),
    "binary": (("bytes",), ("'str'", "'string'")),
    "datetime": (("time",), _TIMES),
}

ARRAY_DTYPES = (
    *("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint64", "bool"),
    *("complex64", "object", "str", "bytes", "datetime64[ns]", "datetime64[D]", "timedelta64[ns]"),
)
