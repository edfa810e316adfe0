import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from quorate.render.kubeconfig import kubeconfig


def read(text: str) -> dict:
    return YAML(typ="safe").load(text)


def test_embedded(secrets):
    pair = secrets.cert("scheduler", "master01"), secrets.key("scheduler", "master01")
    text = kubeconfig("https://10.0.0.1:6443", secrets.cert("ca"), "u", cert_pem=pair[0], key_pem=pair[1])
    data = read(text)
    user, cluster = data["users"][0]["user"], data["clusters"][0]["cluster"]
    assert base64.b64decode(user["client-certificate-data"]) == pair[0]
    assert base64.b64decode(user["client-key-data"]) == pair[1]
    assert base64.b64decode(cluster["certificate-authority-data"]) == secrets.cert("ca")
    assert cluster["server"] == "https://10.0.0.1:6443"


def test_paths():
    data = read(kubeconfig("https://h:1", b"ca", "u", cert_file="/a", key_file="/b", tls_server_name="k"))
    assert data["users"][0]["user"] == {"client-certificate": "/a", "client-key": "/b"}
    assert data["clusters"][0]["cluster"]["tls-server-name"] == "k"


@settings(deadline=None, max_examples=50)
@given(st.text(), st.text())
def test_any_name_comes_back_as_it_is(user, cluster):
    data = read(kubeconfig("https://h:1", b"ca", user, cert_file="/a", key_file="/b", cluster=cluster))
    context = data["contexts"][0]
    assert (data["users"][0]["name"], data["clusters"][0]["name"]) == (user, cluster)
    assert context["context"] == {"cluster": cluster, "user": user}
    assert data["current-context"] == context["name"]


@pytest.mark.parametrize("pair", [{}, {"cert_pem": b"x"}, {"cert_pem": b"x", "key_file": "/a"}])
def test_half_a_pair_is_refused(pair):
    with pytest.raises(ValueError, match="both embedded, or both as paths"):
        kubeconfig("https://h:1", b"ca", "u", **pair)
