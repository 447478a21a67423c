from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import UsageError
from launcher.planning.hccl import HcclSettings, hccl_settings


def settings(hang_timeout_s: float = 300.0, **given: str) -> HcclSettings:
    return hccl_settings(given, hang_timeout_s=hang_timeout_s, choose_base_port=None)


def test_what_is_missing_is_set() -> None:
    made = hccl_settings({}, hang_timeout_s=300, choose_base_port=lambda: 25600)
    assert made.environment == {
        "HCCL_CONNECT_TIMEOUT": "600",
        "HCCL_EXEC_TIMEOUT": "1836",
        "HCCL_IF_BASE_PORT": "25600",
    }
    assert made.notes == ()


@given(
    st.none() | st.integers(120, 7200),
    st.none() | st.integers(0, 2**31 - 1),
    st.floats(0, 16000),
)
def test_what_we_set_fits_what_was_set(
    connect_s: int | None, exec_s: int | None, hang_timeout_s: float
) -> None:
    given = {
        name: str(value)
        for name, value in (("HCCL_CONNECT_TIMEOUT", connect_s), ("HCCL_EXEC_TIMEOUT", exec_s))
        if value is not None
    }
    made = hccl_settings(given, hang_timeout_s=hang_timeout_s, choose_base_port=None)
    assert not given.keys() & made.environment.keys()
    chosen = {name: int(text) for name, text in {**given, **made.environment}.items()}
    assert 120 <= chosen["HCCL_CONNECT_TIMEOUT"] <= 7200
    if exec_s is None:
        assert chosen["HCCL_EXEC_TIMEOUT"] > chosen["HCCL_CONNECT_TIMEOUT"]
        assert chosen["HCCL_EXEC_TIMEOUT"] > hang_timeout_s
        assert chosen["HCCL_EXEC_TIMEOUT"] <= 17340
        assert chosen["HCCL_EXEC_TIMEOUT"] % 68 == 0
    elif connect_s is None and exec_s > 120:
        assert chosen["HCCL_CONNECT_TIMEOUT"] < exec_s


def test_a_short_patience_of_the_user_is_kept_and_said() -> None:
    notes = settings(HCCL_EXEC_TIMEOUT="200", HCCL_CONNECT_TIMEOUT="400").notes
    assert notes[0] == "kept as it was set: HCCL_CONNECT_TIMEOUT=400, HCCL_EXEC_TIMEOUT=200"
    assert "should be above HCCL_CONNECT_TIMEOUT" in notes[1]
    assert "is not above --hang-timeout (300 s)" in notes[2]
    assert len(settings(HCCL_EXEC_TIMEOUT="0").notes) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HCCL_CONNECT_TIMEOUT", "ten"),
        ("HCCL_CONNECT_TIMEOUT", "60"),
        ("HCCL_EXEC_TIMEOUT", "-1"),
        ("HCCL_IF_BASE_PORT", "65521"),
        ("HCCL_IF_BASE_PORT", "9" * 5000),
    ],
)
def test_a_value_that_hccl_refuses_is_refused_before(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"{name}='"):
        settings(**{name: text})
