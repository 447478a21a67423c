from __future__ import annotations

from pathlib import Path

import pytest

from cifar_dist.config import Config, dump_config, load_config
from cifar_dist.errors import ConfigError

FLAT = """\
# system
mode: 0
distribute: True
num_parallel_workers: 8
val_while_train: True
val_interval: 2
log_interval: 100
# dataset
dataset: "cifar10"
data_dir: "/data/cifar"
shuffle: True
dataset_download: False
batch_size: 64
drop_remainder: True
# augmentation
image_resize: 32
hflip: 0.5
mixup: 0.2
# model
model: "seresnet50"
num_classes: 10
pretrained: False
ckpt_path: ""
keep_checkpoint_max: 10
ckpt_save_dir: "./ckpt"
epoch_size: 120
dataset_sink_mode: True
amp_level: "O2"
# loss
loss: "CE"
label_smoothing: 0.1
# lr scheduler
scheduler: "cosine_decay"
min_lr: 0.0001
lr: 0.4
warmup_epochs: 5
decay_epochs: 115
# optimizer
opt: "momentum"
weight_decay: 0.00007
momentum: 0.9
loss_scale: 1024
use_nesterov: False
weight_decay_filter: "norm_and_bias"
"""


def load(folder: Path, text: str, *overrides: str) -> Config:
    path = folder / "r.yaml"
    path.write_text(text)
    return load_config(path, overrides).config


def message(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_recipe_of_mindcv_means_the_same_here(tmp_path: Path) -> None:
    config = load(tmp_path, FLAT)
    assert (config.model.name, config.data.source, config.data.batch_size) == (
        "seresnet50",
        "cifar10",
        64,
    )
    assert config.train.loss_scale == 1024
    assert (config.train.epochs, config.train.amp, config.train.label_smoothing) == (120, "O2", 0.1)
    assert (config.schedule.name, config.schedule.warmup_epochs) == ("cosine", 5)
    assert (config.optimizer.lr, config.schedule.final_lr) == (0.4, 1e-4)
    assert not config.optimizer.decay_norm_and_bias
    assert (config.data.flip, config.data.mixup_alpha, config.data.dir) == (
        "random",
        0.2,
        "/data/cifar",
    )
    assert load(tmp_path, dump_config(config)) == config


def test_keys_that_belong_together_are_converted_together(tmp_path: Path) -> None:
    text = FLAT.replace('scheduler: "cosine_decay"\n', "").replace("decay_epochs: 115\n", "")
    config = load(
        tmp_path,
        text
        + "scheduler: multi_step_decay\nmulti_step_decay_milestones: [60, 90]\ndecay_rate: 0.2\n"
        "gradient_accumulation_steps: 4\nclip_grad: True\nclip_value: 5.0\nema: True\n"
        "ema_decay: 0.999\nwarmup_factor: 0.01\nloss_scale_type: dynamic\n",
    )
    assert (config.data.batch_size, config.train.accumulation_steps) == (256, 4)
    assert (config.schedule.milestones_epochs, config.schedule.factor) == ([60, 90], 0.2)
    assert config.schedule.initial_lr == pytest.approx(0.004)
    assert (config.optimizer.clip_norm, config.train.ema_decay) == (5, 0.999)
    assert config.train.loss_scale == "dynamic"


def test_switches_that_are_off_leave_nothing(tmp_path: Path) -> None:
    config = load(
        tmp_path, FLAT + "clip_grad: False\nclip_value: 5.0\nema: False\nema_decay: 0.9\n"
    )
    assert (config.optimizer.clip_norm, config.train.ema_decay) == (None, None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("scale: [0.08, 1.0]", "r.yaml:45: mindcv's key 'scale' ([0.08, 1.0]) has no counterpart"),
        ("re_prob: 0.25", "mindcv's key 're_prob' can only be 0 here\n  given: 0.25"),
        ("pretrainde: True", "mindcv's key 'pretrainde' (true) has no counterpart here"),
        ("val_split: test\nauto_augment: randaug", "r.yaml:46: mindcv's key 'auto_augment'"),
        ("lr_epoch_stair: 0", "can only be false here\n  given: 0"),
        ("loss_scale_type: best", "'fixed' or 'dynamic' or 'auto'"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name_and_line(
    tmp_path: Path, line: str, expected: str
) -> None:
    assert expected in message(tmp_path, FLAT + line + "\n")


def test_all_refusals_come_at_once(tmp_path: Path) -> None:
    text = FLAT.replace("image_resize: 32", "image_resize: 224").replace('"cifar10"', "imagenet")
    found = message(tmp_path, text.replace("decay_epochs: 115", "decay_epochs: 100"))
    for expected in (
        "r.yaml:9: mindcv's key 'dataset' can only be 'cifar10' or 'cifar100' here",
        "r.yaml:16: mindcv's key 'image_resize' can only be 32 here",
        "r.yaml:37: mindcv's key 'decay_epochs' (100) must be epoch_size less warmup_epochs",
    ):
        assert expected in found


def test_a_wrong_value_is_named_by_its_new_key_and_its_line(tmp_path: Path) -> None:
    text = message(tmp_path, FLAT.replace("lr: 0.4", "lr: fast"))
    assert text == "r.yaml:35: 'optimizer.lr' must be a number\n  given: 'fast'"


def test_overrides_are_in_sections(tmp_path: Path) -> None:
    config = load(tmp_path, FLAT, "optimizer.lr=0.2", "data.global_batch_size=256")
    assert (config.optimizer.lr, config.data.batch_size) == (0.2, None)


def test_a_nested_recipe_is_not_taken_for_a_flat_one(tmp_path: Path) -> None:
    assert "(did you mean 'optimizer.lr'?)" in message(tmp_path, "model: {name: lenet5}\nlr: 0.1\n")
