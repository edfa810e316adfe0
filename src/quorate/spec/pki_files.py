"""Where each key and certificate lies on a host: absolute paths, shared by who writes and who reads them."""

from quorate.spec import layout

CA = f"{layout.PKI}/ca.crt"
"""The cluster's CA: signs API servers, kubelets and users."""
CA_KEY = f"{layout.PKI}/ca.key"
"""Only on control-plane hosts, where the controller-manager signs kubelets' requests with it."""

APISERVER = f"{layout.PKI}/apiserver.crt"
APISERVER_KEY = f"{layout.PKI}/apiserver.key"
APISERVER_KUBELET_CLIENT = f"{layout.PKI}/apiserver-kubelet-client.crt"
APISERVER_KUBELET_CLIENT_KEY = f"{layout.PKI}/apiserver-kubelet-client.key"

FRONT_PROXY_CA = f"{layout.PKI}/front-proxy-ca.crt"
"""A CA of its own: a client of the cluster's CA must not be able to call itself anybody by a header."""
FRONT_PROXY_CLIENT = f"{layout.PKI}/front-proxy-client.crt"
FRONT_PROXY_CLIENT_KEY = f"{layout.PKI}/front-proxy-client.key"
FRONT_PROXY_CLIENT_CN = "front-proxy-client"
"""The only name whose request headers an API server believes."""

SA_PUB = f"{layout.PKI}/sa.pub"
SA_KEY = f"{layout.PKI}/sa.key"

ETCD_CA = f"{layout.PKI}/etcd-ca.crt"
"""Copy of etcd's CA for the API server; etcd's own files are in `layout.ETCD_PKI`."""
APISERVER_ETCD_CLIENT = f"{layout.PKI}/apiserver-etcd-client.crt"
APISERVER_ETCD_CLIENT_KEY = f"{layout.PKI}/apiserver-etcd-client.key"
ETCD_WAY = f"{layout.PKI}/etcd-way.crt"
"""What the way to etcd shows on loopback while no member of etcd answers."""
ETCD_WAY_KEY = f"{layout.PKI}/etcd-way.key"

KUBELET_CLIENT = f"{layout.PKI}/kubelet-client.crt"
KUBELET_CLIENT_KEY = f"{layout.PKI}/kubelet-client.key"
KUBELET_SERVER = f"{layout.PKI}/kubelet-server.crt"
KUBELET_SERVER_KEY = f"{layout.PKI}/kubelet-server.key"
