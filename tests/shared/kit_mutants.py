"""Flavors that break one promise each: what is appended to ``line.py``, by the check that has to fail."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

__all__ = ["BY_NO_HOOK", "MUTANTS", "Mutant"]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One broken flavor.

    Attributes:
        source: what is appended to the good flavor.
        members: what the class of tests has besides.
        message: what the failure has to say.
    """

    source: str
    message: str
    members: str = ""


def _hook(name: str, body: str, message: str, *, members: str = "", before: str = "") -> Mutant:
    """Return a mutant in which one hook has another body."""
    arguments = {
        "save_model": "model, path, options",
        "load_model": "path, config, options",
        "predict": "model, data, method",
        "methods": "model",
        "requirements": "model, options",
        "executes_code": "path, config",
        "guarantees": "path, config",
        "pyfunc_section": "config",
        "infer_input_schema": "model",
        "sample_models": "",
    }[name]
    source = f"{textwrap.dedent(before)}\n@hookimpl\ndef {name}({arguments}):\n{textwrap.indent(_plain(body), '    ')}"
    return Mutant(source=source, message=message, members=_plain(members))


def _plain(text: str) -> str:
    return textwrap.dedent(text).strip("\n") + "\n"


def _saves(body: str, message: str, **more: str) -> Mutant:
    """Return a mutant that does something besides writing the line."""
    return _hook("save_model", "section = write_line(model, path, options)\n" + _plain(body), message, **more)


def _loads(body: str, message: str, **more: str) -> Mutant:
    """Return a mutant that does something besides reading the line."""
    return _hook("load_model", "line = read_line(path, config, options)\n" + _plain(body), message, **more)


def _published(predict: str, message: str, **more: str) -> Mutant:
    """Return a mutant whose predictions are other ones once a model is published; until then Palate would notice."""
    marks = """
        @hookimpl
        def load_model(path, config, options):
            line = read_line(path, config, options)
            line._calls = None if is_stage(path) else 0
            line._home = path
            return line
    """
    head = """
        if getattr(model, "_calls", None) is None:
            return ask_line(model, data, method)
        model._calls += 1
    """
    more["before"] = _plain(more.get("before", "")) + _plain(marks)
    return _hook("predict", _plain(head) + _plain(predict), message, **more)


BY_NO_HOOK = {
    "test_existing_target_is_refused": "Palate refuses it before any hook is called, and users are told that it does",
}
"""Checks that no flavor can break, and why they are asked nevertheless."""

_ROUND_TRIP = {
    "test_loaded_model_predicts_the_same": _hook(
        "predict", "return getattr(model, method)(data).round(1) * 1.5", "values"
    ),
    "test_fresh_process_predicts_the_same": _hook(
        "load_model",
        """
        line = read_line(path, config, options)
        line.bias = BIASES.get(line.weights.tobytes(), 0.0)
        return line
        """,
        "predict: ",
        before="""
            BIASES = {}

            @hookimpl
            def save_model(model, path, options):
                BIASES[model.weights.tobytes()] = model.bias
                return write_line(model, path, options)
        """,
    ),
    "test_every_method_answers_the_same": _published(
        "return ask_line(model, data, method) + (method == 'sign')", "sign: "
    ),
    "test_methods_survive": _hook(
        "methods",
        "return ('predict', 'sign') if getattr(model, '_calls', None) is None else ('predict',)",
        "('predict',)",
        before=_published("return ask_line(model, data, method)", "").source,
    ),
    "test_default_method_answers_the_sample": _published(
        "raise ValueError('no')", "predict raises builtins.ValueError"
    ),
    "test_loaded_model_can_be_saved_again": _hook(
        "save_model",
        """
        if hasattr(model, "_calls"):
            model = type(model)(model.weights, round(model.bias))
        return write_line(model, path, options)
        """,
        "PredictionChanged",
        before=_published("return ask_line(model, data, method)", "").source,
    ),
    "test_predicting_twice_gives_the_same": _published("return ask_line(model, data, method) + model._calls", "values"),
    "test_two_models_live_side_by_side": _hook(
        "load_model",
        "return LINES.setdefault(path, read_line(path, config, options))",
        "two loads returned one object",
        before="LINES = {}",
    ),
    "test_eight_threads_predict_with_one_model": _hook(
        "predict",
        """
        import time
        BUFFER["rows"] = data
        time.sleep(0.005)
        return ask_line(model, BUFFER["rows"], method)
        """,
        "values",
        before="BUFFER = {}",
    ),
    "test_eight_threads_load_at_once": _hook(
        "load_model",
        """
        import time
        BUFFER["path"] = path
        time.sleep(0.005)
        return read_line(BUFFER.pop("path"), config, options)
        """,
        "LoadFailed",
        before="BUFFER = {}",
    ),
    "test_pickled_model_opens_its_directory": _loads(
        """
        if os.getpid() != HERE and not is_stage(path):
            line.bias = 0.0
        return line
        """,
        "values",
        before="import os, sys\nHERE = os.getppid() if sys.argv[0].endswith('_worker.py') else os.getpid()",
    ),
    "test_native_model_comes_back": _hook(
        "methods",
        "return ('predict', 'sign')[:getattr(model, '_number', 2)]",
        "assert ('predict',) == ('predict', 'sign')",
        before="""
            LOADED = {}

            @hookimpl
            def load_model(path, config, options):
                line = read_line(path, config, options)
                LOADED[path] = line._number = LOADED.get(path, 0) + 1
                return line
        """,
    ),
}

_DIRECTORY = {
    "test_section_is_plain_yaml": _saves("return {**section, 'columns': {'a', 'b'}}", "must return plain YAML data"),
    "test_section_is_small": _saves("return {**section, 'note': 'x' * 20_000}", "write what is large to a file"),
    "test_section_names_the_version": _saves(
        "del section['lines_version']\nreturn section", "no value of the section is one of the required versions"
    ),
    "test_section_paths_lead_into_the_directory": _saves(
        "return {**section, 'origin': '/srv/lines/line.json'}", ".origin is an absolute path"
    ),
    "test_no_file_names_this_machine": _saves(
        "(path / 'line.log').write_text(f'written to {path}')\nreturn section", "line.log"
    ),
    "test_directory_holds_plain_files": _saves(
        "(path / 'latest.json').symlink_to('line.json')\nreturn section", "latest.json"
    ),
    "test_flavor_writes_a_file": _hook(
        "save_model",
        "return {'weights': model.weights.tolist(), 'bias': model.bias}",
        "the flavor wrote no file",
        before="""
            @hookimpl
            def load_model(path, config, options):
                from lines import Line

                return Line(config["weights"], config["bias"])
        """,
    ),
    "test_same_model_gives_the_same_bytes": _saves(
        "import os\n(path / 'salt').write_bytes(os.urandom(8))\nreturn section", "these differ from save to save: salt"
    ),
    "test_nothing_is_written_elsewhere": _saves(
        "import tempfile\ntempfile.mkstemp(prefix='line')\nreturn section", "left behind: temporary/line"
    ),
    "test_requirements_are_pinned": _hook("requirements", "return ('lines>=1',)", "without '==': lines>=1"),
    "test_requirements_name_the_framework": _hook(
        "requirements", "return (pin_installed('numpy'),)", "none of ['lines'] is what the hook requirements answers"
    ),
    "test_requirements_are_what_is_installed": _hook("requirements", "return ('lines==1.3',)", "installed 1.4"),
}

_SIDE_EFFECTS = {
    "test_save_leaves_random_state": _hook(
        "save_model",
        """
        import random

        def draw_once_more(state, setstate=random.setstate):
            random.setstate = setstate
            setstate(state)
            random.random()

        random.setstate = draw_once_more
        return write_line(model, path, options)
        """,
        "random state: changed: random",
    ),
    "test_save_leaves_no_thread": _saves(
        """
        import threading
        threading.Thread(target=threading.Event().wait, name="line-watch", daemon=True).start()
        return section
        """,
        "line-watch",
    ),
    "test_save_leaves_working_directory": _saves("import os\nos.chdir('/')\nreturn section", "is '/'"),
    "test_save_leaves_environment_variables": _saves(
        "import os\nos.environ['LINES_QUIET'] = '1'\nreturn section", "changed: LINES_QUIET"
    ),
    "test_save_leaves_warnings_filters": _saves(
        "import warnings\nwarnings.simplefilter('ignore')\nreturn section", "ignore"
    ),
    "test_save_leaves_import_path": _saves(
        """
        import sys
        if "/srv/lines" not in sys.path:
            sys.path.append("/srv/lines")
        return section
        """,
        "/srv/lines",
    ),
    "test_save_leaves_modules": _saves(
        "import sys\nsys.modules.pop('lines.extra', None)\nreturn section", "by the first save"
    ),
    "test_save_leaves_interpreter_settings": _saves(
        "import sys\nsys.setrecursionlimit(5000)\nreturn section", "changed: recursion limit"
    ),
    "test_save_leaves_the_model": _saves("model.saved = True\nreturn section", "added by saving: model.saved"),
    "test_save_leaves_predictions": _hook(
        "requirements", "model.bias += 1\nreturn (pin_installed('lines'),)", "values"
    ),
    "test_load_and_predict_leave_the_process": _loads(
        "import os\nos.environ['LINES_QUIET'] = '1'\nreturn line", "environment variables: changed: LINES_QUIET"
    ),
    "test_predict_leaves_the_input": _published(
        "answer = ask_line(model, data, method)\ndata['a'] = 0.0\nreturn answer",
        "the rows that were passed have changed",
    ),
    "test_predict_leaves_the_model": _published(
        "return ask_line(model, data, method)", "changed by predicting: model._calls"
    ),
}

_SAVING = {
    "test_overwriting_replaces_the_whole": _saves(
        """
        old = path.parent.parent / "model"
        for file in set(old.glob("of *")):
            (path / file.name).write_bytes(file.read_bytes())
        return section
        """,
        "of the old one",
    ),
    "test_foreign_model_is_refused": _hook(
        "save_model",
        """
        from lines import Line
        line = model if hasattr(model, "weights") else Line([0.0, 0.0], 0.0)
        return write_line(line, path, options)
        """,
        "DID NOT RAISE",
        before="NATIVE_PACKAGES = ()",
    ),
    "test_full_disk_leaves_nothing": _saves(
        """
        try:
            (path / "table.bin").write_bytes(bytes(100_000))
        except OSError:
            pass
        return section
        """,
        "DID NOT RAISE",
    ),
    "test_full_disk_keeps_the_old_model": _hook(
        "save_model",
        """
        import shutil
        if options.example is None:
            shutil.rmtree(path.parent.parent / "model", ignore_errors=True)
        (path / "table.bin").write_bytes(bytes(100_000))
        return write_line(model, path, options)
        """,
        "assert {} == ",
    ),
    "test_interrupted_save_leaves_all_or_nothing": _saves(
        """
        import time
        file = path.parent.parent / "line.tmp"
        file.write_text("")
        time.sleep(0.1)
        file.unlink()
        return section
        """,
        "a temporary file is left",
    ),
}

_PLACES = {
    "test_moved_directory_loads": _hook(
        "load_model",
        """
        if not is_stage(path) and str(path) != HOMES[config["place"]]:
            raise ValueError("it has moved")
        return read_line(path, config, options)
        """,
        "it has moved",
        before="""
            HOMES = []

            @hookimpl
            def save_model(model, path, options):
                HOMES.append(str(path.parent.parent / path.parent.name[1:].partition(".palate-stage-")[0]))
                return {**write_line(model, path, options), "place": len(HOMES) - 1}
        """,
    ),
    "test_read_only_directory_loads": _published(
        "(model._home / 'line.cache').write_text('')\nreturn ask_line(model, data, method)",
        "loading changed the directory",
    ),
    "test_path_beyond_ascii_works": _loads("str(path).encode('ascii')\nreturn line", "'ascii' codec can't encode"),
    "test_path_with_spaces_works": _hook(
        "load_model",
        """
        from pathlib import Path
        from urllib.parse import unquote
        return read_line(Path(unquote(str(path))), config, options)
        """,
        "ModelChanged",
    ),
    "test_relative_path_works": _hook(
        "predict",
        "return ask_line(model, data, method) + (not getattr(model, '_home', Path()).exists())",
        "values",
        before="""
            import os

            @hookimpl
            def load_model(path, config, options):
                line = read_line(path, config, options)
                if not is_stage(path):
                    line._home = Path(os.path.relpath(path))
                return line
        """,
    ),
}

_INPUTS = {
    "test_signature_is_inferred": _hook(
        "infer_input_schema", "from palate.signature import Signature\nreturn Signature()", "no inputs"
    ),
    "test_wrong_input_is_refused": _hook(
        "infer_input_schema",
        "from palate.signature import Signature\nreturn Signature()",
        "TypeError: float() argument",
    ),
    "test_missing_column_is_named": _hook(
        "infer_input_schema",
        "from palate.signature import Signature\nreturn Signature()",
        "the signature requires none of the columns by name",
    ),
    "test_empty_input_is_answered_alike": _published(
        "return ask_line(model, data if len(data) else None, method)", "expected a prediction, got builtins.ValueError"
    ),
    "test_one_row_is_predicted_as_among_others": _hook(
        "predict", "return ask_line(model, data, method) + len(data)", "differences"
    ),
    "test_many_rows_are_predicted_alike": _hook(
        "predict", "return ask_line(model, data, method) + (len(data) > 10_000)", "differences"
    ),
    "test_memory_stays_flat": _hook(
        "predict",
        "KEPT.append(b'x' * (1 << 20))\nreturn ask_line(model, data, method)",
        "MiB while 48 batches were predicted",
        before="KEPT = []",
    ),
    "test_batches_are_predicted_alike": _published(
        "return ask_line(model, data, method) + (model._calls > 2)", "differences"
    ),
    "test_awaited_prediction_is_the_same": _hook(
        "predict",
        """
        import threading
        return ask_line(model, data, method) + (threading.current_thread() is not threading.main_thread())
        """,
        "values",
    ),
    "test_model_without_example_loads": _hook(
        "save_model",
        """
        if options.example is None:
            model = type(model)(model.weights, 0.0)
        return write_line(model, path, options)
        """,
        "values",
    ),
}

_TRUST = {
    "test_code_is_reported": _saves(
        "(path / 'shape.py').write_text('print(1)')\nreturn section", "there is code in shape.py"
    ),
    "test_reasons_name_files": _hook(
        "executes_code",
        "return (CodeReason('line.pickle', 'a pickle'),)",
        "there is no line.pickle",
        members="format = 'pickle'",
    ),
    "test_untrusted_load_keeps_to_the_answer": _hook(
        "load_model",
        """
        if not options.trust and not is_stage(path):
            raise UnsafeModel("line.json", rule="it is not trusted")
        return read_line(path, config, options)
        """,
        "it is not trusted",
    ),
    "test_format_needs_the_trust_it_says": Mutant(
        source="FORMATS_NEEDING_TRUST = ()", members="format = 'pickle'", message="assert True == "
    ),
    "test_default_format_is_safe": Mutant(source="FORMATS = ('pickle', 'json')", message="'pickle' not in ('pickle',)"),
    "test_guarantees_fit_the_trust": _hook(
        "guarantees", "return Guarantees(no_code=False, memory_safe=True, bounded=True)", "assert False is not False"
    ),
    "test_answer_is_the_same_each_time": _hook(
        "guarantees",
        """
        ASKED.append("a call")
        return Guarantees(no_code=True, memory_safe=True, bounded=True, exceptions=tuple(ASKED))
        """,
        "exceptions=",
        before="ASKED = []",
    ),
}

_DAMAGE = {
    "test_truncated_file_is_refused": _hook(
        "load_model",
        """
        from lines import Line
        try:
            return read_line(path, config, options)
        except ValueError:
            return Line([0.0, 0.0], 0.0)
        """,
        "line.json, halved: it loads, and then: ",
    ),
    "test_page_for_a_file_is_refused": _hook(
        "load_model",
        """
        from lines import Line
        if (path / config["data"]).read_bytes().startswith(b"<"):
            return Line([0.0, 0.0], 0.0)
        return read_line(path, config, options)
        """,
        "line.json, a web page: it loads, and then: ",
    ),
    "test_garbled_file_never_crashes": _hook(
        "load_model",
        """
        import ctypes
        if (path / config["data"]).read_bytes().startswith(bytes(8)):
            ctypes.string_at(0)
        return read_line(path, config, options)
        """,
        "line.json, zeros: the process was ended by SIGSEGV while it was to load a damaged directory and predict",
    ),
    "test_flipped_bits_never_crash": _hook(
        "load_model",
        """
        import json, os
        try:
            json.loads((path / config["data"]).read_bytes())
        except ValueError:
            os.abort()
        return read_line(path, config, options)
        """,
        "the process was ended by SIGABRT",
    ),
    "test_missing_file_is_refused": _hook(
        "load_model",
        """
        from lines import Line
        if not (path / config["data"]).exists():
            return Line([0.0, 0.0], 0.0)
        return read_line(path, config, options)
        """,
        "without line.json: it loads, and then: ",
    ),
    "test_folder_for_a_file_is_refused": _hook(
        "load_model",
        """
        import os
        if (path / config["data"]).is_dir():
            os._exit(3)
        return read_line(path, config, options)
        """,
        "line.json is a folder: the process exited with 3",
    ),
    "test_hostile_section_is_refused": _hook(
        "load_model",
        """
        import sys
        if not config.get("data"):
            sys.exit("no data")
        return read_line(path, config, options)
        """,
        "data=None: FlavorBroken: ",
    ),
}

_PLUGIN = {
    "test_plugin_is_active": Mutant(source="raise RuntimeError('no licence')", message="no licence"),
    "test_hook_api_is_stated": Mutant(source="del HOOK_API", message="HOOK_API is None; set it to 1"),
    "test_import_brings_no_framework": Mutant(source="import lines", message="imported with the plugin: lines, numpy"),
    "test_import_is_quick": Mutant(source="import time\ntime.sleep(0.15)", message="ms at best, of 100 allowed"),
    "test_inspecting_imports_no_framework": _hook(
        "executes_code", "import lines\nreturn ()", "imported by inspecting: lines"
    ),
    "test_model_is_owned": Mutant(source="# as all the other ones here do", message="FlavorConflict"),
    "test_private_names_are_left_alone": _hook(
        "methods",
        "from palate._flavor import Flavor\nreturn ('predict', 'sign')",
        "private names are imported: ",
    ),
    "test_samples_predict": _hook(
        "sample_models",
        """
        from lines import Line
        return {"short": SampleModel(model=Line([1.0], 0.0), sample=[[1.0, 2.0]], description="of one column")}
        """,
        "InvalidExample",
    ),
    # Of a distribution, which only the test of it can install.
    "test_dependencies_are_declared": Mutant(source="", message="it does not depend on palate"),
}

_INTEROP = {
    "test_stock_mlflow_predicts_the_same": _hook(
        "pyfunc_section", "return {'loader_module': 'lines.mlflow_loader', 'data': 'MLmodel'}", "JSONDecodeError"
    ),
    "test_directory_is_a_whole_mlmodel": _hook(
        "executes_code", "(path / 'conda.yaml').unlink(missing_ok=True)\nreturn ()", "there is no conda.yaml"
    ),
    "test_verify_replays_the_predictions": _published("return ask_line(model, data, method) + 1", "values"),
    "test_inspect_tells_the_model_from_the_rest": _hook(
        "save_model",
        "write_line(model, path, options)\nreturn {'lines_version': '1.4'}",
        "no value of the section is the name of a file",
        before="""
            @hookimpl
            def load_model(path, config, options):
                return read_line(path, {"data": "line.json"}, options)
        """,
    ),
}

MUTANTS: dict[str, Mutant] = {
    **_ROUND_TRIP,
    **_DIRECTORY,
    **_SIDE_EFFECTS,
    **_SAVING,
    **_PLACES,
    **_INPUTS,
    **_TRUST,
    **_DAMAGE,
    **_PLUGIN,
    **_INTEROP,
}
"""The mutants, in the order of the checks."""
