"""Makes docs/course.ipynb of docs/course.py, executed: `python docs/make_course.py`.

What libraries write to standard error, such as notes on the machine, is left out of the notebook.
"""

import os
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).resolve().parent


def main() -> None:
    """Converts, executes in docs/ and writes."""
    notebook = jupytext.read(DOCS / "course.py")
    # The kernel finds the packages, installed or not.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(DOCS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(DOCS)}}).execute()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # the same each time, so that changes can be read
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(notebook, DOCS / "course.ipynb")


if __name__ == "__main__":
    main()
