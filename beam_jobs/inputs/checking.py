"""Refusing a mistyped input before any work: what names nothing, or is not what it seems.

Takes an `InputSpec`; looks at names, at most `CHECKED_FILES` of a folder, and at the beginning of
the first few tables. A missing image fails in a row of its own; so does what is damaged later on.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from beam_jobs import storage
from beam_jobs.fetching.fetcher import is_http
from beam_jobs.inputs import bigquery_rows, delimited, json_lines, parquet_rows, tar_shards
from beam_jobs.inputs.formats import EXTENSIONS, GZIP, InputSpec, format_of
from beam_jobs.inputs.listing import (
    IMAGE_EXTENSIONS,
    input_files,
    is_file,
    is_folder,
    is_glob,
    is_image,
    list_images,
    resolve,
)
from beam_jobs.inputs.problems import RowError, is_damage, passing_over_damage
from beam_jobs.inputs.tables import check_names, no_uri_column
from beam_jobs.inputs.text_lists import list_address
from model_lib.errors import ConfigError

# Files looked at for an image before the job starts; a folder with more is taken on trust.
CHECKED_FILES = 10_000
CHECKED_TABLES = 20
_GZIP_MAGIC = b"\x1f\x8b"
# Files that are given as an image, and what was meant.
_NO_IMAGES = {
    ".txt": "a list of images is given as @{where}",
    ".json": "JSON lines are read with --input_format jsonl",
    ".zip": "unpack it, and give the folder",
}


def check_input(spec: InputSpec) -> None:
    """Refuses an input that names nothing, or a table that has no URIs, before any work.

    Raises:
        ConfigError: naming the input and what was expected.
    """
    try:
        problem = _problem(spec)
    except ConfigError as error:
        raise ConfigError(f"--input {spec.where}: {error}") from error
    # Beam's file systems and cloud clients have errors of their own.
    except Exception as error:
        raise ConfigError(f"--input {spec.where}: cannot be looked up: {error}") from error
    if problem:
        raise ConfigError(f"--input {spec.where}: {problem}")


def first_columns(spec: InputSpec) -> list[str]:
    """Returns the names of columns of an input, as far as its first good file tells."""
    if spec.format in ("images", "text"):
        return []
    if spec.format == "bigquery":
        return bigquery_rows.column_names(spec)
    for path in islice(input_files(spec), CHECKED_TABLES):
        with passing_over_damage():
            return _COLUMN_NAMES[spec.format](spec, path)
    return []


def _problem(spec: InputSpec) -> str | None:
    """Returns what is wrong with an input; None for nothing."""
    if spec.format == "images":
        return _problem_with_images(spec)
    if spec.format == "text":
        if is_file(list_address(spec.where), spec.base_folder):
            return None
        return "there is no such list; after @ comes a text file with one image a line"
    if spec.format == "bigquery":
        bigquery_rows.check_uri_column(spec)
        return None
    paths = list(islice(input_files(spec, CHECKED_FILES), CHECKED_TABLES))
    if not paths:
        return _no_tables(spec)
    _check_tables(spec, paths)
    return None


def _problem_with_images(spec: InputSpec) -> str | None:
    where, base = spec.where, spec.base_folder
    if is_http(where):
        return None
    if is_file(where, base):
        meant = _NO_IMAGES.get("." + where.lower().rpartition(".")[2])
        return f"is no image; {meant.format(where=where)}" if meant else None
    # An image that is named is an input: where it is missing, its row says so.
    if is_image(where) and not is_glob(where, base):
        return None
    if any(True for _ in list_images(where, base, CHECKED_FILES)):
        return None
    if is_glob(where, base):
        return "nothing matches; put the pattern in quotes, and use ** to search subfolders"
    seen = [path for path, _ in zip(_files_below(spec), range(CHECKED_FILES), strict=False)]
    # A folder that begins with very many other files is not searched to its end here.
    if len(seen) == CHECKED_FILES:
        return None
    if not is_folder(where, base):
        return "there is no such folder or file"
    tables = sorted({kind for path in seen if (kind := format_of(path)) in EXTENSIONS})
    hint = f"; it holds files for --input_format {' or '.join(tables)}" if tables else ""
    return f"the folder holds no image ({', '.join(IMAGE_EXTENSIONS)}){hint}"


def _files_below(spec: InputSpec) -> Iterator[str]:
    folder = resolve(spec.where, spec.base_folder)
    return (found.path for found in storage.list_folder(folder, CHECKED_FILES))


def _no_tables(spec: InputSpec) -> str:
    if is_glob(spec.where, spec.base_folder):
        return "nothing matches; put the pattern in quotes, and use ** to search subfolders"
    if is_folder(spec.where, spec.base_folder):
        return f"the folder holds no {spec.format} file ({', '.join(EXTENSIONS[spec.format])})"
    return "there is no such file or folder"


def _check_tables(spec: InputSpec, paths: list[str]) -> None:
    """Refuses tables of which none can be read.

    One that is no good among others gives a failure row.

    Raises:
        ConfigError: what is wrong with the first of them.
    """
    errors: list[ConfigError] = []
    for path in paths:
        try:
            _check_table(spec, path)
        except ConfigError as error:
            errors.append(error)
    if len(errors) == len(paths):
        raise errors[0]


def _check_table(spec: InputSpec, path: str) -> None:
    try:
        names = _COLUMN_NAMES[spec.format](spec, path)
    except RowError as error:
        raise ConfigError(f"{path}: {error}") from error
    # Each format says in its own way that a file is not of it.
    except Exception as error:
        if not is_damage(error):
            raise
        if _begins_well(spec, path):
            return
        raise ConfigError(f"{path} is no {spec.format} file: {error}") from error
    if spec.format != "webdataset":
        if spec.uri_column not in names:
            raise no_uri_column(spec.uri_column, names, path)
        check_names(names, [spec.uri_column], path)


def _begins_well(spec: InputSpec, path: str) -> bool:
    """Tells a torn file, which gives a failure row, from one of another format."""
    if spec.format == "parquet":
        magic = parquet_rows.MAGIC
    elif path.lower().endswith(GZIP):
        magic = _GZIP_MAGIC
    else:
        return False
    with storage.open_read(resolve(path, spec.base_folder)) as stream:
        return stream.read(len(magic)) == magic


def _parquet_names(spec: InputSpec, path: str) -> list[str]:
    schema = parquet_rows.read_schema(spec, path)
    # `field` would not tell which of two columns with one name is meant.
    if schema.names.count(spec.uri_column) == 1:
        parquet_rows.uri_type(schema.field(spec.uri_column))
    return list(schema.names)


def _shard_names(spec: InputSpec, path: str) -> list[str]:
    tar_shards.check_shard(spec, path)
    return [tar_shards.KEY_COLUMN]


_COLUMN_NAMES: dict[str, Callable[[InputSpec, str], list[str]]] = {
    "csv": delimited.column_names,
    "tsv": delimited.column_names,
    "jsonl": json_lines.column_names,
    "parquet": _parquet_names,
    "webdataset": _shard_names,
}
