from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.contract import (
    ContractError,
    FailureRecord,
    Progress,
    RankEnv,
    RunPaths,
    read_record,
    write_atomic,
    write_record,
)

NUMBERS = st.integers(0, 10_000)


@given(
    rank=NUMBERS,
    more=st.integers(1, 100),
    local_rank=NUMBERS,
    node_rank=NUMBERS,
    device_id=st.none() | NUMBERS,
    target=st.sampled_from([None, "CPU", "Ascend"]),
    cpus=st.lists(NUMBERS, max_size=5).map(tuple),
    attempt=NUMBERS,
    run_dir=st.none() | st.just(Path("/runs/a b/c")),
    job_id=st.none() | st.text("0123456789abcdef:", min_size=1),
    resume=st.sampled_from(["none", "auto", "/runs/a b/ckpt/step_3"]),
)
def test_who_a_rank_is_survives_its_environment(
    rank: int,
    more: int,
    local_rank: int,
    node_rank: int,
    device_id: int | None,
    target: str | None,
    cpus: tuple[int, ...],
    attempt: int,
    run_dir: Path | None,
    job_id: str | None,
    resume: str,
) -> None:
    env = RankEnv(
        rank=rank,
        world_size=rank + more,
        local_rank=local_rank,
        node_rank=node_rank,
        device_id=device_id,
        device_target=target,
        cpus=cpus,
        attempt=attempt,
        run_dir=run_dir,
        job_id=job_id,
        resume=resume,
    )
    assert RankEnv.from_environ(env.to_environ()) == env


def test_no_variables_are_a_single_process() -> None:
    assert RankEnv.from_environ({}) == RankEnv()


def test_msrun_with_a_node_rank_is_understood() -> None:
    env = RankEnv.from_environ(
        {"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "8", "MS_NODE_ID": "5", "DEVICE_ID": "1"}
    )
    assert (env.rank, env.world_size, env.local_rank, env.device_id) == (5, 8, 1, 1)


def test_msrun_without_a_node_rank_leaves_the_rank_open() -> None:
    env = RankEnv.from_environ({"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "2", "DEVICE_ID": "1"})
    assert (env.rank, env.world_size) == (None, 2)


def test_a_rank_table_start_is_understood() -> None:
    env = RankEnv.from_environ({"RANK_ID": "3", "RANK_SIZE": "8", "DEVICE_ID": "7"})
    assert (env.rank, env.world_size, env.device_id) == (3, 8, 7)


@pytest.mark.parametrize(
    "environ",
    [
        {"RANK_ID": "x"},
        {"RANK_ID": "-1"},
        {"RANK_ID": "2", "RANK_SIZE": "2"},
        {"RANK_SIZE": "0"},
        {"DEVICE_ID": "0x3"},
    ],
)
def test_an_environment_of_no_rank_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(ContractError, match=r"RANK|DEVICE_ID"):
        RankEnv.from_environ(environ)


def test_every_path_of_a_run_is_inside_it() -> None:
    paths = RunPaths(Path("/run"))
    names = [name for name in dir(RunPaths) if name[0] != "_"]
    found = [getattr(paths, name) for name in names if isinstance_property(name)]
    found += [paths.log(1, 2), paths.failure(1, 2), paths.stacks(1, 2), paths.progress(2)]
    assert len({*found, paths.scheduler_log(1)}) == len(found) + 1
    assert all(path.is_relative_to("/run") and path != Path("/run") for path in found)


def isinstance_property(name: str) -> bool:
    return isinstance(getattr(RunPaths, name), property)


def test_records_are_read_back_and_later_keys_are_ignored(tmp_path: Path) -> None:
    record = FailureRecord.now(3, "ValueError", "caf\u00e9 \udc80 \n")
    path = tmp_path / "deep" / "rank_3.json"
    write_record(record, path)
    path.write_text(path.read_text().replace('{"rank"', '{"added_later": 1, "rank"'))
    assert read_record(FailureRecord, path) == record
    assert record.pid == os.getpid()


@pytest.mark.parametrize("damage", ["", "{", "[]", "3", '{"rank": 1', '{"phase": "x"}', "\xff"])
def test_a_damaged_record_is_none(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "rank_0.json"
    path.write_bytes(damage.encode("latin-1"))
    assert read_record(Progress, path) is None
    assert read_record(Progress, tmp_path / "missing.json") is None


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old", mode=0o640)
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\udcff")
    with pytest.raises(TypeError):
        write_atomic(path, 3)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
