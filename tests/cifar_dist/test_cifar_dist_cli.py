from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cifar_dist.cli import main
from cifar_dist.config import load_config
from launcher.contract import FailureRecord, RankEnv, RunPaths, read_record


def test_the_resolved_recipe_feeds_back_to_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["config", "--config", "quickstart", "train.epochs=7"]
    assert main(arguments) == 0
    path = tmp_path / "again.yaml"
    path.write_text(capsys.readouterr().out)
    assert load_config(path).config.train.epochs == 7
    assert main(["config", "--config", str(path)]) == 0
    assert capsys.readouterr().out == path.read_text()


def test_the_launchers_check_writes_the_recipe_and_prints_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run" / "config.yaml"
    arguments = ["config", "--check", "--world-size", "4", "--config", "quickstart", "--json"]
    assert main([*arguments, "--output", str(output)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["seed"] == 0
    assert printed["versions"]["mindspore"].startswith("2.10")
    assert load_config(output).config.model_dump(mode="json") == printed["recipe"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["config", "--config", "nothing"], "nothing"),
        (["config", "--config", "quickstart", "data.batch_sise=1"], "data.batch_size"),
        (["config", "--config", "quickstart", "--world-size", "3"], "3 ranks"),
        (["config", "--config", "quickstart", "model.name=lenet"], "lenet5"),
        (["config", "--config", "quickstart", "monitor.profile_steps=999990:999999"], "which the"),
        (["evaluate", "nowhere"], "nowhere"),
    ],
)
def test_a_user_error_is_one_message_and_exit_code_2(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    text = capsys.readouterr().err
    assert word in text
    assert "Traceback" not in text


def test_overrides_may_stand_around_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "c.yaml")
    words = ["data.source=cifar10", "--config", "quickstart", "--output", output, "train.epochs=9"]
    assert main(["config", *words]) == 0
    config = load_config(tmp_path / "c.yaml").config
    assert (config.data.source, config.train.epochs) == ("cifar10", 9)
    for arguments in (["config", "--config", "quickstart", "--new"], ["models", "a", "b=1"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert f"unrecognized arguments: {arguments[-1]}" in capsys.readouterr().err


def test_a_rank_leaves_its_error_for_the_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in RankEnv(rank=1, world_size=2, run_dir=tmp_path).to_environ().items():
        monkeypatch.setenv(name, value)
    assert main(["config", "--config", "nothing"]) == 2
    record = read_record(FailureRecord, RunPaths(tmp_path).failure(0, 1))
    assert record.type == "ConfigError"
    assert "nothing" in record.message


def test_a_recipe_is_checked_in_the_pod_of_a_scheduler_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MS_ROLE", "MS_SCHED")
    assert main(["config", "--config", "quickstart"]) == 0
    assert "name: resnet20" in capsys.readouterr().out


def test_an_environment_of_no_rank_is_a_user_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK_ID", "5")
    monkeypatch.setenv("RANK_SIZE", "2")
    assert main(["train", "--config", "quickstart"]) == 2
    assert "RANK_ID=5 does not fit RANK_SIZE=2" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["config", "--config", "quickstart"]])
def test_what_needs_no_device_does_not_import_mindspore(arguments: list[str]) -> None:
    code = (
        "import sys; from cifar_dist.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "sys.exit('mindspore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    assert done.returncode == 0
