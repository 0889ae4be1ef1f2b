"""The Russian table: fixed words of the reports, and sentences made from a result's fields.

The result record carries its sentences in Japanese and English only; `report.content` asks here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "title": "Отчёт об оценке выполнения операции",
        "task": "Операция",
        "gold": "Эталон",
        "trainee": "Исполнитель",
        "gold_video": "Эталонное видео",
        "trainee_video": "Проверяемое видео",
        "job": "Задание",
        "scored_at": "Время оценки",
        "operator": "Работник",
        "site": "Площадка",
        "of_100": "из 100",
        "pass": "Зачтено",
        "needs_review": "Требуется проверка",
        "retrain": "Повторное обучение",
        "fail": "Не зачтено",
        "excellent": "Отлично",
        "passing": "Зачётный уровень",
        "poor": "Неудовлетворительно",
        "band": "Уровень",
        "reason": "Основание решения",
        "critical_deviation": "критическое отклонение: зачёт невозможен",
        "score_above_threshold": "оценка не ниже проходной",
        "score_between_thresholds": "оценка между порогом повторного обучения и проходной",
        "score_below_retrain": "оценка ниже порога повторного обучения",
        "remark_to_review": "замечание, которое при подтверждении станет критическим",
        "not_comparable": "видео нельзя сопоставить с эталоном",
        "interval": "При повторной съёмке",
        "interval_note": "В этих пределах лежала бы оценка, если бы ту же работу сняли ещё раз "
        "(номинально 95 %, по смоделированным съёмкам). Это не погрешность суждения о работнике.",
        "pass_from": "зачёт от",
        "retrain_below": "повторное обучение ниже",
        "timeline": "Шаги на шкале времени",
        "timeline_note": "Полосы соединяют один и тот же шаг в обоих видео. Номера отсылают к "
        "списку отклонений.",
        "alignment": "Сопоставление видео",
        "alignment_note": "Линия показывает, какому моменту эталона соответствует каждый момент "
        "проверяемого видео. Где она пологая, работа идёт медленнее; где прерывается, "
        "соответствия нет. Рамками отмечены отклонения.",
        "gold_time": "время эталона",
        "trainee_time": "время проверяемого видео",
        "points_lost": "За что сняты баллы",
        "miss_penalty": "Пропуски и стоп-кадры",
        "swap_penalty": "Порядок",
        "dev_penalty": "Иное выполнение",
        "time_penalty": "Время",
        "conformity_penalty": "Общее сходство",
        "score_row": "Оценка",
        "deviations": "Отклонения",
        "no_deviation": "Отклонений не найдено.",
        "points": "балла",
        "no_picture": "нет кадра",
        "expected_here": "ожидалось здесь",
        "steps": "Шаги",
        "step": "Шаг",
        "name": "Название",
        "status": "Состояние",
        "duration": "Длительность, с",
        "limits": "Норма, с",
        "time_verdict": "Время",
        "step_points": "Баллы",
        "critical_step": "критический шаг",
        "ok": "как в эталоне",
        "missing": "пропущен",
        "swapped": "не по порядку",
        "deviation": "отклонение",
        "not_found": "не найден",
        "time_ok": "в норме",
        "too_fast": "слишком быстро",
        "too_slow": "слишком долго",
        "undefined": "—",
        "points_note": "У каждого шага 100 / число шагов баллов, из них вычитается его доля "
        "потерь; за пропущенный шаг — 0. Сама оценка — произведение, поэтому сумма столбца с ней "
        "не совпадает.",
        "measures": "Показатели сопоставления",
        "how_made": "Условия оценки",
        "pass_score": "Проходная оценка",
        "retrain_score": "Порог повторного обучения",
        "weights": "Веса",
        "w_miss": "пропуск",
        "w_swap": "порядок",
        "w_dev": "выполнение",
        "w_time": "время",
        "profile_version": "Версия профиля",
        "algorithm": "Метод оценки",
        "producers": "Признаки",
        "gold_count": "Эталонных видео",
        "conformity": "Сходство",
        "comparability": "Сопоставимость",
        "over_time_ratio": "Длиннее эталона на",
        "normalized_cost": "Стоимость сопоставления",
        "order_violation_ratio": "Нарушения порядка",
        "duplicate_ratio": "Повторные соответствия",
        "temporal_drift": "Смещение по времени",
        "local_similarity_gap": "Местный разрыв сходства",
        "review": "Заключение проверяющего",
        "verdict": "Решение проверяющего",
        "note": "Примечание",
        "date": "Дата",
        "reviewer": "Проверяющий",
        "reviewer_signature": "Подпись проверяющего",
        "trainee_signature": "Подпись работника",
        "footer": "Отчёт создан SOPilot на этом сервере. Данные остаются на сервере и никуда не "
        "передаются.",
        "severities": "Отклонения по степени важности",
        "critical": "Критические",
        "quality": "Качество",
        "efficiency": "Эффективность",
        "metrics": "Показатели",
        "metric": "Показатель",
        "value": "Значение",
        "standard": "Норма",
        "judged": "Заключение",
        "met": "соблюдено",
        "not_met": "не соблюдено",
        "miss_steps": "Пропущенные шаги",
        "swap_steps": "Перестановки шагов",
        "deviation_steps": "Шаги, выполненные иначе",
        "repeat_steps": "Повторённые шаги",
        "extra_count": "Лишние действия",
        "over_time_count": "Превышения времени",
        "freeze_count": "Стоп-кадры",
        "total_steps": "Всего шагов",
        "page": "Стр.",
        "unprintable": "Знак □ стоит вместо символов, которых нет в шрифтах отчёта:",
        "missing_step": "Пропуск шага",
        "order_swap": "Порядок шагов",
        "step_deviation": "Иное выполнение",
        "repeated_step": "Повтор шага",
        "extra_action": "Лишнее действие",
        "over_time": "Превышение времени",
        "freeze": "Стоп-кадр",
        "analytics_title": "Аналитический отчёт",
        "all_tasks": "Все операции",
        "period": "Период",
        "last_days": "последние {days} дн.",
        "all_time": "всё время",
        "made_at": "Составлен",
        "jobs": "Заданий",
        "completed": "Завершено",
        "compliance_rate": "Доля зачётов",
        "avg_score": "Средняя оценка",
        "min_score": "Наименьшая",
        "max_score": "Наибольшая",
        "trend_direction": "Тенденция",
        "improving": "улучшение",
        "stable": "без изменений",
        "declining": "ухудшение",
        "distribution": "Распределение оценок",
        "decisions": "Решения",
        "decision": "Решение",
        "count": "Число",
        "share": "Доля",
        "operators": "Работники",
        "sites": "Площадки",
        "agreement": "Согласие с проверяющими",
        "reviewed": "Проверено людьми",
        "agreed": "Совпало",
        "agreement_rate": "Доля совпадений",
        "trend": "Последние оценки",
        "auto_notes": "Замечания",
        "no_data": "Нет данных за выбранный период.",
        "unnamed": "(не указано)",
        "note_low_compliance": "Доля зачётов ниже 70 %: проверьте обучение и саму операцию.",
        "note_high_compliance": "Доля зачётов не ниже 90 %.",
        "note_declining": "Доля зачётов снижается.",
        "note_improving": "Доля зачётов растёт.",
        "note_few": "Оценок меньше десяти: выводы предварительны.",
        "note_agreement": "Проверяющие не согласны более чем с каждым пятым решением: "
        "пересмотрите пороги и эталоны.",
        "note_unreviewed": "Ни одна оценка не проверена человеком.",
        "metadata": "Сведения об отчёте",
        "and_more": "и ещё",
    }
)

SEVERITY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "critical": (
            "Критическое",
            "Отклонение существенно влияет на безопасность или качество. Требуется немедленное "
            "исправление.",
        ),
        "quality": (
            "Качество",
            "Отклонение может сказаться на качестве. Рекомендуется исправить.",
        ),
        "efficiency": (
            "Эффективность",
            "Отклонение снижает производительность. Есть возможность сэкономить время.",
        ),
    }
)

_SENTENCES: Mapping[tuple[str, str | None], str] = MappingProxyType(
    {
        ("missing_step", None): "{step} не выполнен",
        ("missing_step", "start"): "{step} пропущен: видео начинается уже после него",
        ("missing_step", "tail"): "{step} не выполнен: видео заканчивается раньше",
        ("order_swap", None): "{step} выполнен не по порядку",
        ("order_swap", "other"): "{step} и {other} выполнены в обратном порядке",
        ("step_deviation", None): "{step} выполнен не так, как в эталоне",
        ("step_deviation", "other"): "{step} выполнен не так, как в эталоне (похоже на {other})",
        ("repeated_step", None): "{step} выполнен повторно",
        ("extra_action", None): "Действия, которых нет в эталоне: {seconds} с",
        ("over_time", None): "{step} занял слишком много времени ({seconds} с)",
        ("over_time", "ratio"): "{step} занял в {ratio} раза больше времени, чем в эталоне "
        "({seconds} с вместо {gold} с)",
        ("over_time", "idle"): "Пауза в работе {seconds} с{near}",
        ("freeze", None): "Изображение неподвижно {seconds} с: работу не видно",
    }
)
_ALTERNATIVES: Mapping[str | None, str] = MappingProxyType(
    {"missing_step": " — или не выполнен вовсе", "step_deviation": " — или выполнен иначе"}
)
_SUMMARIES: Mapping[tuple[str, bool], str] = MappingProxyType(
    {
        ("pass", False): "зачтено, отклонений нет.",
        ("pass", True): "зачтено, но рекомендуется исправить отклонения ({found}).",
        ("needs_review", False): "требуется проверка: отдельных отклонений не найдено, но работа "
        "в целом отличается от эталона.",
        ("needs_review", True): "есть отклонения ({found}), требуется проверка руководителем.",
        ("retrain", False): "требуется повторное обучение: работа в целом отличается от эталона.",
        ("retrain", True): "есть отклонения ({found}), требуется повторное обучение.",
        ("fail", False): "не зачтено.",
        ("fail", True): "не зачтено: необходимо устранить отклонения ({found}).",
    }
)
_BASIS_SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "not_comparable": "Решение невозможно: видео нельзя сопоставить с эталоном (другое место, "
        "камера или операция?). Его должен посмотреть руководитель.",
        "remark_to_review": "Решение не окончательное: возможно серьёзное отклонение, требуется "
        "проверка руководителем.",
    }
)
_FOUND = {"critical": "критических", "quality": "по качеству", "efficiency": "по эффективности"}
_NOTES: Mapping[str, str] = MappingProxyType(
    {
        "not_comparable": "Видео настолько отличается от эталона, что по оценке нельзя судить о "
        "работе.",
        "gold_left_out": "Одно из эталонных видео противоречит первому и не учитывалось.",
        "gold_copied": "Одно из эталонных видео — копия другого и не учитывалось.",
        "one_step": "Шаг всего один: о порядке и пропусках судить нельзя.",
        "similar_steps": "{one} и {other} в эталоне неразличимы: подмену одного другим обнаружить "
        "нельзя.",
        "steps_proposed": "Шаги предложены автоматически по эталону; разметьте их, чтобы решения "
        "стали надёжнее.",
        "golds_missing": "Чтобы подобрать пороги для этой операции, нужно ещё эталонных видео: "
        "{missing}.",
        "interval_dropped": "Оценка пересчитана с другими весами; интервал появится после "
        "повторной проверки.",
    }
)


def decimal(value: float, digits: int = 1) -> str:
    """A number with the comma that Russian writes."""
    return f"{value:.{digits}f}".replace(".", ",")


def comment(row: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """What happened at a deviation of a result record. names: of the steps, by index."""
    kind, index, other = row["type"], row["step_index"], row["other_step_index"]
    sentence = _SENTENCES[(kind, _variant(row))]
    gold, trainee = row["gold_timecode"], row["trainee_timecode"]
    near = "" if index is None else f" на {_label('шаге', index, names)}"
    text = sentence.format(
        step="Один из шагов" if index is None else _label("Шаг", index, names),
        other="" if other is None else _label("шаг", other, names),
        near=near,
        seconds=decimal(trainee[1] - trainee[0]),
        gold=decimal(gold[1] - gold[0]),
        ratio=decimal(row["time_ratio"] or 0.0),
    )
    text += _ALTERNATIVES.get(row["alternative_type"], "")
    return text + (" (требует проверки)" if row["certainty"] == "review" else "")


def summary(record: Mapping[str, Any]) -> str:
    """The one line of a result."""
    found = record["summary"]
    if found["decision_basis"] in _BASIS_SUMMARIES:
        return _BASIS_SUMMARIES[found["decision_basis"]]
    counts = found["severity_counts"]
    shown = ", ".join(f"{word} — {counts[key]}" for key, word in _FOUND.items() if counts[key])
    sentence = _SUMMARIES[(found["decision"], bool(shown))].format(found=shown)
    return f"Оценка {decimal(record['score'])} — {sentence}"


def notes(record: Mapping[str, Any], names: Mapping[int, str]) -> list[str]:
    """What to know about the ground of the result, each statement once."""
    pairs = iter(record["similar_steps"])
    steps = [row["step_index"] for row in record["timeline"]]
    lines = []
    for note in record["notes"]:
        words: dict[str, object] = {"missing": record["calibration"]["golds_missing"]}
        if note["code"] == "similar_steps":
            one, other = next(pairs)
            words["one"] = _label("Шаг", steps[one], names)
            words["other"] = _label("шаг", steps[other], names)
        lines.append(_NOTES[note["code"]].format(**words))
    return list(dict.fromkeys(lines))


def _label(word: str, index: int, names: Mapping[int, str]) -> str:
    name = names.get(index, "")
    return f"{word} {index + 1}" + (f" («{name}»)" if name else "")


def _variant(row: Mapping[str, Any]) -> str | None:
    kind: str = row["type"]
    detail: str | None = row["detail"]
    if kind == "over_time":
        return "idle" if detail == "idle" else ("ratio" if row["time_ratio"] else None)
    if kind == "missing_step":
        return detail if detail in ("start", "tail") else None
    other: Sequence[int | None] = (None, row["step_index"])
    return (
        "other"
        if kind in ("order_swap", "step_deviation") and row["other_step_index"] not in other
        else None
    )
