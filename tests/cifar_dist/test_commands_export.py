"""``cifar_dist export``: files that other programs read, compared with the network."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from cifar_dist.cli import main
from cifar_dist.data.synthetic import synthetic_dataset
from cifar_dist.engine import export
from cifar_dist.engine.export import TOLERANCE, Comparison, compare
from cifar_dist.engine.inference import InferenceStep
from cifar_dist.models import create_model

needs_onnxruntime = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed"
)


@pytest.mark.parametrize("format", ["mindir", pytest.param("onnx", marks=needs_onnxruntime)])
@pytest.mark.parametrize("batch_size", [1, 6])
def test_a_file_answers_as_the_network_does(
    saved_run: Path,
    tmp_path: Path,
    format: str,
    batch_size: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"net.{format}"
    arguments = ["export", str(saved_run), "--format", format, "--output", str(path)]
    assert main([*arguments, "--batch-size", str(batch_size)]) == 0
    printed = capsys.readouterr().out
    assert "16 of 16 images have the same class" in printed
    assert "differ by at most" in printed
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644


@needs_onnxruntime
def test_the_onnx_file_takes_bytes(saved_run: Path, tmp_path: Path) -> None:
    import onnxruntime

    path = tmp_path / "net.onnx"
    assert main(["export", str(saved_run), "--format", "onnx", "--output", str(path)]) == 0
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    assert (source.shape, source.type) == ([1, 3, 32, 32], "tensor(uint8)")
    assert result.shape == [1, 10]


@pytest.mark.slow
@needs_onnxruntime
@pytest.mark.parametrize("format", ["mindir", "onnx"])
@pytest.mark.parametrize("name", ["vgg_a_lrn", "seresnet20", "seinception"])
def test_a_network_of_each_family_can_be_exported(
    tmp_path: Path, name: str, format: export.Format
) -> None:
    step = InferenceStep(create_model(name, seed=0))
    path = tmp_path / f"net.{format}"
    export.export_network(step, path, format, batch_size=4)
    images = synthetic_dataset("test", 4).images_nchw
    found = compare(
        lambda batch: step(ms.Tensor(batch)).asnumpy(),
        export.open_exported(path, format),
        images,
        batch_size=4,
    )
    assert found.is_close


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("missing/net.mindir", "cannot be written: No such file or directory"),
        ("file/net.mindir", "cannot be written: Not a directory"),
        ("folder.mindir", "it is a folder"),
        ("net.onnx", "must end in .mindir"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_message(
    saved_run: Path, tmp_path: Path, output: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.mindir").mkdir()
    (tmp_path / "file").touch()
    assert main(["export", str(saved_run), "--output", str(tmp_path / output)]) == 2
    text = capsys.readouterr().err
    assert text.count(words) == 1
    assert "Traceback" not in text


def test_without_onnxruntime_nothing_is_written(
    saved_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    path = tmp_path / "net.onnx"
    assert main(["export", str(saved_run), "--format", "onnx", "--output", str(path)]) == 1
    assert "pip install 'cifar-dist[export]'" in capsys.readouterr().err
    assert not path.exists()


def test_a_file_that_answers_otherwise_is_not_kept(
    saved_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = export.open_exported

    def other(path: Path, format: export.Format) -> Callable[[export.Images], export.Logits]:
        return lambda images: real(path, format)(images) + 1

    monkeypatch.setattr(export, "open_exported", other)
    path = tmp_path / "net.mindir"
    assert main(["export", str(saved_run), "--output", str(path)]) == 1
    assert "answers otherwise" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_network_that_a_format_has_no_place_for_is_a_user_error(
    saved_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise RuntimeError("Can not find operator X\nsecond line")

    monkeypatch.setattr(export.ms, "export", refuse)
    assert main(["export", str(saved_run), "--output", str(tmp_path / "net.mindir")]) == 1
    assert "as MINDIR: Can not find operator X" in capsys.readouterr().err


def test_images_that_fill_up_a_batch_are_not_compared() -> None:
    seen: list[int] = []

    def logits(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return images.reshape(len(images), -1)[:, :4].astype(np.float32)

    images = np.random.default_rng(0).integers(0, 255, (5, 3, 32, 32), dtype=np.uint8)
    found = compare(logits, lambda batch: logits(batch) + 0.5, images, batch_size=3)
    assert seen == [3, 3, 3, 3]
    assert found.images == found.same_class == 5
    assert found.largest_difference == 0.5


@pytest.mark.parametrize(
    ("difference", "close"), [(0.0, True), (9e-4, True), (2e-3, False), (np.nan, False)]
)
def test_close_is_by_the_size_of_the_logits(difference: float, close: bool) -> None:
    assert TOLERANCE == 1e-4
    assert Comparison(16, 16, difference, 10.0).is_close is close
