"""The fixed words of the incident report: Russian, English, Japanese."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sopilot.report.wording import Language

_WORDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "title": ("Отчёт об инциденте", "Incident report", "インシデント報告書"),
        "summary": ("Итог", "Summary", "概要"),
        "found": (
            "Обнаружено событий: {count}.",
            "Events found: {count}.",
            "検出イベント: {count} 件",
        ),
        "none_found": (
            "В проверенной части видео событий не обнаружено.",
            "No event was found in what was checked.",
            "確認した範囲ではイベントは見つかりませんでした。",
        ),
        "unchecked_sum": (
            "Не проверено: {sec} с из {total} с.",
            "Not checked: {sec} s of {total} s.",
            "未確認: {total} 秒中 {sec} 秒",
        ),
        "all_checked": (
            "Проверено всё видео.",
            "The whole video was checked.",
            "動画全体を確認しました。",
        ),
        "method_vlm": (
            "Метод: кадры коротких отрезков показаны языковой модели со зрением, которая ответила "
            "на вопросы о видимом. Описания написаны моделью. Время взято из самого видео, не из "
            "слов модели. Ответы модели могут быть ошибочны; решение принимает человек.",
            "Method: pictures of short windows were shown to a vision-language model, which "
            "answered questions about what is visible. Descriptions are the model's words. Times "
            "come from the video itself, never from the model. The model can be wrong; a person "
            "decides.",
            "方法: 短い区間のフレームを視覚言語モデルに見せ、見えるものについての質問に"
            "答えさせました。"
            "説明文はモデルによるものです。時刻はモデルの言葉ではなく動画そのものから取っています。"
            "モデルは誤ることがあり、判断は人が行います。",
        ),
        "method_signal": (
            "Метод: измерены изменения изображения (движение, свет, положение камеры). Содержание "
            "видео никто не смотрел: ни человек, ни модель. Процентиль показывает место значения "
            "в этом же видео и не является вероятностью.",
            "Method: changes of the picture were measured (motion, light, place of the camera). "
            "Nobody looked at what the video shows, neither a person nor a model. The percentile "
            "tells where a value stands within the same video; it is no probability.",
            "方法: 映像の変化(動き、明るさ、カメラ位置)を測定しました。"
            "内容は人もモデルも見ていません。"
            "パーセンタイルは同じ動画の中での値の位置を示すもので、確率ではありません。",
        ),
        "facts": ("Сведения", "Facts", "基本情報"),
        "file": ("Файл", "File", "ファイル"),
        "incident": ("Инцидент", "Incident", "インシデント"),
        "domain": ("Область", "Domain", "分野"),
        "domain_given": ("указана", "as stated", "指定"),
        "domain_inferred": ("определена моделью", "inferred by the model", "モデルによる推定"),
        "traffic": ("дорожное движение", "traffic", "交通"),
        "production": ("производство", "production", "生産現場"),
        "violence": ("насилие", "violence", "暴力"),
        "other": ("прочее", "other", "その他"),
        "duration": ("Длительность", "Duration", "長さ"),
        "picture": ("Изображение", "Picture", "映像"),
        "uploaded": ("Загружено", "Received", "受付"),
        "analysed": ("Проанализировано", "Analysed", "解析"),
        "model": ("Модель", "Model", "モデル"),
        "prompts": ("Версия вопросов", "Version of the questions", "質問の版"),
        "hash": ("SHA-256 файла", "SHA-256 of the file", "ファイルの SHA-256"),
        "made_at": ("Отчёт составлен", "Report made", "報告書作成"),
        "events": ("События", "Events", "イベント"),
        "time": ("Время", "Time", "時刻"),
        "highlight": ("Главный момент", "Highlight", "ハイライト"),
        "confidence": (
            "Достоверность (калибрована)",
            "Confidence (calibrated)",
            "信頼度(較正済み)",
        ),
        "no_confidence": ("не калибрована", "not calibrated", "未較正"),
        "percentile": (
            "Процентиль в этом видео",
            "Percentile in this video",
            "動画内パーセンタイル",
        ),
        "description": ("Описание", "Description", "説明"),
        "no_picture": ("Кадр не сохранён", "No picture is kept", "画像なし"),
        "timeline": ("Раскадровка", "Timeline", "タイムライン"),
        "state": ("Состояние", "State", "状態"),
        "EVENT": ("событие", "event", "イベント"),
        "SAFE": ("события не видно", "no event seen", "イベントなし"),
        "NOT_CHECKED": ("не проверено", "not checked", "未確認"),
        "MEASURED": ("измерено", "measured", "測定のみ"),
        "risk": ("Риск", "Risk", "リスク"),
        "caption": ("Что видно", "What is seen", "映像の内容"),
        "passes": ("Проходы анализа", "Passes", "解析パス"),
        "pass": ("Проход", "Pass", "パス"),
        "parameters": ("Параметры", "Parameters", "パラメータ"),
        "windows": ("Отрезков", "Windows", "区間数"),
        "failed": ("Не проверено", "Not checked", "未確認"),
        "found_count": ("Событий", "Events", "イベント数"),
        "not_needed": ("не понадобился", "was not needed", "不要"),
        "not_checked": ("Что не проверено", "What was not checked", "未確認の範囲"),
        "nothing_unchecked": ("Непроверенных отрезков нет.", "Nothing was left out.", "なし"),
        "reason": ("Причина", "Reason", "理由"),
        "page": ("Стр.", "Page", "ページ"),
        "of": ("из", "of", "/"),
        "unprintable": (
            "Символы, которых нет в шрифтах отчёта, показаны как □:",
            "Characters that the report's fonts lack are shown as □:",
            "報告書のフォントにない文字は □ で示しています:",
        ),
        "seconds": ("с", "s", "秒"),
        "incident_type": ("Тип", "Type", "種類"),
    }
)
_PLACES: Mapping[Language, int] = {"ru": 0, "en": 1, "ja": 2}


def incident_words(language: Language) -> dict[str, str]:
    """Every fixed word in one language."""
    place = _PLACES[language]
    return {key: texts[place] for key, texts in _WORDS.items()}
