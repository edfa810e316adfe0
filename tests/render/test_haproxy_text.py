"""haproxy in front of the API servers: the exact text of a small input."""

from balancer_inputs import HAPROXY, bare

from quorate.render import haproxy


def test_haproxy() -> None:
    servers = ["server m1 10.0.0.1:6443", "server m2 10.0.0.2:6443"]
    assert bare(haproxy.config(**HAPROXY)) == [
        "global",
        "log stdout format raw daemon",
        "maxconn 8192",
        "user haproxy",
        "group haproxy",
        "stats socket /run/quorate-haproxy.sock mode 600 level admin expose-fd listeners",
        "hard-stop-after 30s",
        "defaults",
        "mode tcp",
        "log global",
        "option clitcpka",
        "option srvtcpka",
        "timeout connect 250ms",
        "retries 3",
        "option redispatch 1",
        "timeout client 4h",
        "timeout server 4h",
        "timeout check 3000ms",
        "frontend k8s-apiserver-in",
        "bind 0.0.0.0:6443 backlog 4096",
        'log-format "%ci %si:%sp - [%t] %ts %B"',
        "tcp-request content set-log-level silent if { src 127.0.0.1 }",
        "default_backend k8s-apiserver",
        "backend k8s-apiserver",
        "balance roundrobin",
        "option httpchk",
        "http-check send meth GET uri-lf /%[srv_name]",
        "http-check disable-on-404",
        *(
            f"{server} check addr 127.0.0.1 port 2384 inter 50ms fall 1 rise 1 "
            "on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions"
            for server in servers
        ),
        "option allbackups",
        "server m1-unchecked 10.0.0.1:6443 backup",
        "server m2-unchecked 10.0.0.2:6443 backup",
        "frontend k8s-apiserver-state",
        "mode http",
        "bind 127.0.0.1:2384",
        "no log",
        "timeout client 5s",
        "monitor-uri /",
        *(
            f"http-request deny deny_status {code} if {{ path /{name} }} !{{ srv_is_up(k8s-apiserver-{what}/{name}) }}"
            for code, what in ((503, "alive"), (404, "ready"))
            for name in ("m1", "m2")
        ),
        "http-request return status 200",
        "backend k8s-apiserver-alive",
        "option httpchk GET /livez/ping",
        "http-check expect rstatus ^[1-5]",
        "default-server check check-ssl verify none inter 200ms fastinter 20ms fall 3 rise 2",
        *servers,
        "backend k8s-apiserver-ready",
        "option httpchk GET /readyz",
        "http-check expect rstatus ^(200)$",
        "default-server check check-ssl verify none inter 500ms fastinter 20ms fall 2 rise 2",
        *servers,
    ]


def test_haproxy_verifies_when_it_can() -> None:
    text = haproxy.config(**HAPROXY, ca_file="/etc/ca.crt", client_pem="/etc/c.pem", expect=(200, 401), log="/dev/log")
    assert text.count("check-ssl verify required ca-file /etc/ca.crt crt /etc/c.pem inter") == 2
    assert "rstatus ^(200|401)$" in text
    assert "log /dev/log daemon" in text
