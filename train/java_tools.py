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

from pycocoevalcap.meteor import meteor
from pycocoevalcap.tokenizer import ptbtokenizer

from train.errors import EvaluationError, JavaMissingError

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
    """Returns METEOR of a corpus, 0..1.

    Args:
        references: tokenized captions of each image.
        predictions: one tokenized caption, in a list, of each image; the same ids.

    Raises:
        JavaMissingError: without Java.
        EvaluationError: where the program fails.
    """
    with tempfile.TemporaryFile() as stderr:
        scorer = _Meteor(find_java(), stderr)
        try:
            score, _ = scorer.compute_score(references, predictions)
        except (OSError, ValueError) as error:
            scorer.close()
            stderr.seek(0)
            raise EvaluationError(f"METEOR ended early: {_last_line(stderr.read())}") from error
        finally:
            scorer.close()
    return float(score)


class _Meteor(meteor.Meteor):
    """Starts METEOR with a fixed locale, and can be closed; the base class leaves it running."""

    def __init__(self, java: str, stderr: Any) -> None:
        options = [*_JAVA_OPTIONS, "-Xmx2G", "-jar", meteor.METEOR_JAR]
        self.lock = threading.Lock()
        self.meteor_p = subprocess.Popen(
            [java, *options, "-", "-", "-stdio", "-l", "en", "-norm"],
            cwd=os.path.dirname(os.path.abspath(meteor.__file__)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )

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
