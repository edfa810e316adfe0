"""How registries and mirrors are asked: what lies on a worker, whom a login goes to, and what goes with it."""

import base64
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from past_clusters import context
from staging import compile_cluster

from quorate.component import kubelet, runtime
from quorate.component.context import Context
from quorate.component.settings import registry
from quorate.core import LocalError, PlanError, SpecError
from quorate.execute import named_files
from quorate.plan.step import Plan, Step
from quorate.procedure.adopt import missing
from quorate.resource.file import Directory, File
from quorate.resource.removal import Removal
from quorate.spec.cluster import Cluster
from quorate.spec.load import load

LOGIN = "robot$pull:s3cret:with:colons"
BASIC = "Basic " + base64.b64encode(LOGIN.encode()).decode()
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
MIRROR = "m.example:5000"
ACCESS = {"ca_file": "/ca.pem", "login_file": "/login"}


def cluster(**given: object) -> Cluster:
    hosts = (
        {"name": "m1", "address": "10.0.9.11", "roles": ["control-plane", "etcd"]},
        {"name": "n1", "address": "10.0.9.14", "roles": ["worker"]},
    )
    return Cluster.model_validate({"name": "c", "versions": {"kubernetes": "1.20.2"}, "hosts": hosts, "runtime": given})


def asked(c: Cluster, name: str, **authorities: str) -> dict[str, dict[str, Any]]:
    """Whom containerd asks for a registry's images; who may have a login has `LOGIN`."""
    access = c.runtime.registry_access
    logins = {server: LOGIN for server, given in access.items() if given.login_file}
    paths = {server: f"/ca/{server}" for server, given in access.items() if given.ca_file}
    return registry.hosts(c, name, logins, paths | authorities)


def test_a_mirror_is_asked_as_containerd_does_by_itself() -> None:
    c = cluster(registry_mirrors={"docker.io": ["https://m.example", "https://m.example/path", "http://plain"]})
    plain = {"capabilities": ["pull", "resolve"]}
    assert asked(c, "docker.io") == {
        "https://m.example": plain,
        "https://m.example/path": plain,
        "http://plain": plain,
    }


@pytest.mark.parametrize("path", ["/v2/project", "/v2", "/v2/", "/proxy/v2/a/b"])
def test_a_path_with_v2_is_taken_as_it_is(path: str) -> None:
    url = f"https://m.example{path}"
    assert asked(cluster(registry_mirrors={"r": [url]}), "r")[url]["override_path"] is True


@pytest.mark.parametrize("path", ["/v2x", "/av2/b", "/V2"])
def test_other_paths_get_their_v2_of_containerd(path: str) -> None:
    url = f"https://m.example{path}"
    assert "override_path" not in asked(cluster(registry_mirrors={"r": [url]}), "r")[url]


def test_the_file_may_say_how_a_path_is_taken(tmp_path: Path) -> None:
    plain, versioned = "https://m.example/docker", "https://m.example/api/v2/hub"
    mirrors: dict[str, Any] = {"docker.io": [plain, versioned, "https://m.example", "https://other.example/x"]}

    def taken(*, as_it_is: bool) -> set[str]:
        access = {"m.example": {"override_path": as_it_is}}
        found = asked(cluster(registry_mirrors=mirrors, registry_access=access), "docker.io")
        return {url for url, about in found.items() if "override_path" in about}

    assert taken(as_it_is=True) == {plain, versioned}
    assert taken(as_it_is=False) == set()
    file = tmp_path / "cluster.yaml"
    hosts = "name: c\nhosts:\n  - {name: a, address: 192.168.1.1, roles: [control-plane, etcd, worker]}\n"
    end = "runtime: {registry_mirrors: {docker.io: ['https://m.example']}, registry_access: "
    file.write_text(f"{hosts}{end}{{m.example: {{override_path: true}}}}}}\n")
    with pytest.raises(SpecError, match=r"no mirror has a URL with a path there"):
        load(file)


def test_a_mirror_gets_its_own_authority_and_login_alone() -> None:
    urls = [f"https://{MIRROR}/v2/project", "https://m.example/v2/project", "https://other.example"]
    c = cluster(registry_mirrors={"registry.k8s.io": urls}, registry_access={MIRROR: ACCESS})
    mine, *others = asked(c, "registry.k8s.io").values()
    assert (mine["ca"], mine["header"]) == (f"/ca/{MIRROR}", {"Authorization": [BASIC]})
    assert all(about.keys() <= {"capabilities", "override_path"} for about in others), "another port is another server"


def test_an_insecure_registry_is_asked_after_its_mirrors() -> None:
    c = cluster(registry_mirrors={"r:5000": ["https://m.example"]}, insecure_registries=["r:5000"])
    found = asked(c, "r:5000")
    assert list(found) == ["https://m.example", "https://r:5000", "http://r:5000"]
    assert [about.get("skip_verify", False) for about in found.values()] == [False, True, False]


def test_a_mirror_may_be_an_insecure_one() -> None:
    c = cluster(registry_mirrors={"r": ["https://m.example/v2/x"]}, insecure_registries=["m.example"])
    assert asked(c, "r")["https://m.example/v2/x"]["skip_verify"] is True
    assert registry.registries(c) == ["r", "m.example"]


def test_a_registry_is_asked_itself_with_what_is_told_of_it() -> None:
    c = cluster(registry_mirrors={"r": ["https://m.example"]}, registry_access={"r": ACCESS})
    assert asked(c, "r") == {
        "https://m.example": {"capabilities": ["pull", "resolve"]},
        "https://r": {"capabilities": ["pull", "resolve"], "ca": "/ca/r", "header": {"Authorization": [BASIC]}},
    }


def test_the_hub_answers_under_another_name_and_its_login_is_its_own() -> None:
    c = cluster(
        registry_mirrors={"quay.io": ["https://registry-1.docker.io"]},
        registry_access={"docker.io": {"login_file": "/l"}, "quay.io": {"ca_file": "/c"}},
    )
    [hub] = asked(c, "docker.io")
    assert hub == "https://registry-1.docker.io"
    assert asked(c, "docker.io")[hub]["header"] == {"Authorization": [BASIC]}
    quay = asked(c, "quay.io")
    assert quay[hub] == asked(c, "docker.io")[hub], "the hub is asked as the hub, whatever it mirrors"
    assert quay["https://quay.io"] == {"capabilities": ["pull", "resolve"], "ca": "/ca/quay.io"}


def given(c: Cluster, was: Cluster | None = None) -> Context:
    """The inputs of `compile` with the texts and logins that the file asks for."""
    access = c.runtime.registry_access
    return replace(
        context(c, was),
        texts={f"ca-of {server}": CA for server, one in access.items() if one.ca_file},
        logins={server: LOGIN for server, one in access.items() if one.login_file},
    )


def files(c: Cluster) -> dict[str, File]:
    made = compile_cluster(given(c)).resources
    return {one.path: one for one in made if isinstance(one, File) and one.host == "n1"}


def test_what_lies_on_a_worker() -> None:
    mirrors = {"registry.k8s.io": [f"https://{MIRROR}/v2/project"], "docker.io": ["https://open.example"]}
    found = files(cluster(registry_mirrors=mirrors, registry_access={MIRROR: ACCESS}))
    for name in ("registry.k8s.io", MIRROR):
        file = found[f"{runtime.HOSTS}/{name}/hosts.toml"]
        assert (file.mode, file.secret) == ("0600", True), name
        [about] = tomllib.loads(file.content)["host"].values()
        assert about["ca"] == f"{runtime.AUTHORITIES}/m.example_5000.crt"
        assert about["header"] == {"Authorization": [BASIC]}
    assert tomllib.loads(found[f"{runtime.HOSTS}/registry.k8s.io/hosts.toml"].content)["host"].keys() == {
        f"https://{MIRROR}/v2/project"
    }
    other = found[f"{runtime.HOSTS}/docker.io/hosts.toml"]
    assert (other.mode, other.secret) == ("0644", False)
    authority = found[f"{runtime.AUTHORITIES}/m.example_5000.crt"]
    assert (authority.content, authority.mode, authority.secret) == (CA, "0644", False)
    credentials = found[kubelet.CREDENTIALS]
    assert (credentials.mode, credentials.secret) == ("0600", True)


def test_no_other_file_holds_the_login_and_no_other_host_has_one() -> None:
    made = compile_cluster(given(cluster(registry_access={MIRROR: ACCESS}))).resources
    word = BASIC.removeprefix("Basic ")
    held = {one.key for one in made if isinstance(one, File) and (word in one.content or LOGIN in one.content)}
    assert {key.host for key in held} == {"n1"}
    assert {key.name for key in held} == {f"{runtime.HOSTS}/{MIRROR}/hosts.toml", kubelet.CREDENTIALS}
    shown = repr(made) + "".join(f"{one.desired}{one.probe()}" for one in made)
    assert word not in shown
    assert LOGIN not in shown


def test_a_context_and_a_plan_show_no_login() -> None:
    inputs = given(cluster(registry_access={MIRROR: ACCESS}))
    compiled = compile_cluster(inputs)
    plan = Plan({one.key: Step(one, {}) for one in compiled.ordered}, compiled.needs)
    for text in (repr(inputs), repr(plan), "".join(str(step.diff) for step in plan.steps.values())):
        assert LOGIN not in text
        assert BASIC.removeprefix("Basic ") not in text


def test_without_a_login_nothing_is_secret_and_the_kubelet_gets_no_file() -> None:
    found = files(cluster(registry_access={MIRROR: {"ca_file": "/ca.pem"}}))
    hosts = found[f"{runtime.HOSTS}/{MIRROR}/hosts.toml"]
    assert (hosts.mode, hosts.secret) == ("0644", False)
    assert kubelet.CREDENTIALS not in found
    assert not any(path.startswith(runtime.AUTHORITIES) for path in files(cluster()))


def test_the_kubelets_file_has_dockers_form_and_the_hubs_old_name() -> None:
    c = cluster(registry_access={name: {"login_file": "/l"} for name in ("docker.io", MIRROR)})
    auth = {"auth": BASIC.removeprefix("Basic ")}
    found = json.loads(files(c)[kubelet.CREDENTIALS].content)
    assert found == {"auths": {"https://index.docker.io/v1/": auth, MIRROR: auth}}


def test_no_mirror_gets_the_login_of_the_registry() -> None:
    """The runtime gives what it has from the kubelet to whom it asks, its mirrors included."""
    access = {name: {"login_file": "/l"} for name in ("r", MIRROR)}
    found = files(cluster(registry_mirrors={"r": [f"https://{MIRROR}"]}, registry_access=access))
    assert list(json.loads(found[kubelet.CREDENTIALS].content)["auths"]) == [MIRROR]
    own = tomllib.loads(found[f"{runtime.HOSTS}/r/hosts.toml"].content)["host"]["https://r"]
    assert own["header"] == {"Authorization": [BASIC]}, "it has its own from here"


def test_docker_finds_authorities_where_it_looks() -> None:
    found = files(cluster(kind="docker", registry_access={MIRROR: ACCESS}))
    assert found[f"/etc/docker/certs.d/{MIRROR}/ca.crt"].content == CA
    assert list(json.loads(found[kubelet.CREDENTIALS].content)["auths"]) == [MIRROR]
    assert "registry" not in found[runtime.DOCKER].content


@pytest.mark.parametrize("kind", ["containerd", "docker"])
def test_what_is_told_no_more_goes(kind: str) -> None:
    compiled = compile_cluster(given(cluster(kind=kind), cluster(kind=kind, registry_access={MIRROR: ACCESS})))
    gone = [one for removal in compiled.ordered if isinstance(removal, Removal) for one in removal.resources]
    paths = {one.path for one in gone if isinstance(one, File) and one.host == "n1"}
    wanted = {f"{runtime.HOSTS}/{MIRROR}/hosts.toml", f"{runtime.AUTHORITIES}/m.example_5000.crt", kubelet.CREDENTIALS}
    if kind == "docker":
        wanted.add(f"/etc/docker/certs.d/{MIRROR}/ca.crt")
    assert paths - {runtime.CRICTL} == wanted
    inside = {one.path: one.within for one in gone if isinstance(one, Directory) and one.host == "n1"}
    assert inside[f"{runtime.HOSTS}/{MIRROR}"] == runtime.HOSTS, "which stays, though empty"
    assert inside[runtime.AUTHORITIES] == "/etc/containerd"


def written(folder: Path, runtime_: str) -> Path:
    (folder / "ca.pem").write_text(CA.rstrip())
    (folder / "login").write_text(f"{LOGIN}\r\nsecond line\n")
    (folder / "login").chmod(0o600)
    path = folder / "cluster.yaml"
    path.write_text(
        "name: demo\nhosts:\n  - {name: a, address: 192.168.1.1, roles: [control-plane, etcd, worker]}\n"
        f"runtime: {runtime_}\n"
    )
    return path


def test_the_files_are_read(tmp_path: Path) -> None:
    c = load(written(tmp_path, f"{{registry_access: {{'{MIRROR}': {{ca_file: ca.pem, login_file: login}}}}}}"))
    assert named_files.texts_of(c) == {f"ca-of {MIRROR}": CA}, "a here-document wants an end of line"
    assert named_files.registry_logins(c) == {MIRROR: LOGIN}


def test_a_variable_holds_a_login_and_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = load(written(tmp_path, f"{{registry_access: {{'{MIRROR}': {{login_file: 'env:REGISTRY_LOGIN'}}}}}}"))
    with pytest.raises(LocalError, match="REGISTRY_LOGIN is not set"):
        named_files.registry_logins(c)
    monkeypatch.setenv("REGISTRY_LOGIN", LOGIN)
    assert named_files.registry_logins(c) == {MIRROR: LOGIN}
    assert missing(c) == []


def test_a_variable_that_holds_no_login_is_told_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = load(written(tmp_path, f"{{registry_access: {{'{MIRROR}': {{login_file: 'env:REGISTRY_TOKEN'}}}}}}"))
    monkeypatch.setenv("REGISTRY_TOKEN", "hunter2")
    with pytest.raises(PlanError, match=MIRROR) as caught:
        named_files.registry_logins(c)
    assert "USER:PASSWORD" in caught.value.hint
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"


def test_adopt_tells_which_files_are_missing(tmp_path: Path) -> None:
    c = load(written(tmp_path, "{registry_access: {r: {ca_file: ca.pem, login_file: login}}}"))
    (tmp_path / "ca.pem").unlink()
    (tmp_path / "login").unlink()
    around = "runtime.registry_access.r."
    assert missing(c) == [(f"{around}ca_file", tmp_path / "ca.pem"), (f"{around}login_file", tmp_path / "login")]


MISTAKES = {
    "nothing told": ("{registry_access: {r: {}}}", "r", "{}"),
    "insecure": (
        "{insecure_registries: [r], registry_access: {r: {ca_file: ca.pem, login_file: login}}}",
        "r.login_file",
        "{registry_access: {r: {ca_file: ca.pem, login_file: login}}}",
    ),
    "insecure, a login alone": (
        "{insecure_registries: [r], registry_access: {r: {login_file: login}}}",
        "r",
        "{insecure_registries: [r]}",
    ),
    "plain": (
        "{registry_mirrors: {q: ['http://r/v2/x']}, registry_access: {r: {ca_file: ca.pem, login_file: login}}}",
        "r.login_file",
        "{registry_mirrors: {q: ['https://r/v2/x']}, registry_access: {r: {ca_file: ca.pem, login_file: login}}}",
    ),
    "a mirror of docker": (
        "{kind: docker, registry_mirrors: {docker.io: ['https://r']}, registry_access: {r: {login_file: login}}}",
        "r",
        "{kind: docker, registry_mirrors: {docker.io: ['https://r']}}",
    ),
    "the hub behind docker": (
        "{kind: docker, registry_mirrors: {docker.io: ['https://m']},"
        " registry_access: {docker.io: {ca_file: ca.pem, login_file: login}}}",
        "docker.io.login_file",
        "{kind: docker, registry_mirrors: {docker.io: ['https://m']}, registry_access: {docker.io: {ca_file: ca.pem}}}",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_told_of_a_mistake_leads_out(tmp_path: Path, mistake: str) -> None:
    wrong, field, mended = MISTAKES[mistake]
    path = written(tmp_path, wrong)
    old = "versions: {kubernetes: 1.20.2}\n"
    path.write_text(path.read_text() + old)
    with pytest.raises(SpecError) as caught:
        load(path)
    [problem] = caught.value.problems
    assert problem.field == f"runtime.registry_access.{field}"
    assert problem.fix
    assert LOGIN not in str(problem)
    mended_path = written(tmp_path, mended)
    mended_path.write_text(mended_path.read_text() + old)
    assert load(mended_path)


def test_containerd_keeps_apart_what_docker_cannot(tmp_path: Path) -> None:
    """Another kind is a way out of each of Docker's rules."""
    mirrors = "registry_mirrors: {docker.io: ['https://m/v2/x'], q: ['https://m']}"
    access = "registry_access: {docker.io: {login_file: login}, m: {login_file: login}}"
    assert load(written(tmp_path, f"{{{mirrors}, {access}}}"))
