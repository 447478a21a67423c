"""A table as HCCL's JSON: strings, keys in the usual order, indent 4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from launcher.contract import write_atomic
from launcher.errors import RankTableError
from launcher.rank_table.model import COMPLETED, OLD_FORMS, Device, RankTable, Server, SuperPod

MODE = 0o640


def to_json(table: RankTable) -> str:
    """Return the text of a table of form 1.0 or 1.2.

    Raises:
        RankTableError: form 2.0, which belongs to a topology file of the product, or an old form.
    """
    if table.form in OLD_FORMS:
        raise RankTableError(
            f"a table of the old {table.form} form is not written: convert it to version 1.0 first"
        )
    if table.form == "2.0":
        raise RankTableError(
            "a table of version 2.0 is not written: it goes with a topology file of the product; "
            "use the file that the cluster's operator made"
        )
    document: dict[str, Any] = {
        "version": table.form,
        "server_count": str(len(table.servers)),
        "server_list": [_server(server) for server in table.servers],
    }
    if table.super_pods:
        document["super_pod_list"] = [_super_pod(pod) for pod in table.super_pods]
    document["status"] = COMPLETED
    return json.dumps(document, indent=4) + "\n"


def write(table: RankTable, path: Path) -> None:
    """Write a table, whole or not at all, readable by the owner and the group (0640)."""
    write_text(to_json(table), path)


def write_text(text: str, path: Path) -> None:
    """Write the text of a table in the same way."""
    write_atomic(path, text, mode=MODE)


def _server(server: Server) -> dict[str, Any]:
    texts = ("host_ip", "container_ip", "pod_ip", "hardware_type", "host_nic_ip")
    return {
        "server_id": server.server_id,
        "device": [_device(device) for device in server.devices],
        **{key: getattr(server, key) for key in texts if getattr(server, key)},
    }


def _device(device: Device) -> dict[str, str]:
    numbers = {
        "device_id": device.device_id,
        "super_device_id": device.super_device_id,
        "device_ip": ",".join(device.device_ips) or None,
        "device_port": device.device_port,
        "backup_device_ip": ",".join(device.backup_device_ips) or None,
        "backup_device_port": device.backup_device_port,
        "host_port": device.host_port,
        "rank_id": device.rank_id,
    }
    return {key: str(value) for key, value in numbers.items() if value is not None}


def _super_pod(pod: SuperPod) -> dict[str, Any]:
    servers = [{"server_id": server_id} for server_id in pod.server_ids]
    return {"super_pod_id": pod.super_pod_id, "server_list": servers}
