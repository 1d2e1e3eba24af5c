// Says which version of a tool the sandbox has, and refuses one that is too old.

import { emit } from 'lightapi:release/log@0.1.0';
import { exec } from 'lightapi:release/sandbox@0.1.0';

const COMMAND = 'rust-release/tool-versions';

const INPUT = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    tool: { type: 'string', description: 'The name as the tool answers `--version`: `cargo`.' },
    atLeast: { type: 'string', description: 'The lowest version that is good enough: `1.80`.' },
  },
  required: ['tool'],
  additionalProperties: false,
};

const OUTPUT = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: { tool: { type: 'string' }, version: { type: 'string' } },
  required: ['tool', 'version'],
};

export const step = {
  describe() {
    return {
      name: 'tool-version',
      version: '0.1.0',
      summary: 'Says which version of a tool the sandbox has',
      inputSchema: JSON.stringify(INPUT),
      outputSchema: JSON.stringify(OUTPUT),
      idempotent: true,
    };
  },

  plan(input) {
    read(input);
    return [{ command: COMMAND, parameters: '{}', why: 'the tools say what they are' }];
  },

  execute(text) {
    const { tool, atLeast } = read(text);
    const result = run();
    const version = versionOf(result.stdoutExcerpt, tool);
    if (version === undefined) throw { tag: 'needs-human', val: `the sandbox has no \`${tool}\`` };
    if (atLeast !== undefined && older(version, atLeast)) {
      throw { tag: 'needs-human', val: `\`${tool}\` is ${version}, older than ${atLeast}` };
    }
    emit('info', `${tool} ${version}`, []);
    return JSON.stringify({ tool, version });
  },
};

// What is thrown decides where the release goes: one of the variants of `step-error`.
function read(text) {
  const input = JSON.parse(text);
  const unknown = Object.keys(input ?? {}).find((key) => !(key in INPUT.properties));
  if (unknown !== undefined) throw { tag: 'invalid-input', val: `unknown field \`${unknown}\`` };
  if (typeof input?.tool !== 'string') throw { tag: 'invalid-input', val: '`tool` must be a text' };
  return input;
}

function run() {
  let result;
  try {
    result = exec(COMMAND, []);
  } catch (error) {
    throw refused(error.payload ?? error);
  }
  if (result.status === 'succeeded') return result;
  const lines = result.stderrExcerpt.trim().split('\n');
  throw {
    tag: 'failed',
    val: {
      summary: `failed to ask the tools for their versions: ${lines.at(-1) || result.summary}`,
      exitCode: result.exitCode,
      logs: [result.stderr, result.stdout],
    },
  };
}

// A host call that got no answer, as the end of the step.
function refused({ tag, val }) {
  switch (tag) {
    case 'denied':
      return { tag: 'denied', val };
    case 'unavailable':
      return { tag: 'transient', val };
    case 'invalid':
      return { tag: 'invalid-input', val };
    default:
      return { tag: 'needs-human', val: String(val) };
  }
}

function versionOf(lines, tool) {
  const line = lines.split('\n').find((line) => line.split(/\s+/)[0] === tool);
  return line?.split(/\s+/).find((word) => /^[0-9]/.test(word));
}

function older(version, lowest) {
  const [ours, theirs] = [version, lowest].map((text) => text.split('.').map(Number));
  for (let index = 0; index < theirs.length; index += 1) {
    if ((ours[index] ?? 0) !== theirs[index]) return (ours[index] ?? 0) < theirs[index];
  }
  return false;
}
