"""Every network has its published, or independently computed, parameters and multiply-adds."""

from __future__ import annotations

import itertools

import pytest

from cifar_dist.models.cost import multiply_adds, parameter_count
from cifar_dist.models.registry import create_model, list_models

# Counts with 10 classes and the CIFAR stem; issue 4.
CIFAR_PUBLISHED = {
    "lenet5": 62_006,
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "resnet101": 42_512_970,
    "resnet152": 58_156_618,
    "resnet20": 269_722,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
}
# Counts with 1000 classes for 224 px: issue 4; ResNets and GoogLeNet as in torchvision's tables.
IMAGENET_PUBLISHED = {
    "vgg_a": 132_863_336,
    "vgg_a_lrn": 132_863_336,
    "vgg_b": 133_047_848,
    "vgg_c": 133_638_952,
    "vgg_d": 138_357_544,
    "vgg_e": 143_667_240,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "seresnet50": 28_088_024,
}
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
VGG_CONVOLUTIONS = {
    "a": (1, 1, 2, 2, 2),
    "b": (2, 2, 2, 2, 2),
    "c": (2, 2, 3, 3, 3),
    "d": (2, 2, 3, 3, 3),
    "e": (2, 2, 4, 4, 4),
}
# Szegedy et al. (arXiv 1409.4842), table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
GOOGLENET = [
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
]


def se_parameters(channels: int) -> int:
    """Hu et al. (arXiv 1709.01507), section 3.2: two dense layers, here with their biases."""
    hidden = max(1, channels // 16)
    return 2 * channels * hidden + hidden + channels


def se_resnet_extra(depth: int) -> int:
    expansion = 1 if depth < 50 else 4
    stages = zip((64, 128, 256, 512), BLOCKS[depth], strict=True)
    return sum(count * se_parameters(expansion * channels) for channels, count in stages)


def cifar_resnet(depth: int, *, shortcut_b: bool = False, se: bool = False) -> int:
    """He et al. (arXiv 1512.03385), section 4.2: 2 n convolutions in each of three stages."""
    n = (depth - 2) // 6
    total = 3 * 16 * 9 + 2 * 16 + 64 * 10 + 10
    before = 16
    for channels in (16, 32, 64):
        total += 9 * before * channels + (2 * n - 1) * 9 * channels**2 + 2 * n * 2 * channels
        if shortcut_b and before != channels:
            total += before * channels + 2 * channels
        if se:
            total += n * se_parameters(channels)
        before = channels
    return total


def vgg_channels(layout: str) -> int:
    counts = zip((64, 128, 256, 512, 512), VGG_CONVOLUTIONS[layout], strict=True)
    return sum(channels * count for channels, count in counts)


def googlenet(*, kernel5_px: int = 5, num_classes: int = 1000, stem: int, se: bool = False) -> int:
    total, channels = stem, 192
    for one, reduce3, three, reduce5, five, pool in GOOGLENET:
        total += channels * (one + reduce3 + reduce5 + pool)
        total += 9 * reduce3 * three + kernel5_px**2 * reduce5 * five
        total += 2 * (one + reduce3 + three + reduce5 + five + pool)
        channels = one + three + five + pool
        total += se_parameters(channels) if se else 0
    return total + channels * num_classes + num_classes


GOOGLENET_STEM = 49 * 3 * 64 + 64 * 64 + 9 * 64 * 192 + 2 * (64 + 64 + 192)
GOOGLENET_CIFAR_STEM = 9 * 3 * 192 + 2 * 192


def expected_cifar() -> dict[str, int]:
    counts = dict(CIFAR_PUBLISHED)
    head = 25088 * 4096 + 4096 + 4096**2 + 4096 + 4096 * 1000 + 1000
    for name in [name for name in IMAGENET_PUBLISHED if name.startswith("vgg")]:
        counts[name] = IMAGENET_PUBLISHED[name] - head + 512 * 10 + 10
    for layout in VGG_CONVOLUTIONS:
        counts[f"vgg_{layout}_bn"] = counts[f"vgg_{layout}"] + vgg_channels(layout)
    for depth in (20, 32, 44, 56, 110):
        counts[f"resnet{depth}"] = cifar_resnet(depth)
        counts[f"seresnet{depth}"] = cifar_resnet(depth, se=True)
    for depth in BLOCKS:
        counts[f"seresnet{depth}"] = counts[f"resnet{depth}"] + se_resnet_extra(depth)
    for name, se in (("inception", False), ("seinception", True)):
        counts[name] = googlenet(num_classes=10, stem=GOOGLENET_CIFAR_STEM, se=se)
    counts["speed94"] = speed((64, 256, 256), convolutions=2)
    counts["speed95"] = speed((128, 384, 384), convolutions=2)
    counts["speed96"] = speed((128, 384, 512), convolutions=3)
    return counts


def speed(widths: tuple[int, ...], *, convolutions: int) -> int:
    """A bias of the whitening, convolutions of 3 x 3 with a beta for each channel, a classifier."""
    total = 24
    for before, width in itertools.pairwise((24, *widths)):
        total += 9 * width * (before + (convolutions - 1) * width) + convolutions * width
    return total + widths[-1] * 10


def expected_imagenet() -> dict[str, int]:
    counts = dict(IMAGENET_PUBLISHED)
    for layout in VGG_CONVOLUTIONS:
        counts[f"vgg_{layout}_bn"] = counts[f"vgg_{layout}"] + vgg_channels(layout)
    for depth in BLOCKS:
        counts[f"seresnet{depth}"] = counts[f"resnet{depth}"] + se_resnet_extra(depth)
    for name, se in (("inception", False), ("seinception", True)):
        counts[name] = googlenet(stem=GOOGLENET_STEM, se=se)
    return counts


def test_the_formulas_of_this_file_give_the_published_counts() -> None:
    assert [cifar_resnet(depth) for depth in (20, 56, 110)] == [269_722, 853_018, 1_727_962]
    assert IMAGENET_PUBLISHED["resnet50"] + se_resnet_extra(50) == IMAGENET_PUBLISHED["seresnet50"]
    # torchvision's GoogLeNet has 3 x 3 kernels in place of 5 x 5.
    assert googlenet(kernel5_px=3, stem=GOOGLENET_STEM) == 6_624_904


def test_every_model_has_an_expected_count() -> None:
    assert set(expected_cifar()) == set(list_models())


@pytest.mark.parametrize(("name", "count"), sorted(expected_cifar().items()))
def test_parameters_with_the_cifar_stem(name: str, count: int) -> None:
    assert parameter_count(create_model(name, seed=None)) == count


@pytest.mark.parametrize(("name", "count"), sorted(expected_imagenet().items()))
def test_parameters_with_the_imagenet_stem(name: str, count: int) -> None:
    network = create_model(name, num_classes=1000, stem="imagenet", seed=None)
    assert parameter_count(network) == count


def test_shortcut_b_adds_two_projections() -> None:
    count = parameter_count(create_model("resnet20", shortcut="B", seed=None))
    assert count == cifar_resnet(20, shortcut_b=True)


def test_width_scales_the_channels() -> None:
    narrow = create_model("vgg_a_bn", width=1 / 8, seed=None)
    channels = [3, 8, 16, 32, 32, 64, 64, 64, 64]
    convolutions = sum(9 * a * b for a, b in itertools.pairwise(channels))
    assert parameter_count(narrow) == convolutions + 2 * sum(channels[1:]) + 64 * 10 + 10


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet18", 555),
        ("resnet34", 1159),
        ("resnet50", 1298),
        ("resnet20", 40.6),
        ("resnet56", 125.5),
        ("resnet110", 252.9),
        ("vgg_a_bn", 153),
        ("vgg_b_bn", 229),
        ("vgg_d_bn", 314),
        ("vgg_e_bn", 399),
        ("speed94", 118.15),
    ],
)
def test_multiply_adds_are_those_of_the_reference_table(name: str, millions: float) -> None:
    """VGG there has two more dense layers of 512: half a million, less than the tolerance."""
    network = create_model(name, seed=None)
    assert multiply_adds(network, image_px=32) == pytest.approx(millions * 1e6, rel=4e-3)


def test_multiply_adds_of_lenet5_are_counted_by_hand() -> None:
    by_hand = 28**2 * 6 * 75 + 10**2 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert multiply_adds(create_model("lenet5", seed=None), image_px=32) == by_hand


def test_counting_leaves_the_network_as_it_was() -> None:
    network = create_model("resnet20", seed=None)
    network.set_train(True)
    before = network.bn1.moving_mean.asnumpy().copy()
    first = multiply_adds(network, image_px=32)
    assert network.training
    assert (network.bn1.moving_mean.asnumpy() == before).all()
    assert multiply_adds(network, image_px=32) == first
