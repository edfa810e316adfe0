"""Which objects are meant, and what of one that is gone does not come back with it."""

import pytest

from quorate.backup.objects import OWN, Selection, plain, text
from quorate.core import UsageError


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("shop:deployments.apps/web", ("deployments.apps", "web", "--namespace", "shop")),
        ("shop:secrets", ("secrets", "--namespace", "shop")),
        (":nodes", ("nodes",)),
        (":clusterroles/system:node", ("clusterroles", "system:node")),
    ],
)
def test_a_selection_is_what_kubectl_takes(said: str, words: tuple[str, ...]) -> None:
    assert Selection.read(said).words == words


@pytest.mark.parametrize("wrong", ["", "web", "deployments/web", "shop:", "shop:-A", "shop:a b", "--all:x", "shop:x/"])
def test_what_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="names no objects") as refused:
        Selection.read(wrong)
    assert "NAMESPACE:KIND/NAME" in refused.value.hint


def test_an_object_comes_back_without_what_was_its_own() -> None:
    meta = {"name": "web", "labels": {"app": "web"}, **dict.fromkeys(OWN, "x")}
    found = plain({"kind": "Service", "metadata": meta, "spec": {"clusterIP": "10.96.0.7"}, "status": {"x": 1}})
    assert found == {
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"clusterIP": "10.96.0.7"},
    }
    assert text([found, found]).split("---\n")[0] == text([found])
