"""The events that tell of one repository: that work on it began, and how it ended."""

from __future__ import annotations

from asyncstack.checkouts.values import FetchRequest, FetchResult
from asyncstack.events import Emit, FetchFinished, FetchStarted, Warned
from asyncstack.git.urls import parse_url
from asyncstack.model import Suspicion

__all__ = ["tell_end", "tell_start", "warn"]


def tell_start(request: FetchRequest, node: str, emit: Emit) -> None:
    """Say that work on a repository begins."""
    emit(
        FetchStarted(
            plugin=request.plugin,
            url=parse_url(request.url).url,
            ref=request.ref,
            directory=request.directory,
            node=node,
        )
    )


def warn(warning: Suspicion, node: str, emit: Emit) -> None:
    """Tell of something that a user should know."""
    emit(Warned(code=warning.code, message=warning.message, plugin=warning.plugin, node=node))


def tell_end(result: FetchResult, emit: Emit) -> FetchResult:
    """Tell of a repository's warnings and its end; return its result."""
    for warning in result.warnings:
        warn(warning, result.node, emit)
    emit(
        FetchFinished(
            plugin=result.plugin,
            url=result.url,
            ref=result.ref,
            directory=result.directory,
            status=result.status,
            commit=result.commit,
            node=result.node,
            start=result.start,
            end=result.end,
            duration_s=round(result.duration_s, 6),
            attempts=result.attempts,
            received_bytes=result.received_bytes,
            objects=result.objects,
            stages=result.stages,
            message=result.message,
            hint=result.hint,
        )
    )
    return result
