"""Flavors that break a promise about strangers: their files, their tools, the host."""

from __future__ import annotations

from kit_mutant import Mutant, hook, published, saves

__all__ = ["DAMAGE", "INTEROP", "PLUGIN", "TRUST"]

TRUST = {
    "test_code_is_reported": saves(
        "(path / 'shape.py').write_text('print(1)')\nreturn section", "there is code in shape.py"
    ),
    "test_reasons_name_files": hook(
        "executes_code",
        "return (CodeReason('line.pickle', 'a pickle'),)",
        "there is no line.pickle",
        members="format = 'pickle'",
    ),
    "test_untrusted_load_keeps_to_the_answer": hook(
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
    "test_guarantees_fit_the_trust": hook(
        "guarantees", "return Guarantees(no_code=False, memory_safe=True, bounded=True)", "assert False is not False"
    ),
    "test_answer_is_the_same_each_time": hook(
        "guarantees",
        """
        ASKED.append("a call")
        return Guarantees(no_code=True, memory_safe=True, bounded=True, exceptions=tuple(ASKED))
        """,
        "exceptions=",
        before="ASKED = []",
    ),
}

DAMAGE = {
    "test_path_out_of_the_directory_is_refused": hook(
        "load_model",
        """
        import json
        from lines import Line
        if options.trust or not (path / config["data"]).is_file():
            return read_line(path, config, options)
        document = json.loads((path / config["data"]).read_bytes())
        return Line(document["weights"], document["bias"])
        """,
        "data='../outside/line.json' is opened",
    ),
    "test_truncated_file_is_refused": hook(
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
    "test_page_for_a_file_is_refused": hook(
        "load_model",
        """
        from lines import Line
        if (path / config["data"]).read_bytes().startswith(b"<"):
            return Line([0.0, 0.0], 0.0)
        return read_line(path, config, options)
        """,
        "line.json, a web page: it loads, and then: ",
    ),
    "test_garbled_file_never_crashes": hook(
        "load_model",
        """
        import ctypes
        if (path / config["data"]).read_bytes().startswith(bytes(8)):
            ctypes.string_at(0)
        return read_line(path, config, options)
        """,
        "line.json, zeros: the process was ended by SIGSEGV while it was to load a damaged directory and predict",
    ),
    "test_flipped_bits_never_crash": hook(
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
    "test_missing_file_is_refused": hook(
        "load_model",
        """
        from lines import Line
        if not (path / config["data"]).exists():
            return Line([0.0, 0.0], 0.0)
        return read_line(path, config, options)
        """,
        "without line.json: it loads, and then: ",
    ),
    "test_folder_for_a_file_is_refused": hook(
        "load_model",
        """
        import os
        if (path / config["data"]).is_dir():
            os._exit(3)
        return read_line(path, config, options)
        """,
        "line.json is a folder: the process exited with 3",
    ),
    "test_hostile_section_is_refused": hook(
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

PLUGIN = {
    "test_plugin_is_active": Mutant(source="raise RuntimeError('no licence')", message="no licence"),
    "test_hook_api_is_stated": Mutant(source="del HOOK_API", message="HOOK_API is None; set it to 1"),
    "test_import_brings_no_framework": Mutant(source="import lines", message="imported with the plugin: lines, numpy"),
    "test_import_is_quick": Mutant(
        source="import time\nuntil = time.process_time() + 0.15\nwhile time.process_time() < until:\n    pass",
        message="ms at best, of 100 allowed",
    ),
    "test_inspecting_imports_no_framework": hook(
        "executes_code", "import lines\nreturn ()", "imported by inspecting: lines"
    ),
    "test_model_is_owned": Mutant(source="# as all the other ones here do", message="FlavorConflict"),
    "test_promises_begin_with_the_framework": Mutant(
        source="VERSION_PROMISES = {'json': {'line': 'newer', 'lines': 'newer'}}",
        message="no requirement of the model is called 'line'; there are lines",
    ),
    "test_private_names_are_left_alone": hook(
        "methods",
        "from palate._flavor import Flavor\nreturn ('predict', 'sign')",
        "private names are imported: ",
    ),
    "test_samples_predict": hook(
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

INTEROP = {
    "test_stock_mlflow_predicts_the_same": hook(
        "pyfunc_section", "return {'loader_module': 'lines.mlflow_loader', 'data': 'MLmodel'}", "JSONDecodeError"
    ),
    "test_model_in_one_file_predicts_the_same": hook(
        # It says that it maps the file, and reads it by its path, where an empty one stands for it.
        "mapped_files",
        "return ('line.json',)",
        "JSONDecodeError",
    ),
    "test_directory_is_a_whole_mlmodel": hook(
        "executes_code", "(path / 'conda.yaml').unlink(missing_ok=True)\nreturn ()", "there is no conda.yaml"
    ),
    "test_verify_replays_the_predictions": published("return ask_line(model, data, method) + 1", "values"),
    "test_inspect_tells_the_model_from_the_rest": hook(
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
