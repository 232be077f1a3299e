"""The two Java programs: equal to pycocoevalcap's own use of them, and sturdier."""

import os
import shutil
import subprocess
import sys

import pytest
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from train import java_tools
from train.errors import EvaluationError, JavaMissingError
from train.java_tools import find_java, meteor_score, ptb_tokenize

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine")
CAPTIONS = [
    "A dog's T-shirt, left/right .",
    "",
    "Zwei Männer [in Köln] -- café!",
    "...",
    'He said "it won\'t", at 3.30 p.m.',
]
# By pycocoevalcap's own Meteor class, under LC_ALL=C.UTF-8.
METEOR_IN_ENGLISH = 0.3433290228108385


@pytest.mark.java
@needs_java
def test_tokens_are_those_of_pycocoevalcap():
    [expected] = PTBTokenizer().tokenize({"x": [{"caption": text} for text in CAPTIONS]}).values()
    assert ptb_tokenize(CAPTIONS) == expected
    assert expected[:4] == [
        "a dog 's t-shirt left/right",
        "",
        "zwei männer -lsb- in köln -rsb- café",
        "",
    ]


@pytest.mark.java
@needs_java
def test_line_breaks_inside_a_caption_shift_nothing():
    captions = ["a\rdog", "a\n\u2028cat\x85", "", "the end"]
    assert ptb_tokenize(captions) == ["a dog", "a cat", "", "the end"]
    assert ptb_tokenize([]) == []


@pytest.mark.java
@pytest.mark.slow
@needs_java
def test_meteor_does_not_depend_on_the_locale_and_leaves_nothing_running(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")  # Java would read the jar's input as ASCII ...
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de")  # ... and write 0,5
    references = {"a": ["männer im café", "a man"], "b": ["two men"], "c": ["a black dog"]}
    score = meteor_score(references, {"a": ["männer im café"], "b": [""], "c": ["a dog"]})
    assert score == pytest.approx(METEOR_IN_ENGLISH, abs=1e-6)
    children = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "meteor" not in children.stdout


def fake_java(folder, script):
    """Puts a `java` first on the PATH: a real program that fails as a broken Java does."""
    folder.mkdir(exist_ok=True)
    path = folder / "java"
    path.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    path.chmod(0o755)
    return str(folder)


def test_no_java_is_a_named_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaMissingError, match=r"no `java` on the PATH; install .*--no_java"):
        find_java()
    monkeypatch.setenv("PATH", fake_java(tmp_path / "bin", "sys.exit(1)"))
    with pytest.raises(JavaMissingError, match="bin/java does not run"):
        ptb_tokenize(["a dog"])


BROKEN = "if '-version' not in sys.argv: sys.exit('one\\nout of memory')"


def test_a_program_that_fails_is_a_named_error_and_does_not_hang(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", fake_java(tmp_path / "bin", BROKEN))
    with pytest.raises(EvaluationError, match=r"gave 0 lines for 1 captions.*out of memory"):
        ptb_tokenize(["a dog"])
    with pytest.raises(EvaluationError, match="METEOR ended early: out of memory"):
        meteor_score({"a": ["a dog"]}, {"a": ["a dog"]})


def test_meteor_can_be_closed_twice(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", fake_java(tmp_path / "bin", "sys.stdin.read()"))
    scorer = java_tools._Meteor(shutil.which("java"), subprocess.DEVNULL)
    scorer.close()
    scorer.close()
    assert scorer.meteor_p.poll() is not None
