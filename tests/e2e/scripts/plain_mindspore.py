"""A MindSpore script as people write them for msrun: no word of this project in it."""

import argparse

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.communication import get_group_size, get_rank, init

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--steps", type=int, default=3)
args = parser.parse_args()

ms.set_device("CPU")
ms.set_context(mode=ms.GRAPH_MODE)
init("mccl")
ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True)
ms.set_seed(1)

network = nn.Dense(4, 2)
loss = nn.MSELoss()
optimizer = nn.SGD(network.trainable_params(), learning_rate=args.lr)
train = nn.TrainOneStepCell(nn.WithLossCell(network, loss), optimizer)
train.set_train()
rng = np.random.default_rng(get_rank())
for _ in range(args.steps):
    value = train(
        Tensor(rng.standard_normal((8, 4)).astype(np.float32)),
        Tensor(rng.standard_normal((8, 2)).astype(np.float32)),
    )
checksum = float(np.abs(network.weight.asnumpy()).sum())
print(f"rank {get_rank()} of {get_group_size()} lr {args.lr} weights {checksum:.6f}", flush=True)
