"""The manifests of deploy/: what MindCluster demands, and that its pods come to one job.

The rules are those of Ascend/mind-cluster at 22bb3d98: the operator's validation
(ascendjob_validate.go) and the variables that it sets (env.go, pod.go). For the schemas see
``manifest_rules``; both files were held against the published ones, too.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_rules import problems_of

from launcher.cli import parse
from launcher.contract import EXIT_TEMPORARY
from launcher.environments.choose import choose_place
from launcher.options import LaunchSpec
from launcher.recipe import find_recipe

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NPU = "huawei.com/Ascend910"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


@pytest.fixture
def ascend_job() -> dict[str, Any]:
    (job,) = documents("ascendjob_two_nodes.yaml")
    return job


def pod_specs() -> list[dict[str, Any]]:
    (job,) = documents("ascendjob_two_nodes.yaml")
    volcano = documents("volcano_one_node.yaml")[1]
    templates = [replica["template"] for replica in job["spec"]["replicaSpecs"].values()]
    templates += [task["template"] for task in volcano["spec"]["tasks"]]
    return [template["spec"] for template in templates]


def operator_variables(job: dict[str, Any]) -> list[dict[str, str]]:
    """Return what the operator puts into each pod of a MindSpore job, Scheduler first."""
    specs = job["spec"]["replicaSpecs"]
    npus = {kind: npus_of(spec["template"]["spec"]) for kind, spec in specs.items()}
    pods = [(kind, index) for kind in specs for index in range(specs[kind]["replicas"])]
    count = len([kind for kind, _ in pods if npus[kind]])
    shift = 1 if npus.get("Scheduler") else 0
    return [
        {
            "MINDX_TASK_ID": "uid",
            "MS_LOCAL_WORKER": str(npus["Worker"]),
            "MS_NODE_RANK": str(index + (shift if kind == "Worker" else 0)),
            "MS_ROLE": "MS_SCHED" if kind == "Scheduler" else "MS_WORKER",
            "MS_SCHED_HOST": "10.244.0.7" if kind == "Scheduler" else "10.96.4.2",
            "MS_SCHED_PORT": str(
                container_of(specs[kind]["template"]["spec"])["ports"][0]["containerPort"]
            ),
            "MS_SERVER_NUM": "0",
            "MS_WORKER_NUM": str(npus["Worker"] * count),
            "NPU_POD": "true" if npus[kind] else "false",
        }
        for kind, index in pods
    ]


def container_of(spec: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in spec["containers"] if one["name"] == "ascend"]
    return found


def npus_of(spec: dict[str, Any]) -> int:
    return container_of(spec)["resources"]["requests"].get(NPU, 0)


@pytest.mark.parametrize("file", sorted(DEPLOY.iterdir()), ids=lambda file: file.name)
def test_the_schemas_know_all_that_a_manifest_says(file: Path) -> None:
    assert [problem for one in documents(file.name) for problem in problems_of(one)] == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda job: job.update(apiVersion="mindxdl.gitee.com/v2"), "is none of"),
        (lambda job: job["spec"].pop("replicaSpecs"), "spec.replicaSpecs: missing"),
        (lambda job: job["spec"].update(replicaSpec={}), "spec.replicaSpec: ?"),
        (lambda job: job["spec"]["replicaSpecs"].update(Master={}), "replicaSpecs.Master: ?"),
        (lambda job: worker(job).update(replicas="1"), "Worker.replicas: '1' is no int"),
        (lambda job: worker(job).update(restartPolicy="never"), "'never' is none of"),
        (lambda job: pod(job).update(terminationGracePeriod=40), "terminationGracePeriod: ?"),
        (lambda job: pod(job).update(containers={}), "containers: {} is no list"),
        (lambda job: pod(job)["containers"][0].pop("name"), "containers.0.name: missing"),
    ],
)
def test_what_a_schema_does_not_know_is_found(
    ascend_job: dict[str, Any], spoil: Callable[[dict[str, Any]], object], said: str
) -> None:
    spoil(ascend_job)
    (problem,) = problems_of(ascend_job)
    assert said in problem


def worker(job: dict[str, Any]) -> dict[str, Any]:
    job["spec"]["replicaSpecs"]["Worker"] = dict(job["spec"]["replicaSpecs"]["Worker"])
    found: dict[str, Any] = job["spec"]["replicaSpecs"]["Worker"]
    return found


def pod(job: dict[str, Any]) -> dict[str, Any]:
    own = yaml.safe_load(yaml.safe_dump(worker(job)["template"]))
    job["spec"]["replicaSpecs"]["Worker"]["template"] = own
    found: dict[str, Any] = own["spec"]
    return found


def test_a_job_that_may_go_on_is_started_again(ascend_job: dict[str, Any]) -> None:
    labels = ascend_job["metadata"]["labels"]
    assert labels["fault-scheduling"] == "grace"
    assert 0 < int(labels["fault-retry-times"]) <= 100
    volcano = documents("volcano_one_node.yaml")[1]["spec"]
    codes = {policy["exitCode"] for policy in volcano["policies"] if "exitCode" in policy}
    assert codes == {EXIT_TEMPORARY, 128 + signal.SIGTERM}
    assert {policy["action"] for policy in volcano["policies"]} == {"RestartJob"}
    assert volcano["maxRetry"] > 0


def test_the_operator_takes_the_job(ascend_job: dict[str, Any]) -> None:
    assert (ascend_job["apiVersion"], ascend_job["kind"]) == ("mindxdl.gitee.com/v1", "AscendJob")
    assert ascend_job["metadata"]["labels"]["framework"] == "mindspore"
    spec = ascend_job["spec"]
    assert spec["successPolicy"] in ("", "AllWorkers")
    assert set(spec["replicaSpecs"]) <= {"Scheduler", "Worker"}
    assert spec["replicaSpecs"]["Scheduler"]["replicas"] == 1
    assert all(0 <= replica["replicas"] <= 20000 for replica in spec["replicaSpecs"].values())
    pods = sum(replica["replicas"] for replica in spec["replicaSpecs"].values())
    assert spec["runPolicy"]["schedulingPolicy"]["minAvailable"] == pods


def test_its_pods_are_the_nodes_of_one_job(ascend_job: dict[str, Any]) -> None:
    places = [
        choose_place(LaunchSpec(command=("true",)), variables)
        for variables in operator_variables(ascend_job)
    ]
    assert [place.node_rank for place in places] == list(range(len(places)))
    assert {place.nnodes for place in places} == {len(places)}
    assert {place.job for place in places} == {"uid"}
    assert {place.workers for place in places} == {(8, 8)}


@pytest.mark.parametrize("spec", pod_specs())
def test_each_pod_runs_the_launcher_so_that_sigterm_reaches_it_in_time(
    spec: dict[str, Any],
) -> None:
    container = container_of(spec)
    assert container["image"]
    assert container["command"] == ["python", "-m", "launcher"]
    asked = parse(container["args"], {})
    assert asked is not None
    assert asked.recipe is not None
    assert find_recipe(asked.recipe).is_file()
    assert asked.resume == "auto"
    assert asked.grace_s + 10 <= spec["terminationGracePeriodSeconds"]
    assert container["resources"]["requests"] == container["resources"]["limits"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_the_job_of_volcano_waits_for_the_table_that_is_written_for_it() -> None:
    config_map, job = documents("volcano_one_node.yaml")
    assert config_map["metadata"]["name"] == f"rings-config-{job['metadata']['name']}"
    assert yaml.safe_load(config_map["data"]["hccl.json"]) == {"status": "initializing"}
    (spec,) = [task["template"]["spec"] for task in job["spec"]["tasks"]]
    (mount,) = [one for one in container_of(spec)["volumeMounts"] if one["name"] == "rank-table"]
    asked = parse(container_of(spec)["args"], {})
    assert asked is not None
    assert str(asked.rank_table) == f"{mount['mountPath']}/hccl.json"
