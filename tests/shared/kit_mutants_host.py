"""Flavors that break a promise about the process and the disk."""

from __future__ import annotations

from kit_mutant import hook, loads, published, saves

__all__ = ["PLACES", "SAVING", "SIDE_EFFECTS"]

SIDE_EFFECTS = {
    "test_save_leaves_random_state": hook(
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
    "test_save_leaves_no_thread": saves(
        """
        import threading
        threading.Thread(target=threading.Event().wait, name="line-watch", daemon=True).start()
        return section
        """,
        "line-watch",
    ),
    "test_save_leaves_working_directory": saves("import os\nos.chdir('/')\nreturn section", "is '/'"),
    "test_save_leaves_environment_variables": saves(
        "import os\nos.environ['LINES_QUIET'] = '1'\nreturn section", "changed: LINES_QUIET"
    ),
    "test_save_leaves_warnings_filters": saves(
        "import warnings\nwarnings.simplefilter('ignore')\nreturn section", "ignore"
    ),
    "test_save_leaves_import_path": saves(
        """
        import sys
        if "/srv/lines" not in sys.path:
            sys.path.append("/srv/lines")
        return section
        """,
        "/srv/lines",
    ),
    "test_save_leaves_modules": saves(
        "import sys\nsys.modules.pop('lines.extra', None)\nreturn section", "by the first save"
    ),
    "test_save_leaves_interpreter_settings": saves(
        "import sys\nsys.setrecursionlimit(5000)\nreturn section", "changed: recursion limit"
    ),
    "test_save_leaves_the_model": saves("model.saved = True\nreturn section", "added by saving: model.saved"),
    "test_save_leaves_predictions": hook("requirements", "model.bias += 1\nreturn (pin_installed('lines'),)", "values"),
    "test_nothing_is_printed": loads("import os\nos.write(2, b'lines: read one')\nreturn line", "lines: read one"),
    "test_load_and_predict_leave_the_process": loads(
        "import os\nos.environ['LINES_QUIET'] = '1'\nreturn line", "environment variables: changed: LINES_QUIET"
    ),
    "test_predict_leaves_the_input": published(
        "answer = ask_line(model, data, method)\ndata['a'] = 0.0\nreturn answer",
        "the rows that were passed have changed",
    ),
    "test_predict_leaves_the_model": published(
        "return ask_line(model, data, method)", "changed by predicting: model._calls"
    ),
}

SAVING = {
    "test_untrained_model_is_saved_or_refused": hook(
        "infer_input_schema",
        "model.weights[0]  # of a line that nobody has fitted there is none\nreturn None",
        "the flavor failed where it should have refused",
    ),
    "test_overwriting_replaces_the_whole": saves(
        """
        old = path.parent.parent / "model"
        for file in set(old.glob("of *")):
            (path / file.name).write_bytes(file.read_bytes())
        return section
        """,
        "of the old one",
    ),
    "test_foreign_model_is_refused": hook(
        "save_model",
        """
        from lines import Line
        line = model if hasattr(model, "weights") else Line([0.0, 0.0], 0.0)
        return write_line(line, path, options)
        """,
        "DID NOT RAISE",
        before="NATIVE_PACKAGES = ()",
    ),
    "test_full_disk_leaves_nothing": saves(
        """
        try:
            (path / "table.bin").write_bytes(bytes(100_000))
        except OSError:
            pass
        return section
        """,
        "DID NOT RAISE",
    ),
    "test_full_disk_keeps_the_old_model": hook(
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
    "test_interrupted_save_leaves_all_or_nothing": saves(
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

PLACES = {
    "test_moved_directory_loads": hook(
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
    "test_read_only_directory_loads": published(
        "(model._home / 'line.cache').write_text('')\nreturn ask_line(model, data, method)",
        "loading changed the directory",
    ),
    "test_path_beyond_ascii_works": loads("str(path).encode('ascii')\nreturn line", "'ascii' codec can't encode"),
    "test_path_with_spaces_works": hook(
        "load_model",
        """
        from pathlib import Path
        from urllib.parse import unquote
        return read_line(Path(unquote(str(path))), config, options)
        """,
        "ModelChanged",
    ),
    "test_relative_path_works": hook(
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
