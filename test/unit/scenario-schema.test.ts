import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { parse } from 'yaml';
import { namedCapabilities } from '../../src/model/capability.js';
import { probeCauses } from '../../src/model/verdict.js';
import { scenarioJsonSchema } from '../../src/scenario/json-schema.js';
import { builtInKinds } from '../../src/scenario/kinds.js';
import { scenarioReferenceMarkdown } from '../../src/scenario/reference.js';
import { fixtures } from './scenario-fixtures.js';
import { testKinds } from './scenario-kinds.js';

/** ajv at its strictest: it refuses a schema that says anything doubtful. */
const strictly = (schema: object): ReturnType<Ajv['compile']> =>
  new Ajv({ strict: true, allErrors: true }).compile(schema);

describe('scenario: JSON Schema', () => {
  const schema = scenarioJsonSchema(testKinds);
  const validator = strictly(schema);
  const accepts = (data: unknown): boolean => validator(data) === true;
  const small = (item: unknown): unknown => ({ scenario: 'x', title: 'x', hosts: { node1: null }, steps: [item] });

  for (const name of ['small', 'whole', 'merge']) {
    it(`accepts what netrig accepts: good/${name}.yaml`, () => {
      const data: unknown = parse(readFileSync(path.join(fixtures, `good/${name}.yaml`), 'utf8'), { merge: true });
      expect(accepts(data), JSON.stringify(validator.errors, null, 1)).to.equal(true);
    });
  }

  for (const [what, item] of [
    ['an unknown key', { run: 'x', cwd: '/' }],
    ['no kind', { on: 'node1' }],
    ['two kinds', { run: 'x', start: 'y' }],
    ['a check without a title', { ping: { from: 'node1', to: 'node1' } }],
    ['a check without a kind', { check: 'x' }],
    ['a missing key of the kind', { check: 'x', ping: { from: 'node1' } }],
    ['a wrong cause', { check: 'x', ping: { from: 'node1', to: 'node1', expect: { fails: 'timout' } } }],
    ['a wrong duration', { run: 'x', timeout: '10' }],
    ['a wrong port', { check: 'x', port: { from: 'node1', to: 'node1', port: 70_000 } }],
  ] as const) {
    it(`refuses an item with ${what}`, () => expect(accepts(small(item))).to.equal(false));
  }

  it('lets a variable stand for a number, a duration and one of several words', () => {
    expect(
      accepts(
        small({
          check: 'x',
          within: '${time}',
          port: { from: '${host}', to: 'node1', port: '${port}', protocol: '${protocol}' },
        }),
      ),
    ).to.equal(true);
  });

  it('refuses unknown keys at the top and in hosts', () => {
    expect(accepts({ ...(small({ run: 'x' }) as object), extra: 1 })).to.equal(false);
    expect(accepts({ ...(small({ run: 'x' }) as object), hosts: { node1: { inti: 'light' } } })).to.equal(false);
  });

  it('describes every key, for editors', () => {
    const bare: string[] = [];
    const walk = (node: unknown, at: string): void => {
      if (typeof node !== 'object' || node === null) return;
      const { properties } = node as {
        properties?: Record<string, { description?: string; allOf?: unknown; $ref?: string } | boolean>;
      };
      for (const [key, one] of Object.entries(properties ?? {}))
        if (typeof one === 'object' && one.description === undefined && one.$ref === undefined)
          bare.push(`${at}.${key}`);
      for (const [key, one] of Object.entries(node)) if (key !== 'if') walk(one, `${at}/${key}`);
    };
    walk(schema, '');
    expect(bare).to.deep.equal([]);
  });
});

describe('scenario: what an editor says of one slip of the pen', function () {
  this.timeout(60_000);
  const validator = strictly(scenarioJsonSchema());
  /** What an editor shows; that a branch of an `if` did not hold is no mistake of its own. */
  const said = (item: unknown, top: object = {}): string[] => {
    void validator({ scenario: 'x', title: 'x', hosts: { a: null, b: null }, steps: [item], ...top });
    return (validator.errors ?? [])
      .filter((error) => error.keyword !== 'if')
      .map((error) => `${error.instancePath} ${error.message}`);
  };
  const ping = { check: 'x', ping: { from: 'a', to: 'b' } };

  for (const [what, item, top, mistakes] of [
    ['nothing', ping, {}, []],
    ['a kind', { check: 'x', pign: {} }, {}, ['/steps/0 must NOT have additional properties']],
    ['a kind of step', { on: 'a', rnu: 'x' }, {}, ['/steps/0 must NOT have additional properties']],
    ['a key of every check', { ...ping, wihtin: '1s' }, {}, ['/steps/0 must NOT have additional properties']],
    [
      'a key that a kind must have',
      { check: 'x', ping: { form: 'a', to: 'b' } },
      {},
      ["/steps/0/ping must have required property 'from'", '/steps/0/ping must NOT have additional properties'],
    ],
    [
      'a cause',
      { check: 'x', ping: { from: 'a', to: 'b', expect: { fails: 'timout' } } },
      {},
      ['/steps/0/ping/expect/fails must be equal to one of the allowed values'],
    ],
    [
      'a number',
      { check: 'x', port: { from: 'a', to: 'b', port: 'http' } },
      {},
      ['/steps/0/port/port must be integer'],
    ],
    ['a kind left out', { check: 'x' }, {}, ['/steps/0 must NOT be valid']],
    ['a title left out', { ping: ping.ping }, {}, ["/steps/0 must have required property 'check'"]],
    ['a key of a host', ping, { hosts: { a: { inti: 'light' } } }, ['/hosts/a must NOT have additional properties']],
    [
      'a host image',
      ping,
      { hosts: { a: { image: 'debian-99' } } },
      ['/hosts/a/image must be equal to one of the allowed values'],
    ],
    ['a key of the file', ping, { titel: 'x' }, [' must NOT have additional properties']],
  ] as const) {
    it(`${what}: ${mistakes.length}`, () => expect(said(item, top)).to.deep.equal(mistakes));
  }

  for (const kind of [...builtInKinds.steps, ...builtInKinds.checks]) {
    it(`one or two things of any key of ${kind.name} that is misspelt`, () => {
      const example: unknown = parse(kind.example);
      const item = (Array.isArray(example) ? example[0] : example) as Record<string, unknown>;
      expect(said(item)).to.deep.equal([]);
      let wrong = 0;
      for (const misspelt of misspellings(item)) {
        const mistakes = said(misspelt);
        expect(mistakes.length, JSON.stringify(misspelt) + mistakes.join('\n')).to.be.at.most(2);
        if (mistakes.length > 0) wrong += 1;
      }
      expect(wrong).to.be.greaterThan(0);
    });
  }
});

/** The value once for each of its keys, with that key misspelt. */
function* misspellings(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const [index, one] of value.entries()) for (const inner of misspellings(one)) yield value.with(index, inner);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, one] of Object.entries(value)) {
    yield Object.fromEntries(Object.entries(value).map(([name, kept]) => [name === key ? `${name}q` : name, kept]));
    for (const inner of misspellings(one)) yield { ...value, [key]: inner };
  }
}

describe('scenario: reference page', () => {
  const page = scenarioReferenceMarkdown(testKinds);

  it('has a section for every kind, with summary, example and keys', () => {
    for (const kind of [...testKinds.steps, ...testKinds.checks])
      expect(page).to.include(`### \`${kind.name}\`\n\n${kind.summary}\n\n\`\`\`yaml\n- `);
    expect(page)
      .to.include('| `until.within` | duration |  | Deadline. |')
      .and.to.include('| `expect.fails` | [causes](#causes) | **required** | Causes. |');
  });

  it('has tables whose rows all have four cells', () => {
    const rows = page.split('\n').filter((row) => row.startsWith('| `'));
    expect(rows.length).to.be.greaterThan(60);
    for (const row of rows) {
      const cells = row.replaceAll('\\|', '').split('|').length - 2;
      expect(cells, row).to.be.oneOf([2, 4]);
    }
  });

  it('says of every map of the language which keys it has', () => {
    const full = scenarioReferenceMarkdown();
    for (const section of full.split(/^#{2,3} /m)) {
      const rows = [...section.matchAll(/^\| `([^`]+)` \| (\S.*?) \|/gm)].map(([, key, type]) => ({
        key: key!,
        type: type!,
      }));
      for (const { key } of rows.filter(({ type }) => type === 'map')) {
        expect(
          rows.some((row) => row.key.startsWith(`${key}.`) || row.key.startsWith(`${key}[].`)),
          `keys below ${key} in: ${section.split('\n')[0]}`,
        ).to.equal(true);
      }
    }
    for (const heading of ['Expected values', 'Parts of a rule', 'Fields of a packet', 'Fields of an inner frame'])
      expect(full.split(`### ${heading}\n`)[1], heading).to.match(/^[^#]*^\|---\|---\|---\|---\|\n\| `/m);
  });

  it('lists every cause and every capability that a file may name', () => {
    for (const word of [...probeCauses, ...namedCapabilities])
      expect(
        page.split('\n').filter((row) => row.startsWith(`| \`${word}\` | `)),
        word,
      ).to.have.length.at.least(1);
  });

  it('names no type by what a library calls it', () => {
    expect(page).to.not.match(/undefined|any value|\[object|anyOf|"type"/);
  });

  it('links only to headings that it has', () => {
    const headings = [...page.matchAll(/^#+ (.+)$/gm)].map((match) =>
      match[1]!
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .trim()
        .replace(/\s+/g, '-'),
    );
    for (const [, target] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(headings).to.include(target);
  });
});
