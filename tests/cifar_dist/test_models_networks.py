"""Networks as a user meets them: compiled, in every precision, and trained for one step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, amp, nn

from cifar_dist.models.registry import create_model, list_models

# One small member of each kind of network.
SMALL: list[tuple[str, dict[str, object]]] = [
    ("lenet5", {}),
    ("lenet5", {"relu_between_dense": False}),
    ("vgg_a", {"width": 1 / 8}),
    ("vgg_c_bn", {"width": 1 / 8}),
    ("vgg_a_lrn", {"width": 1 / 8}),
    ("resnet18", {"width": 1 / 8}),
    ("seresnet20", {}),
    ("resnet20", {"shortcut": "B"}),
]
LARGE: list[tuple[str, dict[str, object]]] = [
    ("seresnet50", {"width": 1 / 8}),
    ("seinception", {"width": 1 / 8}),
]
LOSS_SCALE = 1024.0


@pytest.fixture(autouse=True)
def graph_mode() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)


def images(count: int, *, px: int = 32, channels: int = 3) -> Tensor:
    return Tensor(
        np.random.default_rng(1).normal(size=(count, channels, px, px)).astype(np.float32)
    )


def logits_of(network: nn.Cell, images_nchw: Tensor) -> np.ndarray:
    network.set_train(False)
    found: np.ndarray = network(images_nchw).asnumpy()
    return found


def training_step(
    network: nn.Cell, labels: Tensor, *, momentum: float = 0.0
) -> Callable[[Tensor], Tensor]:
    """Return a compiled step of gradient descent: images in, scaled loss out, weights changed."""
    network.set_train(True)
    criterion = nn.CrossEntropyLoss()
    optimizer = nn.SGD(
        network.trainable_params(), learning_rate=0.02, momentum=momentum, loss_scale=LOSS_SCALE
    )

    def loss_of(images_nchw: Tensor) -> Tensor:
        return criterion(network(images_nchw).astype(ms.float32), labels) * LOSS_SCALE

    gradients_of = ms.value_and_grad(loss_of, None, network.trainable_params())

    @ms.jit
    def step(images_nchw: Tensor) -> Tensor:
        loss, gradients = gradients_of(images_nchw)
        optimizer(gradients)
        return loss

    return step


def check_that_a_step_changes_everything(name: str, options: dict[str, object], level: str) -> None:
    network = create_model(name, seed=1, **options)  # type: ignore[arg-type]
    network = amp.auto_mixed_precision(network, level, ms.float16)
    before = {p.name: p.asnumpy().copy() for p in network.trainable_params()}
    step = training_step(network, Tensor(np.arange(8), ms.int32))
    assert np.isfinite(step(images(8)).asnumpy())
    for parameter in network.trainable_params():
        after = parameter.asnumpy()
        assert np.isfinite(after).all(), parameter.name
        assert not np.array_equal(after, before[parameter.name]), parameter.name


@pytest.mark.parametrize(("name", "options"), SMALL)
def test_one_step_changes_every_parameter(name: str, options: dict[str, object]) -> None:
    check_that_a_step_changes_everything(name, options, "O0")


@pytest.mark.parametrize(("name", "options"), [SMALL[0], SMALL[3], SMALL[6]])
def test_one_step_in_mixed_precision_changes_every_parameter(
    name: str, options: dict[str, object]
) -> None:
    check_that_a_step_changes_everything(name, options, "O2")


@pytest.mark.parametrize("level", ["O0", "O2", "O3"])
@pytest.mark.parametrize(("name", "options"), [SMALL[0], SMALL[4], SMALL[6]])
def test_a_forward_pass_works_in_every_precision(
    name: str, options: dict[str, object], level: str
) -> None:
    network = create_model(name, **options)  # type: ignore[arg-type]
    exact = logits_of(network, images(4))
    found = logits_of(amp.auto_mixed_precision(network, level, ms.float16), images(4))
    assert found.shape == (4, 10)
    assert np.abs(found - exact).max() < 0.02 * np.abs(exact).max() + 1e-3


def test_the_plain_lenet_is_linear_after_its_convolutions() -> None:
    """Doubling what enters the dense layers doubles what leaves them, as all biases start at 0."""
    plain = create_model("lenet5", relu_between_dense=False)
    features = Tensor(np.random.default_rng(2).normal(size=(2, 400)).astype(np.float32))
    head = nn.SequentialCell(plain.fc1, plain.dense_relu, plain.fc2, plain.classifier)
    negative = head(-features).asnumpy()
    np.testing.assert_allclose(negative, -head(features).asnumpy(), rtol=1e-4, atol=1e-5)


def test_zero_last_gamma_makes_blocks_the_identity_at_the_start() -> None:
    network = create_model("resnet20", zero_init_last_gamma=True)
    x = Tensor(np.random.default_rng(2).random((2, 16, 8, 8)).astype(np.float32))
    np.testing.assert_array_equal(logits_of(network.layer1, x), x.asnumpy())


def test_other_channels_and_classes_fit() -> None:
    network = create_model("resnet20", num_classes=100, in_channels=1)
    assert logits_of(network, images(2, channels=1)).shape == (2, 100)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        (
            "resnet50",
            {
                "conv1.weight",
                "bn1.moving_mean",
                "layer1.0.conv1.weight",
                "layer1.0.bn3.gamma",
                "layer1.0.down_sample.0.weight",
                "layer4.0.down_sample.1.beta",
                "classifier.bias",
            },
        ),
        ("seresnet18", {"layer1.0.se.conv_reduce.weight", "layer4.1.se.conv_expand.bias"}),
        (
            "vgg_a",
            {"features.0.weight", "features.18.bias", "classifier.0.weight", "classifier.6.bias"},
        ),
        ("vgg_a_bn", {"features.0.weight", "features.1.gamma", "features.25.weight"}),
        (
            "seinception",
            {"stem.0.conv.weight", "stage3.0.b2.1.bn.gamma", "stage5.1.se.conv_reduce.bias"},
        ),
    ],
)
def test_parameters_have_the_names_of_mindcv(name: str, names: set[str]) -> None:
    network = create_model(name, stem="imagenet", seed=None)
    found = {parameter for parameter, _ in network.parameters_and_names()}
    assert names <= found


@pytest.mark.slow
@pytest.mark.parametrize("level", ["O0", "O2"])
@pytest.mark.parametrize(("name", "options"), [*SMALL, *LARGE])
def test_one_step_of_every_kind_changes_every_parameter(
    name: str, options: dict[str, object], level: str
) -> None:
    check_that_a_step_changes_everything(name, options, level)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lenet5", {}),
        ("vgg_a_bn", {"width": 1 / 8}),
        ("resnet18", {"width": 1 / 8}),
        ("seresnet20", {}),
        ("inception", {"width": 1 / 8}),
    ],
)
def test_64_real_images_are_learnt_by_heart(
    cifar10_dir: Path, name: str, options: dict[str, object]
) -> None:
    records = np.fromfile(cifar10_dir / "data_batch_1.bin", np.uint8, 64 * 3073).reshape(64, 3073)
    pixels = records[:, 1:].reshape(64, 3, 32, 32).astype(np.float32) / 64 - 2
    labels = records[:, 0].astype(np.int32)
    network = create_model(name, **options)  # type: ignore[arg-type]
    step = training_step(network, Tensor(labels), momentum=0.9)
    for _ in range(20):
        for _ in range(10):
            step(Tensor(pixels))
        # In training mode: the running statistics of so few steps lag behind the weights.
        right = network(Tensor(pixels)).asnumpy().argmax(axis=1) == labels
        if right.all():
            return
    pytest.fail(f"{right.sum()} of 64 images are right after 200 steps")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("level", ["O0", "O2", "O3"])
@pytest.mark.parametrize("name", list_models())
def test_every_model_runs_in_every_precision(name: str, level: str) -> None:
    network = amp.auto_mixed_precision(create_model(name), level, ms.float16)
    # With the statistics of its batch: before any step, running ones let deep networks overflow.
    network.set_train(True)
    found = network(images(2)).asnumpy()
    assert found.shape == (2, 10)
    assert np.isfinite(found).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg_a_lrn", "resnet50", "seresnet18", "seinception"])
def test_the_imagenet_form_takes_224_px(name: str) -> None:
    network = create_model(name, num_classes=1000, stem="imagenet")
    assert logits_of(network, images(1, px=224)).shape == (1, 1000)
