"""The rules of super pods (form 1.2)."""

from __future__ import annotations

from collections import Counter

from launcher.rank_table.draft import PodDraft, ServerDraft, TableDraft
from launcher.rank_table.problem import Report, given


def check_super_pods(draft: TableDraft, report: Report) -> None:
    """Report pods and servers that do not match one another, and bad super_device_id values."""
    if not draft.super_pods:
        return
    _check_ids(draft, report)
    pod_of = _place_servers(draft, report)
    _check_sizes(draft.super_pods, report)
    _check_scattered(draft, pod_of, report)
    used: dict[str, dict[int, str]] = {}
    for server in draft.servers:
        pod = pod_of.get(server.server_id or "")
        _check_super_device_ids(server, used.setdefault(pod or "", {}), pod, report)


def _check_ids(draft: TableDraft, report: Report) -> None:
    seen: dict[str, str] = {}
    for pod in draft.super_pods:
        name = pod.super_pod_id
        if name is None:
            continue
        if name in seen:
            message = f"super pod {given(name)} is already at {seen[name]}: each pod once"
            report.bad("super-pod-id-repeated", f"{pod.path}.super_pod_id", message)
        seen.setdefault(name, pod.path)


def _place_servers(draft: TableDraft, report: Report) -> dict[str, str]:
    """Return the path of each server's pod: ids may be wrong, paths are unique."""
    known = {server.server_id for server in draft.servers}
    pod_of: dict[str, str] = {}
    for pod in draft.super_pods:
        for path, name in pod.servers:
            if name not in known:
                message = f"server {given(name)} is not in server_list: correct the name"
                report.bad("super-pod-server-unknown", path, message)
            elif name in pod_of:
                message = f"server {given(name)} is already in {pod_of[name]}: one pod per server"
                report.bad("super-pod-server-repeated", path, message)
            pod_of.setdefault(name, pod.path)
    for server in draft.servers:
        if server.server_id is not None and server.server_id not in pod_of:
            message = f"server {given(server.server_id)} is in no super pod: add it to one"
            report.bad("super-pod-server-missing", f"{server.path}.server_id", message)
    return pod_of


def _check_sizes(pods: tuple[PodDraft, ...], report: Report) -> None:
    usual = Counter(len(pod.servers) for pod in pods).most_common(1)[0][0]
    for pod in pods:
        if len(pod.servers) != usual:
            message = f"{len(pod.servers)} servers here, {usual} in other pods: the same number"
            report.bad("super-pod-sizes", f"{pod.path}.server_list", f"{message} in every pod")


def _check_scattered(draft: TableDraft, pod_of: dict[str, str], report: Report) -> None:
    closed: set[str | None] = set()
    last: str | None = None
    for server in draft.servers:
        pod = pod_of.get(server.server_id or "")
        if pod is None or pod == last:
            continue
        if pod in closed:
            message = f"this server belongs to {pod}, whose others stand apart: list them together"
            report.bad("super-pod-scattered", server.path, message)
        closed.add(pod)
        last = pod


def _check_super_device_ids(
    server: ServerDraft, used: dict[int, str], pod: str | None, report: Report
) -> None:
    for device in server.devices:
        number = device.super_device_id
        path = f"{device.path}.super_device_id"
        if number is None and "super_device_id" not in device.refused:
            message = "super_device_id is missing: take the SDID of `npu-smi info -t spod-info`"
            report.bad("super-device-id-missing", path, message)
        if number is not None and pod is not None:
            if number in used:
                message = f"super_device_id {number} is already at {used[number]} in this super pod"
                report.bad("super-device-id-repeated", path, message)
            used.setdefault(number, device.path)
