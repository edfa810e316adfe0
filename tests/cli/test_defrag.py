"""`quorate defrag`: what is shown and asked before, and what stays as it is without a yes."""

import json
from collections.abc import Callable

import pytest
from fake_hosts import Hosts

Quorate = Callable[..., tuple[int, str, str]]
FULL, CORRUPT = "memberID:26 alarm:NOSPACE ", "memberID:26 alarm:CORRUPT "


class Store:
    """master01's member: its store, and what it was told."""

    def __init__(self, hosts: Hosts, size: int, in_use: int, *alarms: str) -> None:
        self.size, self.in_use, self.alarms, self.told = size, in_use, list(alarms), list[str]()
        self.room = 10**10
        hosts.acts = self.act

    def act(self, host: str, script: str) -> str:
        if host != "master01":
            return ""
        for word in ("compact --physical", "defrag 2>&1", "alarm disarm"):
            if word in script:
                self.told.append(word.split(" ")[0])
                self.alarms = [] if "disarm" in word else self.alarms
                self.size = self.in_use if "defrag" in word else self.size
                return "1500\n"
        return self.says(script) if "endpoint status" in script else ""

    def says(self, script: str) -> str:
        """The answers in the order of the questions: units, health, balancers, then the verb's own."""
        status = {
            "header": {"member_id": 26, "revision": 7},
            "leader": 26,
            "dbSize": self.size,
            "dbSizeInUse": self.in_use,
            "errors": self.alarms,
        }
        units = "Id=etcd.service\nLoadState=loaded\nActiveState=active\n"
        answers = [units, "", "", json.dumps([{"Status": status}]), "1e9\n", f"{self.room}\n"]
        return "\x02script\n" + "".join(f"\x01{number}\n{answer}" for number, answer in enumerate(answers))


def test_one_member_is_written_anew(quorate: Quorate, hosts: Hosts) -> None:
    store = Store(hosts, 400_000_000, 100_000_000)
    code, out, err = quorate("defrag", "--yes")
    assert (code, err) == (0, "")
    assert "etcd has one member: the API answers nothing for about 3 s." in out
    assert "master01: 400.0 MB -> 100.0 MB in 1.5 s" in out
    assert store.told == ["defrag"]
    assert hosts.took, "a writer holds the lock"
    code, out, _ = quorate("defrag", "--yes")
    assert (code, store.told) == (0, ["defrag"])
    assert "Nothing is to be gained" in out
    assert "defrag" in quorate("history")[1]


def test_a_full_store_is_cleared_in_order(quorate: Quorate, hosts: Hosts) -> None:
    store = Store(hosts, 1_000_000_000, 100_000_000, FULL)
    code, out, _ = quorate("defrag", "--yes", "--json")
    assert code == 0
    done = {"host": "master01", "before": 1_000_000_000, "after": 100_000_000, "seconds": 1.5, "rested": False}
    assert json.loads(out) == {"ok": True, "members": [done], "cleared": ["NOSPACE"]}
    assert store.told == ["compact", "defrag", "alarm"]


def test_an_alarm_that_can_not_be_cleared_is_an_error(quorate: Quorate, hosts: Hosts) -> None:
    store = Store(hosts, 1_000_000_000, 900_000_000, FULL)
    code, out, err = quorate("defrag", "--yes")
    assert code == 7
    assert "master01: 1.0 GB -> 900.0 MB" in out
    assert "error: the alarm stays: master01 900.0 MB, 900.0 MB in use, quota 1.0 GB" in err
    assert store.told == ["compact", "defrag"]


def test_damaged_data_and_a_cramped_disk_are_refused(quorate: Quorate, hosts: Hosts) -> None:
    store = Store(hosts, 400_000_000, 100_000_000, FULL, CORRUPT)
    code, _, err = quorate("defrag", "--yes")
    assert code == 4
    assert "nothing is defragmented: etcd has the alarm CORRUPT, raised by master01" in err
    store.alarms, store.room = [], 99_000_000
    code, _, err = quorate("defrag", "--yes")
    assert code == 4
    assert "master01: 99.0 MB are free beside etcd's store" in err
    assert store.told == []


def test_without_a_yes_nothing_is_done(quorate: Quorate, hosts: Hosts) -> None:
    store = Store(hosts, 400_000_000, 100_000_000)
    code, _, err = quorate("defrag")
    assert code == 1
    assert "add --yes" in err
    assert (store.told, hosts.scripts) == ([], [])


def test_hosts_that_do_not_answer_are_named(quorate: Quorate, hosts: Hosts) -> None:
    hosts.lost = {"master01": "no route"}
    code, _, err = quorate("defrag", "--yes")
    assert code == 6
    assert "master01: no route" in err


@pytest.mark.parametrize(("alarm", "told"), [(FULL, "`quorate defrag` makes room"), (CORRUPT, "must come anew")])
def test_status_tells_an_alarm_and_what_helps(quorate: Quorate, hosts: Hosts, alarm: str, told: str) -> None:
    Store(hosts, 400_000_000, 100_000_000, alarm)
    hosts.acts = _as_status(hosts.acts)
    code, out, _ = quorate("status")
    assert code == 1
    assert told in " ".join(out.split())
    assert f"alarm {alarm.split(':')[-1].strip()}" in out


def _as_status(act: Callable[[str, str], str]) -> Callable[[str, str], str]:
    """The same answers in the order of the questions of `status`."""

    def acts(host: str, script: str) -> str:
        said = act(host, script)
        if "\x01" not in said:
            return said
        units, _, _, member, quota, _ = (each.partition("\n")[2] for each in said.split("\x01")[1:])
        names = ("clock", "units", "health", "addresses", "files", "certificates", "users", "servers", "etcd", "up")
        answers = dict.fromkeys(names, "") | {"units": units}
        more = {"sysctl": "", "rules": "", "running": "", "endpoint": "", "member": member, "quota": quota}
        return "\x02script\n" + "".join(f"\x01{n}\n{each}" for n, each in enumerate((answers | more).values()))

    return acts
