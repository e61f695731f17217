"""Flavors that break a promise about a model and its directory."""

from __future__ import annotations

from kit_mutant import hook, loads, published, saves

__all__ = ["DIRECTORY", "INPUTS", "ROUND_TRIP", "SERVING"]

ROUND_TRIP = {
    "test_loaded_model_predicts_the_same": hook(
        "predict", "return getattr(model, method)(data).round(1) * 1.5", "values"
    ),
    "test_fresh_process_predicts_the_same": hook(
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
    "test_every_method_answers_the_same": published(
        "return ask_line(model, data, method) + (method == 'sign')", "sign: "
    ),
    "test_methods_survive": hook(
        "methods",
        "return ('predict', 'sign') if getattr(model, '_calls', None) is None else ('predict',)",
        "('predict',)",
        before=published("return ask_line(model, data, method)", "").source,
    ),
    "test_default_method_answers_the_sample": published("raise ValueError('no')", "predict raises builtins.ValueError"),
    "test_loaded_model_can_be_saved_again": hook(
        "save_model",
        """
        if hasattr(model, "_calls"):
            model = type(model)(model.weights, round(model.bias))
        return write_line(model, path, options)
        """,
        "PredictionChanged",
        before=published("return ask_line(model, data, method)", "").source,
    ),
    "test_predicting_twice_gives_the_same": published("return ask_line(model, data, method) + model._calls", "values"),
    "test_two_models_live_side_by_side": hook(
        "load_model",
        "return LINES.setdefault(path, read_line(path, config, options))",
        "two loads returned one object",
        before="LINES = {}",
    ),
    "test_eight_threads_predict_with_one_model": hook(
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
    "test_eight_threads_load_at_once": hook(
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
    "test_pickled_model_opens_its_directory": loads(
        """
        if os.getpid() != HERE and not is_stage(path):
            line.bias = 0.0
        return line
        """,
        "values",
        before="import os, sys\nHERE = os.getppid() if sys.argv[0].endswith('_worker.py') else os.getpid()",
    ),
    "test_native_model_comes_back": hook(
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

DIRECTORY = {
    "test_section_is_plain_yaml": saves("return {**section, 'columns': {'a', 'b'}}", "must return plain YAML data"),
    "test_section_is_small": saves("return {**section, 'note': 'x' * 20_000}", "write what is large to a file"),
    "test_section_names_the_version": saves(
        "del section['lines_version']\nreturn section", "no value of the section is the version of what is required"
    ),
    "test_section_paths_lead_into_the_directory": saves(
        "return {**section, 'origin': '/srv/lines/line.json'}", ".origin is an absolute path"
    ),
    "test_no_file_names_this_machine": saves(
        "(path / 'line.log').write_text(f'written to {path}')\nreturn section", "line.log"
    ),
    "test_directory_holds_plain_files": saves(
        "(path / 'latest.json').symlink_to('line.json')\nreturn section", "latest.json"
    ),
    "test_flavor_writes_a_file": hook(
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
    "test_same_model_gives_the_same_bytes": saves(
        "import os\n(path / 'salt').write_bytes(os.urandom(8))\nreturn section", "these differ from save to save: salt"
    ),
    "test_nothing_is_written_elsewhere": saves(
        "import tempfile\ntempfile.mkstemp(prefix='line')\nreturn section", "left behind: temporary/line"
    ),
    "test_requirements_are_pinned": hook("requirements", "return ('lines>=1',)", "without '==': lines>=1"),
    "test_requirements_name_the_framework": hook(
        "requirements", "return (pin_installed('numpy'),)", "none of ['lines'] is what the hook requirements answers"
    ),
    "test_requirements_are_what_is_installed": hook("requirements", "return ('lines==1.3',)", "installed 1.4"),
}

INPUTS = {
    "test_signature_is_inferred": hook(
        "infer_input_schema", "from palate.signature import Signature\nreturn Signature()", "no inputs"
    ),
    "test_wrong_input_is_refused": hook(
        "infer_input_schema",
        "from palate.signature import Signature\nreturn Signature()",
        "TypeError: float() argument",
    ),
    "test_missing_column_is_named": hook(
        "infer_input_schema",
        "from palate.signature import Signature\nreturn Signature()",
        "the signature requires none of the columns by name",
    ),
    "test_empty_input_is_answered_alike": published(
        "return ask_line(model, data if len(data) else None, method)", "expected a prediction, got builtins.ValueError"
    ),
    "test_one_row_is_predicted_as_among_others": hook(
        "predict", "return ask_line(model, data, method) + len(data)", "values"
    ),
    "test_many_rows_are_predicted_alike": hook(
        "predict", "return ask_line(model, data, method) + (len(data) > 10_000)", "values"
    ),
    "test_memory_stays_flat": hook(
        "predict",
        "KEPT.append(b'x' * (1 << 20))\nreturn ask_line(model, data, method)",
        "MiB while 48 batches were predicted",
        before="KEPT = []",
    ),
    "test_batches_are_predicted_alike": published(
        "return ask_line(model, data, method) + (model._calls > 2)", "values"
    ),
    "test_awaited_prediction_is_the_same": hook(
        "predict",
        """
        import threading
        return ask_line(model, data, method) + (threading.current_thread() is not threading.main_thread())
        """,
        "values",
    ),
    "test_model_without_example_loads": hook(
        "save_model",
        """
        if options.example is None:
            model = type(model)(model.weights, 0.0)
        return write_line(model, path, options)
        """,
        "values",
    ),
}

SERVING = {
    "test_rows_are_independent_if_the_flavor_says_so": hook(
        "predict", "return ask_line(model, data, method) + (method == 'sign') * len(data)", "sign, row 0: "
    ),
    "test_array_is_predicted_as_its_table": hook(
        "takes_array",
        "return method == 'sign'",
        "sign: 4 rows differ",
        before="""
            @hookimpl
            def predict(model, data, method):
                return ask_line(model, data, method).astype(float if hasattr(data, "columns") else complex)
        """,
    ),
    "test_server_answers_as_the_model": hook(
        "predict",
        """
        import threading
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("no context of its own in this thread")
        return ask_line(model, data, method)
        """,
        "predict: the server answered 500",
    ),
}
