"""The version table: complete, in order, and true to itself."""

import dataclasses

import pytest

from quorate.core import QuorateError
from quorate.spec.versions import (
    ETCD_FLAWS,
    Range,
    below_floor,
    containerd_config,
    containerd_static,
    controller_fits,
    kubelet_fits,
    parts,
    supported,
    table,
)


def test_all_minors_are_there_in_order():
    assert supported() == tuple(f"1.{minor}" for minor in range(20, 38))


@pytest.mark.parametrize("version", ["1.20.2", "v1.20.2", "1.20", "1.20.0-rc.1", "1.20.2+k3s1"])
def test_a_version_finds_its_minor(version):
    assert table(version).kubernetes == "1.20"


@pytest.mark.parametrize("version", ["1.19.9", "1.38.0", "2.0.0", "1", "latest", ""])
def test_an_unknown_version_is_one_clear_line(version):
    with pytest.raises(QuorateError) as error:
        table(version)
    assert error.value.hint
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("version", supported())
def test_defaults_are_within_their_own_ranges(version):
    minor = table(version)
    assert minor.kubernetes == version
    assert minor.etcd in minor.etcd_range
    assert minor.containerd in minor.containerd_range
    assert (minor.docker is None) == (minor.docker_range is None)
    assert minor.docker is None or minor.docker in minor.docker_range
    assert minor.dockershim == (minor.docker is not None)
    assert minor.runtime_flag != minor.runtime_endpoint_field


@pytest.mark.parametrize("version", supported())
def test_no_default_has_a_known_flaw_or_is_below_a_floor(version):
    minor = table(version)
    assert not [flaw for flaw in ETCD_FLAWS if minor.etcd in flaw.releases]
    assert below_floor(minor.containerd, minor.containerd_floors) is None
    assert all(floor in minor.containerd_range for floor in minor.containerd_floors)


def test_etcd_releases_that_may_lose_data_are_never_installed():
    never = [flaw for flaw in ETCD_FLAWS if flaw.never]
    assert all(any(f"3.5.{patch}" in flaw.releases for flaw in never) for patch in range(6))
    assert not any(version in flaw.releases for flaw in never for version in ("3.4.23", "3.5.6", "3.6.0"))


@pytest.mark.parametrize(
    ("version", "least"),
    [
        ("1.6.38", "1.6.39"),
        ("1.6.39", None),
        ("1.7.27", "1.7.28"),
        ("2.0.5", "2.0.6"),
        ("2.1.3", None),
        ("2.4.0", None),
        ("1.5.18", "1.6.39"),
    ],
)
def test_a_floor_is_that_of_the_releases_own_line(version, least):
    assert below_floor(version, ("1.6.39", "1.7.28", "2.0.6", "2.1.3")) == least
    assert below_floor(version, ()) is None


@pytest.mark.parametrize(
    ("version", "field", "value"),
    [
        ("1.23", "dockershim", True),
        ("1.24", "dockershim", False),
        ("1.26", "runtime_endpoint_field", False),
        ("1.27", "runtime_endpoint_field", True),
        ("1.34", "sandbox_image_flag", True),
        ("1.35", "sandbox_image_flag", False),
        ("1.30", "fail_cgroup_v1_field", False),
        ("1.31", "fail_cgroup_v1_field", True),
        ("1.31", "authentication_api", None),
        ("1.33", "authentication_api", "apiserver.config.k8s.io/v1beta1"),
        ("1.36", "authentication_api", "apiserver.config.k8s.io/v1"),
        ("1.20", "pause_image", "registry.k8s.io/pause:3.2"),
        ("1.20", "coredns_image", "registry.k8s.io/coredns:1.7.0"),
        ("1.21", "coredns_image", "registry.k8s.io/coredns/coredns:v1.8.0"),
        ("1.28", "proxy_modes", ("iptables", "ipvs")),
        ("1.30", "nftables_gate", True),
        ("1.31", "nftables_gate", False),
        ("1.35", "ipvs_deprecated", True),
        ("1.34", "fail_cgroup_v1_default", False),
        ("1.35", "fail_cgroup_v1_default", True),
        ("1.33", "etcd_range", Range("3.5.11", "3.7.0")),
        ("1.34", "etcd_range", Range("3.5.21", "3.8.0")),
        ("1.36", "containerd_range", Range("1.6.0", "3.0.0")),
        ("1.20", "coredns", None),
        ("1.21", "coredns", "1.14.6"),
        ("1.30", "metrics_server", None),
        ("1.33", "metrics_server", "0.8.0"),
        ("1.34", "metrics_server", "0.9.0"),
    ],
)
def test_turning_points(version, field, value):
    assert getattr(table(version), field) == value


def test_a_minor_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        table("1.20").etcd = "3.6.0"


@pytest.mark.parametrize(
    ("apiserver", "kubelet", "fits"),
    [
        ("1.27.1", "1.25.0", True),
        ("1.27.1", "1.24.9", False),
        ("1.28.0", "1.25.0", True),
        ("1.28.0", "1.24.0", False),
        ("1.36.0", "1.33.9", True),
        ("1.36.0", "1.32.9", False),
        ("1.36.0", "1.36.9", True),
        ("1.35.0", "1.36.0", False),
        ("1.20.2", "1.18.0", True),
    ],
)
def test_kubelets_skew(apiserver, kubelet, fits):
    assert kubelet_fits(apiserver, kubelet) is fits


def test_controllers_skew():
    assert controller_fits("1.30.0", "1.30.5")
    assert controller_fits("1.30.0", "1.29.5")
    assert not controller_fits("1.30.0", "1.28.5")
    assert not controller_fits("1.30.0", "1.31.0")


def test_a_range_compares_numbers():
    assert "1.10.0" in Range("1.9.0", "2.0.0")
    assert "2.0.0" not in Range("1.9.0", "2.0.0")
    assert parts("v1.2.3-rc.1+x") == (1, 2, 3)


def test_containerds_static_archive_comes_with_1_7():
    assert not containerd_static("1.6.39")
    assert containerd_static("1.7.0")
    assert containerd_static("2.3.4")


def test_containerds_configuration_follows_its_version():
    assert containerd_config("1.7.34") == 2
    assert containerd_config("2.0.0") == 3
    assert table("1.20").containerd_config == 2
