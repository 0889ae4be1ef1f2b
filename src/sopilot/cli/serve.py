"""`sopilot serve` and `sopilot worker`: the processes of an installation."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import ExitCode, note

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI


def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0 = none here.")] = None,
) -> None:
    """Run the service with its embedded workers."""
    from sopilot.api.app import create_app, watcher_of
    from sopilot.core.config import load_settings
    from sopilot.core.environment import unknown_variables
    from sopilot.core.log import configure_logging, get_logger
    from sopilot.runtime import open_runtime

    settings = load_settings(data_dir=data_dir, host=host, port=port, score_workers=workers or None)
    configure_logging(settings.log_level, settings.log_form)
    for name, reason in unknown_variables().items():
        get_logger(__name__).warning("settings.unknown_variable", name=name, reason=reason)
    with ExitStack() as held:
        listener = held.enter_context(_listen(settings.host, settings.port))
        # Opened before the service starts: a data folder that cannot be used is one sentence here,
        # and so is a watch folder that another program has.
        runtime = open_runtime(settings)
        watcher = watcher_of(runtime)
        if watcher is not None:
            held.enter_context(watcher)
        app = create_app(settings, runtime=runtime, watcher=watcher, with_workers=workers != 0)
        address = f"http://{settings.host}:{listener.getsockname()[1]}"
        note(f"listening on {address}")
        note(f"data in {settings.data_dir.resolve()}; interactive documentation at {address}/docs")
        _run(app, listener)


def _run(app: FastAPI, listener: socket.socket) -> None:
    """Serve until a signal. Raises the SopilotError that stopped the start, if one did."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # whom to believe is a setting of ours (api/client.py)
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    app.state.is_stopping = lambda: server.should_exit
    try:
        server.run(sockets=[listener])
    except SystemExit as error:  # its code for a failed start is another one's here
        if app.state.start_failure is None:
            raise typer.Exit(ExitCode.FAILURE) from error
        raise app.state.start_failure from error


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises PortInUse with the reason."""
    import socket

    from sopilot.core.errors import PortInUse

    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"cannot listen on {host}:{port}: {error.strerror}; "
            "stop the other program or choose another port with --port or SOPILOT_PORT"
        ) from error
    return listener


def worker(
    data_dir: DataDir = None,
    burst: Annotated[bool, typer.Option(help="Stop when no job is ready.")] = False,
) -> None:
    """Run one worker process until SIGTERM."""
    from sopilot.core.config import load_settings
    from sopilot.core.log import configure_logging
    from sopilot.worker import run_standalone

    settings = load_settings(data_dir=data_dir)
    configure_logging(settings.log_level, settings.log_form)
    run_standalone(settings, burst=burst)
