"""All errors of cifar_dist that a user can act on.

CifarDistError                exit 1
 +-- ConfigError              exit 2: a recipe or an override is wrong
 +-- DataError                exit 2: images, labels or an archive are missing or damaged
 +-- ModelError               exit 2: no such model, or it does not fit what was asked of it
 +-- CheckpointError          exit 2: a checkpoint is missing, damaged or of another run
 +-- OutputError              exit 2: a file or folder cannot be written
 +-- BadNumbersError          exit 1: a loss or weights that training cannot go on with
 +-- NotSavedError            exit 1: training is done, but its last checkpoint is not on disk
 +-- StoppedError             exit 128 + signal: a signal ended the run, which can be continued
 +-- ExportError              exit 1: a network has no place in a file format
 +-- NotComputableError       exit 1: a number has no value, such as an accuracy of no images
 +-- NotReadyError            exit 75: something is not there yet; the same command may work later

Each is shown as one message without a traceback: what is wrong, where, what was given, what to do.
Any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from launcher.contract import EXIT_TEMPORARY, EXIT_USAGE


class CifarDistError(Exception):
    """An error that the user can act on."""

    exit_code = 1


class ConfigError(CifarDistError):
    """A recipe or an override cannot be used."""

    exit_code = EXIT_USAGE


class DataError(CifarDistError):
    """Images, labels or an archive are missing or damaged."""

    exit_code = EXIT_USAGE


class ModelError(CifarDistError):
    """There is no such model, or it does not fit what was asked of it."""

    exit_code = EXIT_USAGE


class CheckpointError(CifarDistError):
    """A checkpoint is missing, damaged or of another run."""

    exit_code = EXIT_USAGE


class OutputError(CifarDistError):
    """A file or folder that was asked for cannot be written."""

    exit_code = EXIT_USAGE


class BadNumbersError(CifarDistError):
    """A loss or weights that training cannot go on with.

    ``reason`` says what is wrong in one line; ``left_out_step`` is the step whose batch is to be
    left out, None where that would not help or is not wanted.
    """

    def __init__(self, message: str, *, reason: str, left_out_step: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.left_out_step = left_out_step


class NotSavedError(CifarDistError):
    """The last checkpoint of a run could not be saved."""


class StoppedError(CifarDistError):
    """A signal has stopped the run; ``number`` is the one that the process ends by."""

    def __init__(self, message: str, *, number: int) -> None:
        super().__init__(message)
        self.number = number
        self.exit_code = 128 + number


class ExportError(CifarDistError):
    """A network cannot be written in a file format, or the file answers otherwise than it does."""


class NotComputableError(CifarDistError):
    """A number has no value for what was given."""


class NotReadyError(CifarDistError):
    """Something is not there yet; the same command may work later."""

    exit_code = EXIT_TEMPORARY
