from __future__ import annotations

import hashlib
import http.server
import io
import os
import shutil
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_dist.config import DataConfig
from cifar_dist.data import source
from cifar_dist.data.archive import OFFICIAL, Archive, unpack
from cifar_dist.data.cifar10 import (
    FOLDER,
    RECORD_BYTES,
    RECORDS_PER_FILE,
    TEST_FILES,
    TRAIN_FILES,
    read_cifar10,
)
from cifar_dist.data.download import download_cifar10
from cifar_dist.errors import DataError, NotReadyError

Members = list[tuple[tarfile.TarInfo, bytes]]
NAME = "cifar-10-binary.tar.gz"


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def pack(path: Path, members: Members) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as packed:
        for info, content in members:
            packed.addfile(info, io.BytesIO(content))
    return path


def good_members() -> Members:
    records = np.zeros((RECORDS_PER_FILE, RECORD_BYTES), dtype=np.uint8)
    records[:, 0] = np.arange(RECORDS_PER_FILE) % 10
    content = records.tobytes()
    return [
        member(FOLDER, type=tarfile.DIRTYPE),
        *(member(f"{FOLDER}/{name}", content) for name in (*TRAIN_FILES, *TEST_FILES)),
        member(f"{FOLDER}/batches.meta.txt", b"airplane\n"),
        member(f"{FOLDER}/readme.html", b"<p>"),
    ]


def describe(path: Path, address: str) -> Archive:
    """What an archive would have to be if this file were the official one."""
    digest = hashlib.sha1(good_members()[1][1]).hexdigest()
    return Archive(
        url=f"{address}/{path.name}",
        md5=hashlib.md5(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        sha1=dict.fromkeys((*TRAIN_FILES, *TEST_FILES), digest),
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pack(folder / NAME, good_members())
    return folder


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[tuple[str, list[str]]]:
    """A real server of the folder ``site``: its address and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(site))

        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}", asked
    httpd.shutdown()
    httpd.server_close()
    thread.join(10)


@pytest.fixture(scope="module")
def good(site: Path, server: tuple[str, list[str]]) -> Archive:
    return describe(site / NAME, server[0])


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has, the server here is reached without it."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(autouse=True)
def small(tmp_path: Path) -> Iterator[None]:
    """Do not leave 184 MB behind with each test."""
    yield
    shutil.rmtree(tmp_path)


def quiet(_: str) -> None:
    """Progress that nobody reads."""


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def refusal(folder: Path, archive: Archive, **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        download_cifar10(folder / FOLDER, archive=archive, say=quiet, **more)
    assert left_in(folder) == [], "something was left behind"
    return str(caught.value)


def test_the_archive_is_fetched_checked_unpacked_and_read(tmp_path: Path, good: Archive) -> None:
    lines: list[str] = []
    folder = download_cifar10(tmp_path / "new" / FOLDER, archive=good, say=lines.append)
    assert read_cifar10(folder, "test").labels[:3].tolist() == [0, 1, 2]
    assert left_in(tmp_path / "new") == [FOLDER]
    assert "batches.meta.txt" in os.listdir(folder)
    assert lines[0].startswith("downloading CIFAR-10, ")
    assert lines[-1] == f"CIFAR-10 is in {folder}"


def test_several_at_once_fetch_it_once(
    tmp_path: Path, good: Archive, server: tuple[str, list[str]]
) -> None:
    before = len(server[1])
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(download_cifar10, tmp_path / FOLDER, archive=good, say=quiet)
            for _ in range(4)
        ]
        assert {run.result(timeout=60) for run in runs} == {tmp_path / FOLDER}
    assert len(server[1]) == before + 1


def test_an_archive_beside_the_folder_spares_the_network(tmp_path: Path, site: Path) -> None:
    (tmp_path / NAME).symlink_to(site / NAME)
    offline = describe(site / NAME, "http://127.0.0.1:1")
    download_cifar10(tmp_path / FOLDER, archive=offline, say=quiet)
    assert left_in(tmp_path) == [FOLDER, NAME]


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path, good: Archive) -> None:
    text = refusal(tmp_path, replace(good, url=f"http://127.0.0.1:1/{NAME}"))
    assert "Connection refused" in text
    assert "put it beside the missing folder" in text
    assert "data.source=synthetic" in text


def test_an_address_without_the_archive_is_told(tmp_path: Path, good: Archive) -> None:
    text = refusal(tmp_path, replace(good, url=good.url.replace(NAME, "none.tar.gz")))
    assert "HTTP Error 404" in text


def test_a_wrong_checksum_is_refused(tmp_path: Path, good: Archive) -> None:
    text = refusal(tmp_path, replace(good, md5="0" * 32))
    assert f"is not the official archive: {good.size_bytes:,} bytes with md5 {good.md5}" in text


def test_more_bytes_than_there_should_be_are_not_read(tmp_path: Path, good: Archive) -> None:
    text = refusal(tmp_path, replace(good, size_bytes=1000))
    assert "sends more than the 1,000 bytes" in text


def test_a_transfer_that_ends_too_early_is_told_with_both_sizes(
    tmp_path: Path, good: Archive
) -> None:
    text = refusal(tmp_path, replace(good, size_bytes=good.size_bytes + 1))
    assert f"ended after {good.size_bytes:,} of {good.size_bytes + 1:,} bytes" in text


def test_a_transfer_has_a_bound_in_time(tmp_path: Path, good: Archive) -> None:
    assert "too slow" in refusal(tmp_path, good, timeout_s=0)


def test_a_server_that_hangs_up_is_told(tmp_path: Path, good: Archive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\nabc")

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        text = refusal(tmp_path, replace(good, url=f"http://127.0.0.1:{port}/{NAME}"))
        thread.join(10)
    assert "cannot be downloaded from" in text


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, good: Archive) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="move it away"):
        download_cifar10(tmp_path / FOLDER, archive=good, say=quiet)
    assert left_in(tmp_path / FOLDER) == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path, good: Archive) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cannot be put into .*: (Not a directory|File exists)"):
        download_cifar10(tmp_path / "file" / FOLDER, archive=good, say=quiet)


def test_waiting_for_another_process_has_a_bound(tmp_path: Path, good: Archive) -> None:
    from filelock import FileLock

    with (
        FileLock(tmp_path / f".{FOLDER}.lock"),
        pytest.raises(NotReadyError, match="another process has been fetching"),
    ):
        download_cifar10(tmp_path / FOLDER, archive=good, say=quiet, timeout_s=0)


BAD: dict[str, tuple[Callable[[], Members], str]] = {
    "a path upwards": (lambda: [member("../evil.bin", b"x")], "is not a file of CIFAR-10"),
    "an absolute path": (lambda: [member("/tmp/evil.bin", b"x")], "is not a file of CIFAR-10"),
    "a path through the folder": (
        lambda: [member(f"{FOLDER}/../test_batch.bin", b"x")],
        "is not a file of CIFAR-10",
    ),
    "a foreign file": (lambda: [member(f"{FOLDER}/setup.py", b"x")], "is not a file of CIFAR-10"),
    "a symbolic link": (
        lambda: [
            member(f"{FOLDER}/test_batch.bin", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        ],
        "is a link or a special file",
    ),
    "a hard link": (
        lambda: [member(f"{FOLDER}/test_batch.bin", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
        "is a link or a special file",
    ),
    "a device": (
        lambda: [member(f"{FOLDER}/test_batch.bin", type=tarfile.CHRTYPE)],
        "is a link or a special file",
    ),
    "a folder in place of a file": (
        lambda: [member(f"{FOLDER}/test_batch.bin", type=tarfile.DIRTYPE)],
        "is a link or a special file",
    ),
    "a file twice": (
        lambda: [member(f"{FOLDER}/readme.html", b"x"), member(f"{FOLDER}/readme.html", b"y")],
        "or is there twice",
    ),
    "a file that is too large": (
        lambda: [member(f"{FOLDER}/test_batch.bin", bytes(40_000_001))],
        "claims 40,000,001 bytes",
    ),
    "missing files": (lambda: [member(f"{FOLDER}/readme.html", b"x")], "no .bin files"),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_archive_with_what_does_not_belong_there_is_refused(
    tmp_path: Path, good: Archive, kind: str
) -> None:
    make, message = BAD[kind]
    bad = pack(tmp_path / "bad.tar.gz", make())
    inside = tmp_path / "deep" / "inside"
    inside.parent.mkdir()
    with pytest.raises(DataError) as caught:
        unpack(bad, inside, good)
    assert message in str(caught.value)
    assert left_in(tmp_path) == ["bad.tar.gz", "deep"]
    assert left_in(inside.parent) == ["inside"]
    assert {path.name for path in inside.iterdir()} <= {"readme.html"}


@pytest.mark.parametrize("keep", [0, 10, 100, 5000])
def test_a_damaged_archive_is_one_message(
    tmp_path: Path, site: Path, good: Archive, keep: int
) -> None:
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes((site / NAME).read_bytes()[:keep])
    with pytest.raises(DataError, match=r"bad\.tar\.gz is damaged"):
        unpack(bad, tmp_path / "inside", good)


def test_a_file_with_another_checksum_is_refused(tmp_path: Path, good: Archive) -> None:
    wrong = replace(good, sha1={**good.sha1, "test_batch.bin": "0" * 40})
    assert "test_batch.bin has SHA-1" in refusal(tmp_path, wrong)


def test_the_official_archive_has_a_checksum_for_every_file() -> None:
    assert set(OFFICIAL.sha1) == {*TRAIN_FILES, *TEST_FILES}
    assert all(len(digest) == 40 for digest in OFFICIAL.sha1.values())
    assert OFFICIAL.name == NAME


def data(**keys: object) -> DataConfig:
    return DataConfig.model_validate(keys)


def test_a_missing_folder_is_no_reason_to_download_unless_the_recipe_says_so(
    tmp_path: Path,
) -> None:
    for download in (None, False):
        with pytest.raises(DataError, match=f"no CIFAR-10 at {tmp_path / 'none'}"):
            source.open_dataset(data(dir=str(tmp_path / "none"), download=download), "train")


@pytest.mark.parametrize("name", ["images", FOLDER])
def test_the_recipe_may_ask_for_a_download(tmp_path: Path, good: Archive, name: str) -> None:
    wanted = data(dir=str(tmp_path / name), download=True)
    folder = source.locate(wanted, archive=good, say=quiet)
    assert folder.name == FOLDER
    assert len(source.open_dataset(wanted, "test")) == 10_000
    assert source.prepare(wanted) == f"CIFAR-10 in {folder}"


def test_the_default_folder_is_filled_unless_the_recipe_forbids_it(
    tmp_path: Path, good: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no CIFAR-10 at"):
        source.prepare(data(download=False))
    assert source.locate(data(), archive=good, say=quiet) == tmp_path / "data" / FOLDER
    assert len(source.open_dataset(data(max_test_images=7), "test")) == 7


def test_synthetic_images_need_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = data(source="synthetic", synthetic_train_images=40, max_train_images=30, dir="/none")
    assert source.prepare(made) == "30 synthetic images"
    assert len(source.open_dataset(made, "train")) == 30
    assert len(source.open_dataset(made, "test")) == 512
    assert left_in(tmp_path) == []
