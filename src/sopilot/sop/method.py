"""Every choice of the scoring method in one place: which stage is on, and with what constants.

`sop.learn` takes one, `TaskModel` keeps it, the benchmark's ablation replaces fields of it. The
defaults are the product; their source is docs/scoring.md, their figures benchmarks/verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass

from sopilot.align.edits import Prices, Runs
from sopilot.align.evidence import EvidenceSettings

CLASSIFIER = EvidenceSettings()
STEP_PRICES = Prices(
    edit=25.0, swap=0.0, swap_apart=1.0, move=4.0, insert=-7.0, replace=-1.0, edge_share=0.6
)
CHUNK_PRICES = Prices(edit=14.0, move=4.0, insert=14.0, replace=20.0, edge_share=0.6)
CHUNK_RUNS = Runs(2, 6)


@dataclass(frozen=True, slots=True)
class Method:
    """Constants of learning, search and tests. Ratios have no unit; nats are natural-log evidence.

    sure_range: comparability from which prices fall, and at which they are sure_price of
    themselves: the nearer a video is to the gold's own recordings, the less proves a difference.
    parts_per_step: classes of a staged step; a cyclic one has one. least_share: shortest showing of
    a part, relative to the gold's at the trainee's pace; cyclic_share: of a cyclic step, relative
    to an equal share of the trainee's clips, at most cyclic_clips. layout_gate: (low, width), the
    layout counts in full where its confidence exceeds the sum, not at all below low.
    read_framings: framings whose evidence is averaged with a video's own. cut_short, unlike: tests
    on steps that are in the order. refute: weak edits that look as expected are taken back. doubt:
    unlikeness below its threshold costs a little, and so does time. tell_pauses: of repetitions in
    which hardly anything moves. stretches: of chunks that are hardly shown or take long.
    unlike_one_gold, unlike_more_golds: unlikeness from which a step deviates, and from which it
    does so clearly; calibrate: thresholds from leaving one gold out, where there are three or more.
    chunks: where no step is marked, search over pieces of chunk_sec instead of proposed steps.
    """

    evidence: EvidenceSettings = CLASSIFIER
    prices: Prices = STEP_PRICES
    parts_per_step: int = 3
    sure_range: tuple[float, float] = (0.8, 0.95)
    sure_price: float = 0.35
    least_share: float = 0.5
    cyclic_share: float = 0.85
    cyclic_clips: int = 9
    layout_gate: tuple[float, float] = (0.55, 0.1)
    read_framings: int = 2
    cut_short: bool = True
    unlike: bool = True
    refute: bool = True
    doubt: bool = True
    tell_pauses: bool = True
    stretches: bool = True
    unlike_one_gold: tuple[float, float] = (2.6, 2.9)
    unlike_more_golds: tuple[float, float] = (2.5, 2.8)
    calibrate: bool = True
    chunks: bool = True
    chunk_sec: float = 2.4
    chunk_runs: Runs = CHUNK_RUNS
    chunk_prices: Prices = CHUNK_PRICES

    def unlike_from(self, gold_count: int) -> tuple[float, float]:
        """The thresholds of unlikeness that hold for so many golds."""
        return self.unlike_more_golds if gold_count > 1 else self.unlike_one_gold

    def chunked(self, marked: bool) -> bool:
        """Whether the search goes over chunks of the gold instead of steps."""
        return self.chunks and not marked

    def prices_for(self, marked: bool) -> Prices:
        """The prices of the search."""
        return self.chunk_prices if self.chunked(marked) else self.prices

    def price_scale(self, comparability: float) -> float:
        """What the prices of edits are multiplied with for a video of this comparability, 0-1."""
        low, high = self.sure_range
        share = min(1.0, max(0.0, (comparability - low) / (high - low)))
        return 1.0 - share * (1.0 - self.sure_price)


DEFAULT = Method()
