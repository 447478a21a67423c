from __future__ import annotations

import json
from pathlib import Path

import pytest

from cifar_dist.config import find_recipe, load_config
from cifar_dist.errors import CheckpointError, ConfigError
from cifar_dist.run_folder import locate_run
from launcher.contract import RankEnv

RECIPE = load_config(find_recipe("quickstart"))


def test_the_launchers_folder_is_taken_and_its_files_are_left_alone(tmp_path: Path) -> None:
    folder = locate_run(RankEnv(run_dir=tmp_path), RECIPE, wanted=None)
    folder.write_start(RECIPE)
    folder.write_end(RECIPE, 0)
    assert folder.paths.root == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_its_own_says_what_was_run_and_how_it_ended(tmp_path: Path) -> None:
    folder = locate_run(RankEnv(), RECIPE, wanted=tmp_path / "run")
    folder.write_start(RECIPE)
    assert json.loads(folder.paths.manifest.read_text())["exit_code"] is None
    folder.write_end(RECIPE, 0)
    manifest = json.loads(folder.paths.manifest.read_text())
    assert manifest["exit_code"] == 0
    assert manifest["seed"] == RECIPE.config.train.seed
    assert manifest["versions"]["mindspore"].startswith("2.10")
    assert load_config(folder.paths.config).config == RECIPE.config


def test_an_earlier_run_is_not_overwritten(tmp_path: Path) -> None:
    locate_run(RankEnv(), RECIPE, wanted=tmp_path).write_start(RECIPE)
    folder = locate_run(RankEnv(), RECIPE, wanted=tmp_path)
    for resume in ("none", str(tmp_path.parent / "other")):
        with pytest.raises(ConfigError, match="holds an earlier run"):
            folder.check_unused(resume=resume)
    for resume in ("auto", str(tmp_path / "ckpt" / "step_00000001")):
        folder.check_unused(resume=resume)


def test_the_manifest_says_how_a_run_ended_that_failed(tmp_path: Path) -> None:
    folder = locate_run(RankEnv(), RECIPE, wanted=tmp_path)
    for error, code in ((CheckpointError("no"), 2), (ValueError(), 1), (KeyboardInterrupt(), 130)):
        with pytest.raises(type(error)), folder.recorded(RECIPE):
            raise error
        assert json.loads(folder.paths.manifest.read_text())["exit_code"] == code


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = locate_run(RankEnv(), RECIPE, wanted=tmp_path / "file" / "run")
    with pytest.raises(ConfigError, match="--run-dir"):
        folder.write_start(RECIPE)


def test_ranks_of_another_launcher_agree_on_the_folder_without_a_word() -> None:
    names = {
        locate_run(RankEnv(rank=rank, world_size=2), RECIPE, wanted=None).paths.root
        for rank in (0, 1)
    }
    assert len(names) == 1
