"""Images of the source `modules` beside Debian's packages: no reference is set by two archives."""

from pathlib import Path
from typing import Any

import pytest

from quorate.artifact import debian, modules
from quorate.artifact.cache import Cache
from quorate.core import Blob
from quorate.spec.load import load
from quorate.spec.supply import Supply

MODERN = Path(__file__).parents[2] / "examples/modern.yaml"
BASE, OURS = Blob(Path("base"), "b" * 64, 1), Blob(Path("ours"), "0" * 64, 1)


@pytest.mark.parametrize("compiler", [True, False])
async def test_debians_archive_with_two_names_comes_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: bool
) -> None:
    """Its import sets both names, so it must not come beside an archive that has one of them."""

    async def without_kubernetes(*_words: object) -> Supply:
        return Supply(images=dict.fromkeys((debian.TEST_IMAGE, debian.PAUSE_IMAGE), BASE))

    async def make(*_words: object, **more: Any) -> Supply:
        assert more["tests"] == BASE
        if compiler:
            return Supply(images={"quorate.local/pause:3.10": OURS, debian.TEST_IMAGE: OURS}, pause_image="ours")
        names = dict.fromkeys((debian.TEST_IMAGE, debian.PAUSE_IMAGE), BASE)
        return Supply(images=names, pause_image=debian.PAUSE_IMAGE)

    monkeypatch.setattr(debian, "without_kubernetes", without_kubernetes)
    monkeypatch.setattr(modules, "make", make)
    supply = await modules.resolve_modules(load(MODERN), Cache(tmp_path), print, "amd64", None)
    assert (BASE in supply.images.values()) is not compiler
    assert supply.images[debian.TEST_IMAGE] == (OURS if compiler else BASE)
    assert (debian.PAUSE_IMAGE in supply.images) is not compiler
