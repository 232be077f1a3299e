import subprocess
import sys

import pytest

from beam_jobs.command_line import parse_command_line
from beam_jobs.config import JobConfig
from model_lib.errors import ConfigError

MINIMAL = ["--input", "photos", "--output", "out"]


def test_defaults_are_those_of_the_settings():
    config, beam = parse_command_line(MINIMAL)
    assert config == JobConfig(input=("photos",), output="out")
    assert beam == ["--runner", "FnApiRunner"]


def test_every_flag_reaches_its_setting():
    words = (
        "--input a --input @b.txt --output o --overwrite --limit 7 --no_report --bundle m "
        "--report_attention 5 "
        "--batch_size 4 --precision bfloat16 --encoder_runtime onnxruntime "
        "--share_model --decode sample --beam_width 5 "
        "--length_penalty 0.7 --num_captions 2 --language_style sentence --min_score -1.5 "
        "--temperature 0.9 --top_k 10 --top_p 0.8 --seed 3 --min_length_tokens 2 "
        "--max_length_tokens 20 --no_repeat_ngram_size 3 --max_failure_rate 0.1 "
        "--http_timeout_secs 5 --read_attempts 2 --max_image_bytes 1000 --quiet "
        "--input_format csv --uri_column u --carry_columns a,b --output_table p:d.t "
        "--output_format jsonl --metadata_jsonl m.jsonl --retry_failures all --commit_every 9 "
        "--accelerator nvidia-l4 --max_redirects 1 --read_threads 3 --max_reads_per_host 2 "
        "--allow_private_addresses --ignore_robots_tag --log_format json --estimate "
        "--workers 1 --images_per_sec 50 --machines 4 --price_per_hour 0.5"
    )
    config, _ = parse_command_line(words.split())
    assert config == JobConfig(
        input=("a", "@b.txt"),
        output="o",
        overwrite=True,
        limit=7,
        no_report=True,
        report_attention=5,
        bundle="m",
        batch_size=4,
        precision="bfloat16",
        encoder_runtime="onnxruntime",
        share_model=True,
        decode="sample",
        beam_width=5,
        length_penalty=0.7,
        num_captions=2,
        language_style="sentence",
        min_score=-1.5,
        temperature=0.9,
        top_k=10,
        top_p=0.8,
        seed=3,
        min_length_tokens=2,
        max_length_tokens=20,
        no_repeat_ngram_size=3,
        max_failure_rate=0.1,
        http_timeout_secs=5.0,
        read_attempts=2,
        max_image_bytes=1000,
        quiet=True,
        input_format="csv",
        uri_column="u",
        carry_columns=("a", "b"),
        output_table="p:d.t",
        output_format="jsonl",
        metadata_jsonl="m.jsonl",
        retry_failures="all",
        commit_every=9,
        accelerator="nvidia-l4",
        max_redirects=1,
        read_threads=3,
        max_reads_per_host=2,
        allow_private_addresses=True,
        ignore_robots_tag=True,
        log_format="json",
        estimate=True,
        images_per_sec=50.0,
        machines=4,
        price_per_hour=0.5,
    )


def test_resuming_flags_reach_their_settings():
    config, _ = parse_command_line([*MINIMAL, "--resume", "--recompute"])
    assert (config.resume, config.recompute) == (True, True)


def test_a_batch_size_may_be_left_to_a_trial():
    assert parse_command_line([*MINIMAL, "--batch_size", "auto"])[0].batch_size == 0


def test_workers_are_processes_of_the_local_runner():
    words = ["--direct_num_workers", "2", "--direct_running_mode", "multi_processing"]
    config, beam = parse_command_line([*MINIMAL, "--workers", "2"])
    assert (config.workers, beam) == (2, ["--runner", "FnApiRunner", *words])
    for flags in (["--runner", "DataflowRunner"], ["--direct_num_workers=2"]):
        with pytest.raises(ConfigError, match="--workers 2 is of use with the default runner"):
            parse_command_line([*MINIMAL, "--workers", "2", *flags])


def test_flags_that_may_be_bare_or_empty():
    assert parse_command_line([*MINIMAL, "--metadata_jsonl"])[0].metadata_jsonl == ""
    assert parse_command_line([*MINIMAL, "--carry_columns", ""])[0].carry_columns == ()
    assert parse_command_line(MINIMAL)[0].carry_columns is None


@pytest.mark.parametrize("flag", ["--max-failure-rate=0.1", "--max_failure_rate=0.1"])
def test_dashes_and_underscores_mean_the_same(flag):
    assert parse_command_line([*MINIMAL, flag])[0].max_failure_rate == 0.1


def test_beam_flags_are_passed_on():
    words = ["--direct_num_workers", "2", "--runner=DirectRunner", "--experiments=use_x"]
    assert parse_command_line([*MINIMAL, *words])[1] == words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*MINIMAL, "--beam_widht", "3"], "unknown flag --beam_widht; did you mean --beam_width?"),
        ([*MINIMAL, "--batch-sise=3"], "unknown flag --batch-sise; did you mean --batch_size?"),
        (
            [*MINIMAL, "--direct_num_worker", "2"],
            "unknown flag --direct_num_worker; did you mean --direct_num_workers?",
        ),
        ([*MINIMAL, "--qqqqqq"], "unknown flag --qqqqqq; see --help"),
        ([*MINIMAL, "more"], "unexpected argument 'more'; did you mean --input more?"),
        (["--output", "o"], "the following arguments are required: --input"),
        ([*MINIMAL, "--batch_size", "many"], "argument --batch_size: is 'many'; expected auto"),
        ([*MINIMAL, "--batch_size", "0"], "--batch_size: is '0'; expected auto, or at least 1"),
        ([*MINIMAL, "--decode", "best"], "argument --decode: invalid choice: 'best'"),
        ([*MINIMAL, "--inp", "x"], "unknown flag --inp; did you mean --input?"),
        ([*MINIMAL, "--limit", "0"], "JobConfig.limit is 0"),
    ],
)
def test_mistakes_are_named(words, message):
    with pytest.raises(ConfigError) as raised:
        parse_command_line(words)
    assert message in str(raised.value)


def test_help_shows_groups_defaults_and_exit_codes(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_command_line(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for part in (
        "Interrupted and repeated runs:",
        "--max_failure_rate X",
        "(default: 0.5)",
        "exit codes: 0",
    ):
        assert part in text
    assert "None" not in text


def test_help_loads_neither_beam_nor_tensorflow():
    program = (
        "import sys\nfrom beam_jobs.caption_images import main\ncode = main(['--help'])\n"
        "sys.exit(f'code {code}' if code else str([m for m in ('apache_beam', 'tensorflow', "
        "'keras', 'pyarrow') if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert "usage: caption-images" in done.stdout
