"""What a user would run otherwise: ``mindspore.train.Model.train`` with the same recipe.

Network, first weights, batch, epochs, rates, decay and augmentation are those of the recipe; the
data come from a mindspore.dataset graph (Cifar10Dataset, RandomCrop, RandomHorizontalFlip,
Normalize, HWC2CHW), as in mindcv's scripts. Records go into metrics.jsonl as this project's own, so
that both are read alike. A recipe with Nesterov runs without it: on a CPU MindSpore 2.10 ignores
the flag of its optimizer.

Usage: python -m scripts.result_rows.model_train --run-dir DIR --config RECIPE section.key=value ...
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import mindspore.dataset as ms_dataset
import numpy as np
from mindspore import Tensor, nn
from mindspore.dataset import transforms, vision
from mindspore.train import Callback, LossMonitor, Model, TimeMonitor

from cifar_dist.config import Config, dump_config, find_recipe, load_config
from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.data.cifar10 import CLASSES
from cifar_dist.engine.momentum import decays
from cifar_dist.metrics.tally import Tally
from cifar_dist.models import create_model
from cifar_dist.observe.metrics_file import MetricsFile
from cifar_dist.observe.records import EndRecord, EvalRecord, TrainRecord, eval_record
from cifar_dist.schedule import rates_of_run
from launcher.contract import RunPaths, write_atomic


def training_images(config: Config) -> Any:
    """Return the usual graph over the binary files, in whole batches."""
    data = config.data
    steps: list[Any] = []
    if data.random_crop_padding:
        steps.append(vision.RandomCrop((32, 32), [data.random_crop_padding] * 4))
    if data.flip == "random":
        steps.append(vision.RandomHorizontalFlip())
    images = ms_dataset.Cifar10Dataset(
        data.dir, usage="train", shuffle=True, num_samples=data.max_train_images
    )
    return _normalised(images, steps).batch(data.global_batch_size, drop_remainder=True)


def test_images(config: Config) -> Any:
    """Return the test images in their order."""
    images = ms_dataset.Cifar10Dataset(
        config.data.dir, usage="test", shuffle=False, num_samples=config.data.max_test_images
    )
    return _normalised(images, []).batch(config.eval.batch_size)


def _normalised(images: Any, steps: list[Any]) -> Any:
    mean, std = ([255 * value for value in values] for values in (MEAN_RGB, STD_RGB))
    steps = [*steps, vision.Normalize(mean, std), vision.HWC2CHW()]
    mapped = images.map(steps, input_columns="image")
    return mapped.map(transforms.TypeCast(ms.int32), input_columns="label")


class Watch(Callback):
    """Tells metrics.jsonl of the loss every so many steps, and how long steps took.

    ``step_s`` has the seconds of every step, without the wait for its data before it.
    """

    def __init__(
        self,
        metrics: MetricsFile,
        config: Config,
        rates: Any,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self._metrics, self._config, self._rates = metrics, config, rates
        self._clock = clock
        self.step_s: list[float] = []
        self._wait_s: list[float] = []
        self._losses: list[float] = []
        self._since_s = 0.0

    def on_train_begin(self, run_context: Any) -> None:
        self._since_s = self._clock()

    def on_train_step_begin(self, run_context: Any) -> None:
        self._wait_s.append(self._lap_s())

    def on_train_step_end(self, run_context: Any) -> None:
        seen = run_context.original_args()
        self._losses.append(float(seen.net_outputs.asnumpy()))
        self.step_s.append(self._lap_s())
        step = len(self.step_s)
        if step % self._config.monitor.log_interval == 0 or step == len(self._rates):
            self._metrics.record(self._record(seen.cur_epoch_num))
            self._losses = []

    def _lap_s(self) -> float:
        before_s, self._since_s = self._since_s, self._clock()
        return self._since_s - before_s

    def _record(self, epoch: int) -> TrainRecord:
        """Return the means since the last record; as in a run of ours, without the first step."""
        step = len(self.step_s)
        first = max(1, step - len(self._losses))
        waits_s = self._wait_s[first:]
        whole_s = [sum(pair) for pair in zip(waits_s, self.step_s[first:], strict=True)]
        step_s = statistics.fmean(whole_s) if whole_s else None
        batch = self._config.data.global_batch_size or 0
        return TrainRecord(
            epoch=epoch,
            step=step,
            loss=statistics.fmean(self._losses),
            lr=float(self._rates[step - 1]),
            images_per_s=batch / step_s if step_s else None,
            step_ms=1000 * step_s if step_s else None,
            data_wait_ms=1000 * statistics.fmean(waits_s or self._wait_s),
            loss_scale=1.0,
            world_size=1,
        )


def build(config: Config, rates: Any) -> Model:
    """Return the recipe as a ``Model``; no decay on norms and biases, as in the recipe."""
    wanted = config.optimizer
    network = create_model(
        config.model.name,
        config.model.num_classes,
        seed=config.train.seed,
        **config.model.options,
    )
    weights = network.trainable_params()
    groups = [
        {"params": [one for one in weights if decays(one)], "weight_decay": wanted.weight_decay},
        {"params": [one for one in weights if not decays(one)], "weight_decay": 0.0},
    ]
    optimizer = nn.Momentum(groups, rates.tolist(), wanted.momentum, use_nesterov=wanted.nesterov)
    loss = nn.CrossEntropyLoss(label_smoothing=config.train.label_smoothing)
    return Model(network, loss_fn=loss, optimizer=optimizer, amp_level=config.train.amp)


def evaluate(model: Model, config: Config, *, step: int) -> EvalRecord:
    """Count every test image once."""
    start_s = time.perf_counter()
    tally = Tally.empty(config.model.num_classes)
    loss = nn.CrossEntropyLoss(reduction="none")
    for images, labels in test_images(config).create_tuple_iterator(num_epochs=1):
        logits = model.predict(images)
        predicted = logits.asnumpy().argmax(axis=1).astype(np.int32)
        losses = loss(Tensor(logits), labels).asnumpy()
        tally = tally.plus(labels.asnumpy(), predicted, losses, np.ones(len(losses), np.bool_))
    eval_s = time.perf_counter() - start_s
    return eval_record(tally, CLASSES, epoch=config.train.epochs, step=step, eval_s=eval_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    config = load_config(find_recipe(args.config), args.overrides).config
    paths = RunPaths(args.run_dir)
    paths.root.mkdir(parents=True)
    write_atomic(paths.config, dump_config(config))
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_device("CPU")
    ms.set_seed(config.train.seed)
    ms_dataset.config.set_seed(config.train.seed)
    images = training_images(config)
    per_epoch, batch = images.get_dataset_size(), config.data.global_batch_size
    rates = rates_of_run(config, steps_per_epoch=per_epoch, global_batch_size=batch or 0)
    metrics = MetricsFile(paths.metrics)
    watch = Watch(metrics, config, rates)
    model = build(config, rates)
    start_s = time.perf_counter()
    monitors = [LossMonitor(per_epoch), TimeMonitor(), watch]
    model.train(config.train.epochs, images, callbacks=monitors, dataset_sink_mode=False)
    whole_s = time.perf_counter() - start_s
    record = evaluate(model, config, step=len(rates))
    metrics.record(record)
    compile_s = max(0.0, watch.step_s[0] - statistics.median(watch.step_s))
    accuracy = record.accuracy
    metrics.record(EndRecord(accuracy, accuracy, whole_s - compile_s, compile_s))
    metrics.close()


if __name__ == "__main__":
    main()
