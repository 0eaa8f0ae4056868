import { z } from 'zod';
import { zName } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { quoteArgv } from '../ssh/quote.js';
import { lastLine } from '../facts/answer.js';
import { describeWanted, failed, findings, matchSet } from '../judging/finding.js';
import type { Finding } from '../judging/finding.js';
import { matchFields, zFields } from '../judging/json-path.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims, zList } from '../judging/claims.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, match, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { joinTables, parseTable } from '../facts/ovs-table.js';
import type { OvsBridge, OvsPort, OvsRow } from '../facts/ovs-table.js';
import { runScript, whyUnfinished } from '../places/script.js';

const zExternalIds = z
  .record(z.string().min(1), zMatcher)
  .refine((ids) => Object.keys(ids).length > 0, 'must name at least one key');

/** Words for a bridge and for a port, each with its column and whether it is ovs-vswitchd that writes that. */
const bridgeWords = {
  'fail-mode': {
    column: 'fail_mode',
    about: 'standalone (a learning switch when no controller answers) or secure; absent where never set.',
  },
  'datapath-type': { column: 'datapath_type', about: 'netdev (in user space), system, or "" (which is system).' },
  'datapath-id': { column: 'datapath_id', about: 'The id under which controllers know it, 16 hexadecimal digits.' },
  stp: { column: 'stp_enable', about: 'Whether it takes part in the spanning tree protocol.' },
} as const;
const portWords = {
  tag: { column: 'tag', about: 'VLAN of an access port; absent without one.' },
  trunks: { column: 'trunks', about: 'List of VLANs that a trunk carries; [] for all.' },
  'vlan-mode': { column: 'vlan_mode', about: 'access, trunk, native-tagged, native-untagged; absent where never set.' },
} as const;
const interfaceWords = {
  type: { column: 'type', about: 'internal, vxlan, gre, patch, … or "" for a device of the host.' },
  ofport: {
    column: 'ofport',
    about: 'Number of the port in OpenFlow; -1 when ovs-vswitchd could not open the device.',
  },
  'link-state': { column: 'link_state', about: 'up or down.' },
  error: { column: 'error', about: 'Why ovs-vswitchd could not open the device; absent when it could.' },
} as const;
type Words = Readonly<Record<string, { column: string; about: string }>>;

const zWords = <W extends Words>(words: W) =>
  Object.fromEntries(
    Object.entries(words).map(([name, { about }]) => [name, zMatcher.optional().describe(about)]),
  ) as unknown as Record<keyof W, z.ZodOptional<z.ZodType<Matcher>>>;

/** What ovs-vswitchd finds out, as against what somebody has configured: stale when it does not run. */
const found = ['datapath-id', 'ofport', 'link-state', 'error', 'connected'] as const;

const zSpec = z
  .strictObject({
    on: zName.describe('The host whose Open vSwitch is asked.'),
    bridge: z.string().min(1).max(15).optional().describe('A bridge of it. All of Open vSwitch where left out.'),
    port: z.string().min(1).optional().describe('A port of the bridge by its name.'),
    select: zExternalIds
      .optional()
      .describe(
        'A port of the bridge by external_ids of its interface, such as the container_id and container_iface that ovs-docker writes; exactly one may have them.',
      ),
    expect: claims({
      absent: z.literal(true).optional().describe('There is no such bridge or port.'),
      bridges: zList.optional().describe('Open vSwitch: set of the names of its bridges.'),
      ports: zList.optional().describe('bridge: set of the names of its ports, without its own.'),
      controllers: zList.optional().describe('bridge: set of the targets of its controllers: tcp:10.0.0.1:6653.'),
      connected: zMatcher.optional().describe('bridge: whether one of its controllers is connected.'),
      ...zWords(bridgeWords),
      ...zWords(portWords),
      ...zWords(interfaceWords),
      'external-ids': zExternalIds
        .optional()
        .describe('Keys in external_ids of the bridge, or of the port’s interface.'),
      fields: zFields
        .optional()
        .describe('Columns of the bridge, or of the port’s interface, by the names they have in the database.'),
    }).default({}),
  })
  .check((check) => {
    const { bridge, port, select, expect } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if (port !== undefined && select !== undefined) wrong(['select'], 'says the same as port: name one of them');
    const one = port ?? select;
    if (one !== undefined && bridge === undefined) wrong([], 'a port is one of a bridge: name it too');
    const { absent: none, ...wanted } = expect;
    if (none && Object.keys(wanted).length > 0) wrong(['expect'], 'what is absent has no properties');
    if (none && bridge === undefined) wrong(['expect'], 'must say what is absent: bridge, port or select');
    const level = one !== undefined ? 'port' : bridge !== undefined ? 'bridge' : 'Open vSwitch';
    const known: Record<typeof level, readonly string[]> = {
      'Open vSwitch': ['bridges'],
      bridge: ['ports', 'controllers', 'connected', 'external-ids', 'fields', ...Object.keys(bridgeWords)],
      port: ['external-ids', 'fields', ...Object.keys(portWords), ...Object.keys(interfaceWords)],
    };
    for (const key of Object.keys(wanted))
      if (!known[level].includes(key))
        wrong(
          ['expect', key],
          `is no property of ${level === 'Open vSwitch' ? level : `a ${level}`}: those are ${known[level].join(', ')}`,
        );
    if (level === 'Open vSwitch' && expect.bridges === undefined)
      wrong([], 'must ask for something: bridge, or expect with bridges');
  });
type Spec = z.output<typeof zSpec>;

const tables = ['bridge', 'port', 'interface', 'controller'] as const;

async function askOvs(context: ProbeContext, spec: Spec): Promise<OvsBridge[] | { unknown: string }> {
  const unknown = (why: string): { unknown: string } => ({
    unknown: `Open vSwitch of ${spec.on} could not be asked: ${why}`,
  });
  // The daemon is asked for itself where its findings count: the database keeps them when it is gone.
  const findingsAsked = found.some((name) => spec.expect[name] !== undefined) || spec.expect.fields !== undefined;
  const list = [
    'ovs-vsctl',
    '--timeout=8',
    '--format=json',
    ...tables.flatMap((table, i) => [...(i === 0 ? [] : ['--']), 'list', table]),
  ];
  const script = await runScript(
    context.host(spec.on),
    [
      { name: 'tool', shell: 'command -v ovs-vsctl' },
      // One command line is one transaction: the four tables are of one moment.
      { name: 'list', shell: quoteArgv(list), errors: 'apart' },
      ...(findingsAsked
        ? [{ name: 'daemon', shell: quoteArgv(['ovs-appctl', '--timeout=5', '-t', 'ovs-vswitchd', 'version']) }]
        : []),
    ],
    {
      timeoutMs: Math.min(context.timeLeftMs(), 15_000),
      signal: context.signal,
      keepBytes: 8 << 20,
      prelude: 'LC_ALL=C; export LC_ALL',
    },
  );
  const listed = script.parts.get('list');
  if (listed === undefined || (findingsAsked && !script.parts.has('daemon')))
    return unknown(whyUnfinished(script.exec));
  if (script.parts.get('tool')?.exitCode !== 0) return unknown('it has no ovs-vsctl');
  if (listed.exitCode !== 0)
    return unknown(lastLine(script.exec.stderr) || `ovs-vsctl ended with exit status ${listed.exitCode}`);
  const daemon = script.parts.get('daemon');
  if (daemon !== undefined && daemon.exitCode !== 0)
    return unknown(`ovs-vswitchd, which finds out what is asked, does not answer: ${lastLine(daemon.output)}`);
  const lines = listed.output.split('\n').filter((line) => line.trim() !== '');
  const [bridge, port, iface, controller] = lines.map(parseTable);
  if (lines.length !== tables.length || !bridge || !port || !iface || !controller)
    return unknown('its database answered in a form that is not known');
  return (
    joinTables({ bridge, port, interface: iface, controller }) ??
    unknown('its database answered in a form that is not known')
  );
}

const columns = (words: Words, row: OvsRow): Record<string, unknown> =>
  Object.fromEntries(Object.entries(words).map(([name, { column }]) => [name, row[column] ?? absent]));

const idsOf = (row: OvsRow): Record<string, unknown> =>
  typeof row['external_ids'] === 'object' && row['external_ids'] !== null
    ? (row['external_ids'] as Record<string, unknown>)
    : {};

function wrongIds(wanted: Readonly<Record<string, Matcher>>, row: OvsRow): Finding[] {
  const ids = idsOf(row);
  return Object.entries(wanted).flatMap(([key, matcher]) => {
    const { ok, ...rest } = match(matcher, Object.hasOwn(ids, key) ? ids[key] : absent);
    return ok ? [] : [{ name: `external_ids:${key}`, ...rest }];
  });
}

function wrongFields(spec: Spec, row: OvsRow): Finding[] {
  const { fields, 'external-ids': ids } = spec.expect;
  return [
    ...wrongIds(ids ?? {}, row),
    ...(fields === undefined
      ? []
      : matchFields(fields, row).flatMap(({ ok, path, ...rest }) => (ok ? [] : [{ name: path, ...rest }]))),
  ];
}

const named = (list: readonly { name: string }[]): string => list.map((one) => one.name).join(', ') || 'none';

function describeSelect(spec: Spec): string {
  return (
    spec.port ??
    `with ${Object.entries(spec.select ?? {})
      .map(([key, matcher]) => `external_ids:${key} ${describeMatcher(matcher)}`)
      .join(' and ')}`
  );
}

function judgePort(spec: Spec, bridge: OvsBridge): Outcome {
  const { select } = spec;
  const where = `the bridge ${bridge.name} of ${spec.on}`;
  const like = (port: OvsPort): boolean =>
    select === undefined ? port.name === spec.port : port.interfaces.some((one) => wrongIds(select, one).length === 0);
  const ports = bridge.ports.filter(like);
  const which = describeSelect(spec);
  const all = named(bridge.ports);
  if (spec.expect.absent) {
    if (ports.length > 0)
      return fail('present', `${where} has the port ${named(ports)}, which must not be there`, {
        expected: 'absent',
        actual: all,
      });
    return pass(`${where} has no port ${which}; its ports: ${all}`, {
      controls: [{ title: `Open vSwitch of ${spec.on} answers`, held: true, seen: all }],
    });
  }
  const [port, ...others] = ports;
  if (port === undefined)
    return fail('absent', `${where} has no port ${which}; its ports: ${all}`, { expected: which, actual: all });
  if (others.length > 0) return inconclusive(`${where} has ${ports.length} ports ${which}: ${named(ports)}`);
  const iface =
    select === undefined ? port.interfaces[0] : port.interfaces.find((one) => wrongIds(select, one).length === 0);
  if (iface === undefined) return inconclusive(`the port ${port.name} of ${where} has no interface`);
  const { expect } = spec;
  const ofPort = columns(portWords, port.row);
  const ofInterface = columns(interfaceWords, iface);
  const pick = (words: Words): Record<string, Matcher | undefined> =>
    Object.fromEntries(
      Object.keys(words).map((name) => [name, expect[name as keyof typeof expect] as Matcher | undefined]),
    );
  const wrong = [
    ...findings(pick(portWords), ofPort, matchSet),
    ...findings(pick(interfaceWords), ofInterface),
    ...wrongFields(spec, iface),
  ];
  const tag = ofPort['tag'] === absent ? 'no tag' : `tag ${String(ofPort['tag'])}`;
  const type = ofInterface['type'] === '' ? 'a device of the host' : `type ${String(ofInterface['type'])}`;
  const broken = typeof ofInterface['error'] === 'string' ? `, ${ofInterface['error']}` : '';
  const subject = `the port ${port.name} of ${where} (${tag}, ${type}${broken})`;
  return wrong.length > 0 ? failed(subject, wrong) : pass(`${subject.replace(/ \(/, ' is there (')}`);
}

function judgeBridge(spec: Spec, bridge: OvsBridge): Outcome {
  const { expect } = spec;
  const targets = bridge.controllers.map((one) => one['target']);
  const wanted = Object.fromEntries(
    Object.keys(bridgeWords).map((name) => [name, expect[name as keyof typeof expect] as Matcher | undefined]),
  );
  const wrong = [
    ...findings(
      { ports: expect.ports, controllers: expect.controllers },
      { ports: bridge.ports.map((one) => one.name), controllers: targets },
      matchSet,
    ),
    ...findings(
      { connected: expect.connected },
      { connected: bridge.controllers.some((one) => one['is_connected'] === true) },
    ),
    ...findings(wanted, columns(bridgeWords, bridge.row)),
    ...wrongFields(spec, bridge.row),
  ];
  const subject = `the bridge ${bridge.name} of ${spec.on} (ports ${named(bridge.ports)}; ${targets.length === 0 ? 'no controller' : `controllers ${targets.join(', ')}`})`;
  return wrong.length > 0 ? failed(subject, wrong) : pass(subject.replace(/ \(/, ' is there ('));
}

function describeOvs(spec: Spec): string {
  const port = spec.port !== undefined || spec.select !== undefined;
  const bridge = spec.bridge === undefined ? '' : ` bridge ${spec.bridge}`;
  if (spec.expect.absent)
    return port
      ? `Open vSwitch of ${spec.on}:${bridge} has no port ${describeSelect(spec)}`
      : `Open vSwitch of ${spec.on} has no${bridge}`;
  const { absent: _absent, 'external-ids': ids, fields, ...plain } = spec.expect;
  const wanted = [
    ...describeWanted(plain as Record<string, Matcher>),
    ...Object.entries(ids ?? {}).map(([key, matcher]) => `external_ids:${key} ${describeMatcher(matcher)}`),
    ...describeWanted(fields ?? {}),
  ];
  return `Open vSwitch of ${spec.on}:${bridge}${port ? ` port ${describeSelect(spec)}` : ''}${wanted.length === 0 ? ' is there' : ` ${wanted.join(', ')}`}`;
}

export const ovsCheck = defineCheck<Spec>({
  name: 'ovs',
  summary:
    'Open vSwitch of a host has (or lacks) certain bridges and ports, with the VLAN tag, type, controller, fail mode and external_ids expected.',
  example: `- check: the container's port is an access port of VLAN 100
  ovs:
    on: node1
    bridge: ovs-br1
    select: { container_id: web, container_iface: eth1 }
    expect: { tag: 100, error: { absent: true } }`,
  schema: zSpec as unknown as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: describeOvs,
  async run(spec, context) {
    const bridges = await askOvs(context, spec);
    if ('unknown' in bridges) return inconclusive(bridges.unknown);
    const all = named(bridges);
    const control = { title: `Open vSwitch of ${spec.on} answers`, held: true, seen: `bridges: ${all}` };
    const subject = `Open vSwitch of ${spec.on}`;
    if (spec.bridge === undefined) {
      const wrong = findings({ bridges: spec.expect.bridges }, { bridges: bridges.map((one) => one.name) }, matchSet);
      return wrong.length > 0
        ? failed(subject, wrong)
        : pass(`${subject} has the bridges ${all}`, { controls: [control] });
    }
    const bridge = bridges.find((one) => one.name === spec.bridge);
    const port = spec.port !== undefined || spec.select !== undefined;
    if (bridge === undefined) {
      // Of a bridge that is not there, a port's absence would be true of anything.
      if (spec.expect.absent && !port)
        return pass(`${subject} has no bridge ${spec.bridge}; its bridges: ${all}`, { controls: [control] });
      return fail('absent', `${subject} has no bridge ${spec.bridge}; its bridges: ${all}`, {
        expected: spec.bridge,
        actual: all,
      });
    }
    if (port) return judgePort(spec, bridge);
    if (spec.expect.absent)
      return fail('present', `${subject} has the bridge ${spec.bridge}, which must not be there`, {
        expected: 'absent',
        actual: all,
      });
    return judgeBridge(spec, bridge);
  },
});
