"""`sopilot vlm …`: the model behind incidents and answers."""

from __future__ import annotations

from typing import Annotated

import typer

from sopilot.cli.output import note, write_json

app = typer.Typer(help="The vision-language model.", no_args_is_help=True)


@app.command("check")
def check() -> None:
    """Ask the configured server which models it serves."""
    from sopilot.core.config import load_settings
    from sopilot.core.errors import ModelUnavailable
    from sopilot.vlm.client import VlmClient
    from sopilot.vlm.open import endpoint_of

    endpoint = endpoint_of(load_settings())
    if endpoint is None:
        raise ModelUnavailable("no model is configured; set SOPILOT_VLM_URL")
    with VlmClient(endpoint) as client:
        models = client.models()
    note(f"{endpoint.url} serves {len(models)} models")
    write_json({"url": endpoint.url, "models": list(models)}, "-")


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8001,
) -> None:
    """Serve the interface of the earlier inference service (`/analyze_video`, `/generate`) on top
    of the configured server. It has no credentials of its own: keep it on this machine."""
    import uvicorn

    from sopilot.api.vlm_service import create_vlm_app
    from sopilot.core.config import load_settings
    from sopilot.core.log import configure_logging

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_form)
    uvicorn.run(create_vlm_app(settings), host=host, port=port, log_config=None)
