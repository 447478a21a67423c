from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from cifar_dist.engine.state import load_arrays, to_arrays
from cifar_dist.errors import CheckpointError


def parameters() -> dict[str, Parameter]:
    return {
        "network.weight": Parameter(Tensor(np.ones((2, 3)), ms.float32), name="weight"),
        "step.steps": Parameter(Tensor(4, ms.int32), name="steps"),
    }


def test_arrays_come_back_as_they_were() -> None:
    given = parameters()
    arrays = {name: np.asarray(array + 1, array.dtype) for name, array in to_arrays(given).items()}
    load_arrays(given, {**arrays, "unknown": np.zeros(1)}, origin="here")
    for name, array in to_arrays(given).items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "no 'network.weight'"),
        (np.ones((3, 2), np.float32), r"float32\[3, 2\], the model wants float32\[2, 3\]"),
        (np.ones((2, 3), np.float64), "float64"),
    ],
)
def test_a_wrong_array_is_named_and_nothing_is_changed(
    bad: np.ndarray | None, message: str
) -> None:
    given = parameters()
    arrays = {name: np.asarray(array + 1, array.dtype) for name, array in to_arrays(given).items()}
    if bad is None:
        del arrays["network.weight"]
    else:
        arrays["network.weight"] = bad
    with pytest.raises(CheckpointError, match=message):
        load_arrays(given, arrays, origin="here")
    assert int(given["step.steps"].asnumpy()) == 4
