"""Applications of other kinds, each in a process of its own: without an SDK, with one that takes nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def run(*command: object, cwd: Path) -> str:
    """Run Python with those arguments; return what it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_listed(tmp_path) -> None:
    """`palate flavors list` shows the observer, working."""
    listed = json.loads(run("-m", "palate", "flavors", "list", "--json", cwd=tmp_path))
    found = [record for record in listed if record["name"] == "opentelemetry"]
    assert [(record["kind"], record["status"]) for record in found] == [("observer", "ok")]


def test_without_an_sdk_nothing_is_told_and_nothing_fails(iris, rows, tmp_path) -> None:
    """The observer brings no SDK along, and leaves the context as it was."""
    script = """
import sys, numpy, palate
from opentelemetry import trace
model = palate.load_model(sys.argv[1])
assert model.predict(numpy.array(eval(sys.argv[2]))).shape == (5,)
try:
    model.predict(numpy.array([[1.0, 2.0, 3.0, numpy.nan]]))
except ValueError:
    pass
assert "palate_opentelemetry" in sys.modules
print(trace.get_current_span() is trace.INVALID_SPAN, "opentelemetry.sdk" in sys.modules)
"""
    assert run("-c", script, iris, rows.tolist(), cwd=tmp_path).split() == ["True", "False"]


def test_what_is_not_sampled_is_counted(iris, rows, tmp_path) -> None:
    """With a sampler that takes nothing there are no spans, and all durations."""
    script = """
import sys, numpy, palate
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
model = palate.load_model(sys.argv[1])  # before the application has set anything up
provider = TracerProvider(ALWAYS_OFF)
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
for _ in range(4):
    model.predict(numpy.array(eval(sys.argv[2])))
(metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(len(exporter.get_finished_spans()), [point.count for point in metric.data.data_points])
"""
    assert run("-c", script, iris, rows.tolist(), cwd=tmp_path).strip() == "0 [4]"


def test_the_readme_is_true(tmp_path) -> None:
    """Its program runs, and prints a span of each kind, under the application's."""
    program = "\n".join(re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
    (tmp_path / "program.py").write_text(program)
    printed = run("program.py", cwd=tmp_path)
    for name in re.findall(r"^\| `(palate\.\w+)`", README.read_text(), re.MULTILINE):
        assert f'"name": "{name}"' in printed
    assert '"name": "handle request"' in printed


def test_without_an_sdk_it_costs_next_to_nothing(iris, rows, tmp_path) -> None:
    """A prediction with the observer around it takes less than half as long again as scikit-learn's own."""
    script = """
import sys, timeit, numpy, palate
model = palate.load_model(sys.argv[1])
rows = numpy.array(eval(sys.argv[2]))
calls = [lambda: model.predict(rows), lambda: model.native.predict(rows)]
times = [[timeit.timeit(call, number=100) for call in calls] for _ in range(50)]  # in turns: both meet the same noise
observed, native = map(min, zip(*times))
print(observed / native)
"""
    assert float(run("-c", script, iris, rows.tolist(), cwd=tmp_path)) < 1.5
