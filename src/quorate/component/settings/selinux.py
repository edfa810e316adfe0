"""What SELinux must let the balancers do: the targeted policy knows web servers, not balancers of this API."""

NAME = "quorate"
WAY = "quorate-etcd"

_DOMAINS = {"nginx": "httpd_t", "haproxy": "haproxy_t"}


def policy(kind: str, *, check: str = "") -> str:
    """A policy module in CIL for a balancer of this kind; `check` is keepalived's health script, if it runs.

    Everything else of ours runs unconfined: `/opt/kubernetes/bin` has the type bin_t. Source: the modules
    apache, rhcs (haproxy) and keepalived of the targeted policy of RHEL 9; what haproxy gets is its boolean
    haproxy_connect_any, what nginx gets is httpd_can_network_connect and a label for the endpoint's port. The list
    is written by sh as unconfined_service_t, so it has a type of /run's.
    """
    lines = [
        "; The endpoint's port may be any, and so may that of the API servers.",
        f"(allow {_DOMAINS[kind]} port_type (tcp_socket (name_bind name_connect)))",
    ]
    if kind == "nginx":
        lines += [
            "; The list in /run of the API servers to use.",
            "(allow httpd_t pidfile (dir (getattr search)))",
            "(allow httpd_t pidfile (file (getattr open read)))",
        ]
    if check:
        lines += [
            "; The file in /run by which the balancer's unit tells that it runs.",
            "(allow keepalived_t pidfile (file (getattr open read ioctl)))",
            "; The health script, under the type that the policy has for keepalived's scripts.",
            f'(filecon "{check}" file (system_u object_r keepalived_unconfined_script_exec_t ((s0) (s0))))',
        ]
    return "\n".join([*lines, ""])


def way() -> str:
    """A policy module in CIL for the haproxy that leads an API server to etcd: any port, and its keys.

    /etc/kubernetes has a type of its own where container-selinux is installed.
    """
    lines = [
        f"(allow {_DOMAINS['haproxy']} port_type (tcp_socket (name_bind name_connect)))",
        "(optional quorate_etcd_keys",
        f"    (allow {_DOMAINS['haproxy']} kubernetes_file_t (dir (getattr search)))",
        f"    (allow {_DOMAINS['haproxy']} kubernetes_file_t (file (getattr open read))))",
    ]
    return "\n".join([*lines, ""])
