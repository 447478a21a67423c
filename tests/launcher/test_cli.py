from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.cli import main, parse
from launcher.errors import UsageError
from launcher.manual import help_text
from launcher.options import OPTIONS, LaunchSpec

IMPORTED = """
import sys
from launcher.cli import main
code = main(sys.argv[1:])
heavy = {"mindspore", "numpy", "yaml", "psutil", "pydantic", "cifar_dist"} & sys.modules.keys()
print("heavy:", sorted(heavy), file=sys.stderr)
sys.exit(code)
"""


def test_options_and_command_are_parted_by_the_first_double_dash() -> None:
    spec = parse(["--nproc_per_node", "2", "--", "t.py", "--nproc", "9", "--", "x"], {})
    assert spec == LaunchSpec(command=("t.py", "--nproc", "9", "--", "x"), nproc=2)


def test_a_recipe_takes_overrides_wherever_they_stand() -> None:
    spec = parse(["a.b=1", "--config", "r.yaml", "c.d=x=y", "--nproc=3", "e=2"], {})
    assert spec is not None
    assert (spec.recipe, spec.nproc) == ("r.yaml", 3)
    assert spec.overrides == ("a.b=1", "c.d=x=y", "e=2")


def test_a_command_beats_the_recipe_of_the_environment() -> None:
    spec = parse(["--", "t.py"], {"LAUNCHER_CONFIG": "r.yaml"})
    assert spec is not None
    assert (spec.recipe, spec.command) == (None, ("t.py",))
    spec = parse([], {"LAUNCHER_CONFIG": "r.yaml"})
    assert spec is not None
    assert spec.recipe == "r.yaml"


def test_a_profile_in_the_environment_is_for_recipes_only() -> None:
    for text in ("steps=10:15", "nothing that a recipe would take"):
        spec = parse(["--", "t.py"], {"LAUNCHER_PROFILE": text})
        assert spec == LaunchSpec(command=("t.py",))
    spec = parse(["--config", "r.yaml"], {"LAUNCHER_PROFILE": "steps=10:15"})
    assert spec is not None
    assert spec.profile == (10, 15)
    spec = parse(["--profile", "steps=10:15", "--", "t.py"], {})
    assert spec is not None
    assert spec.profile == (10, 15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hang_timeot", "3", "--", "x"], r"unknown option --hang-timeot \(did you mean --hang"),
        (["--npro", "2", "--", "x"], "unknown option --npro"),
        (["-n", "2", "--", "x"], "unknown option -n"),
        (["--dry-run=2", "--", "x"], "--dry-run"),
        (["--config"], "--config: expected one argument"),
        (["--"], "nothing to run"),
        (["t.py"], "t.py: unexpected here; what to run comes after --"),
        (["a=1"], "a=1: key=value changes a recipe"),
    ],
)
def test_what_is_not_understood_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(arguments, {})


def test_help_names_every_option_its_default_and_its_variable() -> None:
    text = " ".join(help_text().split())
    for option in OPTIONS:
        assert f"--{option.name}" in text
        assert option.variable in text
        for alias in option.aliases:
            assert f"--{alias}" in text
    for words in ("[default 300;", "examples:", "root cause", "exit codes:", "key=value"):
        assert words in text
    assert all(len(line) <= 100 for line in help_text().splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--dry-run", "--nproc", "2", "--", "t.py"],
        ["--nproc", "0"],
        ["doctor"],
        ["rank-table", "check", "t.py"],
    ],
)
def test_nothing_heavy_is_imported_and_nothing_is_written(
    arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "t.py").touch()
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORTED, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.endswith("heavy: []\n")
    assert [path.name for path in tmp_path.iterdir()] == ["t.py"]


def test_a_dry_run_prints_the_plan_as_json(tmp_path: Path) -> None:
    (tmp_path / "t.py").touch()
    arguments = ["--dry-run", "--nproc", "2", "--device-target", "CPU", "--", "t.py", "--lr", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "launcher", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RANK_TABLE_FILE": "/old"},
    )
    plan = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert plan["world_size"] == 2
    assert plan["scheduler"]["environment"]["MS_ROLE"] == "MS_SCHED"
    for number, rank in enumerate(plan["ranks"]):
        assert rank["rank"] == number
        assert rank["command"][-3:] == ["t.py", "--lr", "1"]
        assert rank["environment"]["RANK_ID"] == str(number)
        assert rank["environment"]["RANK_TABLE_FILE"] is None
        assert rank["cores"]
        assert rank["device_id"] is None


def test_a_command_has_a_help_of_its_own_and_its_errors_name_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["rank-table", "--help"])
    assert caught.value.code == 0
    assert "check" in capfd.readouterr().out
    assert main(["rank-table", "chek", "x"]) == 2
    assert "invalid choice: 'chek'" in capfd.readouterr().err
    assert main(["doctor", "--jsn"]) == 2
    assert "python -m launcher" in capfd.readouterr().err


def test_a_bad_rank_table_is_listed_with_exit_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.json"
    path.write_text("{}")
    assert main(["rank-table", "check", str(path)]) == 2
    assert capfd.readouterr().out.endswith(": bad\n")
    assert main(["rank-table", "show", str(path)]) == 2
    assert capfd.readouterr().err.startswith("launcher: ")


def test_a_script_called_doctor_can_still_be_run() -> None:
    spec = parse(["--", "doctor"], {})
    assert spec is not None
    assert spec.command == ("doctor",)


def test_a_bug_of_ours_is_shown_whole(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("launcher.cli.parse", lambda *given: 1 / 0)
    assert main([]) == 1
    text = capfd.readouterr().err
    assert text.startswith("launcher: this is a bug of the launcher")
    assert "ZeroDivisionError" in text


def test_help_into_a_closed_pipe_is_no_error() -> None:
    command = f"'{sys.executable}' -m launcher --help; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | head -1"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("usage: python -m launcher")
    assert done.stderr == "0\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grace"], "--grace: expected one argument"),
        (["--grace", "--nproc", "2"], "--grace: expected one argument"),
        (["--dry-run=yes"], "--dry-run: takes no value, given 'yes'"),
        (["--max-restarts", "-1"], "--max-restarts: '-1' is not allowed"),
    ],
)
def test_a_missing_value_or_one_too_many_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse([*arguments, "--", "x.py"], {})


def test_values_follow_a_blank_or_an_equals_sign_and_the_last_one_counts() -> None:
    spec = parse(["--nproc", "2", "--nproc=3", "--run-dir=a=b", "--dry-run", "--", "x.py"], {})
    assert spec is not None
    assert (spec.nproc, str(spec.run_dir), spec.dry_run) == (3, "a=b", True)
