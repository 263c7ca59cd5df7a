"""`breakthrough serve`: a compiled inspector behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="compiled (the latest artifact), an artifact's folder, or one that breakthrough compile wrote.")],
    variant: Annotated[str | None, typer.Option("--variant", metavar="NAME", help="Which model of an artifact with several: fp32, int8.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 finds a free one.")] = 8080,
    max_batch: Annotated[int, typer.Option("--max-batch", help="Most pictures computed together; 1 turns batching off.")] = 32,
    max_wait_ms: Annotated[float, typer.Option("--max-wait-ms", help="How long the first of a batch waits for more.")] = 0.0,
    queue: Annotated[int, typer.Option("--queue", help="Requests that may wait; further ones get 429.")] = 256,
    timeout_s: Annotated[float, typer.Option("--timeout-s", help="From a request's first byte to its answer; 408 or 504 after it.")] = 5.0,
    workers: Annotated[int, typer.Option("--workers", help="Threads that run the model, each with its own copy.")] = 1,
    max_body_bytes: Annotated[int, typer.Option("--max-body-bytes", help="A longer body gets 413.")] = 8 << 20,
    follow_stdin: Annotated[bool, typer.Option("--follow-stdin", help="End also when standard input closes: for a program that starts the service.")] = False,
) -> None:
    """Serve a compiled inspector over HTTP.

    \b
    The root path is a page to drop a picture on: class, confidence, and a map of where the net sees a
    defect. Programs send the picture as the body:
      curl --data-binary @part.png http://127.0.0.1:8080/v1/inspect
    or numbers, as JSON or raw float32; /docs shows the schema, /openapi.json is it.

    \b
    Batches: a model thread that is free takes what waits, up to --max-batch. Under load batches grow by
    themselves, so --max-wait-ms may stay 0; more makes one client alone slower.
    For watchers: /healthz (sound?), /readyz (warmed up, not shutting down?), /metrics (Prometheus).
    Overload gets 429 with Retry-After. Ctrl-C or SIGTERM: what is in is answered, new requests get 503;
    a second Ctrl-C ends at once.
      breakthrough serve compiled
      breakthrough serve build/inspector-tuned --port 0 --workers 2
      breakthrough serve compiled --variant int8 --max-batch 16 --timeout-s 0.5
    """
    from breakthrough.deploy import finding, serve as serving
    from breakthrough.deploy.capacity import Limits

    folder = finding.find(artifact, variant)
    limits = Limits(workers, max_batch, max_wait_ms, queue, timeout_s, max_body_bytes)
    if ended := serving.serve(folder, limits, host=host, port=port, follow_stdin=follow_stdin, say=_say):
        raise typer.Exit(ended)


def _say(text: str) -> None:
    print(text, flush=True)
