// The version that follows another one.

import { emit } from 'lightapi:release/log@0.1.0';

const INPUT = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    version: { type: 'string', description: 'Three numbers: `1.4.2`.' },
    change: { enum: ['breaking', 'feature', 'fix'] },
  },
  required: ['version', 'change'],
  additionalProperties: false,
};

const OUTPUT = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: { version: { type: 'string' } },
  required: ['version'],
};

export const step = {
  describe() {
    return {
      name: 'next-version',
      version: '0.1.0',
      summary: 'Says which version follows',
      inputSchema: JSON.stringify(INPUT),
      outputSchema: JSON.stringify(OUTPUT),
      idempotent: true,
    };
  },

  plan(input) {
    read(input);
    return [];
  },

  execute(text) {
    const { numbers, version, change } = read(text);
    const [major, minor, patch] = numbers;
    const next = {
      breaking: `${major + 1}.0.0`,
      feature: `${major}.${minor + 1}.0`,
      fix: `${major}.${minor}.${patch + 1}`,
    }[change];
    emit('info', `${version} is followed by ${next}`, []);
    return JSON.stringify({ version: next });
  },
};

// What is thrown decides where the release goes: one of the variants of `step-error`.
function read(text) {
  const input = JSON.parse(text);
  const refuse = (val) => ({ tag: 'invalid-input', val });
  const unknown = Object.keys(input ?? {}).find((key) => !(key in INPUT.properties));
  if (unknown !== undefined) throw refuse(`unknown field \`${unknown}\``);
  if (!INPUT.properties.change.enum.includes(input?.change)) throw refuse('`change` must be breaking, feature or fix');
  if (!/^\d+\.\d+\.\d+$/.test(input.version)) throw refuse(`\`${input.version}\` is not three numbers`);
  return { ...input, numbers: input.version.split('.').map(Number) };
}
