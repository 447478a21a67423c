"""What our manifests may contain: the parts of the published schemas that they use, in our words.

Sources: Ascend/mind-cluster at 22bb3d98, component/ascend-operator/build/ascend-operator.yaml
(AscendJob) and component/ascend-for-volcano/build/volcano-v1.12.0.yaml (Volcano's Job), at
https://gitcode.com/Ascend/mind-cluster; for pods, Kubernetes' reference of core/v1. The API server
prunes or refuses a key that a schema does not know; here every such key is a problem.
"""

from __future__ import annotations

from typing import Any


class Need(str):
    """A key that must be there."""


class Each:
    """A mapping with any keys, or a list: every value has the same shape."""

    def __init__(self, kind: type, shape: Any) -> None:
        self.kind, self.shape = kind, shape


def one_of(*texts: str) -> frozenset[str]:
    return frozenset(texts)


_TEXTS = Each(dict, str)
_META = {Need("name"): str, "namespace": str, "labels": _TEXTS, "annotations": _TEXTS}
_AMOUNTS = Each(dict, (int, str))
_CONTAINER = {
    Need("name"): str,
    "image": str,
    "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
    "command": Each(list, str),
    "args": Each(list, str),
    "ports": Each(list, {"name": str, Need("containerPort"): int}),
    "env": Each(
        list,
        {
            Need("name"): str,
            "value": str,
            "valueFrom": {"fieldRef": {"apiVersion": str, Need("fieldPath"): str}},
        },
    ),
    "resources": {"requests": _AMOUNTS, "limits": _AMOUNTS},
    "volumeMounts": Each(
        list, {Need("name"): str, Need("mountPath"): str, "readOnly": bool, "subPath": str}
    ),
}
_VOLUME = {
    Need("name"): str,
    "persistentVolumeClaim": {Need("claimName"): str, "readOnly": bool},
    "hostPath": {Need("path"): str, "type": str},
    "configMap": {"name": str, "optional": bool},
    "emptyDir": {"medium": one_of("", "Memory"), "sizeLimit": (int, str)},
}
_TEMPLATE = {
    "metadata": {"labels": _TEXTS, "annotations": _TEXTS},
    "spec": {
        Need("containers"): Each(list, _CONTAINER),
        "volumes": Each(list, _VOLUME),
        "nodeSelector": _TEXTS,
        "hostNetwork": bool,
        "restartPolicy": one_of("Always", "OnFailure", "Never"),
        "terminationGracePeriodSeconds": int,
    },
}
_POLICY = {
    "event": one_of("PodFailed", "PodEvicted", "PodPending", "TaskCompleted", "Unknown", "*"),
    "exitCode": int,
    "action": one_of(
        "AbortJob", "RestartJob", "RestartTask", "TerminateJob", "CompleteJob", "ResumeJob"
    ),
}
RULES: dict[tuple[str, str], Any] = {
    ("v1", "ConfigMap"): {"metadata": _META, "data": _TEXTS},
    ("mindxdl.gitee.com/v1", "AscendJob"): {
        "metadata": _META,
        "spec": {
            "schedulerName": str,
            "runPolicy": {
                "activeDeadlineSeconds": int,
                "backoffLimit": int,
                "cleanPodPolicy": one_of("All", "Running", "None"),
                "ttlSecondsAfterFinished": int,
                "schedulingPolicy": {"minAvailable": int, "priorityClass": str, "queue": str},
            },
            "successPolicy": one_of("", "AllWorkers"),
            Need("replicaSpecs"): {
                name: {
                    "replicas": int,
                    "restartPolicy": one_of("Always", "OnFailure", "Never", "ExitCode"),
                    "template": _TEMPLATE,
                }
                for name in ("Scheduler", "Worker")
            },
        },
    },
    ("batch.volcano.sh/v1alpha1", "Job"): {
        "metadata": _META,
        "spec": {
            "schedulerName": str,
            "minAvailable": int,
            "maxRetry": int,
            "queue": str,
            "policies": Each(list, _POLICY),
            "tasks": Each(
                list,
                {"name": str, "replicas": int, "policies": Each(list, _POLICY)}
                | {"template": _TEMPLATE},
            ),
        },
    },
}


def problems_of(document: dict[str, Any]) -> list[str]:
    """Return what is wrong with a manifest, each with its path."""
    kind = (document.get("apiVersion"), document.get("kind"))
    if kind not in RULES:
        return [f"{kind} is none of {list(RULES)}"]
    rest = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
    return _problems(rest, RULES[kind], kind[1] or "")


def _problems(value: Any, shape: Any, path: str) -> list[str]:
    if isinstance(shape, dict):
        if type(value) is not dict:
            return [f"{path}: {value!r} is no mapping"]
        missing = [key for key in shape if isinstance(key, Need) and key not in value]
        found = [f"{path}.{key}: missing" for key in missing]
        for key, one in value.items():
            known = key in shape
            found += _problems(one, shape[key], f"{path}.{key}") if known else [f"{path}.{key}: ?"]
        return found
    if isinstance(shape, Each):
        if type(value) is not shape.kind:
            return [f"{path}: {value!r} is no {shape.kind.__name__}"]
        items = value.items() if shape.kind is dict else enumerate(value)
        return [text for key, one in items for text in _problems(one, shape.shape, f"{path}.{key}")]
    if isinstance(shape, frozenset):
        return [] if value in shape else [f"{path}: {value!r} is none of {sorted(shape)}"]
    kinds = shape if isinstance(shape, tuple) else (shape,)
    return [] if type(value) in kinds else [f"{path}: {value!r} is no {kinds[0].__name__}"]
