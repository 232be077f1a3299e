import os
import sys

import pytest

from model_lib import onednn
from tests.fresh_python import run_fresh

# TensorFlow's own answer, asked after the captioner was loaded as a user of the library does.
PROGRAM = """
from model_lib.bundle import default_bundle_path, load_bundle
load_bundle(default_bundle_path())
from tensorflow.python.util import _pywrap_util_port
print(_pywrap_util_port.IsMklEnabled())
"""


@pytest.fixture
def without_tensorflow(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(onednn.platform, "machine", lambda: "x86_64")
    monkeypatch.delenv(onednn.VARIABLE, raising=False)


def test_on_an_x86_cpu_onednn_is_on(without_tensorflow):
    onednn.prefer_onednn()
    assert os.environ[onednn.VARIABLE] == "1"


def test_what_the_variable_was_set_to_counts(without_tensorflow, monkeypatch):
    monkeypatch.setenv(onednn.VARIABLE, "0")
    onednn.prefer_onednn()
    assert os.environ[onednn.VARIABLE] == "0"


def test_other_processors_keep_tensorflow_s_own_choice(without_tensorflow, monkeypatch):
    monkeypatch.setattr(onednn.platform, "machine", lambda: "aarch64")
    onednn.prefer_onednn()
    assert onednn.VARIABLE not in os.environ


def test_after_tensorflow_s_import_nothing_is_changed(without_tensorflow, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    onednn.prefer_onednn()
    assert onednn.VARIABLE not in os.environ


@pytest.mark.skipif(onednn.platform.machine() not in ("x86_64", "AMD64"), reason="x86 only")
@pytest.mark.parametrize(("given", "answer"), [(None, "True"), ("0", "False")])
def test_a_loaded_captioner_runs_with_it_unless_it_is_forbidden(given, answer):
    environment = {} if given is None else {onednn.VARIABLE: given}
    assert run_fresh(PROGRAM, environment).stdout.strip() == answer
