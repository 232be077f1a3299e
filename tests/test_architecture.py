"""The structure that DESIGN and the packaging promise, read from the sources' syntax trees.

Directions of import, sizes, documentation, no stray `print`, no pickle, and a `setup.py`
that ships every package and declares every library, but neither tests nor more than is used.
"""

import ast
import functools
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("model_lib", "beam_jobs", "train")
FORBIDDEN = {
    "model_lib": {"beam_jobs", "train", "apache_beam", "tensorflow_datasets"},
    "beam_jobs": {"train", "tensorflow_datasets"},
    "train": {"beam_jobs", "apache_beam"},
}
PICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "apache_beam": "apache-beam",
    "tensorflow_datasets": "tensorflow-datasets",
}
# Imported inside functions only: there for those who installed the extra.
EXTRAS_OF_IMPORTS = {
    "google": "gcp",
    "botocore": "aws",
    **dict.fromkeys(("onnx", "onnxruntime", "tf2onnx"), "onnx"),
}
# Named for the resolver, TFDS or a Keras callback (docs/dependencies.md); no import of ours.
NOT_IMPORTED_HERE = {"importlib-resources", "protobuf", "tensorboard", "tensorflow-metadata"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def modules(*packages: str) -> list[Path]:
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(found) >= len(packages)
    return found


def where(path: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.expr) else ""
    return f"{path.relative_to(ROOT).as_posix()}{line}"


def imported(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Gives the top-level name of every import, also inside functions and by `import_module`."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func).lower():
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value.split(".")[0], node


def imports_of(packages: tuple[str, ...], banned: set[str]) -> list[str]:
    return [
        f"{where(path, node)} imports {name}"
        for path in modules(*packages)
        for name, node in imported(path)
        if name in banned
    ]


def definitions(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Gives classes and functions of a module and methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (item for item in node.body if isinstance(item, ast.FunctionDef))


@pytest.fixture(scope="module")
def setup_arguments() -> dict[str, Any]:
    captured: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", lambda **arguments: captured.update(arguments))
        runpy.run_path(str(ROOT / "setup.py"))
    return captured


def command_modules(setup_arguments: dict[str, Any]) -> list[str]:
    scripts = setup_arguments["entry_points"]["console_scripts"]
    return [re.fullmatch(r"[\w-]+=([\w.]+):(main|run_as_process)", script)[1] for script in scripts]


def distribution_names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}


def third_party(*packages: str) -> set[str]:
    own = {*PACKAGES, *sys.stdlib_module_names}
    names = {name for path in modules(*packages) for name, _ in imported(path)} - own
    return {DISTRIBUTIONS.get(name, name) for name in names}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    assert imports_of((package,), FORBIDDEN[package]) == []


def test_no_shipped_module_imports_tests_or_benchmarks():
    assert imports_of(PACKAGES, {"tests", "benchmarks"}) == []


def test_model_lib_does_not_pickle():
    assert imports_of(("model_lib",), PICKLERS) == []


def test_parquet_is_read_from_python_files_without_arrow_s_threads():
    """See `beam_jobs.storage.open_read`."""
    found = 0
    for path in modules("beam_jobs"):
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            text = ast.unparse(node.func)
            if node.func.attr in ("iter_batches", "read_row_group", "read_table") or (
                "ParquetFile(" in text and node.func.attr == "read"
            ):
                found += 1
                assert "use_threads=False" in ast.unparse(node), where(path, node)
    assert found >= 6


def test_importing_settings_does_not_import_tensorflow():
    assert modules_loaded_by("model_lib.config", {"tensorflow", "keras"}) == []


def test_model_lib_alone_loads_neither_beam_nor_the_training_data_library():
    names = ",".join(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules("model_lib")
        if path.name != "__init__.py"
    )
    assert modules_loaded_by(names, FORBIDDEN["model_lib"]) == []


def modules_loaded_by(names: str, watched: set[str]) -> list[str]:
    program = f"import sys, {names}; print(*sorted(set(sys.modules) & set({sorted(watched)!r})))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_every_module_says_what_it_is():
    bare = [
        where(path)
        for path in modules(*PACKAGES)
        if parse(path).body and not ast.get_docstring(parse(path))
    ]
    assert bare == []


def test_public_names_are_documented():
    bare = [
        f"{where(path, node)} {node.name}"
        for path in modules(*PACKAGES)
        for node in definitions(parse(path))
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert bare == []


def test_only_command_lines_print(setup_arguments):
    commands = {ROOT.joinpath(*name.split(".")) for name in command_modules(setup_arguments)}
    prints = [
        where(path, node)
        for path in modules(*PACKAGES)
        if path.with_suffix("") not in commands
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert prints == []


def test_files_have_one_reason_to_change():
    lengths = {
        where(path): path.read_text(encoding="utf-8").count("\n") for path in modules(*PACKAGES)
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_functions_fit_a_screen():
    lengths = {
        f"{where(path, node)} {node.name}": node.end_lineno - node.lineno + 1
        for path in modules(*PACKAGES)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}


def test_setup_ships_every_package_and_no_other(setup_arguments):
    on_disk = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in modules(*PACKAGES)
        if path.name == "__init__.py"
    }
    assert sorted(setup_arguments["packages"]) == sorted(on_disk)
    assert "tests" not in {name.split(".")[0] for name in setup_arguments["packages"]}


def test_every_command_has_its_main(setup_arguments):
    for name in command_modules(setup_arguments):
        tree = parse(ROOT.joinpath(*name.split(".")).with_suffix(".py"))
        assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_base_install_is_what_the_job_imports_and_no_more(setup_arguments):
    base = distribution_names(setup_arguments["install_requires"])
    assert third_party("model_lib", "beam_jobs") - set(EXTRAS_OF_IMPORTS) == base


def test_libraries_of_extras_are_imported_inside_functions(setup_arguments):
    at_once = [
        f"{where(path, node)} imports {name}"
        for path in modules(*PACKAGES)
        for name, node in imported(path)
        if name in EXTRAS_OF_IMPORTS and node in parse(path).body
    ]
    assert at_once == []
    assert set(EXTRAS_OF_IMPORTS.values()) <= set(setup_arguments["extras_require"])


def test_train_extra_is_what_training_imports_and_no_more(setup_arguments):
    base = distribution_names(setup_arguments["install_requires"])
    extra = distribution_names(setup_arguments["extras_require"]["train"])
    assert third_party("train") - base == extra - NOT_IMPORTED_HERE
    assert base & extra == set()


def test_development_includes_every_extra(setup_arguments):
    extras = setup_arguments["extras_require"]
    for name in ("train", "gcp", "aws", "onnx"):
        assert set(extras[name]) <= set(extras["dev"])
