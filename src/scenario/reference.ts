import { hostImageRows } from '../images/host-image.js';
import { parseVantage } from '../language/endpoint.js';
import { capabilityMeanings, namedCapabilities } from '../model/capability.js';
import { probeCauseMeanings, probeCauses } from '../model/verdict.js';
import { plainJsonSchema } from './json-schema.js';
import type { JsonSchema } from './json-schema.js';
import { builtInKinds } from './kinds.js';
import type { Kinds } from './kinds.js';
import { zCheckFrame, zStepFrame } from './schema.js';

interface Row {
  key: string;
  type: string;
  fallback: string;
  meaning: string;
}

interface Section {
  heading: string;
  /** What a value of it is called in the column of types. */
  word: string;
}

/** Definitions with a section of their own, in the order of the page. */
const sections: Record<string, Section> = {
  Host: { heading: 'Hosts', word: 'map' },
  Segment: { heading: 'Segments', word: 'map' },
  Exercise: { heading: 'Exercises', word: 'map' },
  Docker: { heading: 'Declared engine state: `docker`', word: 'map' },
  DockerNetwork: { heading: 'Networks of an engine', word: 'map' },
  DockerContainer: { heading: 'Containers of an engine', word: 'map' },
};

/** Likewise, of values that several kinds of checks share. */
const sharedSections: Record<string, Section> = {
  Matcher: { heading: 'Expected values', word: 'expected value' },
  RuleSelector: { heading: 'Parts of a rule', word: 'parts of a rule' },
  PacketFields: { heading: 'Fields of a packet', word: 'fields of a packet' },
  FrameFields: { heading: 'Fields of an inner frame', word: 'fields of an inner frame' },
};

/** Words of which a section of the page has the whole list. */
const listedWords: Record<string, string> = {
  cause: 'Causes',
  causes: 'Causes',
  capability: 'Capabilities',
};

/** Definitions that need no section: the words for what they are say all. */
const inWords: Record<string, string> = { Records: 'map to address, host or list of them' };

function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .trim()
    .replace(/\s+/g, '-');
}

function cell(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|');
}

function isVariable(node: JsonSchema): boolean {
  return node.$ref === '#/definitions/Variable';
}

/** Branches that a reader cares about: not the variable that may stand anywhere. */
function branches(node: JsonSchema): JsonSchema[] {
  return ((node.anyOf ?? node.oneOf ?? []) as JsonSchema[]).filter((one) => !isVariable(one));
}

function typeText(node: JsonSchema): string {
  if (node.$ref !== undefined) {
    const name = node.$ref.replace('#/definitions/', '');
    const section = sections[name] ?? sharedSections[name];
    return section === undefined ? (inWords[name] ?? 'map') : `[${section.word}](#${anchor(section.heading)})`;
  }
  if (node.allOf?.length === 1) return typeText(node.allOf[0] as JsonSchema);
  if (Array.isArray(node.type)) return listed((node.type as string[]).map((type) => typeText({ type } as JsonSchema)));
  const inner = branches(node);
  if (inner.length === 1 && node.title === undefined)
    return typeText({ ...inner[0], ...(node.title === undefined ? {} : { title: node.title }) } as JsonSchema);
  if (node.title !== undefined) {
    const heading = listedWords[node.title];
    return heading === undefined ? node.title : `[${node.title}](#${anchor(heading)})`;
  }
  if (inner.length > 1) return [...new Set(inner.map(typeText))].join(' or ');
  if (node.const !== undefined)
    return node.const === null ? '`~`' : `\`${JSON.stringify(node.const).replaceAll('"', '')}\``;
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(', ');
  switch (node.type) {
    case 'array': {
      const item = node.items as JsonSchema | undefined;
      return item === undefined ? 'list' : `list of ${typeText(item)}`;
    }
    case 'object': {
      const below = node.additionalProperties;
      return typeof below === 'object' && below !== null ? `map to ${typeText(below as JsonSchema)}` : 'map';
    }
    case 'string':
      return 'text';
    case 'integer':
      return 'whole number';
    case 'boolean':
      return '`true` or `false`';
    case 'null':
      return '`~`';
    case undefined:
      return 'any value';
    default:
      return String(node.type);
  }
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function fallbackText(node: JsonSchema, required: boolean): string {
  if (required) return '**required**';
  const value = node.default;
  if (
    value === undefined ||
    value === null ||
    (typeof value === 'object' && Object.values(value).every((one) => Array.isArray(one) && one.length === 0))
  )
    return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

/** Objects that a value may hold, seen through lists and alternatives, but not into sections of their own. */
function inlineObjects(node: JsonSchema): { object: JsonSchema; list: boolean }[] {
  if (node.$ref !== undefined) return [];
  const own = node.type === 'object' && node.properties !== undefined ? [{ object: node, list: false }] : [];
  const items =
    node.type === 'array' && typeof node.items === 'object'
      ? inlineObjects(node.items as JsonSchema).map(({ object }) => ({ object, list: true }))
      : [];
  const below =
    node.type === 'object' && typeof node.additionalProperties === 'object' && node.additionalProperties !== null
      ? inlineObjects(node.additionalProperties as JsonSchema).map(({ object }) => ({ object, list: true }))
      : [];
  return [...own, ...items, ...below, ...branches(node).flatMap(inlineObjects)];
}

/** The traffic that another check watches is a check itself, with the keys that it has by itself. */
function trafficText(node: JsonSchema): string {
  return `one of ${listed(Object.keys(node.properties ?? {}).map((kind) => `[\`${kind}\`](#${kind})`))}`;
}

/** `alternative`: the object is one of several forms, so that what it requires is required in that form only. */
function rowsOf(object: JsonSchema, prefix = '', alternative = false): Row[] {
  const required = new Set(object.required ?? []);
  return Object.entries(object.properties ?? {}).flatMap(([name, schema]) => {
    const node = schema as JsonSchema;
    const key = `${prefix}${name}`;
    if (name === 'during' && Object.keys(node.properties ?? {}).includes('ping'))
      return [
        {
          key: `\`${key}\``,
          type: trafficText(node),
          fallback: fallbackText(node, required.has(name)),
          meaning: node.description ?? '',
        },
      ];
    return [
      {
        key: `\`${key}\``,
        type: typeText(node),
        fallback: alternative && required.has(name) ? 'one form' : fallbackText(node, required.has(name)),
        meaning: node.description ?? (node.allOf?.[0] as JsonSchema | undefined)?.description ?? '',
      },
      ...inlineObjects(node).flatMap(({ object: inner, list }, _, all) =>
        rowsOf(inner, `${key}${list ? '[]' : ''}.`, all.length > 1),
      ),
    ];
  });
}

function table(rows: readonly Row[]): string {
  return [
    '| Key | Type | Default | Meaning |',
    '|---|---|---|---|',
    ...rows.map((row) => `| ${cell(row.key)} | ${cell(row.type)} | ${cell(row.fallback)} | ${cell(row.meaning)} |`),
  ].join('\n');
}

function yamlBlock(text: string): string {
  const body = text.trim();
  const item = body.startsWith('- ') ? body : `- ${body.replaceAll('\n', '\n  ')}`;
  return `\`\`\`yaml\n${item}\n\`\`\``;
}

function without(object: JsonSchema, keys: readonly string[]): JsonSchema {
  return {
    ...object,
    properties: Object.fromEntries(Object.entries(object.properties ?? {}).filter(([key]) => !keys.includes(key))),
  };
}

function rowsOfWords<Word extends string>(
  head: string,
  words: readonly Word[],
  meanings: Readonly<Record<Word, string>>,
): string {
  return [
    `| ${head} | Meaning |`,
    '|---|---|',
    ...words.map((word) => `| \`${word}\` | ${cell(meanings[word])} |`),
  ].join('\n');
}

/** The reference page of the language, from the definitions that also validate it. */
export function scenarioReferenceMarkdown(kinds: Kinds = builtInKinds): string {
  const schema = plainJsonSchema(kinds);
  const definitions = schema.definitions as Record<string, JsonSchema>;
  const stepFrame = Object.keys(zStepFrame.shape);
  const checkFrame = Object.keys(zCheckFrame.shape);
  const firstStep = definitions[`Step-${kinds.steps[0]!.name}`]!;
  const firstCheck = definitions[`Check-${kinds.checks[0]!.name}`]!;
  const onlyFrame = (object: JsonSchema, keys: readonly string[]): JsonSchema =>
    without(
      object,
      Object.keys(object.properties ?? {}).filter((key) => !keys.includes(key)),
    );

  const parts: string[] = [
    '<!-- Generated from src/scenario: `npm run docs` writes it anew. -->',
    '# The scenario language',
    'A scenario is one YAML 1.2 file: the hosts of a lab, the wires between them, what to configure, and what must then be true. `netrig validate FILE` names every mistake with its line and column. For completion in an editor that knows YAML schemas, begin the file with',
    '```yaml\n# yaml-language-server: $schema=node_modules/netrig/schema/scenario.schema.json\n```',
    '## A file',
    '```yaml\n' + sample.trim() + '\n```',
    table(rowsOf(without(schema, []))),
    '## Values',
    valuesText,
    '### Variables',
    'A name declared in `vars` or `matrix` is used as `${name}` in any text of the file, not in keys. A text that is nothing but one reference takes the type of the variable, so `port: ${port}` is a number. Text for a shell (`run`, `start`, `content`, `command`, `stdin`) keeps every `${…}` that is not declared; anywhere else an undeclared one is a mistake. `$${name}` stands for a plain `${name}`.',
    '### Causes',
    'What a probe can meet, in `expect: { fails: … }` and in the hints of exercises. Of several, any will do: `fails: [timeout, host-unreachable]`.',
    rowsOfWords('Cause', probeCauses, probeCauseMeanings),
    'Linux sends a host about one ICMP error a second. A probe that must fail and meets silence soon after such an error is sent again after two quiet seconds, so that its cause does not depend on the checks before it.',
    '### Capabilities',
    'What `requires` may name; `netrig doctor --provider NAME` says which of them are here. What the chosen provider or the machine lacks makes a scenario *skipped*; a name that no provider knows is a mistake in the file. Of machines that exist (`ssh`), also `machine:NAME`: it answers.',
    rowsOfWords('Capability', namedCapabilities, capabilityMeanings),
    '### Host images',
    [
      '| Image | Docker Engine |',
      '|---|---|',
      ...hostImageRows.map((row) => `| \`${row.name}\` | ${row.engine || 'none'} |`),
    ].join('\n'),
  ];
  for (const [name, { heading }] of Object.entries(sections)) {
    const definition = definitions[name];
    if (definition === undefined) continue;
    const more = name === 'Exercise' ? exerciseText : '';
    parts.push(`## ${heading}`, definition.description ?? '', table(rowsOf(definition)), more);
  }
  parts.push(
    '## Shared files',
    sharedFilesText,
    '## Cases',
    casesText,
    '## Saved values',
    savedText,
    '## Steps',
    'A step must succeed: one that does not ends the scenario, and what comes after it is skipped, because of it. Steps of `finally` run last, whatever happened: after a failed step, after Ctrl-C (then each has ten seconds at most), and where a selection of checks left them out; each is tried, and each is reported. They do not run where no lab came up, where only checks run (`netrig check`, `--check-only`), nor after `netrig up`, whose lab stays. These keys go with every kind of step:',
    table(rowsOf(onlyFrame(firstStep, stepFrame))),
  );
  for (const kind of kinds.steps) {
    parts.push(
      `### \`${kind.name}\``,
      kind.summary,
      yamlBlock(kind.example),
      table(rowsOf(without(definitions[`Step-${kind.name}`]!, stepFrame))),
    );
  }
  parts.push(
    '## Checks',
    'A check is a verdict: one that fails does not stop the next. A check has a title, exactly one kind, and any of these keys:',
    table(rowsOf(onlyFrame(firstCheck, checkFrame))),
  );
  for (const kind of kinds.checks) parts.push(...checkSection(kind, definitions));
  parts.push('## Values that checks share', ...sharedValues(definitions));
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function checkSection(kind: Kinds['checks'][number], definitions: Record<string, JsonSchema>): string[] {
  const body = definitions[`Check-${kind.name}`]!.properties![kind.name] as JsonSchema;
  const objects =
    body.$ref !== undefined
      ? [{ object: definitions[body.$ref.replace('#/definitions/', '')]!, list: false }]
      : inlineObjects(body);
  const rows = objects.flatMap(({ object, list }) => rowsOf(object, list ? '[].' : ''));
  const head = [`### \`${kind.name}\``, kind.summary, yamlBlock(kind.example)];
  return rows.length > 0
    ? [...head, `Keys below \`${kind.name}\`:`, table(rows)]
    : [...head, `The value is ${typeText(body)}.`];
}

function sharedValues(definitions: Record<string, JsonSchema>): string[] {
  return Object.entries(sharedSections).flatMap(([name, { heading }]) => {
    const definition = definitions[name];
    if (definition === undefined) return [];
    const rows = inlineObjects(definition).flatMap(({ object }) => rowsOf(object));
    const text = name === 'Matcher' ? [matcherText] : [];
    return [`### ${heading}`, definition.description ?? '', ...text, table(rows)];
  });
}

const sharedFilesText = [
  '`extends` takes in what several scenarios share. A shared file begins with `shared:` in place of `scenario:` and `title:`, and may hold `hosts`, `segments`, `vars`, `secrets`, `requires`, `images`, `steps`, `finally` and an `extends` of its own. It is no scenario: where a folder is run, it is left out.',
  '```yaml\n# shared/two-hosts.yaml\nshared: Two hosts on one segment\nhosts: { node1: , node2: { sysctls: { net.ipv4.ip_forward: 1 } } }\nsegments: { lan: { subnet: 10.10.10.0/24, hosts: [node1, node2] } }\n```',
  '```yaml\n# ping.yaml\nscenario: ping\ntitle: Two hosts reach each other\nextends: shared/two-hosts.yaml\nhosts: { node2: { image: debian-13 } } # and its sysctls\nsteps:\n  - check: node1 reaches node2\n    ping: { from: node1, to: node2 }\n```',
  [
    '- `hosts` and `segments` are joined by name, and a host or a segment of both files key by key: what the file itself says wins, whole. `vars` and `secrets` are joined by name.',
    '- `requires`, `images` and `steps` of shared files come first, their steps of `finally` last.',
    '- Of several files the later one wins over the earlier. A file that is reached twice is taken in once; a circle is a mistake.',
    '- A path is relative to the file that names it, and stays in the scenario’s folder or below, links resolved: a scenario from elsewhere reads nothing else of the machine.',
    '- A mistake points into the file where it stands.',
  ].join('\n'),
  'Keys at the top of a file that begin with `x-` are its author’s own, for YAML anchors: `x-limits: &limits { … }`.',
].join('\n\n');

const exerciseText = [
  '```yaml\nscenario: closed-door\ntitle: A port that nobody reaches\nexercise:\n  text: A web server listens on port ${port} of server. Let client reach it, and nobody else’s port.\n  time: 20m\nparameters: { port: { port: 8000..8999 } }\nhosts: { client: { init: light }, server: { init: light } }\nsegments: { lan: { subnet: 10.10.10.0/24, hosts: [client, server] } }\nsteps:\n  - on: server\n    start: python3 -m http.server ${port}\n  - on: server\n    start: python3 -m http.server 7000\n  - on: server\n    run: iptables -A INPUT -i eth0 -p tcp -j DROP\n  - role: solution\n    on: server\n    run: iptables -I INPUT -p tcp --dport ${port} -j ACCEPT\n  - check: The web server is reached\n    points: 4\n    hint: { timeout: "Something swallows the packets. Which rules does server have?", otherwise: "Is anybody listening?" }\n    port: { from: client, to: server, port: "${port}" }\n  - check: Other ports stay closed\n    points: 1\n    guard: true\n    port: { from: client, to: server, port: 7000, expect: { fails: timeout } }\n```',
  [
    '- A step’s `role` is `setup` (also without the key) or `solution`. The key is not `for`, which repeats an item over a table of cases. `netrig run` does both, so that an exercise is a scenario like any other and its checks show that it can be solved; students get the set-up, and `netrig prove` tries one without the other.',
    '- A check with `points` is a task. Only a verdict counts: what is inconclusive or an error is put before the teacher, and is neither earned nor lost. A `guard` is true from the start and costs its points where it no longer is; all points together are never below 0.',
    '- A hint is given for a check that fails: that of the root cause where the way of the packet was followed (docs/causes.md), else that of the cause, else `otherwise`.',
    '- With `stages`, every graded check and every step of the solution names its `stage`; a step of the set-up may, and is then done when the stage begins. Steps stand in the order of the stages.',
    '- `parameters` are variables with other values for each student, so that an answer that was handed on shows. No two students of a class have one value of a parameter, where it has values enough, and none have all alike. Where no student is meant (`netrig run`, `netrig validate`), they have example values. A parameter that nothing uses is a mistake.',
    '- A check of an exercise cannot use a value that a step of the solution saves: students’ labs have no such step.',
  ].join('\n'),
].join('\n\n');

const casesText = [
  'An item with `for` stands for one item for each case of its table. The values of a case are variables in that item; all cases have the same names, and the titles of checks must differ.',
  '```yaml\n- for:\n    - { host: node1, port: 8080 }\n    - { host: node2, port: 8081 }\n  check: ${host} serves port ${port}\n  port: { from: client, to: "${host}", port: "${port}" }\n```',
].join('\n\n');

const savedText = [
  'A `run` step saves values of its output by `save`, and every later step and check has them as `${name}`: a process id, the name of a bridge, a port that the engine chose.',
  '```yaml\n- step: The bridge of the network\n  on: server\n  run: docker network inspect --format "{{.Id}}" web\n  save: { short: { matches: "^.{12}" } }\n- check: The bridge is up\n  link: { on: server, interface: "br-${short}", expect: { up: true } }\n```',
  [
    '- A field that is nothing but a reference takes the type of the value, so `port: ${port}` is a number. What does not fit its field ends the item with an error that names the place in the file and the value.',
    '- In a line for a shell (`run`, `start`, `command`) a saved value is a variable of that shell, so that nothing in it is ever taken for a command: `kill "$pid"` and `kill ${pid}` both have it. In other texts (`content`, `stdin`, lists of arguments) it is put in as it is.',
    '- A name that no step before the item saves is a mistake that `netrig validate` finds. A value is not there when its step was left out by `when`: the items that use it have the same condition.',
    '- Titles, hosts, times and conditions are planned before anything runs, and cannot hold saved values.',
    '- A lab that stays up (`netrig up`) keeps them for `netrig check`.',
  ].join('\n'),
].join('\n\n');

const sample = `
scenario: two-hosts
title: Two hosts reach each other
hosts:
  node1:
  node2: { image: debian-11 }
segments:
  lan: { subnet: 10.10.10.0/24, hosts: { node1: 10.10.10.11, node2: 10.10.10.12 } }
steps:
  - step: A name for the neighbour
    on: node1
    run: echo 10.10.10.12 neighbour >>/etc/hosts
  - check: node1 reaches its neighbour by name
    ping: { from: node1, to: neighbour }
`;

const matcherText = [
  'What is seen is held against it:',
  '```yaml\nstate: running                         # equal\nmtu: { at-least: 1450, at-most: 1500 }  # several operators: all must hold\nnames: { contains: web }               # a list with such an element, or a text with that part\nnames: [web, box]                      # a list, element by element\naddress: { not: { in-subnet: 172.17.0.0/16 } }\nname: { one-of: [eth0, eth1] }\nroutes: { length: 2, each: { matches: "^10[.]" } }\nfield: { absent: true }\n```',
].join('\n\n');

function formOf(text: string): string {
  const kind = parseVantage(text)?.kind;
  return kind === 'netns'
    ? 'a named network namespace of a host'
    : kind === 'container'
      ? 'a container of a host'
      : 'a host';
}

const valuesText = [
  '- **duration**: a number with `ms`, `s`, `m` or `h`: `250ms`, `10s`, `1.5m`. Nothing may take longer than an hour.',
  `- **endpoint**: ${['node1', 'node1/web', 'node1/netns:blue'].map((text) => `\`${text}\` (${formOf(text)})`).join(', ')}.`,
  '- **target**: an endpoint (its address is looked up), a literal address, or a name that is resolved at the source. A word that is the name of a host means the host.',
  '- **subnet**: CIDR form with the first address of the subnet, `10.10.10.0/24`. **address**: IPv4 or IPv6 without prefix length.',
  '- **path** into a JSON document: keys with dots, `[n]` for an element of a list, `[*]` for all of them; a key that holds anything but letters, digits, `_` and `-` (a dot, a blank, a slash) stands in double quotes with JSON’s escapes: `NetworkSettings.Networks."my.net".IPAddress`, `[0].Config.Labels."com.example/role"`.',
  '- **version range**: as in npm, over the engine’s own version: `">=28"`, `">=20.10 <23"`.',
  '- A list may be written as its single value where a key takes one or several.',
].join('\n');
