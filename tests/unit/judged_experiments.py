"""What experiments of `verify` may measure, and what its judges must say of it; each may have ended early."""

from dataclasses import replace

from judged import Case

from quorate.report.findings import failed, passed, skipped
from quorate.verify.failover import Answers, Move, Return
from quorate.verify.following import Followed
from quorate.verify.master import MasterLoss
from quorate.verify.members import Aftermath, Away, Loss
from quorate.verify.outage import Recovery
from quorate.verify.sample import Sample

WELL, SICK = Recovery(4.2), Recovery(120.0, "kubelet on w1 is silent")
STILL_SICK = "120 s after the start: kubelet on w1 is silent"
SMOOTH = Sample(((0.0, True), (0.5, False), (1.0, True)))
ROUGH = Sample(((0.0, True), (5.0, False), (11.0, True)))
LOST = "1 of 3 requests lost, longest gap"

MOVE = Move(("b1",), ("b2",), 0.82, SMOOTH)
RETURN = Return(("b2",), WELL, ("b1",), SMOOTH)
NONE_STOPPED = skipped("no balancer is stopped: see check 6")

FAILOVER = (
    Case("6", MOVE, passed(f"10.0.9.100 from b1 to b2 within 0.8 s; {LOST} 1.0 s")),
    Case("6", Move(()), failed("10.0.9.100 is on 0 hosts")),
    Case("6", Move(("b1", "b2")), failed("10.0.9.100 is on 2 hosts")),
    Case(
        "6",
        Move(("b1",), ("b1",), 20.1, SMOOTH),
        failed("20 s after nginx.service stopped on b1, 10.0.9.100 is on b1"),
    ),
    Case(
        "6",
        Move(("b1",), (), 20.1, SMOOTH),
        failed("20 s after nginx.service stopped on b1, 10.0.9.100 is on no host"),
    ),
    Case("6", replace(MOVE, sample=ROUGH), failed(f"b1 to b2, but {LOST} 11.0 s")),
    Case("7", Answers("w1", "b1", 4), passed("4 of 4 answers from w1 with nginx.service stopped on b1")),
    Case("7", Answers("w1", "b1", 3), failed("3 of 4 answers at 10.0.9.100 from w1")),
    Case("7", None, NONE_STOPPED),
    Case("8", RETURN, passed(f"all healthy 4.2 s after the start; 10.0.9.100 returned to b1; {LOST} 1.0 s")),
    Case(
        "8",
        replace(RETURN, after=("b2",)),
        passed(f"all healthy 4.2 s after the start; 10.0.9.100 stays on b2; {LOST} 1.0 s"),
    ),
    Case("8", Return(("b2",), SICK), failed(STILL_SICK)),
    Case("8", replace(RETURN, after=()), failed("10.0.9.100 is on no host")),
    Case("8", replace(RETURN, after=("b1", "b2")), failed("10.0.9.100 is on b1, b2")),
    Case("8", replace(RETURN, sample=ROUGH), failed(f"{LOST} 11.0 s")),
    Case("8", None, NONE_STOPPED),
)

LEASES = ("kube-controller-manager", "kube-scheduler")
LOSS = MasterLoss("m1", ("a.service", "etcd.service"), LEASES, dict.fromkeys(LEASES, "m2_1"), 17.6, SMOOTH, WELL)

MASTER = (
    Case(
        "15",
        LOSS,
        passed(
            "2 services of m1 (etcd too) stopped: kube-controller-manager led by m2, kube-scheduler led by m2 "
            f"within 17.6 s; {LOST} 1.0 s; all back in 4 s"
        ),
    ),
    Case(
        "15",
        replace(LOSS, units=("a.service",), leases=()),
        passed(f"1 services of m1 stopped: it led nothing within 17.6 s; {LOST} 1.0 s; all back in 4 s"),
    ),
    Case(
        "15",
        MasterLoss("m1", (), LEASES, None, 40.2, SMOOTH),
        failed(f"40 s after m1 stopped, leases are still its own; {LOST} 1.0 s"),
    ),
    Case("15", replace(LOSS, sample=ROUGH), failed(f"m1 stopped: {LOST} 11.0 s")),
    Case("15", replace(LOSS, recovery=SICK), failed(STILL_SICK)),
)

AFTER = Aftermath(WELL, kept=True, writes=True)
BACK = {"m1": 0.31, "m2": 2.01}
PACES = "m1 writes after 0.31 s, m2 writes after 2.01 s (slow, 2 s is the goal)"
LATE = "etcd answers again: m1 writes after 10.01 s (slow, 2 s is the goal), expected 10 s"
ETCD = Loss(("m2",), ("m2", "m1"), 1.3, (True, True), BACK, AFTER)
AWAY = Away(True, BACK, AFTER, Followed((), (), 0.2))

MEMBERS = (
    Case(
        "16",
        ETCD,
        passed(
            "without m2 (leader first) writes go on within 1.3 s; without m2 and m1 2 of 2 are refused; "
            f"back: {PACES}; all well in 4 s"
        ),
    ),
    Case("16", Loss(("m2",), ("m2", "m1")), failed("no write within 20 s without m2")),
    Case(
        "16",
        Loss(("m2",), ("m2", "m1"), 1.3, (True, False)),
        failed("a write was confirmed without m2 and m1"),
    ),
    Case("16", Loss(("m2",), ("m2", "m1"), 1.3, (True, True), {"m1": 10.01}), failed(LATE)),
    Case("16", replace(ETCD, aftermath=Aftermath(SICK)), failed(STILL_SICK)),
    Case("16", replace(ETCD, aftermath=Aftermath(WELL)), failed("a confirmed write is gone")),
    Case("16", replace(ETCD, aftermath=Aftermath(WELL, kept=True)), failed("no write after all members are back")),
    Case(
        "all-members",
        AWAY,
        passed(f"all 1 away for 60 s; back: {PACES}; all well in 4 s; 2 workers lead to it within 5 s"),
    ),
    Case(
        "all-members",
        replace(AWAY, followed=Followed(("w2",), (), 31.4)),
        passed(
            f"all 1 away for 60 s; back: {PACES}; all well in 4 s; w2 slow to know of a new service; "
            "2 workers lead to it 31 s later"
        ),
    ),
    Case("all-members", replace(AWAY, followed=None), passed(f"all 1 away for 60 s; back: {PACES}; all well in 4 s")),
    Case("all-members", Away(False), failed("no write while all members are there")),
    Case("all-members", Away(True, {"m1": 10.01}), failed(LATE)),
    Case("all-members", replace(AWAY, aftermath=Aftermath(SICK)), failed(STILL_SICK)),
    Case("all-members", replace(AWAY, aftermath=Aftermath(WELL)), failed("a confirmed write is gone")),
    Case(
        "all-members",
        replace(AWAY, followed=Followed(("w2",), ("w2",), 150.0)),
        failed("from w2: a service made after that does not answer in 150 s; w2 slow to know of a new service"),
    ),
    Case("all-members", replace(AWAY, followed=Followed((), (), 0.0, SICK)), failed(STILL_SICK)),
)

CASES = (*FAILOVER, *MASTER, *MEMBERS)
