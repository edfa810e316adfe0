"""nginx' list of API servers: the script with real shells; curl, systemctl and ss are told what to say."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from upstreams_watch import ABSENT, BAD, GOOD, HUNG, REFUSED, SILENT, A, B, C, Watch, up
from waiting import within

from quorate.render import upstreams


@pytest.fixture(params=[("/bin/sh", False), ("/bin/sh", True), ("bash", False)], ids=["sh", "sh, old curl", "bash"])
def watch(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watch]:
    """In two shells, with a curl of today and with an old one."""
    shell, old = request.param
    made = Watch(tmp_path, (shell, *(["--posix"] if shell == "bash" else [])), old)
    try:
        yield made
        assert not [line for line in made.said("out").splitlines() if not line.startswith(("10.0.0.", "the sessions"))]
    finally:
        made.close()


def test_a_list_is_made_kept_and_made_anew_for_other_servers(watch: Watch) -> None:
    assert watch.init() == up(A, B, C)
    watch.list.write_text(up(B))
    assert watch.init() == up(B), "a restart of nginx forgets nothing"
    watch.serve(C, B)
    assert watch.init() == f"server {C} down;\nserver {B} max_fails=0;\n"
    watch.serve(A)
    assert watch.init() == f"server {A} max_fails=0;\n", "nobody is known to be ready"
    watch.list.write_text("what is this\nserver 10.0.0.1:64435 down;")
    watch.serve(A, B, C)
    assert watch.init() == up(A, B, C)
    assert watch.reloads() == 0
    assert list(watch.folder.glob("list.*")) == []


def test_two_bad_answers_are_out_two_good_ones_are_in(watch: Watch) -> None:
    watch.init()
    watch.start()
    watch.say(B, *[GOOD] * 9)
    watch.say(C, "401:0.01:0", "401:0.01:0")
    watch.say(A, BAD, GOOD, SILENT, "401:0.02:0", "403:0.01:0", GOOD)
    assert watch.stays()
    watch.say(A, BAD, SILENT, SILENT)
    assert watch.has(B, C)
    watch.say(A, GOOD, BAD, GOOD, SILENT, GOOD)
    assert watch.stays()
    watch.say(A, GOOD)
    assert watch.has(A, B, C)
    assert watch.reloads() == 2
    assert watch.said("out") == f"{A} is silent\n{A} is ready\n"


def test_refused_is_out_at_once_and_the_last_one_is_never_left_out(watch: Watch) -> None:
    watch.init()
    watch.start()
    watch.say(C, GOOD)
    watch.say(A, GOOD, REFUSED)
    assert watch.has(B, C)
    watch.say(B, REFUSED)
    assert watch.has(C)
    assert not watch.said("ss.log"), "its kernel ends its sessions"


def test_when_none_is_ready_all_are_tried_and_nginx_learns_of_it_once(watch: Watch) -> None:
    watch.init()
    watch.start()
    for at in (A, B, C):
        watch.say(at, GOOD)
    assert watch.stays()
    # As in an election of etcd: a little one after the other, and so they come back.
    for _ in range(9):
        for at in (A, B, C):
            watch.say(at, SILENT)
        assert watch.stays()
    for at in (A, B, C):
        watch.say(at, GOOD, GOOD)
        assert watch.stays()
    assert watch.reloads() == 0
    assert not watch.said("ss.log"), "it was nobody's own fault"
    # And two that do not come back: after a moment they are out.
    for _ in range(2):
        for at in (A, B, C):
            watch.say(at, BAD)
        assert watch.stays()
    watch.say(B, GOOD, GOOD, GOOD, GOOD)
    assert watch.stays()
    watch.say(B, *[GOOD] * 6)
    assert watch.has(B)


@pytest.mark.parametrize(("silences", "cut"), [([SILENT] * 3, 8), ([SILENT, *[HUNG] * 2], 6), ([SILENT, ABSENT], 3)])
def test_the_sessions_of_a_silent_server_are_cut_when_another_one_is_good(
    watch: Watch, silences: list[str], cut: int
) -> None:
    """Soon when nobody is there, late when it may only be slow: `cut` is the silence at which they would be."""
    watch.init()
    watch.start()
    watch.say(B, GOOD)
    watch.say(A, GOOD, *silences[:-1])
    assert watch.stays()
    watch.say(A, silences[-1])
    assert watch.has(B, C)
    assert not watch.said("ss.log"), "the list comes first"
    watch.say(A, *[silences[-1]] * (cut - len(silences) - 1))
    assert watch.stays()
    assert not watch.said("ss.log"), "it may come back"
    watch.say(B, SILENT)
    assert watch.stays()
    watch.say(A, silences[-1])
    assert watch.stays()
    assert not watch.said("ss.log"), "nobody is good"
    watch.say(B, GOOD)
    assert watch.stays()
    watch.say(A, silences[-1])
    assert within(20, lambda: watch.said("ss.log") == f"-Ktn dst {A}\n")
    # Once for each time, and never while it answers, whatever.
    watch.say(A, BAD, BAD, BAD, *[SILENT] * 7, BAD, *[SILENT] * 7)
    assert watch.stays()
    assert watch.said("ss.log").count("\n") == 1
    watch.say(A, SILENT)
    assert within(20, lambda: watch.said("ss.log").count("\n") == 2)


def test_who_falls_often_has_to_be_good_for_longer(watch: Watch) -> None:
    watch.init()
    watch.start()
    watch.say(B, GOOD)
    for falls in (1, 2, 3):
        watch.say(A, REFUSED)
        assert watch.has(B, C)
        watch.say(A, *[GOOD] * (2**falls - 1))
        assert watch.stays(), falls
        watch.say(A, GOOD)
        assert watch.has(A, B, C)
    watch.say(A, *[GOOD] * upstreams.CALM_ANSWERS, REFUSED)
    assert watch.has(B, C)
    watch.say(A, GOOD, GOOD)
    assert watch.has(A, B, C)


def test_what_nginx_did_not_take_is_tried_again(watch: Watch) -> None:
    watch.init()
    (watch.folder / "systemctl.fails").touch()
    watch.start()
    watch.say(B, GOOD)
    watch.say(A, GOOD, *[SILENT] * 8)
    assert within(20, lambda: watch.reloads() == 1)
    assert watch.stays()
    assert not watch.said("ss.log"), "nginx still goes there"
    (watch.folder / "systemctl.fails").unlink()
    watch.say(B, *[GOOD] * 70)
    assert within(20, lambda: watch.reloads() == 2)
    assert watch.has(B, C)
    watch.say(A, SILENT)
    assert within(20, lambda: watch.said("ss.log") == f"-Ktn dst {A}\n")


def test_another_start_goes_on_from_the_list(watch: Watch) -> None:
    watch.list.write_text(up(B))
    watch.start()
    watch.say(A, BAD, BAD)
    watch.say(B, GOOD, GOOD, GOOD)
    watch.say(C, GOOD)
    assert watch.stays()
    watch.say(C, GOOD)
    assert watch.has(B, C)
    assert watch.reloads() == 1


def test_lines_that_are_no_answers_and_a_lost_list_harm_nothing(watch: Watch) -> None:
    watch.init()
    watch.start()
    mark = watch.folder / "ran"
    for at in (A, B, C):
        watch.say(
            at, "", f"$(touch {mark})", f"1; touch {mark}", "curl: no such library", "*", "\\", "20:0", "200:0.1", GOOD
        )
    assert watch.stays()
    watch.list.unlink()
    watch.say(A, *["x"] * 5, REFUSED)
    assert within(20, watch.list.exists)
    assert watch.has(B, C)
    assert not mark.exists()
    watch.end()
    watch.list.unlink()
    watch.start()
    watch.say(A, GOOD)
    assert watch.has(A, B, C)


def test_of_one_server_nobody_asks_anything(watch: Watch) -> None:
    watch.serve(A)
    watch.init()
    watch.start()
    watch.say(A, *[REFUSED] * 4)
    time.sleep(0.1)
    assert watch.reloads() == 0
    assert len(watch.states()) == 1
