"""Versions of what a run computes with, read without importing any of it."""

from __future__ import annotations

from importlib import metadata

PACKAGES = ("cifar-dist", "mindspore", "numpy", "tensorboardX")


def installed_versions() -> dict[str, str]:
    """Return the version of each package that matters to a result; left out where missing."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
