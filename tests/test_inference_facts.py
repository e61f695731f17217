"""What a schema inferred from data says beyond MLflow's grammar: gaps and time zones."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from palate._inference.inference import infer_schema
from palate.errors import InvalidSignature
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")

NEW_YEAR = dt.datetime.fromisoformat("2024-01-01T02:03:04")


def gaps(data: object) -> dict[object, object]:
    """Return the type of each column, "?" for what may be absent and whether it is nullable."""
    columns = infer_schema(data).columns
    return {c.name: (f"{c.type}{'' if c.required else '?'}", c.nullable) for c in columns}


@pytest.mark.parametrize("dtype", ["Int64", "int64[pyarrow]"])
def test_integers_with_gaps_stay_integers(dtype: str) -> None:
    """Integers of which some are missing are nullable, of the width of their dtype; without gaps they are plain."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": pd.array([2**53 + 1, None], dtype=dtype), "b": pd.array([1, 2], dtype=dtype)})
    assert gaps(frame) == {"a": ("long?", True), "b": ("long", None)}
    assert gaps(frame[["b"]].shift().astype(dtype.replace("64", "8"))) == {"b": ("integer?", True)}


def test_integers_that_pandas_takes_for_floats_are_doubles() -> None:
    """float64 with NaN, and objects that pandas makes float64 of, are doubles, as MLflow infers."""
    frame = pd.DataFrame({"a": [1.0, None], "b": pd.Series([1, None], dtype=object)})
    assert gaps(frame) == {"a": ("double?", None), "b": ("double?", None)}


def test_truth_values_with_gaps_stay_what_they_are() -> None:
    """pandas' boolean with gaps is nullable; an object column with None passes as it is, as in MLflow."""
    frame = pd.DataFrame({"a": pd.array([True, None], dtype="boolean"), "b": pd.Series([True, None], dtype=object)})
    assert gaps(frame) == {"a": ("boolean?", True), "b": ("boolean?", None)}


def test_gaps_without_a_name() -> None:
    """A column without a name stays required, and says by itself that it has gaps."""
    assert infer_schema(pd.Series([1, None], dtype="Int64")) == Schema((ColSpec(type="long", nullable=True),))
    assert infer_schema([1, None]) == Schema((ColSpec(type="long", nullable=True),))
    assert infer_schema([True, None]) == Schema((ColSpec(type="boolean"),))


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("Europe/Vienna", "Europe/Vienna"),
        ("UTC", "UTC"),
        (dt.UTC, "UTC"),
        (dt.timezone(dt.timedelta(hours=2)), "UTC+02:00"),
        (dt.timezone(-dt.timedelta(hours=9, minutes=30), "Marquesas"), "UTC-09:30"),
        (ZoneInfo("Asia/Tokyo"), "Asia/Tokyo"),
    ],
)
def test_time_zones_are_kept_by_a_name_that_pandas_reads_back(zone: object, name: str) -> None:
    """A column with a time zone remembers it, IANA names as they are and offsets as UTC+02:00."""
    series = pd.Series([NEW_YEAR]).dt.tz_localize(zone)
    for column in (series, series.astype(object)):
        (spec,) = infer_schema(pd.DataFrame({"t": column})).columns
        assert spec == ColSpec(type="datetime", name="t", timezone=name)
        assert pd.DatetimeTZDtype("us", spec.timezone) == series.astype(f"datetime64[us, {name}]").dtype


def test_time_zones_of_arrow_and_polars() -> None:
    """Arrow and polars name their zones; Arrow's bare offsets are those of UTC."""
    pa = pytest.importorskip("pyarrow")
    pl = pytest.importorskip("polars")
    for zone, name in (("Europe/Vienna", "Europe/Vienna"), ("+02:00", "UTC+02:00"), (None, None)):
        column = pa.array([NEW_YEAR], pa.timestamp("us", zone))
        (spec,) = infer_schema(pa.table({"t": column})).columns
        assert (spec.type, spec.timezone) == ("datetime", name)
        dtype = pd.ArrowDtype(column.type)
        assert infer_schema(pd.DataFrame({"t": pd.Series(column, dtype=dtype)})).columns == (spec,)
    frame = pl.DataFrame({"t": pl.Series([NEW_YEAR], dtype=pl.Datetime("ms", "Europe/Vienna")), "u": [NEW_YEAR]})
    assert [column.timezone for column in infer_schema(frame).columns] == ["Europe/Vienna", None]


def test_a_zone_without_a_name_is_refused() -> None:
    """A zone that no other machine knows by name is no part of a signature, and the way out is told."""
    for zone in (dt.timezone(dt.timedelta(seconds=61)), dt.timezone(-dt.timedelta(hours=1, seconds=1), "home")):
        frame = pd.DataFrame({"t": pd.Series([NEW_YEAR]).dt.tz_localize(zone)})
        with pytest.raises(InvalidSignature, match=r"inputs\.t: .*convert it to UTC"):
            infer_schema(frame)
