from __future__ import annotations

import inspect

import pytest

from cifar_dist import errors

EXIT_CODES = {
    errors.CifarDistError: 1,
    errors.ConfigError: 2,
    errors.DataError: 2,
    errors.ModelError: 2,
    errors.CheckpointError: 2,
    errors.OutputError: 2,
    errors.BadNumbersError: 1,
    errors.NotSavedError: 1,
    errors.ExportError: 1,
    errors.NotComputableError: 1,
    errors.NotReadyError: 75,
}


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES.items())
def test_each_error_has_the_exit_code_of_the_contract(
    kind: type[errors.CifarDistError], code: int
) -> None:
    assert kind.exit_code == code
    assert f"{kind.__name__}" in (errors.__doc__ or "")


def test_every_error_of_the_module_is_in_one_tree() -> None:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass)]
    assert set(classes) == {*EXIT_CODES, errors.StoppedError}
    assert all(issubclass(item, errors.CifarDistError) for item in classes)


def test_a_stopped_run_has_the_exit_code_of_its_signal() -> None:
    assert errors.StoppedError("text", number=15).exit_code == 143
    assert "StoppedError" in (errors.__doc__ or "")
