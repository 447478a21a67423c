"""Data-parallel training of image classifiers on CIFAR-10 with MindSpore.

``create_model`` and ``list_models`` are the Python interface; everything else is a command:
``python -m cifar_dist --help``. Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cifar_dist.models import create_model, list_models

__all__ = ["create_model", "list_models"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'cifar_dist' has no attribute {name!r}")
    from cifar_dist import models

    return getattr(models, name)


def __dir__() -> list[str]:
    return sorted(__all__)
