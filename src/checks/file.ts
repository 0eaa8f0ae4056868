import { z } from 'zod';
import { zEndpoint } from '../language/fields.js';
import type { Outcome } from '../model/verdict.js';
import { quoteArg } from '../ssh/quote.js';
import { describeWanted, failed, findings, matchSet } from '../judging/finding.js';
import type { Finding } from '../judging/finding.js';
import { matchFields, zFields } from '../judging/json-path.js';
import { defineCheck, looksOnly } from './kind.js';
import { claims, zCount, zText, zList } from '../judging/claims.js';
import type { ProbeContext } from '../places/context.js';
import { absent, describeMatcher, match, showValue, zMatcher } from '../judging/match.js';
import type { Matcher } from '../judging/match.js';
import { parseMountinfo } from '../facts/mountinfo.js';
import type { Mount } from '../facts/mountinfo.js';
import { fail, inconclusive, pass } from '../judging/outcome.js';
import { hostProcBeside } from '../model/beside.js';
import { placeAt } from '../judging/place.js';
import { parsePasswd } from '../facts/proc-listing.js';
import { runScript, whyUnfinished } from '../places/script.js';
import type { Vantage } from '../places/vantage.js';

const zMount = z.strictObject({
  source: zMatcher.optional().describe('Device, server or name: /dev/vda, tmpfs, overlay.'),
  fstype: zMatcher.optional().describe('Type of the file system: ext4, tmpfs, overlay, proc, …'),
  root: zMatcher
    .optional()
    .describe('Directory or file of that file system that is shown: / for all of it, another for bind mounts.'),
  options: zMatcher.optional().describe('Set of the options: ro or rw, nosuid, size=64k, …'),
});

const zSpec = z
  .strictObject({
    on: zEndpoint.describe('A host, or a container (its own file system; no tools are needed there).'),
    path: z
      .string()
      .regex(/^\/[^\0]*$/, 'must be an absolute path')
      .refine(
        (path) => !/^\/proc\/(?:self|thread-self)(?:\/|$)/.test(path),
        'means whoever reads it: name a process, such as /proc/1',
      )
      .describe('Absolute path. Symbolic links on the way are followed, as the host or container sees them.'),
    select: zMatcher.optional().describe('Only lines like this are looked at by lines: { matches: "^nameserver" }.'),
    expect: claims({
      absent: z.literal(true).optional().describe('Nothing has this path.'),
      type: zMatcher
        .optional()
        .describe(
          'file, directory, symlink, socket, fifo, block-device, character-device: of the path itself, links not followed.',
        ),
      mode: zMatcher.optional().describe('Permissions as four octal digits, in quotes: "0644".'),
      owner: zMatcher.optional().describe('Name of the owner, or the id where passwd has no name for it.'),
      group: zMatcher.optional().describe('Name of the group, or the id.'),
      size: zCount.optional().describe('Bytes.'),
      target: zMatcher.optional().describe('Where a symbolic link points, as it is written in it.'),
      leads: zMatcher.optional().describe('Path that it comes to when all links are followed.'),
      content: zText.optional().describe('Text of the file (links followed), without the line ends at the end.'),
      lines: zList.optional().describe('List of its lines.'),
      json: zFields.optional().describe('Fields of the JSON document in it.'),
      mounted: z
        .union([z.boolean(), zMount])
        .optional()
        .describe('Whether something is mounted exactly there, by the mount table of the place; or what must be.'),
    }).default({}),
  })
  .check((check) => {
    const { expect, on, select } = check.value;
    const wrong = (path: string[], message: string): void =>
      void check.issues.push({ code: 'custom', input: check.value, path, continue: true, message });
    if (on.includes('/netns:')) wrong(['on'], 'a network namespace has no file system of its own: name its host');
    if (expect.absent && Object.keys(expect).length > 1) wrong(['expect'], 'a file that is absent has no properties');
    if (select !== undefined && expect.lines === undefined)
      wrong(['select'], 'picks lines: say what they are in expect.lines');
  });
type Spec = z.output<typeof zSpec>;

const keptBytes = 1 << 20;

/**
 * A shell function that finds what a path means below another root, which `readlink -f` cannot: an absolute link of a container
 * would lead it into the host. Leaves the path in `$cur`; with `$2` also follows a link at the end. 40 links as in the kernel.
 */
const walk = [
  'walk() { rest=$1; cur=; n=0',
  'while :; do while :; do case $rest in /*) rest=${rest#/};; *) break;; esac; done',
  '[ -n "$rest" ] || break',
  'c=${rest%%/*}; case $rest in */*) rest=${rest#*/};; *) rest=;; esac',
  'case $c in .) continue;; ..) cur=${cur%/*}; continue;; esac',
  'more=$rest; while :; do case $more in /*) more=${more#/};; *) break;; esac; done',
  'if [ -L "$root$cur/$c" ] && { [ -n "$more" ] || [ -n "$2" ]; }; then',
  'n=$((n+1)); if [ $n -gt 40 ]; then echo "Too many levels of symbolic links" >&2; return 40; fi',
  't=$(readlink -n "$root$cur/$c"; printf x); t=${t%x}; [ -n "$t" ] || return 41',
  'case $t in /*) cur=;; esac; rest=$t/$rest',
  'else cur=$cur/$c; fi; done; [ -n "$cur" ] || cur=/; }',
].join('\n');

const types: Record<number, string> = {
  0o14: 'socket',
  0o12: 'symlink',
  0o10: 'file',
  0o06: 'block-device',
  0o04: 'directory',
  0o02: 'character-device',
  0o01: 'fifo',
};

interface FileStat {
  type: string;
  mode: string;
  uid: number;
  gid: number;
  size: number;
}

/** `stat --printf '%f %u %g %s'`; `null` for anything else. */
export function parseStat(text: string): FileStat | null {
  const [, raw, uid, gid, size] = /^([0-9a-f]+) (\d+) (\d+) (\d+)$/.exec(text.trim()) ?? [];
  const mode = parseInt(raw ?? '', 16);
  const type = types[mode >> 12];
  if (type === undefined) return null;
  return {
    type,
    mode: (mode & 0o7777).toString(8).padStart(4, '0'),
    uid: Number(uid),
    gid: Number(gid),
    size: Number(size),
  };
}

interface FileFacts {
  stat: FileStat;
  /** The path with the links on its way followed. */
  at: string;
  target: string | null;
  /** `null`: what it leads to is not there. */
  leads: string | null;
  content: { text: string; bytes: number } | { unread: string };
  users: Map<number, string>;
  groups: Map<number, string>;
  mounts: Mount[] | null;
}

/** How stat(1) says ENOENT and ENOTDIR in the C locale. */
const notThere = /: (?:No such file or directory|Not a directory)$/;

async function readFacts(
  context: ProbeContext,
  place: Vantage,
  path: string,
): Promise<FileFacts | { missing: string } | { unknown: string }> {
  const { container } = place;
  // What is below /proc, /sys and /dev is true of its reader: there the host's own programs are asked.
  const { beside } = place.host;
  const host = beside && !/^\/(?:proc|sys|dev)(?:\/|$)/.test(path) ? beside : place.host;
  const proc = host === beside ? hostProcBeside : '/proc';
  const root = container !== null ? `${proc}/${container.pid}/root` : host === beside ? `${proc}/1/root` : '';
  const unknown = (why: string): { unknown: string } => ({
    unknown: `${path} of ${place.label} could not be read: ${why}`,
  });
  const mountinfo =
    container !== null || host === beside ? `${proc}/${container?.pid ?? 1}/mountinfo` : '/proc/self/mountinfo';
  const script = await runScript(
    host,
    [
      // The root must be there: a container that has just ended shows no absence.
      { name: 'root', shell: `stat -L --printf '%f' "$root/"` },
      { name: 'at', shell: `walk ${quoteArg(path)} ''; s=$?; at=$cur; printf '%s' "$at"; [ $s = 0 ]`, errors: 'apart' },
      { name: 'stat', shell: `stat --printf '%f %u %g %s' "$root$at"` },
      { name: 'target', shell: `readlink -n "$root$at"`, errors: 'apart' },
      {
        name: 'leads',
        shell: `if walk ${quoteArg(path)} follow; then end=$cur; printf '%s' "$end"; [ -e "$root$end" ]; else end=; false; fi`,
        errors: 'apart',
      },
      // Anything but a regular file may keep its reader waiting.
      { name: 'regular', shell: `[ -n "$end" ] && [ -f "$root$end" ]` },
      { name: 'content', shell: `if [ "$s" = 0 ]; then head -c ${keptBytes + 1} <"$root$end"; fi` },
      { name: 'passwd', shell: `cat "$root/etc/passwd"`, errors: 'apart' },
      { name: 'group', shell: `cat "$root/etc/group"`, errors: 'apart' },
      { name: 'mounts', shell: `cat ${mountinfo}`, errors: 'apart' },
    ],
    {
      timeoutMs: Math.min(context.timeLeftMs(), 15_000),
      signal: context.signal,
      prelude: `LC_ALL=C; export LC_ALL; root=${quoteArg(root)}\n${walk}`,
      keepBytes: 8 << 20,
      // Files below /proc/sys show what is true of the reader: it reads from inside the namespaces that they are about.
      ...(container === null || host === beside
        ? {}
        : { wrap: (shell: string) => `nsenter -t ${container.pid} -n -u -i -- sh -c ${quoteArg(shell)}` }),
    },
  );
  const part = (name: string): { output: string; exitCode: number } =>
    script.parts.get(name) ?? { output: '', exitCode: -1 };
  if (!script.parts.has('mounts')) return unknown(whyUnfinished(script.exec));
  if (part('root').exitCode !== 0) return unknown(part('root').output.trim());
  if (part('at').exitCode !== 0)
    return unknown(script.exec.stderr.trim().split('\n')[0] || 'a link on the way leads nowhere that can be told');
  if (part('stat').exitCode !== 0) {
    const words = part('stat').output.trim();
    return notThere.test(words) ? { missing: words } : unknown(words);
  }
  const stat = parseStat(part('stat').output);
  if (stat === null) return unknown(`stat answered ${showValue(part('stat').output)}`);
  const leads = part('leads').exitCode === 0 ? part('leads').output : null;
  const text = part('content').output;
  const bytes = Buffer.byteLength(text);
  const content =
    part('regular').exitCode !== 0
      ? { unread: leads === null ? 'what it leads to is not there' : 'it is no regular file' }
      : part('content').exitCode !== 0
        ? { unread: text.trim() || 'it could not be read' }
        : { text, bytes };
  return {
    stat,
    at: part('at').output,
    target: stat.type === 'symlink' && part('target').exitCode === 0 ? part('target').output : null,
    leads,
    content,
    users: parsePasswd(part('passwd').output),
    groups: parsePasswd(part('group').output),
    mounts: part('mounts').exitCode === 0 ? parseMountinfo(part('mounts').output) : null,
  };
}

const trimmed = (text: string): string => text.replace(/[\r\n]+$/, '');

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

const placeOf = (spec: Spec): string => `${spec.path} of ${spec.on}`;

/** What is wrong of the content, or why nothing of it can be as expected, or known. */
function judgeContent(spec: Spec, facts: FileFacts, seen: string): Finding[] | Outcome {
  const { content, lines, json } = spec.expect;
  if (content === undefined && lines === undefined && json === undefined) return [];
  if ('unread' in facts.content) {
    if (facts.leads !== null && facts.stat.type !== 'directory' && facts.content.unread !== 'it is no regular file')
      return inconclusive(`${placeOf(spec)} could not be read: ${facts.content.unread}`);
    return fail(
      facts.leads === null ? 'absent' : 'wrong-value',
      `${seen}, whose content cannot be as expected: ${facts.content.unread}`,
      { expected: 'a regular file', actual: facts.leads === null ? 'a link to nothing' : facts.stat.type },
    );
  }
  const { text, bytes } = facts.content;
  if (bytes > keptBytes)
    return inconclusive(
      `${placeOf(spec)} is longer than the ${keptBytes} bytes that are read: its content cannot be judged`,
    );
  const { select } = spec;
  const all = linesOf(text);
  const selected = select === undefined ? all : all.filter((line) => match(select, line).ok);
  const wrong = findings({ content, lines }, { content: trimmed(text), lines: selected });
  if (json === undefined) return wrong;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return fail('wrong-value', `${placeOf(spec)} is no JSON document: ${showValue(trimmed(text))}`, {
      expected: 'a JSON document',
      actual: showValue(trimmed(text)),
    });
  }
  return [
    ...wrong,
    ...matchFields(json, document).flatMap(({ ok, path, ...rest }) => (ok ? [] : [{ name: path, ...rest }])),
  ];
}

/** What is wrong of what is mounted exactly there, and what is. `null`: the mount table could not be read. */
function judgeMount(
  mounted: NonNullable<Spec['expect']['mounted']>,
  facts: FileFacts,
): { wrong: Finding[]; text: string } | null {
  if (facts.mounts === null) return null;
  // A link that leads to a mounted place is taken for that place, as mount(8) and findmnt(8) do.
  const at = facts.leads ?? facts.at;
  const mount = facts.mounts.findLast((one) => one.at === at);
  if (mount === undefined) {
    const missing: Finding = {
      name: 'mount',
      sentence: 'is missing: nothing is mounted exactly there',
      expected: 'a mount',
      actual: 'nothing is mounted there',
    };
    return { wrong: mounted === false ? [] : [missing], text: '; nothing is mounted there' };
  }
  const text = `; ${mount.source} (${mount.fstype}) is mounted there: ${mount.options.join(',')}`;
  if (mounted === true) return { wrong: [], text };
  const here = `${mount.source} (${mount.fstype})`;
  if (mounted === false) {
    const sentence = `is ${here}, which must not be there`;
    return { wrong: [{ name: 'mount', sentence, expected: 'nothing is mounted there', actual: here }], text };
  }
  const { options, ...rest } = mounted;
  const wrong = [...findings(rest, { ...mount }), ...findings({ options }, { options: mount.options }, matchSet)];
  return { wrong: wrong.map((one) => ({ ...one, name: `mount ${one.name}` })), text };
}

function judge(spec: Spec, facts: FileFacts): Outcome {
  const { stat } = facts;
  const { absent: _absent, content, lines: _lines, json: _json, mounted, ...plain } = spec.expect;
  const owner = facts.users.get(stat.uid) ?? String(stat.uid);
  const seen = `${placeOf(spec)} is a ${stat.type}${facts.target === null ? '' : ` to ${facts.target}`}, mode ${stat.mode}, owner ${owner}, ${stat.size} bytes`;
  const wrong = findings(plain as Record<string, Matcher>, {
    type: stat.type,
    mode: stat.mode,
    owner,
    group: facts.groups.get(stat.gid) ?? String(stat.gid),
    size: stat.size,
    target: facts.target ?? absent,
    leads: facts.leads ?? absent,
  });
  const inside = judgeContent(spec, facts, seen);
  if ('verdict' in inside) return inside;
  wrong.push(...inside);
  const mount = mounted === undefined ? { wrong: [], text: '' } : judgeMount(mounted, facts);
  if (mount === null) return inconclusive(`the mount table of ${spec.on} is in a form that is not known`);
  wrong.push(...mount.wrong);
  if (wrong.length > 0)
    return failed(
      `${seen}${mount.text}, but`,
      wrong,
      wrong.every((one) => one.actual === 'absent') ? 'absent' : 'wrong-value',
    );
  return pass(`${seen}${mount.text}`, {
    ...('text' in facts.content && content !== undefined ? { actual: showValue(trimmed(facts.content.text)) } : {}),
  });
}

export const fileCheck = defineCheck<Spec>({
  name: 'file',
  summary:
    'A file of a host or container is there (or not), with the type, mode, owner, target, content or mount expected.',
  example: `- check: the engine mounts a hosts file of its own into the container, with the container's address
  file:
    on: node1/web
    path: /etc/hosts
    expect: { type: file, mode: "0644", owner: root, mounted: true, lines: { contains: { matches: "^172[.]" } } }`,
  schema: zSpec as z.ZodType<Spec>,
  mayChange: looksOnly,
  timeoutMs: 20_000,
  endpoints: (spec) => [{ endpoint: spec.on, path: ['on'], role: 'vantage' }],
  describe: (spec) => {
    const { absent: none, json, mounted, ...plain } = spec.expect;
    if (none) return `${spec.on} has no ${spec.path}`;
    const wanted = [
      ...describeWanted(plain as Record<string, Matcher>),
      ...Object.entries(json ?? {}).map(([path, matcher]) => `${path} ${describeMatcher(matcher)}`),
      ...(mounted === undefined
        ? []
        : [
            mounted === true
              ? 'a mount'
              : mounted === false
                ? 'no mount'
                : `a mount${describeWanted(mounted)
                    .map((one) => ` with ${one}`)
                    .join('')}`,
          ]),
    ];
    return `${spec.on} has ${spec.path}${wanted.length === 0 ? '' : `: ${wanted.join(', ')}`}`.replaceAll('\n', ' ');
  },
  async run(spec, context) {
    const place = await placeAt(context, spec.on);
    if ('verdict' in place) return place;
    const facts = await readFacts(context, place, spec.path);
    if ('unknown' in facts) return inconclusive(facts.unknown);
    if ('missing' in facts) {
      if (spec.expect.absent)
        return pass(`${spec.on} has no ${spec.path}`, {
          controls: [{ title: `the file system of ${spec.on} can be read`, held: true, seen: facts.missing }],
        });
      return fail('absent', `${spec.on} has no ${spec.path}`, { expected: spec.path, actual: 'nothing has this path' });
    }
    if (spec.expect.absent)
      return fail(
        'present',
        `${spec.on} has ${spec.path}, which must not be there: a ${facts.stat.type} of ${facts.stat.size} bytes`,
        { expected: 'absent', actual: facts.stat.type },
      );
    return judge(spec, facts);
  },
});
