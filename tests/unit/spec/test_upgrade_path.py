"""What moves when on the way between versions: every pair of releases, by the rules of upstream."""

from collections.abc import Mapping

import pytest

from quorate.spec.upgrade_path import CONTROL, ETCD, NODES, Move, etcd_stops, faults, way
from quorate.spec.versions import kubelet_fits, parts, table
from quorate.spec.versions_data import MINORS

PATCHES = {minor: f"{minor}.9" for minor in MINORS}


def of(kubernetes: str, **more: str) -> dict[str, str]:
    minor = table(kubernetes)
    return {"kubernetes": kubernetes, "etcd": minor.etcd, "containerd": minor.containerd, "runc": minor.runc, **more}


def told(moves: tuple[Move, ...]) -> list[str]:
    return [f"{move.part} {move.version}" for move in moves]


def test_three_minors_cost_one_drain() -> None:
    assert told(way(of("1.34.4"), of("1.37.2"), PATCHES)) == [
        "etcd 3.7.3",
        "control plane 1.35.9",
        "control plane 1.36.9",
        "control plane 1.37.2",
        "nodes 1.37.2",
    ]


def test_a_patch_is_two_moves_and_the_same_is_none() -> None:
    assert told(way(of("1.36.1"), of("1.36.3"), {})) == ["control plane 1.36.3", "nodes 1.36.3"]
    assert way(of("1.36.1"), of("1.36.1"), {}) == ()


def test_one_part_alone() -> None:
    assert told(way(of("1.36.3"), of("1.36.3", etcd="3.7.3"), {})) == ["etcd 3.7.3"]
    assert told(way(of("1.36.3"), of("1.36.3", containerd="2.4.2"), {})) == ["nodes 1.36.3"]


def test_etcd_stops_at_each_line_and_at_its_floor() -> None:
    assert etcd_stops("3.4.23", "3.6.16") == ("3.5.35", "3.6.16")
    assert etcd_stops("3.5.12", "3.6.16") == ("3.5.35", "3.6.16")
    assert etcd_stops("3.5.33", "3.7.3") == ("3.6.16", "3.7.3")
    assert etcd_stops("3.6.5", "3.7.3") == ("3.6.16", "3.7.3")
    assert etcd_stops("3.6.16", "3.6.16") == ()


@pytest.mark.parametrize("low", MINORS)
@pytest.mark.parametrize("high", MINORS)
def test_every_pair_keeps_the_rules_or_is_refused(low: str, high: str) -> None:
    now, goal = of(f"{low}.1"), of(f"{high}.2")
    refused = list(faults(now, goal, PATCHES))
    if parts(high) < parts(low):
        assert [part for part, _, _ in refused] == ["kubernetes"]
        return
    assert refused == []
    keeps(now, goal, way(now, goal, PATCHES))


def keeps(now: Mapping[str, str], goal: Mapping[str, str], moves: tuple[Move, ...]) -> None:
    """Upstream's rules at each moment of the way."""
    servers, nodes, etcd = now["kubernetes"], now["kubernetes"], now["etcd"]
    for move in moves:
        if move.part == CONTROL:
            assert parts(move.version)[1] - parts(servers)[1] <= 1, "no minor is skipped"
            servers = move.version
        elif move.part == NODES:
            nodes = move.version
        else:
            assert move.part == ETCD
            assert parts(move.version)[1] - parts(etcd)[1] <= 1
            for each in {servers, move.versions["kubernetes"]}:
                assert move.version in table(each).etcd_range, "both sides bear it"
            etcd = move.version
        assert kubelet_fits(servers, nodes)
        assert etcd in table(servers).etcd_range
    assert (servers, nodes, etcd) == (goal["kubernetes"], goal["kubernetes"], goal["etcd"])
    ends = [move.version for move in moves if move.part == NODES]
    for at, move in enumerate(moves):
        if move.part == NODES and move.version != ends[-1]:
            before = next((each.version for each in reversed(moves[:at]) if each.part == NODES), now["kubernetes"])
            after = next(each.version for each in moves[at:] if each.part == CONTROL)
            assert not kubelet_fits(after, before), "no drain but where the next API server would be too new"


def test_what_no_way_leads_to_is_told_with_a_fix() -> None:
    assert [why for _, why, _ in faults(of("1.34.4"), of("1.37.2"), {"1.35": "1.35.4"})] == [
        "1.34.4 -> 1.37.2: API servers skip no minor, and the artifact source has no 1.36"
    ]
    for now, goal in (
        (of("1.36.3"), of("1.36.3", etcd="3.5.35")),
        (of("1.36.3", containerd="2.4.2"), of("1.36.3", containerd="2.3.7")),
        (of("1.28.3", containerd="1.6.30"), of("1.29.3", containerd="2.0.1")),
    ):
        (found,) = faults(now, goal, PATCHES)
        assert found[2]
