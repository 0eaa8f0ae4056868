import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import type { RunEventBody } from '../../src/model/events.js';
import { maskBytesOf } from '../../src/run/mask.js';
import { plannedScenario } from '../../src/run/planned-items.js';
import { createScenarioRun } from '../../src/run/scenario-run.js';
import { loadScenarioText, type LoadOptions } from '../../src/scenario/load.js';
import type { StepItem } from '../../src/scenario/scenario.js';
import type { StepContext, StepKind } from '../../src/steps/kind.js';
import { fakeProvider } from '../fakes/provider.js';
import { lab, lines } from './scenario-fixtures.js';

const secret = 'hunter2-and-more';

function read(steps: string, secrets: string, options: LoadOptions = {}) {
  return loadScenarioText(lab(steps, `secrets: ${secrets}\n`), '/labs/lab.yaml', {
    environment: { TOKEN: secret, SHORT: 'abc' },
    ...options,
  });
}

describe('Secrets of a scenario', () => {
  const step = '  - on: node1\n    run: login ${token}';

  it('are variables, from the file or from the environment; what is shown of a step calls them by name', () => {
    for (const from of ['{ token: { env: TOKEN } }', `{ token: ${secret} }`]) {
      const { scenarios, diagnostics } = read(step, from);
      expect(lines(diagnostics)).to.deep.equal([]);
      const item = scenarios[0]!.items[0] as StepItem;
      expect(item.spec).to.deep.equal({ run: `login ${secret}` });
      expect(item.title).to.equal('login ${token}');
      expect(scenarios[0]!.secrets).to.deep.equal([secret]);
    }
  });

  it('that are not there, too short, or declared twice are mistakes', () => {
    const wrong = (secrets: string, top = ''): string[] =>
      lines(read(step, `${secrets}\n${top}`.trimEnd()).diagnostics);
    expect(wrong('{ token: { env: NO_TOKEN } }')[0]).to.equal(
      '3:26 the environment has no NO_TOKEN: set it, as in `NO_TOKEN=… netrig run`',
    );
    expect(wrong('{ token: { env: SHORT } }')[0]).to.include('SHORT has fewer than 4 characters');
    expect(wrong('{ token: abc }')[0]).to.include('a secret has at least 4 characters');
    expect(wrong('{ token: { env: TOKEN } }', 'vars: { token: 1 }').join('\n')).to.include(
      '`token` is declared in `vars` already',
    );
    expect(wrong('{ token: { file: x } }')[0]).to.match(/^3:\d+ /);
  });

  it('need not be there for validation alone', () => {
    expect(read(step, '{ token: { env: NO_TOKEN } }', { environment: null }).diagnostics).to.deep.equal([]);
  });

  it('have no place in titles, and are not quoted by a mistake', () => {
    const title = read('  - check: with ${token}\n    ping: { from: node1, to: node2 }', '{ token: { env: TOKEN } }');
    expect(lines(title.diagnostics)).to.deep.equal(['7:12 `${token}` is secret, and this is for everybody to read']);
    const mistake = read(
      `  - check: x\n    port: { from: node1, to: node2, port: "\${token}" }`,
      `{ token: ${secret} }`,
    );
    expect(mistake.diagnostics).to.have.length(1);
    expect(JSON.stringify(mistake.diagnostics)).to.not.include(secret);
  });

  it('are masked in every event, outcome and kept file of a run', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'netrig-test-'));
    try {
      const run = {
        name: 'run',
        summary: '',
        example: '',
        schema: z.strictObject({ run: z.string() }),
        repeatable: false,
        describe: (spec: unknown) => (spec as { run: string }).run,
        run: async (spec: unknown, context: StepContext) => {
          const text = (spec as { run: string }).run;
          const attachment = await context.attach('log', 'log.txt', 'text/plain', Buffer.from(`it said ${text}`));
          return { verdict: 'fail', cause: 'exit-status', reason: `${text} failed`, attachments: [attachment] };
        },
      } as unknown as StepKind;
      const { scenarios } = read(step, '{ token: { env: TOKEN } }', { kinds: { steps: [run], checks: [] } });
      const events: RunEventBody[] = [];
      const made = createScenarioRun(
        { ...scenarios[0]!, hosts: [], segments: [] },
        {
          provider: fakeProvider(),
          emit: (event) => void events.push(event),
          runDir: folder,
          signal: new AbortController().signal,
        },
      );
      const outcome = await made.perform('s01');
      await made.finish();
      expect(outcome.reason).to.equal('login «masked» failed');
      expect(readFileSync(path.join(folder, outcome.attachments![0]!.file), 'utf8')).to.equal('it said login «masked»');
      expect(JSON.stringify(events)).to.not.include(secret);
      expect(JSON.stringify(events)).to.include('login «masked»');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('are masked in the plan of a run, which is written before anything runs', () => {
    const { scenarios } = read(step, '{ token: { env: TOKEN } }');
    const plan = JSON.stringify(plannedScenario(scenarios[0]!, 'local'));
    expect(plan).to.not.include(secret);
    expect(plan).to.include('login «masked»');
  });

  it('are overwritten in a file that is no text, each byte of it', () => {
    const data = Buffer.concat([Buffer.from([0xff, 0]), Buffer.from(secret), Buffer.from([0, 0x80])]);
    const masked = maskBytesOf([secret])(data, 'application/vnd.tcpdump.pcap');
    expect(masked).to.have.length(data.length);
    expect(masked.toString('latin1')).to.equal(`\xff\0${'*'.repeat(secret.length)}\0\x80`);
  });
});
