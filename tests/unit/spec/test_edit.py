"""Another version in a cluster file: nothing else of it changes."""

import pytest

from quorate.spec.edit import with_kubernetes
from quorate.spec.tree import parse


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name: c # mine\n# why\nversions:\n  kubernetes: "1.36.3" # old\n  etcd: "3.6.16"\n',
         'name: c # mine\n# why\nversions:\n  kubernetes: "1.37.2" # old\n  etcd: "3.6.16"\n'),
        ("versions: {kubernetes: 1.36.3, etcd: 3.6.16}\nname: c\n",
         'versions: {kubernetes: "1.37.2", etcd: 3.6.16}\nname: c\n'),
        ("versions: { etcd: 3.6.16 }\n", 'versions: {kubernetes: "1.37.2", etcd: 3.6.16 }\n'),
        ("versions:\n    etcd: 3.6.16 # it\n", 'versions:\n    kubernetes: "1.37.2"\n    etcd: 3.6.16 # it\n'),
        ("\ufeffname: c\nhosts: []\n", '\ufeffname: c\n\nversions:\n  kubernetes: "1.37.2"\nhosts: []\n'),
        ("versions: {}\n", 'versions: {kubernetes: "1.37.2"}\n'),
        ("name: c", 'name: c\nversions:\n  kubernetes: "1.37.2"\n'),
    ],
)  # fmt: skip
def test_one_value_changes_and_the_rest_stays(before: str, after: str) -> None:
    found = with_kubernetes(before, "1.37.2")
    assert found == after
    data = parse(found.removeprefix("\ufeff")).data
    assert isinstance(data, dict)
    assert data["versions"]["kubernetes"] == "1.37.2"
