"""The fixed words of the reports in three languages (Russian: `report.russian`).

Data-dependent sentences come with the record, Russian ones are made from its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from sopilot.report import russian

Language = Literal["ja", "en", "ru"]

_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "title": ("作業評価報告書", "Procedure score report"),
        "task": ("作業", "Task"),
        "gold": ("基準", "Gold"),
        "trainee": ("対象", "Trainee"),
        "gold_video": ("基準動画", "Gold video"),
        "trainee_video": ("対象動画", "Trainee video"),
        "job": ("ジョブ", "Job"),
        "scored_at": ("評価日時", "Scored"),
        "operator": ("作業者", "Operator"),
        "site": ("拠点", "Site"),
        "of_100": ("/ 100点", "of 100"),
        "pass": ("合格", "Pass"),
        "needs_review": ("要確認", "Needs review"),
        "retrain": ("再研修", "Retrain"),
        "fail": ("不合格", "Fail"),
        "excellent": ("優秀", "Excellent"),
        "passing": ("合格圏", "Passing"),
        "poor": ("要改善", "Poor"),
        "band": ("評価帯", "Band"),
        "reason": ("判定理由", "Reason"),
        "critical_deviation": ("重大逸脱あり", "a critical deviation always fails"),
        "score_above_threshold": ("合格点以上", "score at or above the pass score"),
        "score_between_thresholds": (
            "再研修点以上、合格点未満",
            "score between retrain and pass score",
        ),
        "score_below_retrain": ("再研修点未満", "score below the retrain score"),
        "remark_to_review": (
            "重大な逸脱の疑いあり（要確認）",
            "a remark that would be critical if it were certain",
        ),
        "not_comparable": (
            "基準動画と比較できない映像",
            "the video cannot be compared with the gold",
        ),
        "interval": ("再撮影時の範囲", "If recorded again"),
        "interval_note": (
            "同じ作業をもう一度撮影した場合のスコアの範囲（名目95%、模擬再撮影による）",
            "Range of the score if the same work were recorded again (nominal 95 %, simulated)",
        ),
        "pass_from": ("合格", "pass from"),
        "retrain_below": ("再研修", "retrain below"),
        "timeline": ("手順タイムライン", "Step timeline"),
        "timeline_note": (
            "同じ手順を帯で結んでいます。番号は下の逸脱一覧に対応します。",
            "Bands join the same step in both videos. Numbers refer to the deviations below.",
        ),
        "alignment": ("対応図", "Alignment"),
        "alignment_note": (
            "線は対象動画の各瞬間が基準動画のどこに当たるかを示します。傾きが緩い区間は"
            "時間がかかり、途切れは対応する動作が無い区間です。枠は逸脱の位置です。",
            "The line shows which moment of the gold each moment of the trainee's video matches. "
            "Where it runs flat the work is slower; where it breaks, nothing matches. "
            "Boxes mark the deviations.",
        ),
        "gold_time": ("基準動画の時刻", "time in the gold"),
        "trainee_time": ("対象動画の時刻", "time in the trainee's video"),
        "points_lost": ("減点の内訳", "Where the points went"),
        "miss_penalty": ("未実施・静止", "Missing or frozen"),
        "swap_penalty": ("順序", "Order"),
        "dev_penalty": ("動作の違い", "Done differently"),
        "time_penalty": ("時間", "Time"),
        "conformity_penalty": ("全体の類似度", "General likeness"),
        "score_row": ("スコア", "Score"),
        "deviations": ("逸脱", "Deviations"),
        "no_deviation": (
            "逸脱は見つかりませんでした。",
            "No deviation was found.",
        ),
        "points": ("点", "points"),
        "no_picture": ("画像なし", "no picture"),
        "expected_here": ("本来はここ", "expected here"),
        "steps": ("手順別結果", "Steps"),
        "step": ("手順", "Step"),
        "name": ("名称", "Name"),
        "status": ("状態", "Status"),
        "duration": ("所要時間（秒）", "Duration (s)"),
        "limits": ("規定（秒）", "Limits (s)"),
        "time_verdict": ("時間判定", "Time"),
        "step_points": ("得点", "Points"),
        "critical_step": ("重要手順", "critical step"),
        "ok": ("適合", "as the gold"),
        "missing": ("未実施", "missing"),
        "swapped": ("順序違い", "out of order"),
        "deviation": ("逸脱あり", "deviation"),
        "not_found": ("検出なし", "not found"),
        "time_ok": ("適正", "ok"),
        "too_fast": ("短すぎ", "too fast"),
        "too_slow": ("長すぎ", "too slow"),
        "undefined": ("—", "—"),
        "points_note": (
            "得点は手順ごとの持ち点（100点÷手順数）から減点の配分を引いたもので、"
            "未実施の手順は0点です。スコアは積で求めるため、合計とは一致しません。",
            "A step starts with 100 / number of steps and loses its share of the deductions; a "
            "missed step earns 0. The score itself is a product, so the column does not add up "
            "to it.",
        ),
        "measures": ("測定値", "Measures"),
        "how_made": ("作成条件", "How this was made"),
        "pass_score": ("合格点", "Pass score"),
        "retrain_score": ("再研修点", "Retrain score"),
        "weights": ("重み", "Weights"),
        "w_miss": ("未実施", "missing"),
        "w_swap": ("順序", "order"),
        "w_dev": ("動作", "deviation"),
        "w_time": ("時間", "time"),
        "profile_version": ("作業プロファイル版", "Profile version"),
        "algorithm": ("評価方式", "Algorithm"),
        "producers": ("特徴量", "Features"),
        "gold_count": ("基準動画の数", "Gold videos"),
        "conformity": ("類似度", "Conformity"),
        "comparability": ("比較可能性", "Comparability"),
        "over_time_ratio": ("動画の長さの超過", "Longer than the gold by"),
        "normalized_cost": ("対応コスト", "Alignment cost"),
        "order_violation_ratio": ("順序の逆転", "Order violations"),
        "duplicate_ratio": ("重複対応", "Duplicate matches"),
        "temporal_drift": ("時間のずれ", "Temporal drift"),
        "local_similarity_gap": ("局所的な類似度の差", "Local similarity gap"),
        "review": ("確認記録", "Review"),
        "verdict": ("確認者の判定", "Reviewer's verdict"),
        "note": ("所見", "Note"),
        "date": ("日付", "Date"),
        "reviewer_signature": ("確認者 署名", "Reviewer's signature"),
        "trainee_signature": ("作業者 署名", "Trainee's signature"),
        "footer": (
            "本報告書はSOPilotがこのサーバー上で作成しました。映像と結果は外部へ送信されません。",
            "Made by SOPilot on this server. Video and results do not leave it.",
        ),
        "reviewer": ("確認者", "Reviewer"),
        "severities": ("重大度別の逸脱", "Deviations by severity"),
        "critical": ("重大", "Critical"),
        "quality": ("品質", "Quality"),
        "efficiency": ("効率", "Efficiency"),
        "metrics": ("評価指標", "Metrics"),
        "metric": ("指標", "Metric"),
        "value": ("値", "Value"),
        "standard": ("基準", "Standard"),
        "judged": ("判定", "Verdict"),
        "met": ("適合", "met"),
        "not_met": ("不適合", "not met"),
        "miss_steps": ("未実施の手順", "Missing steps"),
        "swap_steps": ("順序の入れ替わり", "Steps exchanged"),
        "deviation_steps": ("動作が異なる手順", "Steps done differently"),
        "repeat_steps": ("繰り返された手順", "Steps repeated"),
        "extra_count": ("基準にない作業", "Extra activities"),
        "over_time_count": ("時間超過", "Over time"),
        "freeze_count": ("映像の静止", "Frozen picture"),
        "total_steps": ("手順の総数", "Steps in all"),
        "page": ("ページ", "Page"),
        "unprintable": (
            "□は報告書のフォントにない文字の代わりです：",
            "□ stands for characters that the report's fonts lack:",
        ),
        "missing_step": ("手順の未実施", "Missing step"),
        "order_swap": ("順序違い", "Order"),
        "step_deviation": ("動作の違い", "Done differently"),
        "repeated_step": ("手順の繰り返し", "Repeated step"),
        "extra_action": ("余分な作業", "Extra activity"),
        "over_time": ("時間超過", "Over time"),
        "freeze": ("映像の静止", "Frozen picture"),
        "analytics_title": ("分析レポート", "Analytics report"),
        "all_tasks": ("すべての作業", "All tasks"),
        "period": ("期間", "Period"),
        "last_days": ("直近{days}日間", "last {days} days"),
        "all_time": ("全期間", "all time"),
        "made_at": ("作成日時", "Made"),
        "jobs": ("ジョブ数", "Jobs"),
        "completed": ("完了", "Completed"),
        "compliance_rate": ("合格率", "Pass rate"),
        "avg_score": ("平均スコア", "Mean score"),
        "min_score": ("最低", "Lowest"),
        "max_score": ("最高", "Highest"),
        "trend_direction": ("傾向", "Trend"),
        "improving": ("改善", "improving"),
        "stable": ("横ばい", "stable"),
        "declining": ("低下", "declining"),
        "distribution": ("スコア分布", "Score distribution"),
        "decisions": ("判定の内訳", "Decisions"),
        "decision": ("判定", "Decision"),
        "count": ("件数", "Count"),
        "share": ("割合", "Share"),
        "operators": ("作業者別", "Operators"),
        "sites": ("拠点別", "Sites"),
        "agreement": ("確認者との一致", "Agreement with reviewers"),
        "reviewed": ("確認済み", "Reviewed"),
        "agreed": ("一致", "Agreed"),
        "agreement_rate": ("一致率", "Agreement rate"),
        "trend": ("最近のスコア", "Recent scores"),
        "auto_notes": ("所見", "Notes"),
        "no_data": ("対象期間のデータはありません。", "There is no data in this period."),
        "unnamed": ("（未設定）", "(not given)"),
        "note_low_compliance": (
            "合格率が70%未満です。教育と手順そのものを見直してください。",
            "The pass rate is below 70 %: look at the training and at the procedure itself.",
        ),
        "note_high_compliance": ("合格率は90%以上です。", "The pass rate is 90 % or more."),
        "note_declining": ("合格率が低下しています。", "The pass rate is declining."),
        "note_improving": ("合格率が改善しています。", "The pass rate is improving."),
        "note_few": (
            "評価が10件未満のため、傾向は暫定的なものです。",
            "Fewer than ten scores: conclusions are preliminary.",
        ),
        "note_agreement": (
            "確認者の判定との不一致が2割を超えています。しきい値と基準動画を見直してください。",
            "Reviewers disagree with more than one decision in five: look at the thresholds and "
            "the golds.",
        ),
        "note_unreviewed": (
            "人による確認はまだ行われていません。",
            "No score has been reviewed by a person.",
        ),
        "metadata": ("レポート情報", "About this report"),
        "and_more": ("ほか", "and more:"),
    }
)


def words(language: Language) -> dict[str, str]:
    """All fixed words in one language, by key."""
    if language == "ru":
        return dict(russian.WORDS)
    column = 0 if language == "ja" else 1
    return {key: pair[column] for key, pair in _WORDS.items()}


def number(value: float, language: Language, digits: int = 1) -> str:
    """A number with the decimal mark of the language."""
    return russian.decimal(value, digits) if language == "ru" else f"{value:.{digits}f}"
