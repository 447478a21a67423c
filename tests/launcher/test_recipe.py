"""The check is a child process; a small stand-in for cifar_dist's command line answers here."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from recorded_environments import POD_0

from launcher.errors import NotReadyError, UsageError
from launcher.recipe import (
    CheckedRecipe,
    CheckStoppedError,
    RecipeRefusedError,
    check_recipe,
    find_recipe,
)
from launcher.supervision.signals import Signals

ANSWER = {"recipe": {"model": {}}, "versions": {"mindspore": "2.10.0"}, "seed": 7}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package cifar_dist of two recipes, in the working directory and first on the path."""
    folder = tmp_path / "cifar_dist"
    (folder / "recipes").mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name in ("resnet18.yaml", "resnet50.yaml"):
        (folder / "recipes" / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cifar_dist", raising=False)
    return folder


def check(overrides: tuple[str, ...] = ()) -> CheckedRecipe:
    with Signals() as signals:
        return check_recipe(
            Path("a.yaml"), overrides, world_size=3, output=Path("out.yaml"), signals=signals
        )


def test_a_path_or_the_name_of_a_shipped_recipe_is_found(package: Path) -> None:
    assert find_recipe("resnet50.yaml") == package / "recipes" / "resnet50.yaml"
    Path("own.yaml").touch()
    assert find_recipe("own.yaml") == Path("own.yaml")
    Path("resnet50.yaml").touch()
    assert find_recipe("resnet50.yaml") == Path("resnet50.yaml")


def test_finding_a_recipe_imports_nothing(package: Path) -> None:
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    assert find_recipe("resnet18.yaml").exists()
    assert "cifar_dist" not in sys.modules


def test_an_unknown_recipe_names_the_nearest_and_all(package: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_recipe("resnet5O.yaml")
    text = str(caught.value)
    assert "did you mean resnet50.yaml" in text
    assert text.endswith("recipes that ship: resnet18.yaml, resnet50.yaml")


def test_a_folder_is_no_recipe(package: Path) -> None:
    with pytest.raises(UsageError, match="this is a folder"):
        find_recipe("cifar_dist")


def test_the_check_is_asked_for_this_world_size_and_answers(package: Path) -> None:
    (package / "__main__.py").write_text(
        f"import json, sys\nprint(json.dumps({{**{ANSWER!r}, 'recipe': sys.argv[1:]}}))\n"
    )
    found = check(("train.epochs=3",))
    assert (found.versions, found.seed) == ({"mindspore": "2.10.0"}, 7)
    assert found.recipe == [
        "config", "--check", "--world-size", "3", "--config", "a.yaml", "--output", "out.yaml",
        "--json", "train.epochs=3",
    ]  # fmt: skip


def test_the_check_is_no_rank_of_what_a_pod_says(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in POD_0.items():
        monkeypatch.setenv(name, text)
    (package / "__main__.py").write_text(
        f"import json, os\nprint(json.dumps({{**{ANSWER!r}, 'recipe': dict(os.environ)}}))\n"
    )
    assert not {"MS_ROLE", "MS_SCHED_HOST", "MS_WORKER_NUM"} & set(check().recipe)


@pytest.mark.parametrize("code", [2, 75])
def test_a_refusal_is_passed_on_and_its_reason_is_shown_by_the_check_alone(
    code: int, package: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (package / "__main__.py").write_text(
        f"import sys\nprint('why', file=sys.stderr)\nsys.exit({code})"
    )
    with pytest.raises(RecipeRefusedError) as caught:
        check()
    assert (caught.value.exit_code, str(caught.value)) == (code, "")
    assert capfd.readouterr().err == "why\n"


@pytest.mark.parametrize("script", ["raise SystemExit(3)", "print('no json')", "print('{}')"])
def test_a_broken_check_is_our_bug_and_is_shown_whole(script: str, package: Path) -> None:
    (package / "__main__.py").write_text(script)
    with pytest.raises(RuntimeError, match=r"the check .* broke"):
        check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_the_check(package: Path, number: signal.Signals) -> None:
    told = package.parent / "told"
    os.mkfifo(told)
    (package / "__main__.py").write_text(
        f"import os, time\nopen({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    )
    pids: list[int] = []

    def stop() -> None:
        pids.append(int(told.read_text()))
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(CheckStoppedError, match=f"stopped by {number.name}") as caught:
        check()
    thread.join()
    assert caught.value.exit_code == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


HANGS = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
CLOSES = "import os, time\nos.close(1)\ntime.sleep(60)"


@pytest.mark.parametrize(
    ("script", "how"),
    [(HANGS, "has not moved for 0.2 s"), (CLOSES, "has closed its output, but not ended")],
)
def test_a_check_that_hangs_is_ended_and_may_be_tried_again(
    script: str, how: str, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.recipe.SILENT_S", 0.2)
    monkeypatch.setattr("launcher.recipe._STOP_S", 0.5)
    pid_file = package.parent / "pid"
    (package / "__main__.py").write_text(
        f"import os\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\n{script}\n"
    )
    with pytest.raises(NotReadyError, match=how) as caught:
        check()
    assert caught.value.exit_code == 75
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_check_that_goes_on_for_ever_is_ended(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.recipe.SILENT_S", 1.0)
    monkeypatch.setattr("launcher.recipe.LONGEST_S", 0.3)
    (package / "__main__.py").write_text("while True: pass\n")
    with pytest.raises(NotReadyError, match="has not ended in"):
        check()


def test_a_check_that_works_in_silence_is_waited_for(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.recipe.SILENT_S", 0.3)
    (package / "__main__.py").write_text(
        "import json, time\nend = time.monotonic() + 1.5\n"
        "while time.monotonic() < end: time.sleep(0.01)\n"
        f"print(json.dumps({ANSWER!r}))\n"
    )
    assert check().seed == 7


def test_the_answer_of_the_stand_in_is_what_the_contract_says() -> None:
    assert set(json.loads(json.dumps(ANSWER))) == {"recipe", "versions", "seed"}
