"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WITHOUT_PYTORCH = "without PyTorch: give --torch-python"


@dataclass(frozen=True)
class Settings:
    """What every bench is told.

    Attributes:
        folder: for files of the bench; emptied by the caller.
        data: the six binary files of CIFAR-10's size, see bench.files.
        repetitions: of every measurement, at least 5 for numbers that are published.
        quick: shorter stretches, ratios only rough.
        torch_python: the Python of an environment with PyTorch; None: no PyTorch.
        timeout_s: for the start of each program, and for each of its turns.
    """

    folder: Path
    data: Path
    repetitions: int = 5
    quick: bool = False
    torch_python: str | None = None
    timeout_s: float = 300.0

    def subfolder(self, name: str) -> Path:
        """Return a new, empty folder."""
        made = self.folder / name
        made.mkdir(parents=True)
        return made
