import { z } from 'zod';
import { zName } from '../language/fields.js';
import { lastLine, whyNoAnswer } from '../facts/answer.js';
import { describeWanted, failed, findings } from '../judging/finding.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims } from '../judging/claims.js';
import { absent, showValue, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';

/** Words of this check, each with the property of `systemctl show` that it reads. */
const properties = {
  load: { property: 'LoadState', about: 'Whether its file could be read: loaded, masked, bad-setting, error.' },
  active: { property: 'ActiveState', about: 'active, inactive, activating, deactivating, reloading, failed.' },
  sub: { property: 'SubState', about: 'The finer state: running, exited, dead, listening, failed, auto-restart, …' },
  enabled: {
    property: 'UnitFileState',
    about: 'enabled, disabled, static, masked, … (text, as systemctl is-enabled says it).',
  },
  result: {
    property: 'Result',
    about: 'How it ended the last time: success, exit-code, signal, timeout, start-limit-hit, …',
  },
  'exec-main-status': {
    property: 'ExecMainStatus',
    about: 'Exit status, or number of the signal, of its main process.',
  },
  'main-pid': { property: 'MainPID', about: 'Process id of its main process, 0 without one.' },
  restarts: { property: 'NRestarts', about: 'How often systemd has started it again by itself.' },
  fragment: { property: 'FragmentPath', about: 'File that the unit was read from.' },
  'drop-ins': { property: 'DropInPaths', about: 'Files that were read on top, separated by blanks.' },
  'needs-reload': { property: 'NeedDaemonReload', about: 'yes when a file of it has changed since systemd read it.' },
  user: { property: 'User', about: 'User that it runs as; empty for root.' },
  description: { property: 'Description', about: 'Its description.' },
} as const satisfies Record<string, { property: string; about: string }>;
type Word = keyof typeof properties;

const zWords = Object.fromEntries(
  Object.entries(properties).map(([name, { about }]) => [name, zMatcher.optional().describe(about)]),
) as unknown as Record<Word, z.ZodOptional<z.ZodType<Matcher>>>;

const zSpec = z
  .strictObject({
    on: zName.describe('The host whose systemd is asked.'),
    unit: z
      .string()
      .regex(/^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*$/, 'must be the name of a unit, such as docker or docker.socket')
      .describe('The unit; .service where no suffix is written.'),
    expect: claims({
      ...zWords,
      properties: z
        .record(
          z
            .string()
            .regex(/^[A-Z][A-Za-z0-9]*$/, 'must be the name of a property of systemctl show, such as ExecStart'),
          zMatcher,
        )
        .optional()
        .describe(
          'Other properties of systemctl show, by their names. One that occurs several times is one text with several lines.',
        ),
      absent: z.literal(true).optional().describe('systemd has no such unit.'),
    }).default({}),
  })
  .check((check) => {
    const { expect } = check.value;
    if (expect.absent && Object.keys(expect).length > 1)
      check.issues.push({
        code: 'custom',
        input: check.value,
        path: ['expect'],
        continue: true,
        message: 'a unit that is absent has no properties',
      });
  });
type Spec = z.output<typeof zSpec>;

const suffixes = /\.(?:service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

const unitOf = (spec: Spec): string => (suffixes.test(spec.unit) ? spec.unit : `${spec.unit}.service`);

/**
 * The properties that `systemctl show` printed, `null` where a line is no `Name=value`. systemd escapes line ends in values;
 * what occurs several times (each ExecStartPre, each Listen) comes out as one text with several lines.
 */
export function parseShow(text: string): Map<string, string> | null {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, name, value] = /^([A-Z][A-Za-z0-9]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return null;
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before}\n${value}`);
  }
  return values;
}

/** Without any of these the unit itself is what is asked for: it is loaded and active. */
function wantedOf(spec: Spec): { words: Partial<Record<Word, Matcher>>; properties: Record<string, Matcher> } {
  const { absent: _absent, properties: named, ...words } = spec.expect;
  const nothing = Object.keys(words).length === 0 && Object.keys(named ?? {}).length === 0;
  return { words: nothing ? { active: 'active' } : (words as Partial<Record<Word, Matcher>>), properties: named ?? {} };
}

export const serviceCheck = defineCheck<Spec>({
  name: 'service',
  summary:
    'A systemd unit of a host is in the state expected: active, enabled, its result, the file that it was read from.',
  example: `- check: the engine came up with the options of the drop-in
  service:
    on: node1
    unit: docker
    expect: { active: active, sub: running, needs-reload: "no", properties: { ExecStart: { contains: "--icc=false" } } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: (spec) => {
    if (spec.expect.absent) return `${spec.on} has no unit ${unitOf(spec)}`;
    const { words, properties: named } = wantedOf(spec);
    return `${unitOf(spec)} on ${spec.on}: ${[...describeWanted(words), ...describeWanted(named)].join(', ')}`;
  },
  async run(spec, context) {
    const host = context.host(spec.on);
    const unit = unitOf(spec);
    const wanted = wantedOf(spec);
    const asked = [
      ...new Set([
        'Id',
        'LoadState',
        'LoadError',
        ...Object.values(properties).map((one) => one.property),
        ...Object.keys(wanted.properties),
      ]),
    ];
    const result = await host.exec(
      ['env', 'LC_ALL=C', 'systemctl', 'show', '--no-pager', '--all', `--property=${asked.join(',')}`, '--', unit],
      { timeoutMs: Math.min(context.timeLeftMs(), 15_000), signal: context.signal },
    );
    const why = whyNoAnswer('systemctl', result);
    if (why !== null) return inconclusive(`systemd of ${spec.on} gave no answer about ${unit}: ${why}`);
    if (result.exitCode !== 0) {
      const words = (result.stderr.trim().split('\n')[0] ?? '') || `exit status ${result.exitCode}`;
      const light =
        host.plan.init === 'light'
          ? `${spec.on} is a light host, which runs no systemd`
          : `systemd of ${spec.on} could not be asked about ${unit}`;
      return inconclusive(`${light}: ${words}`);
    }
    const values = parseShow(result.stdout);
    const load = values?.get('LoadState');
    if (values === null || load === undefined)
      return inconclusive(
        `systemd of ${spec.on} answered about ${unit} in a form that is not known: ${showValue(lastLine(result.stdout))}`,
      );
    const control = { title: `systemd of ${spec.on} answers`, held: true, seen: `LoadState=${load}` };
    if (spec.expect.absent) {
      if (load === 'not-found') return pass(`${spec.on} has no unit ${unit}`, { controls: [control] });
      return fail(
        'present',
        `${spec.on} has the unit ${unit}, which must not be there: ${load}, ${values.get('FragmentPath') || 'without a file'}`,
        { expected: 'absent', actual: load },
      );
    }
    if (load === 'not-found')
      return fail('absent', `${spec.on} has no unit ${unit}`, { expected: unit, actual: 'LoadState=not-found' });
    const byWord = Object.fromEntries(
      (Object.keys(properties) as Word[]).map((word) => [word, values.get(properties[word].property) ?? absent]),
    );
    const byName = Object.fromEntries(Object.keys(wanted.properties).map((name) => [name, values.get(name) ?? absent]));
    const wrong = [...findings(wanted.words, byWord), ...findings(wanted.properties, byName)];
    const state = `${load}, ${values.get('ActiveState') ?? '?'} (${values.get('SubState') ?? '?'})${values.get('UnitFileState') ? `, ${values.get('UnitFileState')}` : ''}`;
    const ended =
      values.get('Result') !== undefined && values.get('Result') !== 'success'
        ? `, result ${values.get('Result')}, status ${values.get('ExecMainStatus') ?? '?'}`
        : '';
    if (wrong.length > 0) return failed(`${unit} of ${spec.on} is ${state}${ended}, but`, wrong);
    return pass(`${unit} of ${spec.on} is ${state}${ended}`);
  },
});
