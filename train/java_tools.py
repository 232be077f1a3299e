"""The two Java programs of COCO's caption evaluation: PTB tokenizer and METEOR.

Take captions as text; the jars come with pycocoevalcap. Both are started with a fixed encoding
and language, so that a score does not depend on the machine's locale, and have ended when the
functions return.
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocoevalcap.meteor import meteor
from pycocoevalcap.tokenizer import ptbtokenizer

from train.errors import EvaluationError, JavaMissingError

Counts = np.ndarray[Any, np.dtype[Any]]
# METEOR's numbers have a decimal comma under some locales, which breaks its protocol.
_JAVA_OPTIONS = ["-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US"]


def find_java() -> str:
    """Returns the path of a Java that works.

    Raises:
        JavaMissingError: where there is none.
    """
    java = shutil.which("java")
    # A `java` may be there and only say that none is installed, as on macOS.
    if (
        java
        and subprocess.run([java, "-version"], capture_output=True, check=False).returncode == 0
    ):
        return java
    found = f"{java} does not run" if java else "no `java` on the PATH"
    raise JavaMissingError(
        f"METEOR and the PTB tokenizer are Java programs, and {found}; install one (Debian, "
        "Ubuntu: apt-get install default-jre-headless), or use --no_java: BLEU, ROUGE-L and "
        "CIDEr with a plain tokenizer, without METEOR"
    )


def ptb_tokenize(captions: Sequence[str]) -> list[str]:
    """Tokenizes as COCO's evaluation does: Penn Treebank, lower case, without punctuation.

    `["A dog's T-shirt."]` becomes `["a dog 's t-shirt"]`.

    Args:
        captions: texts of one line each.

    Returns:
        For each caption its tokens, joined by spaces.

    Raises:
        JavaMissingError: without Java.
        EvaluationError: where the program fails.
    """
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    program = "edu.stanford.nlp.process.PTBTokenizer"
    command = [find_java(), *_JAVA_OPTIONS, "-cp", str(jar), program]
    text = "".join(f"{_one_line(caption)}\n" for caption in captions)
    run = subprocess.run(
        [*command, "-preserveLines", "-lowerCase"],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    lines = run.stdout.decode().split("\n")[:-1]
    if run.returncode or len(lines) != len(captions):
        raise EvaluationError(
            f"the PTB tokenizer gave {len(lines)} lines for {len(captions)} captions, exit code "
            f"{run.returncode}: {_last_line(run.stderr)}"
        )
    dropped = set(ptbtokenizer.PUNCTUATIONS)
    return [" ".join(word for word in line.split() if word not in dropped) for line in lines]


def meteor_score(
    references: Mapping[str, list[str]], predictions: Mapping[str, list[str]]
) -> float:
    """Returns METEOR of a corpus, 0..1; arguments and errors as for `meteor_counts`."""
    [(score, _)] = meteor_counts(references, [predictions])
    return score


def meteor_counts(
    references: Mapping[str, list[str]], models: Sequence[Mapping[str, list[str]]]
) -> list[tuple[float, Counts]]:
    """Runs METEOR once for several models, since starting it takes seconds.

    Args:
        references: tokenized captions of each image.
        models: of each model one tokenized caption, in a list, of each image; the same ids.

    Returns:
        Of each model the score of the corpus, 0..1, and the 23 counts of each image's caption
        that it is computed from, float64 [I,23].

    Raises:
        JavaMissingError: without Java.
        EvaluationError: where the program fails.
    """
    with tempfile.TemporaryFile() as stderr:
        scorer = _Meteor(find_java(), stderr)
        try:
            return [scorer.score_and_counts(references, captions) for captions in models]
        except (OSError, ValueError) as error:
            scorer.close()
            stderr.seek(0)
            raise EvaluationError(f"METEOR ended early: {_last_line(stderr.read())}") from error
        finally:
            scorer.close()


class _Meteor(meteor.Meteor):
    """Starts METEOR with a fixed locale, keeps counts, and can be closed as the base cannot."""

    def __init__(self, java: str, stderr: Any) -> None:
        options = [*_JAVA_OPTIONS, "-Xmx2G", "-jar", meteor.METEOR_JAR]
        self.lock = threading.Lock()
        self._stats: list[str] = []
        self.meteor_p = subprocess.Popen(
            [java, *options, "-", "-", "-stdio", "-l", "en", "-norm"],
            cwd=os.path.dirname(os.path.abspath(meteor.__file__)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )

    def score_and_counts(
        self, references: Mapping[str, list[str]], predictions: Mapping[str, list[str]]
    ) -> tuple[float, Counts]:
        """Returns the score of a corpus and the counts of each image, [I,23]."""
        self._stats.clear()
        score, _ = self.compute_score(references, predictions)
        return float(score), np.array([line.split() for line in self._stats], np.float64)

    def _stat(self, hypothesis_str: str, reference_list: list[str]) -> str:
        """Keeps what the base class asks the program for and forgets."""
        counts: str = super()._stat(hypothesis_str, reference_list)
        self._stats.append(counts)
        return counts

    def close(self) -> None:
        """Ends the program; more than once does no harm."""
        self.meteor_p.kill()
        self.meteor_p.wait()
        for pipe in (self.meteor_p.stdin, self.meteor_p.stdout):
            if pipe and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def __del__(self) -> None:
        """Replaces the base class's, which waits for ever after an error."""
        self.close()


def _one_line(caption: str) -> str:
    """Joins lines: the tokenizer counts carriage returns and other breaks as line ends."""
    return re.sub(r"\s+", " ", caption).strip()


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
