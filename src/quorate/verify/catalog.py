"""All checks: the sixteen of the described system's catalogue in its order, then what it lacks."""

from quorate.verify import access, api, failover, limits, members, metrics, vip, workload
from quorate.verify.check import Check

CHECKS: tuple[Check, ...] = (
    Check("1", "endpoint and every balancer answer /version, every time", api.answers),
    Check("2", "balancers' logs show all API servers in turn", api.alternates),
    Check("3", "balancers' logs show every worker at all API servers", api.nodes_in_log),
    Check("4", "all nodes are Ready", workload.nodes_ready),
    Check("5", "virtual IP is on exactly one load balancer", vip.one_holder, final=True),
    Check("6", "virtual IP moves when its balancer stops", failover.vip_moves, disruptive=True),
    Check("7", "endpoint answers during failover", failover.vip_answers, disruptive=True),
    Check("8", "balancer starts again: one holder, endpoint answers", failover.vip_settles, disruptive=True),
    Check("9", "a node's request with a token is authenticated, a made-up token refused", api.authenticated),
    Check("10", "a Deployment's pod runs", workload.pod_runs),
    Check("11", "pod address, service and NodePort answer a node", workload.first_node_reaches),
    Check("12", "kubectl logs works on every worker", workload.logs),
    Check("13", "scaled Deployment runs on every worker", workload.scales),
    Check("14", "endpoints of `kubernetes` are all API servers", api.endpoints),
    Check("15", "a master stops: API goes on, leases move", failover.master_dies, disruptive=True),
    Check("16", "etcd members stop: writes go on, are refused, return", members.members_die, disruptive=True),
    Check(
        "all-members",
        "all etcd members away for a minute: API servers write at once",
        members.all_away,
        disruptive=True,
    ),
    Check("own-address", "every API server answers at its own address", api.own_addresses),
    Check("independent", "no component of a master depends on another master", access.independent, final=True),
    Check("one-answer", "all hosts find the virtual IP at its one holder", vip.one_answer, final=True),
    Check("reach-from-hosts", "pods and services of every worker answer every worker", workload.hosts_reach_pods),
    Check("reach-from-pods", "kubectl exec; pods of every worker answer one another", workload.pods_reach_pods),
    Check("limits", "limits of memory and CPU hold on every worker", limits.limits),
    Check("dns", "names are found in pods", workload.dns),
    Check("metrics", "kubectl top has numbers of every worker", metrics.numbers),
    Check("aggregation", "API servers lead to an API behind them, which believes them alone", metrics.aggregation),
    Check("nameless", "nobody without a name has rights", access.nameless, final=True),
    Check(
        "kubelet-closed", "kubelets refuse the nameless, read-only port is closed", access.kubelets_closed, final=True
    ),
    Check("keys-placed", "keys lie only where they are used", access.keys_where_needed, final=True),
    Check("keys-closed", "keys are readable by their owner alone", access.keys_closed, final=True),
    Check("sealed", "Secrets are encrypted in etcd", access.sealed),
    Check("audited", "every API server writes down who asked for what", access.audited),
    Check("one-ca", "all hosts trust the same CA", access.ca_is_one, final=True),
    Check("certificates", "no certificate ends soon", access.certificates, final=True),
)
