"""A cohort's configuration for Kubernetes. Oracles: schemas (ours of the fields in use; the chart's
and Kubernetes' own where they are), the commands' own options, and Python for the Python inside.
No cluster is asked: none is at hand.
"""

from __future__ import annotations

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
import typer.testing
import yaml

from course import paths
from course.cohort.hub import inboxes, room
from course.commands import cohort

HERE = paths.ROOT / "course" / "cohort" / "kubernetes"
SCHEMAS = Path(__file__).with_name("kubernetes")
VALUES = yaml.safe_load((HERE / "values.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (HERE / "Dockerfile").read_text(encoding="utf-8")
README = (HERE / "README.md").read_text(encoding="utf-8")
OBJECTS = [
    one
    for name in ("grade", "network", "volumes")
    for one in yaml.safe_load_all((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
]
# The chart's own schema, values.schema.json in the packed chart: somebody else's file, so not here.
CHART = Path(os.environ.get("COURSE_Z2JH_SCHEMA") or paths.ROOT / "work/data/z2jh.schema.json")


def schema(name):
    found = yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(found)
    return jsonschema.Draft7Validator(found)


def job():
    return next(one for one in OBJECTS if one["kind"] == "Job")


def pod():
    return job()["spec"]["template"]["spec"]


def test_the_values_are_keys_of_the_chart():
    schema("values").validate(VALUES)


@pytest.mark.skipif(
    not CHART.is_file(),
    reason="the chart's values.schema.json is not here (somebody else's file, so not in the "
    "repository); put it in work/data/z2jh.schema.json or name it in COURSE_Z2JH_SCHEMA",
)
def test_the_charts_own_schema_takes_the_values():
    jsonschema.validate(VALUES, json.loads(CHART.read_text(encoding="utf-8")))


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: one["kind"])
def test_the_objects_have_fields_that_kubernetes_has(one):
    schema("manifests").validate(one)


@pytest.mark.skipif(
    not find_spec("kubernetes_validate"),
    reason="kubernetes-validate is not installed (21 MB for one test); it holds all the schemas "
    "of Kubernetes",
)
@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: one["kind"])
def test_the_schemas_of_kubernetes_take_the_objects(one):
    import kubernetes_validate

    kubernetes_validate.validate(one, "1.33", strict=True)


@pytest.mark.parametrize(
    ("where", "key"), [("PodSpec", "hostusers"), ("Container", "procMounts"), ("Job", "spec2")]
)
def test_our_schema_refuses_a_misspelt_field(where, key):
    wrong = json.loads(json.dumps(job()))
    inner = wrong["spec"]["template"]["spec"]
    place = {"PodSpec": inner, "Container": inner["containers"][0], "Job": wrong}[where]
    place[key] = True
    assert not schema("manifests").is_valid(wrong)


def test_the_job_is_a_command_that_the_course_has():
    command = pod()["containers"][0]["command"]
    assert command[:3] == ["course", "cohort", "grade"]
    help = typer.testing.CliRunner().invoke(cohort.app, ["grade", "--help"]).output
    options = [word for word in command if word.startswith("--")]
    assert options and all(word in help for word in options)
    assert "--unsafe" in help and "--unsafe" not in command
    assert job()["metadata"]["labels"]["app"] == "cohort-grading"


def test_the_grading_pod_may_what_the_sandbox_needs_and_nothing_else():
    spec, container = pod(), pod()["containers"][0]
    assert spec["hostUsers"] is False  # without it the next line is refused
    assert container["securityContext"]["procMount"] == "Unmasked"
    for profile in ("seccompProfile", "appArmorProfile"):
        assert spec["securityContext"][profile] == {"type": "Unconfined"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    policy = next(one for one in OBJECTS if one["kind"] == "NetworkPolicy")["spec"]
    labels = job()["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"} and len(policy) == 2  # no rule


def test_names_agree_between_the_files():
    claims = {one["metadata"]["name"] for one in OBJECTS if one["kind"] == "PersistentVolumeClaim"}
    used = re.findall(r'claimName"?: "?(\w+)', (HERE / "values.yaml").read_text(encoding="utf-8"))
    used += re.findall(r"claimName: (\w+)", (HERE / "grade.yaml").read_text(encoding="utf-8"))
    assert set(used) == claims
    image = VALUES["singleuser"]["image"]
    assert pod()["containers"][0]["image"] == f"{image['name']}:{image['tag']}"
    assert f"-t {image['name']}:{image['tag']} ." in DOCKERFILE and image["name"] in README
    env = VALUES["singleuser"]["extraEnv"]
    inside = env["JUPYTER_CONFIG_PATH"].removeprefix("/opt/storyteller/")
    assert paths.ROOT / inside == room.CONFIG and "COPY . /opt/storyteller" in DOCKERFILE
    assert VALUES["singleuser"]["cmd"] == ["python", "-m", room.__name__]
    assert f"python -m {inboxes.__name__}" in README


def test_a_learner_sees_nbgraders_exchange_and_writes_to_one_inbox():
    """Oracle: nbgrader's layout, as `room.prepare` makes it."""
    env = VALUES["singleuser"]["extraEnv"]
    base = f"{env['COURSE_HUB_EXCHANGE']}/{env['COURSE_HUB_ID']}"
    mounts = VALUES["singleuser"]["storage"]["extraVolumeMounts"]
    seen = {one["mountPath"]: (one["subPath"], one.get("readOnly", False)) for one in mounts}
    assert set(seen) == {f"{base}/{name}" for name in room.EXCHANGE if name}
    course = f"exchange/{env['COURSE_HUB_ID']}"
    assert seen[f"{base}/outbound"] == (f"{course}/outbound", True)
    assert seen[f"{base}/feedback"] == (f"{course}/feedback", True)
    assert seen[f"{base}/inbound"] == ("inboxes/{unescaped_username}", False)


@pytest.mark.parametrize("name", ["instructor", "mia"])
def test_the_instructors_server_has_the_volumes_and_an_account_of_its_own(name):
    """The Python in values.yaml, run on a pod as KubeSpawner makes it."""
    hub = SimpleNamespace(KubeSpawner=SimpleNamespace())
    exec(VALUES["hub"]["extraConfig"]["instructor"], {"c": hub})
    mounts = [SimpleNamespace(name=one) for one in ("home", "shared", "shared", "shared")]
    env = [SimpleNamespace(name="COURSE_HUB_EXCHANGE"), SimpleNamespace(name="OTHER")]
    server = SimpleNamespace(env=env, volume_mounts=mounts, security_context={"runAsUser": 1000})
    given = SimpleNamespace(spec=SimpleNamespace(containers=[server], volumes=[]))
    spawner = SimpleNamespace(user=SimpleNamespace(name=name))
    assert hub.KubeSpawner.modify_pod_hook(spawner, given) is given
    if name == "mia":
        assert server.volume_mounts == mounts and given.spec.volumes == []
        assert server.env == env and server.security_context["runAsUser"] == 1000
        return
    assert server.security_context["runAsUser"] == 2000
    assert "useradd --uid 2000" in DOCKERFILE and "useradd --uid 1000" in DOCKERFILE
    assert [one["mountPath"] for one in server.volume_mounts[1:]] == ["/srv/shared", "/srv/cohort"]
    told = {one["name"]: one["value"] for one in server.env if isinstance(one, dict)}
    assert told["COURSE_HUB_EXCHANGE"] == "/srv/shared/exchange"
    # The Job grades the folder that the instructor's server makes.
    assert pod()["containers"][0]["command"][-1] == told["COURSE_HUB_COHORT"]
    assert {"name": "cohort", "mountPath": "/srv/cohort"} in pod()["containers"][0]["volumeMounts"]
    assert room.EXCHANGE and server.volume_mounts[0].name == "home"


def test_the_image_has_the_hubs_major_version_and_the_sandbox():
    """The chart's 4.x releases have JupyterHub 5; the server in a pod must be of the same major."""
    assert re.search(r"^ARG JUPYTERHUB=5\.", DOCKERFILE, re.M)
    assert '"jupyterhub==$JUPYTERHUB"' in DOCKERFILE and "bubblewrap" in DOCKERFILE
    pattern = re.search(r"sed -i '/(.*?)/Id'", DOCKERFILE)[1]
    lines = (paths.ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [one.split("==")[0] for one in lines if re.match(pattern, one, re.I)] == ["jupyterhub"]
