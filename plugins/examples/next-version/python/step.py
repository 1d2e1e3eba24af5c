"""The version that follows another one."""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.step import Description, PlannedCommand
from wit_world.imports import log
from wit_world.imports.types import StepError_InvalidInput

INPUT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "version": {"type": "string", "description": "Three numbers: `1.4.2`."},
        "change": {"enum": ["breaking", "feature", "fix"]},
    },
    "required": ["version", "change"],
    "additionalProperties": False,
}

OUTPUT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"version": {"type": "string"}},
    "required": ["version"],
}


class Step(exports.Step):
    def describe(self) -> Description:
        return Description(
            name="next-version",
            version="0.1.0",
            summary="Says which version follows",
            input_schema=json.dumps(INPUT),
            output_schema=json.dumps(OUTPUT),
            idempotent=True,
        )

    def plan(self, input: str) -> list[PlannedCommand]:
        read(input)
        return []

    def execute(self, input: str) -> str:
        request = read(input)
        major, minor, patch = (int(part) for part in request["version"].split("."))
        version = {
            "breaking": f"{major + 1}.0.0",
            "feature": f"{major}.{minor + 1}.0",
            "fix": f"{major}.{minor}.{patch + 1}",
        }[request["change"]]
        log.emit(log.Level.INFO, f"{request['version']} is followed by {version}", [])
        return json.dumps({"version": version})


def read(text: str) -> dict:
    """The input, checked. What is raised decides where the release goes."""
    request = json.loads(text)
    for key in request:
        if key not in INPUT["properties"]:
            raise Err(StepError_InvalidInput(f"unknown field `{key}`"))
    if request.get("change") not in INPUT["properties"]["change"]["enum"]:
        raise Err(StepError_InvalidInput("`change` must be breaking, feature or fix"))
    if not re.fullmatch(r"\d+\.\d+\.\d+", str(request.get("version"))):
        raise Err(StepError_InvalidInput(f"`{request.get('version')}` is not three numbers"))
    return request
