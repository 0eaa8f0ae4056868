import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { z } from 'zod';
import { scenarioJsonSchema } from '../../src/scenario/json-schema.js';
import { scenarioReferenceMarkdown } from '../../src/scenario/reference.js';
import { fixtures } from './scenario-fixtures.js';
import { testKinds } from './scenario-kinds.js';

describe('scenario: JSON Schema', () => {
  const schema = scenarioJsonSchema(testKinds);
  // Zod lets any key pass where one side of an intersection would; which keys are required is looked at below.
  const { anyOf: _, ...plain } = schema;
  const validator = z.fromJSONSchema(plain as Parameters<typeof z.fromJSONSchema>[0]);
  const accepts = (data: unknown): boolean => validator.safeParse(data).success;
  const small = (item: unknown): unknown => ({ scenario: 'x', title: 'x', hosts: { node1: null }, steps: [item] });

  for (const name of ['small', 'whole', 'merge']) {
    it(`accepts what netrig accepts: good/${name}.yaml`, () => {
      const data: unknown = parse(readFileSync(path.join(fixtures, `good/${name}.yaml`), 'utf8'), { merge: true });
      const result = validator.safeParse(data);
      expect(result.success, JSON.stringify(result.error?.issues, null, 1)).to.equal(true);
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
        properties?: Record<string, { description?: string; allOf?: unknown; $ref?: string }>;
      };
      for (const [key, one] of Object.entries(properties ?? {}))
        if (one.description === undefined && one.$ref === undefined) bare.push(`${at}.${key}`);
      for (const [key, one] of Object.entries(node)) walk(one, `${at}/${key}`);
    };
    walk(schema, '');
    expect(bare).to.deep.equal([]);
  });
});

describe('scenario: reference page', () => {
  const page = scenarioReferenceMarkdown(testKinds);

  it('has a section for every kind, with summary, example and keys', () => {
    for (const kind of [...testKinds.steps, ...testKinds.checks])
      expect(page).to.include(`### \`${kind.name}\`\n\n${kind.summary}\n\n\`\`\`yaml\n- `);
    expect(page)
      .to.include('| `until.within` | duration |  | Deadline. |')
      .and.to.include('| `expect.fails` | causes | **required** | Causes. |');
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
      expect(full).to.include(`### ${heading}\n`);
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
