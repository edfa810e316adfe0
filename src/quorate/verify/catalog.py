"""All checks: the sixteen of the described system's catalogue in its order, then what it lacks."""

from typing import Any

from quorate.verify import access, api, dns, failover, files, limits, master, members, metrics, reach, vip, workload
from quorate.verify.check import Check
from quorate.verify.env import Env
from quorate.verify.pods import no_worker

# Without a type of its own: as Check[Any] nobody would compare what each look gives with what its judge takes.
_CHECKS = (
    Check("1", "endpoint and every balancer answer /version, every time", api.look_answers, api.judge_answers),
    Check(
        "2", "balancers' logs show all API servers in turn", api.look_alternates, api.judge_alternates, api.no_balancer
    ),
    Check(
        "3",
        "balancers' logs show every worker at all API servers",
        api.look_nodes_in_log,
        api.judge_nodes_in_log,
        api.no_balancer,
    ),
    Check("4", "all nodes are Ready", workload.look_nodes, workload.judge_nodes),
    Check("5", "virtual IP is on exactly one load balancer", vip.look_holder, vip.judge_holder, vip.no_vip, final=True),
    Check(
        "6",
        "virtual IP moves when its balancer stops",
        failover.look_moves,
        failover.judge_moves,
        failover.no_other_balancer,
        disruptive=True,
    ),
    Check(
        "7",
        "endpoint answers during failover",
        failover.look_answers,
        failover.judge_answers,
        vip.no_vip,
        disruptive=True,
    ),
    Check(
        "8",
        "balancer starts again: one holder, endpoint answers",
        failover.look_settles,
        failover.judge_settles,
        vip.no_vip,
        disruptive=True,
    ),
    Check(
        "9",
        "a node's request with a token is authenticated, a made-up token refused",
        api.look_authenticated,
        api.judge_authenticated,
        no_worker,
    ),
    Check("10", "a Deployment's pod runs", workload.look_pod, workload.judge_pod, no_worker),
    Check(
        "11",
        "pod address, service and NodePort answer a node",
        reach.look_first_node,
        reach.judge_first_node,
        no_worker,
        settles=True,
    ),
    Check("12", "kubectl logs works on every worker", workload.look_logs, workload.judge_logs, no_worker),
    Check("13", "scaled Deployment runs on every worker", workload.look_scaled, workload.judge_scaled, no_worker),
    Check("14", "endpoints of `kubernetes` are all API servers", api.look_endpoints, api.judge_endpoints),
    Check(
        "15",
        "a master stops: API goes on, leases move",
        master.look_loss,
        master.judge_loss,
        master.no_other_master,
        disruptive=True,
    ),
    Check(
        "16",
        "etcd members stop: writes go on, are refused, return",
        members.look_loss,
        members.judge_loss,
        members.no_tolerance,
        disruptive=True,
    ),
    Check(
        "all-members",
        "all etcd members away for a minute: API servers write at once",
        members.look_away,
        members.judge_away,
        disruptive=True,
    ),
    Check(
        "own-address", "every API server answers at its own address", api.look_own_addresses, api.judge_own_addresses
    ),
    Check(
        "independent",
        "no component of a master depends on another master",
        Env.views,
        files.judge_independent,
        final=True,
    ),
    Check(
        "one-answer",
        "all hosts find the virtual IP at its one holder",
        vip.look_neighbours,
        vip.judge_neighbours,
        vip.no_vip,
        final=True,
    ),
    Check(
        "reach-from-hosts",
        "pods and services of every worker answer every worker",
        reach.look_from_hosts,
        reach.judge_from_hosts,
        no_worker,
        settles=True,
    ),
    Check(
        "reach-from-pods",
        "kubectl exec; pods of every worker answer one another",
        reach.look_from_pods,
        reach.judge_from_pods,
        no_worker,
        settles=True,
    ),
    Check(
        "limits", "limits of memory and CPU hold on every worker", limits.look_limits, limits.judge_limits, no_worker
    ),
    Check("dns", "names are found in pods", dns.look_names, dns.judge_names, dns.no_dns, settles=True),
    Check(
        "metrics",
        "kubectl top has numbers of every worker",
        metrics.look_numbers,
        metrics.judge_numbers,
        metrics.no_metrics,
    ),
    Check(
        "aggregation",
        "API servers lead to an API behind them, which believes them alone",
        metrics.look_aggregation,
        metrics.judge_aggregation,
        metrics.no_metrics,
        settles=True,
    ),
    Check("nameless", "nobody without a name has rights", access.look_nameless, access.judge_nameless, final=True),
    Check(
        "kubelet-closed",
        "kubelets refuse the nameless, read-only port is closed",
        access.look_kubelets,
        access.judge_kubelets,
        no_worker,
        final=True,
    ),
    Check("keys-placed", "keys lie only where they are used", Env.views, files.judge_keys_placed, final=True),
    Check("keys-closed", "keys are readable by their owner alone", Env.views, files.judge_keys_closed, final=True),
    Check("sealed", "Secrets are encrypted in etcd", access.look_sealed, access.judge_sealed, access.unsealed),
    Check(
        "audited",
        "every API server writes down who asked for what",
        access.look_audited,
        access.judge_audited,
        access.own_audit_policy,
    ),
    Check("one-ca", "all hosts trust the same CA", Env.views, files.judge_ca, final=True),
    Check("certificates", "no certificate ends soon", Env.views, files.judge_certificates, final=True),
)

CHECKS: tuple[Check[Any], ...] = _CHECKS
