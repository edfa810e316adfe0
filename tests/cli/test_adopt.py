"""`passphrase`, `apply`, `adopt`, `history`: a state folder that is lost comes back, from hosts that run real sh."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import asyncssh
from copy_site import CLUSTER, PLACES, SECRET, Site, write_key
from fake_hosts import Hosts

from quorate.spec.layout import COPY
from quorate.state import age
from quorate.state.store import Store

Quorate = Callable[..., tuple[int, str, str]]


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): (stat.S_IMODE(p.stat().st_mode), p.read_bytes()) for p in files}


def applied(quorate: Quorate) -> None:
    """These hosts do nothing that they are told, so an apply fails; what it began is in its copies all the same."""
    assert quorate("passphrase", "--from", "passphrase")[0] == 0
    assert quorate("apply", "--yes")[0] == 7


ADOPT = ("adopt", "192.0.2.12", "--into", "new", "--passphrase-from", "passphrase", "--yes")


def test_a_lost_state_folder_comes_back(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    applied(quorate)
    state, new = tmp_path / ".quorate/tiny", tmp_path / "new/.quorate/tiny"
    planned = json.loads(quorate("plan", "--json")[1])
    before = tree(state)
    shutil.rmtree(tmp_path / ".quorate")
    code, _, err = quorate("plan")
    assert code == 4, "new keys for a cluster that has some would be the end of it"
    assert "quorate adopt 192.0.2.11" in err
    code, out, _ = quorate(*ADOPT)
    assert code == 0
    assert "new/cluster.yaml names" in out.replace("cluster.yaml names", "new/cluster.yaml names")
    assert "in ssh.key, which is not on this machine" in out
    assert (tmp_path / "new/cluster.yaml").read_text() == CLUSTER
    after = tree(new)
    pins = after.pop("known_hosts")
    assert pins[1].count(b"ssh-ed25519") == len(PLACES), "so that plan works at once"
    before.pop("journal.jsonl")
    assert {**after, "journal.jsonl": None} == {**before, "journal.jsonl": None}
    assert [mode for mode, _ in after.values()] == [0o600] * len(after)
    assert sorted(site.asked) == ["master01", "master02", "master03"]
    write_key(tmp_path / "new/id")
    again = json.loads(quorate("plan", "--json", "-f", "new/cluster.yaml")[1])
    assert again["lines"] == planned["lines"], "the same keys, digest by digest"
    assert quorate("history", "-f", "new/cluster.yaml")[1].count("apply") == 1
    assert quorate(*ADOPT)[0] == 0, "the same again changes nothing"


def test_what_was_given_here_is_how_hosts_are_reached_from_here(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    applied(quorate)
    write_key(tmp_path / "mine")
    assert quorate(*ADOPT, "--key", "mine", "--user", "ops", "--port", "2222")[0] == 0
    ssh = site.targets["master01"]
    assert (ssh.user, ssh.port, ssh.key) == ("ops", 2222, tmp_path / "mine")
    told = (tmp_path / "new/.quorate/tiny/ssh.yaml").read_text()
    assert told == f'user: "ops"\nport: 2222\nkey: "{tmp_path}/mine"\n'


def test_the_newest_copy_is_taken(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    applied(quorate)
    shutil.copytree(site.copy("master02"), tmp_path / "old")
    (tmp_path / "cluster.yaml").write_text(CLUSTER + "proxy: {}\n")
    assert quorate("apply", "--yes")[0] == 7
    shutil.rmtree(site.copy("master02"))
    shutil.copytree(tmp_path / "old", site.copy("master02"))
    site.lost = {"master01"}
    code, out, _ = quorate(*ADOPT, "--json")
    told = json.loads(out)
    assert (code, told["copy_of"], told["sequence"]) == (0, "master03", 2)
    assert told["not_asked"].keys() == {"master01"}
    assert told["missing"] == {"ssh.key": str(tmp_path / "new/id")}
    assert (tmp_path / "new/cluster.yaml").read_text().endswith("proxy: {}\n")


def test_wrong_keys_and_no_keys(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    applied(quorate)
    (tmp_path / "passphrase").write_text("something else\n")
    code, _, err = quorate(*ADOPT)
    assert (code, "does not open the copy of 192.0.2.12" in err) == (1, True)
    (tmp_path / "passphrase").chmod(0o644)
    assert "chmod 600" in quorate(*ADOPT)[2]
    (tmp_path / "other").write_text(age.make_identity())
    words = ("adopt", "192.0.2.12", "--into", "new", "--yes")
    assert "not sealed for this key" in quorate(*words, "--identity", "other")[2]
    assert "holds no private key" in quorate(*words, "--identity", "cluster.yaml")[2]
    assert "--passphrase-from" in quorate(*words, "--json")[1]
    assert not (tmp_path / "new").exists()


def test_the_key_of_a_recipient_opens_it(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    mine = age.make_identity()
    (tmp_path / "age.key").write_text(f"# public key: {age.public(mine)}\n{mine}\n")
    (tmp_path / "cluster.yaml").write_text(f"{CLUSTER}state: {{recipients: [{age.public(mine)}]}}\n")
    assert quorate("apply", "--yes")[0] == 7
    assert not (site.copy("master01") / "identity.age").exists()
    code, _, err = quorate(*ADOPT)
    assert (code, "has no passphrase" in err, "--identity" in err) == (1, True, True)
    assert quorate("adopt", "192.0.2.12", "--into", "new", "--yes", "--identity", "age.key")[0] == 0
    assert (tmp_path / "new/.quorate/tiny/pki/ca.key").read_bytes() == (
        tmp_path / ".quorate/tiny/pki/ca.key"
    ).read_bytes()


def test_a_damaged_copy_is_refused_and_another_host_has_a_good_one(
    quorate: Quorate, site: Site, tmp_path: Path
) -> None:
    applied(quorate)
    path = site.copy("master02") / "state.age"
    whole = path.read_bytes()
    for bad in (whole[:-1], whole[:30], b"", whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:]):
        path.write_bytes(bad)
        code, _, err = quorate(*ADOPT)
        assert (code, "the copy of 192.0.2.12 is damaged" in err) == (1, True)
        assert "another host" in err
        assert not (tmp_path / "new").exists()
    code, out, _ = quorate("adopt", "192.0.2.11", *ADOPT[2:])
    assert code == 0
    assert "whether the copy of master02 is newer is not known" in out


def test_a_copy_of_another_cluster_is_refused(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    applied(quorate)
    shutil.copytree(site.copy("master02"), tmp_path / "tiny-copy")
    shutil.copytree(tmp_path / ".quorate/tiny/copy", tmp_path / ".quorate/other/copy")
    (tmp_path / ".quorate/other/copy/last").unlink()
    (tmp_path / "cluster.yaml").write_text(CLUSTER.replace("name: tiny", "name: other", 1))
    assert quorate("apply", "--yes")[0] == 7
    shutil.rmtree(site.copy("master02"))
    shutil.copytree(tmp_path / "tiny-copy", site.copy("master02"))
    code, _, err = quorate(*ADOPT)
    assert (code, "has a copy of the cluster other" in err) == (1, True)
    assert not (tmp_path / "new").exists()


def test_a_state_folder_that_is_there_stays(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    applied(quorate)
    assert quorate(*ADOPT)[0] == 0
    key = tmp_path / "new/.quorate/tiny/pki/ca.key"
    key.write_text("another key")
    code, _, err = quorate(*ADOPT)
    assert (code, "differs from the copy" in err, "--into" in err) == (1, True, True)
    assert key.read_text() == "another key"


def test_host_keys_are_trusted_after_a_yes_and_as_the_copy_has_them(
    quorate: Quorate, site: Site, tmp_path: Path
) -> None:
    applied(quorate)
    code, _, err = quorate(*ADOPT[:-1])
    assert (code, "only after a yes" in err) == (1, True)
    assert site.asked == []
    assert quorate(*ADOPT)[0] == 0
    shutil.copy(tmp_path / "new/.quorate/tiny/known_hosts", tmp_path / ".quorate/tiny/known_hosts")
    assert quorate("apply", "--yes")[0] == 7
    shutil.rmtree(tmp_path / "new")
    site.asked.clear()
    site.keys["192.0.2.12"] = asyncssh.generate_private_key("ssh-ed25519")
    code, _, err = quorate(*ADOPT)
    assert (code, "is not the one in the copy" in err) == (6, True)
    assert site.asked == ["master02"]
    assert not (tmp_path / "new").exists()


def test_hosts_without_a_copy(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    code, out, _ = quorate("apply", "--yes")
    assert code == 7
    assert "the state folder is on this machine alone" in out
    assert not any(site.copy(host).exists() for host in PLACES.values())
    assert not (tmp_path / ".quorate/tiny/copy").exists()
    code, _, err = quorate(*ADOPT)
    assert (code, "has no copy" in err) == (1, True)
    site.lost = {"master02"}
    assert quorate(*ADOPT)[0] == 6


def test_an_older_state_folder_does_not_apply(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    applied(quorate)
    assert quorate(*ADOPT)[0] == 0
    write_key(tmp_path / "new/id")
    assert quorate("apply", "--yes", "-f", "new/cluster.yaml")[0] == 7
    code, _, err = quorate("apply", "--yes")
    assert (code, "changed from elsewhere" in err) == (4, True)


def test_nothing_secret_is_said(quorate: Quorate, site: Site, hosts: Hosts, tmp_path: Path) -> None:
    applied(quorate)
    said = "".join("".join(quorate(*words)[1:]) for words in (ADOPT, (*ADOPT, "--json"), ("history", "--json")))
    store = Store(tmp_path / ".quorate/tiny")
    identity = (store.path / "copy/identity").read_text().strip()
    said += "".join(script for _, script in hosts.scripts if COPY in script)
    said += (store.path / "journal.jsonl").read_text()
    for secret in (SECRET, identity, (store.path / "pki/ca.key").read_text().splitlines()[1]):
        assert secret not in said


def test_passphrases(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    code, _, err = quorate("passphrase")
    assert (code, "--from" in err) == (1, True)
    assert json.loads(quorate("passphrase", "--from", "passphrase", "--json")[1])["changed"] is False
    code, out, _ = quorate("passphrase", "--from", "passphrase")
    assert "changed" in out
    assert "master01, master02, master03" in out
    (tmp_path / "passphrase").write_text("short\n")
    assert quorate("passphrase", "--from", "passphrase")[0] == 1


def test_history(quorate: Quorate, site: Site, tmp_path: Path) -> None:
    assert "Nothing was done" in quorate("history")[1]
    assert quorate("history", "--run", "1")[0] == 64
    for _ in range(3):
        quorate("apply", "--yes")
    quorate("destroy", "--yes", "tiny")
    with (tmp_path / ".quorate/tiny/journal.jsonl").open("a") as torn:
        torn.write('{"run": "x", "event": "begin", "verb": "apply"}\n{"ru')
    rows = quorate("history")[1].splitlines()
    assert [row.split()[0] for row in rows[1:]] == ["1", "2", "3", "4", "5"]
    assert "failed" in rows[1]
    assert "destroy" in rows[4]
    assert "done" in rows[4]
    assert "cut off" in rows[5]
    assert len(quorate("history", "-n", "2")[1].splitlines()) == 3
    told = json.loads(quorate("history", "--json")[1])["runs"]
    assert [run["number"] for run in told] == [1, 2, 3, 4, 5]
    assert told[0]["failed"] > 0
    assert told[0]["who"]
    assert told[0]["seconds"] > 0
    run = json.loads(quorate("history", "--run", "1", "--json")[1])["run"]
    assert {step["result"] for step in run["steps"]} >= {"failed", "skipped"}
    assert len([step for step in run["steps"] if step["result"] == "failed"]) == run["failed"]
    shown = quorate("history", "--run", "1")[1]
    assert "failed" in shown
    assert "master01/" in shown
