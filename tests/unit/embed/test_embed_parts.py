"""Parts are columns that the default backend really has, and none of them twice."""

from __future__ import annotations

from itertools import combinations

import pytest
from embed_scenes import SCENE, features_of

from sopilot.core.records import Role
from sopilot.embed.parts import PARTS

GOLD = features_of(SCENE[:24], Role.GOLD)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_lies_inside_its_block_in_every_view(name: str) -> None:
    block, columns = PARTS[name]
    assert 0 <= columns.start < columns.stop
    for shown in (block, *GOLD.rerecordings(block), *GOLD.framings(block)):
        assert columns.stop <= GOLD.block(shown).shape[1]


def test_parts_of_one_block_do_not_overlap() -> None:
    for (block, one), (other_block, other) in combinations(PARTS.values(), 2):
        assert block != other_block or one.stop <= other.start or other.stop <= one.start


@pytest.mark.parametrize("name", PARTS)
def test_rerecordings_of_a_gold_show_every_part(name: str) -> None:
    block, columns = PARTS[name]
    assert GOLD.rerecordings(block) == (f"{block}@1", f"{block}@2")
    for shown in GOLD.rerecordings(block):
        assert GOLD.block(shown)[:, columns].any()
