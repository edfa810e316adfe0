"""What quorate knows of flags, gates and fields: consistent, small, read when it is needed, and what programs say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import look
import pytest
from built import programs

from quorate.component.context import Context
from quorate.component.runtime import containerd
from quorate.render import toml
from quorate.spec import known
from quorate.spec.cluster import Cluster
from quorate.spec.facts import Facts
from quorate.spec.known.fit import misfits
from quorate.spec.secrets import Secrets
from quorate.spec.supply import Supply
from quorate.spec.versions import supported, table

SUBJECTS = ("flags", "gates", "fields", "apis")
DAEMONS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
KINDS = ("KubeletConfiguration", "KubeProxyConfiguration", "KubeSchedulerConfiguration")
PROGRAMS = Path(os.environ["PROGRAMS"]) if os.environ.get("PROGRAMS") else None
"""Laid out as `kubernetes-1.37.2/bin`; else those of the cache are asked."""


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_file_is_as_make_versions_writes_it(subject: str) -> None:
    path = look.KNOWN / f"{subject}.json"
    data = look.load(subject)
    assert path.read_text() == look.text(data)
    for name, changes in data.items():
        if name not in ("origin", "read"):
            assert look.fold(look.unfold(changes)) == changes, name
            before: set[str] = set()
            for minor, change in changes.items():
                assert set(change["-"]) <= before, f"{name} {minor}"
                before = (before | set(change["+"])) - set(change["-"])


def test_all_together_are_small() -> None:
    assert sum((look.KNOWN / f"{subject}.json").stat().st_size for subject in SUBJECTS) < 150_000


@pytest.mark.parametrize("version", supported())
def test_every_minor_is_known(version: str) -> None:
    for daemon in DAEMONS:
        assert {"v", "config"} & set(known.flags(daemon).at(version) or ()), daemon
    for kind in KINDS:
        assert f"{kind}.apiVersion" in (known.fields(kind).at(version) or {}), kind


def test_the_newest_was_read_off_its_programs() -> None:
    newest = supported()[-1]
    assert known.flags("kube-apiserver").exact(newest)
    assert known.gates("kubernetes").exact(newest)
    assert known.flags("etcd").exact(table(newest).etcd)
    assert known.fields("containerd").exact(table(newest).containerd)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    hosts = '[{"name": "a", "address": "10.0.0.1", "roles": ["master", "etcd", "worker"]}]'
    file.write_text(f"name: c\nhosts: {hosts}\n")
    words = (
        "import sys; from pathlib import Path; from quorate.spec.load import load; from quorate.spec import known; "
        f"load(Path({str(file)!r})); sys.exit(known._file.cache_info().currsize)"
    )
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def test_a_table_tells_when_a_name_came_and_went() -> None:
    flags = known.flags("etcd")
    assert flags.gone("enable-v2", "3.7.3") == "3.6"
    assert flags.gone("enable-v2", "3.5.35") is None
    assert flags.comes("feature-gates", "3.5.1") == "3.6"
    assert flags.at("3.4.45") is None
    kubelet = known.flags("kubelet")
    assert kubelet.gone("network-plugin", "1.37.0") == "1.24"


def test_what_fits_a_field() -> None:
    types = {
        "A.text": "string", "A.wait": "Duration", "A.size": "Quantity", "A.on": "bool", "A.count": "int32",
        "A.ratio": "float64", "A.names": "[]string", "A.b": "B", "A.list": "[]B", "A.map": "map[string]B", "A.x": "any",
        "B.text": "string",
    }  # fmt: skip
    good = {
        "text": "", "wait": "1h2m0.5s", "size": "1.5Gi", "on": False, "count": 0, "ratio": 1, "names": [], "b": {},
        "list": [{"text": "x"}], "map": {"any name": {"text": "x"}}, "x": [{}],
    }  # fmt: skip
    assert list(misfits(good, "A", types)) == []
    assert list(misfits(dict.fromkeys(good), "A", types)) == []
    bad = {
        "text": 1, "wait": 10, "size": "1.5 GB", "on": "true", "count": True, "ratio": "1", "names": "a", "b": [],
        "list": [{"text": "x"}, {"texd": "x"}], "map": {"name": {"text": 1}}, "y": 1,
    }  # fmt: skip
    found = {misfit.where: misfit.field or misfit.wanted for misfit in misfits(bad, "A", types)}
    assert found == {
        ("text",): "text, in quotes",
        ("wait",): "a duration such as 10s or 1h30m",
        ("size",): "an amount such as 500m or 1Gi",
        ("on",): "true or false",
        ("count",): "a whole number",
        ("ratio",): "a number",
        ("names",): "a list",
        ("b",): "fields with values",
        ("list", 1, "texd"): "B.texd",
        ("map", "name", "text"): "text, in quotes",
        ("y",): "A.y",
    }


def newest(part: str, work: Path) -> tuple[str, Path]:
    """The newest built version of a part, and the folder of its programs."""
    found = programs(part, work, PROGRAMS, newest=True)
    if not found:
        pytest.skip(f"no {part} was built here: `quorate build {table(supported()[-1]).kubernetes}.0` does")
    return list(found.items())[-1]


def said(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def test_kubernetes_programs_say_the_same(tmp_path: Path) -> None:
    """All that --help tells is known, and what is known is taken, or at least not called unknown."""
    version, place = newest("kubernetes", tmp_path)
    gates = known.gates("kubernetes").at(version) or {}
    for daemon in DAEMONS:
        if not (place / daemon).exists():
            continue
        text = said(place / daemon, "--help")
        shown = set(re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", text, re.MULTILINE))
        mine = set(known.flags(daemon).at(version) or ())
        assert len(shown) > 20
        assert shown <= mine, shown - mine
        for hidden in mine - shown - {"help"}:
            assert "unknown flag" not in said(place / daemon, f"--{hidden}=nonsense", "--version"), hidden
        assert "unknown flag" in said(place / daemon, "--quorate-nonsense=1", "--version")
        # Not the default: --help tells that of a gate with a least compatibility version as if there were none.
        for name, stage in re.findall(r"(?:\w+:)?(\w+)=true\|false \(([A-Z]+) - default=", text):
            assert gates.get(name, "").startswith(f"{stage.lower()} "), name


def test_etcd_says_the_same(tmp_path: Path) -> None:
    version, place = newest("etcd", tmp_path)
    tables = look.etcd(place)
    assert set(tables["flags"]["etcd"]) == set(known.flags("etcd").at(version) or ())
    assert tables["gates"]["etcd"] == known.gates("etcd").at(version)


def ours(version: str) -> dict[str, object]:
    """containerd's configuration as quorate writes it."""
    host = {"name": "a", "address": "10.0.0.1", "roles": ["master", "etcd", "worker"]}
    cluster = Cluster.model_validate({"name": "c", "hosts": [host]})
    context = Context(cluster, Facts(), Supply(versions={"containerd": version}), Secrets(), table("1.37"))
    return containerd(context, cluster.hosts[0])


def test_containerd_reads_every_field_that_quorate_writes(tmp_path: Path) -> None:
    version, place = newest("containerd", tmp_path)
    own = look.containerd(place)["fields"]["containerd"]
    assert own == known.fields("containerd").at(version)
    config = tmp_path / "config.toml"
    config.write_text(toml.dump(ours(version)))
    told = said(place / "containerd", "--config", config, "config", "migrate")
    assert "unknown key" not in told, told
    assert "/etc/cni/net.d" in told
    config.write_text(config.read_text().replace("restrict_oom_score_adj", "restrict_oom_nonsense"))
    assert "unknown key" in said(place / "containerd", "--config", config, "config", "migrate")


def test_the_older_kind_of_configuration_has_known_fields() -> None:
    """containerd 1.7's own default is of the version 2 that quorate writes for it; later ones migrate version 3."""
    fields = known.fields("containerd").at("1.7.35")
    assert fields is not None
    mine = set(dict(look.paths(json.loads(json.dumps(ours("1.7.35"))))))
    assert mine <= set(fields), mine - set(fields)
