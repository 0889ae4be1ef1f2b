"""Every setting has a test that shows its effect; every variable of the contract is answered."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from sopilot.core.config import Settings, variable_names
from sopilot.core.unread import UNREAD, unread

TESTS = Path(__file__).resolve().parents[1]
HERE = "integration/test_settings_effects.py"
INCIDENTS = "integration/test_incidents.py"
VIGIL = "integration/test_vigil.py"
SPEECH = "integration/test_vigil_speech.py"
MEANING = "integration/test_vigil_meaning.py"
VECTORS = "unit/store/test_store_vectors.py"
TRAINING = "integration/test_training.py"
ACCESS, WATCH = "integration/test_access.py", "integration/test_watch.py"
SHOWN = {
    "data_dir": f"{HERE}::test_the_service_listens_and_stores_where_it_is_told",
    "database_url": "integration/test_migrations.py::"
    "test_opened_database_equals_the_table_definitions",
    "second_database_url": "integration/test_follow.py::test_workers_apply_and_health_tells",
    "host": f"{HERE}::test_the_service_listens_and_stores_where_it_is_told",
    "port": f"{HERE}::test_the_service_listens_and_stores_where_it_is_told",
    "api_key": "unit/api/test_api_auth.py::test_with_a_key_loopback_is_not_enough",
    "api_key_role": "unit/api/test_api_credentials.py::test_the_key_has_the_role_of_the_settings",
    "public_metrics": f"{ACCESS}::test_metrics_may_be_closed",
    "api_token": "unit/api/test_api_credentials.py::test_every_form_of_a_credential",
    "api_token_role": "unit/api/test_api_credentials.py::test_every_form_of_a_credential",
    "api_role_tokens": "unit/api/test_api_credentials.py::test_every_form_of_a_credential",
    "basic_user": "unit/api/test_api_credentials.py::test_every_form_of_a_credential",
    "basic_password": "unit/api/test_api_credentials.py::test_every_form_of_a_credential",
    "basic_role": "unit/api/test_api_credentials.py::test_every_form_of_a_credential",
    "auth_required": "unit/api/test_api_auth.py::test_without_credentials_the_mode_decides",
    "auth_default_role": "unit/api/test_api_auth.py::"
    "test_who_comes_without_credentials_has_the_default_role",
    "session_hours": f"{ACCESS}::"
    "test_the_cookie_is_for_this_service_only_and_its_token_is_not_stored",
    "login_failures_per_minute": f"{ACCESS}::test_wrong_credentials_are_limited_per_address",
    "rate_limit_rpm": f"{ACCESS}::test_the_request_beyond_the_minutes_is_refused",
    "rate_limit_burst": f"{ACCESS}::test_a_burst_is_refused",
    "trusted_proxies": f"{ACCESS}::test_behind_a_trusted_proxy_the_client_counts",
    "cors_origins": f"{HERE}::test_browsers_may_call_from_the_listed_origins_only",
    "max_upload_mb": "integration/test_library_ingest.py::"
    "test_refusals_before_the_row_leave_nothing",
    "log_level": f"{HERE}::test_logs_have_the_form_and_level_asked_for",
    "log_json": f"{HERE}::test_logs_have_the_form_and_level_asked_for",
    "log_format": f"{HERE}::test_logs_have_the_form_and_level_asked_for",
    "build_commit": "integration/test_metrics.py::test_what_runs_is_told",
    "build_date": "integration/test_metrics.py::test_what_runs_is_told",
    "primary_task_id": f"{HERE}::test_a_new_task_begins_with_the_defaults_of_the_settings",
    "primary_task_name": f"{HERE}::test_a_new_task_begins_with_the_defaults_of_the_settings",
    "enforce_primary_task": "integration/test_library_scores.py::"
    "test_too_few_clips_and_foreign_tasks_are_refused",
    "default_pass_score": f"{HERE}::test_a_new_task_begins_with_the_defaults_of_the_settings",
    "default_retrain_score": f"{HERE}::test_a_new_task_begins_with_the_defaults_of_the_settings",
    "min_scoring_clips": "integration/test_library_scores.py::"
    "test_too_few_clips_and_foreign_tasks_are_refused",
    "embedder_backend": "unit/embed/test_embed_open.py::"
    "test_another_backend_stands_in_only_where_it_may",
    "allow_embedder_fallback": "unit/embed/test_embed_open.py::"
    "test_another_backend_stands_in_only_where_it_may",
    "enable_failure_capsule": f"{HERE}::test_failures_are_kept_where_and_as_what_is_asked",
    "embedder_failure_capsule_path": f"{HERE}::test_failures_are_kept_where_and_as_what_is_asked",
    "run_id": f"{HERE}::test_failures_are_kept_where_and_as_what_is_asked",
    "max_pixels": "unit/media/test_media_probe.py::test_a_limit_is_named_when_it_is_passed",
    "max_video_seconds": "unit/media/test_media_probe.py::test_a_limit_is_named_when_it_is_passed",
    "min_video_seconds": "unit/media/test_media_probe.py::test_a_limit_is_named_when_it_is_passed",
    "decoder_memory_mb": f"{HERE}::test_the_decoder_gets_the_limits_of_the_settings",
    "decoder_cpu_seconds": f"{HERE}::test_the_decoder_gets_the_limits_of_the_settings",
    "privacy_mask_enabled": "integration/test_privacy.py::"
    "test_a_mark_inside_the_mask_is_in_no_served_picture",
    "privacy_mask_mode": "unit/media/test_media_mask.py::test_masks_differ_in_their_fingerprint",
    "privacy_mask_rects": "integration/test_privacy.py::"
    "test_a_mark_inside_the_mask_is_in_no_served_picture",
    "privacy_face_blur": "integration/test_privacy.py::test_a_missing_detector_stops_the_start",
    "privacy_keep_raw": "integration/test_privacy.py::test_a_dropped_upload_is_gone_and_said_so",
    "ingest_mode": "integration/test_api_videos.py::test_the_mode_async_never_waits",
    "ingest_wait_seconds": "integration/test_api_videos.py::"
    "test_the_mode_auto_waits_as_long_as_it_is_told",
    "score_workers": f"{HERE}::test_the_service_listens_and_stores_where_it_is_told",
    "job_lease_seconds": f"{HERE}::test_a_job_has_the_attempts_and_the_lease_of_the_settings",
    "job_max_retries": f"{HERE}::test_a_job_has_the_attempts_and_the_lease_of_the_settings",
    "webhook_url": "integration/test_score_events.py::"
    "test_a_completed_score_is_announced_with_the_documented_fields",
    "webhook_secret": "integration/test_outbox.py::test_a_worker_process_delivers_with_the_secret",
    "webhook_timeout_sec": f"{HERE}::test_deliveries_take_the_time_and_the_tries_of_the_settings",
    "webhook_max_attempts": f"{HERE}::test_deliveries_take_the_time_and_the_tries_of_the_settings",
    "nightly_enabled": f"{TRAINING}::test_the_night_begins_once_however_many_servers_look",
    "nightly_hour_local": f"{TRAINING}::test_the_night_begins_once_however_many_servers_look",
    "nightly_min_new_videos": f"{TRAINING}::test_a_second_training_needs_new_videos",
    "nightly_check_sec": f"{HERE}::test_the_scheduler_looks_as_often_as_the_settings_say",
    "enable_feature_adapter": f"{HERE}::"
    "test_without_the_adapter_a_training_is_skipped_with_the_reason",
    "adapt_command": f"{TRAINING}::test_the_command_gets_words_without_a_shell_and_without_secrets",
    "audit_signing_key": "integration/test_audit_service.py::"
    "test_without_a_key_nothing_is_exported",
    "audit_signing_key_id": "integration/test_audit_service.py::"
    "test_the_signature_is_over_the_documented_text",
    "audit_trail_role": "integration/test_audit_service.py::"
    "test_the_role_that_may_read_is_a_setting",
    "watch_enabled": f"{WATCH}::test_the_service_watches_where_the_settings_ask_for_it",
    "watch_dir": f"{WATCH}::test_the_command_watches_the_folder_it_is_told",
    "watch_task_id": f"{WATCH}::test_with_a_task_in_the_settings_any_place_will_do",
    "watch_role": f"{WATCH}::test_with_a_task_in_the_settings_any_place_will_do",
    "watch_poll_sec": f"{WATCH}::test_killed_at_any_moment_it_loads_every_file_once",
    "watch_settle_sec": f"{WATCH}::test_a_file_must_rest_for_the_settling_time",
    "adapt_timeout_sec": f"{TRAINING}::test_a_command_that_takes_too_long_is_ended",
    "vector_backend": f"{VECTORS}::test_older_names_mean_the_files",
    "qdrant_url": f"{VECTORS}::test_a_server_is_named_by_address_or_by_host_and_port",
    "qdrant_host": f"{VECTORS}::test_a_server_is_named_by_address_or_by_host_and_port",
    "qdrant_port": f"{VECTORS}::test_a_server_is_named_by_address_or_by_host_and_port",
    "qdrant_api_key": f"{VECTORS}::test_the_key_goes_to_the_server",
    "vigil_enabled": f"{VIGIL}::test_without_vigil_there_is_no_route",
    "disk_high_water_percent": f"{VIGIL}::test_a_disk_above_its_mark_is_told",
    "vigil_llm_model": f"{VIGIL}::test_questions_may_have_a_model_of_their_own",
    "vigil_source_dirs": f"{VIGIL}::test_a_named_folder_is_left_by_no_path",
    "vigil_concurrent_queries": f"{VIGIL}::test_no_more_questions_at_once_than_the_setting_says",
    "text_embedding_url": f"{MEANING}::test_a_paraphrase_finds_what_was_said_in_three_languages",
    "text_embedding_model": f"{MEANING}::test_the_address_needs_a_model",
    "text_embedding_api_key": f"{MEANING}::test_the_key_is_sent",
    "text_embedding_query_prefix": f"{MEANING}::test_a_query_has_a_prefix_of_its_own",
    "text_embedding_passage_prefix": f"{MEANING}::test_another_model_sees_only_what_it_made",
    "asr_backend": f"{SPEECH}::test_no_backend_is_the_default",
    "asr_model_dir": f"{SPEECH}::test_a_model_that_is_not_there_stops_the_start",
    "asr_device": "ml/test_whisper.py::test_numbers_that_the_device_does_not_know_are_told",
    "asr_compute_type": "ml/test_whisper.py::test_numbers_that_the_device_does_not_know_are_told",
    "asr_language": "ml/test_whisper.py::test_the_same_sound_gives_the_same_sentences",
    "vigil_concurrent_indexing": f"{VIGIL}::"
    "test_no_more_videos_are_indexed_at_once_than_the_setting_says",
    "vigil_rerank_count": f"{VIGIL}::test_a_model_puts_moments_in_order_by_what_they_show",
    "still_backend": "ml/test_image_text.py::"
    "test_words_find_the_chunk_whose_pictures_fit_them_best",
    "still_model_dir": "unit/embed/test_embed_image_text.py::test_the_folder_must_be_named",
    "still_device": "ml/test_image_text.py::test_a_device_that_is_not_there_is_told",
    "vigil_max_windows": "integration/test_vigil_events.py::"
    "test_windows_beyond_the_limit_are_not_checked",
    "vlm_url": f"{INCIDENTS}::test_an_event_is_found_where_it_is",
    "vlm_model": f"{INCIDENTS}::test_wrong_key_and_answers_about_another_window_are_errors",
    "vlm_api_key": f"{INCIDENTS}::test_the_key_is_sent",
    "vlm_protocol": f"{INCIDENTS}::test_the_earlier_service_is_a_backend",
    "vlm_timeout_sec": "integration/test_vlm_client.py::"
    "test_a_server_that_is_too_slow_is_unavailable",
    "vlm_attempts": f"{INCIDENTS}::test_a_model_that_fails_ends_in_error_and_a_rerun_works",
    "vlm_concurrency": f"{INCIDENTS}::test_the_passes_follow_their_settings",
    "vlm_picture_px": f"{INCIDENTS}::test_the_passes_follow_their_settings",
    "incident_window_sec": f"{INCIDENTS}::test_the_passes_follow_their_settings",
    "incident_target_fps": f"{INCIDENTS}::test_the_passes_follow_their_settings",
    "incident_frames_per_window": f"{INCIDENTS}::test_the_passes_follow_their_settings",
    "incident_max_highlights": f"{INCIDENTS}::test_no_more_events_than_the_setting_says",
    "incident_max_windows": f"{INCIDENTS}::test_windows_beyond_the_limit_are_not_checked",
    "incident_language": f"{INCIDENTS}::test_the_language_of_texts_is_a_setting",
    "incident_without_model": f"{INCIDENTS}::test_without_a_model_an_analysis_may_be_refused",
}
"""Setting -> the test that shows what it changes."""

CONTRACT = """
API_KEY DATA_DIR PORT LOG_LEVEL LOG_JSON LOG_FORMAT DEFAULT_PASS_SCORE DEFAULT_RETRAIN_SCORE
SCORE_WORKERS SCORE_JOB_MAX_RETRIES EMBEDDER_BACKEND ALLOW_EMBEDDER_FALLBACK MAX_UPLOAD_MB
UPLOAD_MAX_MB SAMPLE_FPS CLIP_SECONDS CORS_ORIGINS WEBHOOK_URL VJEPA2_VARIANT VJEPA2_DEVICE
VJEPA2_POOLING VJEPA2_USE_AMP VJEPA2_PRETRAINED VJEPA2_SOURCE VJEPA2_LOCAL_REPO
VJEPA2_LOCAL_CHECKPOINT INGEST_EMBED_BATCH_SIZE EMBEDDER_BATCH_SIZE EMBEDDER_COMPILE DTW_USE_GPU
MIN_SCORING_CLIPS QUEUE_BACKEND REDIS_URL RQ_QUEUE_PREFIX AUTH_REQUIRED PRIVACY_MASK_ENABLED
PRIVACY_MASK_MODE PRIVACY_MASK_RECTS PRIVACY_FACE_BLUR PRIVACY_KEEP_RAW NIGHTLY_ENABLED
NIGHTLY_HOUR_LOCAL NIGHTLY_MIN_NEW_VIDEOS ADAPT_COMMAND ENABLE_FEATURE_ADAPTER PRIMARY_TASK_ID
PRIMARY_TASK_NAME ENFORCE_PRIMARY_TASK FRAME_SIZE MIN_BOUNDARY_GAP BOUNDARY_Z DEVIATION_THRESHOLD
EFFICIENCY_OVER_TIME_THRESHOLD VJEPA2_CROP_SIZE DB_POOL_SIZE ENABLE_FAILURE_CAPSULE
EMBEDDER_FAILURE_CAPSULE_PATH EMBEDDER_IMMEDIATE_RETRY RUN_ID RUN_SEED UVICORN_WORKERS
UVICORN_LOG_LEVEL TARGET_FPS MAX_SIDE MIN_CLIP_COVERAGE CHANGE_THRESHOLD_FACTOR MIN_STEP_CLIPS
LOW_SIM_THRESHOLD WEIGHT_MISS WEIGHT_SWAP WEIGHT_DEV WEIGHT_TIME WEIGHT_WARP EMBEDDER_FALLBACK
EMBEDDING_DEVICE VJEPA2_REPO VJEPA2_NUM_FRAMES VJEPA2_IMAGE_SIZE VJEPA2_BATCH_SIZE
RQ_JOB_TIMEOUT_SEC RQ_RESULT_TTL_SEC RQ_FAILURE_TTL_SEC RQ_RETRY_MAX TRAIN_WORKERS
NIGHTLY_CHECK_SEC ADAPT_TIMEOUT_SEC REPORT_TITLE NEURAL_MODE NEURAL_PROJECTION CLIP_HOP_SECONDS
DATABASE_URL INGEST_MODE INGEST_SYNC_WAIT_SEC API_TOKEN API_TOKEN_ROLE API_ROLE_TOKENS
AUTH_DEFAULT_ROLE BASIC_USER BASIC_PASSWORD BASIC_ROLE AUDIT_SIGNING_KEY AUDIT_SIGNING_KEY_ID
RATE_LIMIT_RPM RATE_LIMIT_BURST WATCH_ENABLED WATCH_DIR WATCH_TASK_ID WATCH_POLL_SEC WATCH_ROLE
""".split()
"""Section 3 and section 1.4, without the prefix."""


@cache
def _names(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_setting_is_in_the_table_and_no_other() -> None:
    assert set(SHOWN) == set(Settings.model_fields)


@pytest.mark.parametrize("setting", SHOWN)
def test_the_named_tests_are_there(setting: str) -> None:
    place, _, name = SHOWN[setting].partition("::")
    assert name in _names(TESTS / place)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_variable_of_the_contract_is_read_or_answered(name: str) -> None:
    read = {found for field in Settings.model_fields for found in variable_names(field)}
    variable = f"SOPILOT_{name}"
    assert (variable in read) != (unread(variable) is not None)


def test_nothing_is_both_read_and_unread() -> None:
    read = {found for field in Settings.model_fields for found in variable_names(field)}
    assert read & set(UNREAD) == set()
