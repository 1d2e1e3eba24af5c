"""Says which version of a tool the sandbox has, and refuses one that is too old."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.step import Description, PlannedCommand
from wit_world.imports import log, sandbox
from wit_world.imports.types import (
    CallError_Denied,
    CallError_Invalid,
    CallError_Unavailable,
    Failure,
    StepError_Denied,
    StepError_Failed,
    StepError_InvalidInput,
    StepError_NeedsHuman,
    StepError_Transient,
)

COMMAND = "rust-release/tool-versions"

INPUT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "tool": {"type": "string", "description": "The name as the tool answers `--version`: `cargo`."},
        "atLeast": {"type": "string", "description": "The lowest version that is good enough: `1.80`."},
    },
    "required": ["tool"],
    "additionalProperties": False,
}

OUTPUT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"tool": {"type": "string"}, "version": {"type": "string"}},
    "required": ["tool", "version"],
}


class Step(exports.Step):
    def describe(self) -> Description:
        return Description(
            name="tool-version",
            version="0.1.0",
            summary="Says which version of a tool the sandbox has",
            input_schema=json.dumps(INPUT),
            output_schema=json.dumps(OUTPUT),
            idempotent=True,
        )

    def plan(self, input: str) -> list[PlannedCommand]:
        read(input)
        return [PlannedCommand(COMMAND, "{}", "the tools say what they are")]

    def execute(self, input: str) -> str:
        request = read(input)
        tool = request["tool"]
        version = version_of(run().stdout_excerpt, tool)
        if version is None:
            raise Err(StepError_NeedsHuman(f"the sandbox has no `{tool}`"))
        lowest = request.get("atLeast")
        if lowest is not None and numbers(version) < numbers(lowest):
            raise Err(StepError_NeedsHuman(f"`{tool}` is {version}, older than {lowest}"))
        log.emit(log.Level.INFO, f"{tool} {version}", [])
        return json.dumps({"tool": tool, "version": version})


def read(text: str) -> dict:
    """The input, checked. What is raised decides where the release goes."""
    request = json.loads(text)
    if not isinstance(request, dict) or not isinstance(request.get("tool"), str):
        raise Err(StepError_InvalidInput("`tool` must be a text"))
    for key in request:
        if key not in INPUT["properties"]:
            raise Err(StepError_InvalidInput(f"unknown field `{key}`"))
    return request


def run() -> sandbox.CommandResult:
    try:
        result = sandbox.exec(COMMAND, [])
    except Err as error:
        raise Err(refused(error.value)) from None
    if result.status == sandbox.CommandStatus.SUCCEEDED:
        return result
    lines = result.stderr_excerpt.strip().splitlines()
    raise Err(
        StepError_Failed(
            Failure(
                f"failed to ask the tools for their versions: {lines[-1] if lines else result.summary}",
                result.exit_code,
                [result.stderr, result.stdout],
            )
        )
    )


def refused(error):
    """A host call that got no answer, as the end of the step."""
    if isinstance(error, CallError_Denied):
        return StepError_Denied(error.value)
    if isinstance(error, CallError_Unavailable):
        return StepError_Transient(error.value)
    if isinstance(error, CallError_Invalid):
        return StepError_InvalidInput(error.value)
    return StepError_NeedsHuman(str(error.value))


def version_of(lines: str, tool: str) -> str | None:
    for line in lines.splitlines():
        words = line.split()
        if words[:1] == [tool]:
            return next((word for word in words if word[0].isdigit()), None)
    return None


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
