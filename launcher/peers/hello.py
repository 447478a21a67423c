"""The first words between two launchers: both prove that they know the token of the job."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from launcher.peers.wire import LostError, Message, is_proof, proof

VERSION = 1
_TEXTS = ("host", "target", "job")


@dataclass(frozen=True)
class Hello:
    """What a node says of itself when it comes to node 0.

    ``job`` is what only launchers of one job have in common, as far as the environment tells.
    """

    node_rank: int
    nnodes: int
    host: str
    nproc: int
    target: str
    job: str = ""

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Hello:
        """Return what was said; LostError where it is something else."""
        values: dict[str, Any] = {one.name: message.get(one.name) for one in fields(cls)}
        for name, value in values.items():
            if type(value) is not (str if name in _TEXTS else int):
                raise LostError(f"its hello has no usable {name}")
        return cls(**values)


def challenge() -> Message:
    """Return what node 0 says first, to everybody who comes."""
    return {"type": "challenge", "version": VERSION, "nonce": secrets.token_hex(16)}


def answer(hello: Hello, token: str, challenged: Mapping[str, Any]) -> Message:
    """Return what a node says to it."""
    nonce = str(challenged.get("nonce"))
    return {
        "type": "hello",
        "version": VERSION,
        "nonce": secrets.token_hex(16),
        "proof": proof(token, "hello", nonce, hello.node_rank, hello.job),
        **asdict(hello),
    }


def welcome(token: str, message: Mapping[str, Any]) -> Message:
    """Return the answer of node 0 to somebody who belongs to the job."""
    return {"type": "welcome", "proof": proof(token, "welcome", message.get("nonce"))}


def is_welcome(token: str, said: Mapping[str, Any], reply: Mapping[str, Any]) -> bool:
    """Return whether the reply to what we said comes from somebody who knows the token."""
    return is_proof(reply.get("proof"), token, "welcome", said.get("nonce"))


def why_refused(
    message: Mapping[str, Any], hello: Hello, *, token: str, nonce: str, own: Hello
) -> str:
    """Return why node 0 does not take a node; "" = it does.

    Args:
        hello: what the message says.
        own: what node 0 would say of itself.
    """
    if message.get("version") != VERSION:
        return "its launcher is of another version: install the same one on all nodes"
    if not is_proof(message.get("proof"), token, "hello", nonce, hello.node_rank, hello.job):
        return "its token is another one: LAUNCHER_TOKEN must be the same on all nodes"
    if hello.job != own.job:
        return f"it belongs to job {hello.job or 'without a name'}, this is {own.job or 'none'}"
    if hello.nnodes != own.nnodes:
        return f"it says {hello.nnodes} nodes, node 0 says {own.nnodes} (--nnodes)"
    if not 0 < hello.node_rank < own.nnodes:
        return f"it says node rank {hello.node_rank}; free are 1 to {own.nnodes - 1} (--node-rank)"
    if hello.target != own.target:
        return f"it runs on {hello.target}, node 0 on {own.target} (--device-target)"
    return ""
