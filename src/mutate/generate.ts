import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  Scalar,
  type Document,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml';
import type { Path } from '../scenario/diagnostic.js';
import { acceptedReasons } from './accepted.js';
import type { Mutation, Operator, TextChange } from './mutation.js';
import { onlyShows, scriptCommands } from './shell-lines.js';
import { alterScalar, optionChanges, shortly, valueChanges } from './text-changes.js';

type Edit = (document: Document) => void;
type Found = Omit<Mutation, 'id' | 'accepted'>;

/** Where in the file the place is whose mutations are being made. */
interface Spot {
  path: Path;
  step: number | null;
}

/** Keys of a step that are no configuration: its title, when it is done, and how long it may take. */
const frameKeys = new Set(['step', 'note', 'text', 'on', 'when', 'for', 'save', 'timeout', 'until', 'mode']);

const parseOptions = { version: '1.2', keepSourceTokens: false } as const;

/**
 * Every single change of a scenario's configuration that is worth a run, in the order of the file. Checks, titles, waits and
 * conditions are never touched: they configure nothing. Pure.
 *
 * @param source The scenario file; one that is no valid scenario gives nothing useful.
 */
export function mutationsOf(source: string): Mutation[] {
  const text = source.replace(/^\ufeff/, '');
  const counter = new LineCounter();
  const document = parseDocument(text, { ...parseOptions, lineCounter: counter });
  if (!isMap(document.contents)) return [];
  const found: Found[] = [];

  const add = (
    spot: Spot,
    operator: Operator,
    place: { line: number; column: number },
    what: string,
    target: string,
    edit: Edit,
  ): void => {
    found.push({
      operator,
      ...place,
      step: spot.step,
      path: spot.path,
      what,
      target,
      text: () => {
        const mutant = parseDocument(text, parseOptions);
        edit(mutant);
        return mutant.toString({ lineWidth: 0 });
      },
    });
  };
  const placeOf = (node: unknown): { line: number; column: number } => {
    const { line, col } = counter.linePos((node as Node | null)?.range?.[0] ?? 0);
    return { line, column: col };
  };
  const removal =
    (path: Path): Edit =>
    (mutant) =>
      void mutant.deleteIn(path);
  const setting =
    (path: Path, value: unknown): Edit =>
    (mutant) => {
      const node = mutant.getIn(path, true);
      // A scalar keeps its style; a number in quotes stays a text.
      if (isScalar(node)) node.value = value;
      else mutant.setIn(path, value);
    };

  /** The place of an offset inside a text; inside other than literal blocks, of the text's first line. */
  const placeIn = (node: Scalar, offset: number): { line: number; column: number } => {
    const place = placeOf(node);
    if (node.type !== Scalar.BLOCK_LITERAL) return place;
    const lines = String(node.value).slice(0, offset).split('\n').length;
    const line = place.line + lines;
    const start = counter.lineStarts[line - 1] ?? 0;
    return { line, column: (/^ */.exec(text.slice(start))?.[0].length ?? 0) + 1 };
  };
  const changeText = (spot: Spot, node: Scalar, change: TextChange): void => {
    const value = String(node.value);
    const changed = value.slice(0, change.start) + change.replacement + value.slice(change.end);
    add(spot, change.operator, placeIn(node, change.start), change.what, change.target, setting(spot.path, changed));
  };
  const shifted = (change: TextChange, by: number): TextChange => ({
    ...change,
    start: change.start + by,
    end: change.end + by,
  });

  const script = (spot: Spot, node: Scalar): void => {
    const value = String(node.value);
    const all = scriptCommands(value);
    const commands = all.filter((one) => !onlyShows(one.text));
    for (const command of commands) {
      // One command alone is the step itself.
      if (all.length > 1)
        changeText(spot, node, {
          operator: 'remove-command',
          start: command.start,
          end: command.end,
          replacement: '',
          what: `removes \`${shortly(command.text)}\``,
          target: command.text,
        });
      for (const change of [...optionChanges(command.text), ...valueChanges(command.text)])
        changeText(spot, node, shifted(change, command.start));
    }
  };

  const jsonContent = (spot: Spot, node: Scalar): boolean => {
    let data: unknown;
    try {
      data = JSON.parse(String(node.value));
    } catch {
      return false;
    }
    if (typeof data !== 'object' || data === null || Array.isArray(data)) return false;
    // A line taken out of JSON would leave no JSON: its keys are taken out instead.
    for (const key of Object.keys(data)) {
      const rest = Object.fromEntries(Object.entries(data).filter(([name]) => name !== key));
      const offset = Math.max(0, String(node.value).indexOf(JSON.stringify(key)));
      add(
        spot,
        'remove-entry',
        placeIn(node, offset),
        `removes ${shortly(JSON.stringify(key), 40)} from the file`,
        `${key} ${JSON.stringify((data as Record<string, unknown>)[key])}`,
        setting(spot.path, `${JSON.stringify(rest, null, 2)}\n`),
      );
    }
    return true;
  };

  const fileContent = (spot: Spot, node: Scalar): void => {
    const value = String(node.value);
    const json = jsonContent(spot, node);
    let start = 0;
    const lines = value.split('\n');
    for (const line of lines) {
      const end = Math.min(value.length, start + line.length + 1);
      // Blank lines, comments and headings of sections configure nothing by themselves.
      if (line.trim() !== '' && !/^\s*(?:#|;|\/\/|\[[\w -]+\]\s*$|[{}\])]+[;,]?\s*$)/.test(line)) {
        const once = { start, end, replacement: '', target: line.trim() };
        if (!json && lines.filter((one) => one.trim() !== '').length > 1)
          changeText(spot, node, {
            ...once,
            operator: 'remove-line',
            what: `removes the line \`${shortly(line)}\` from the file`,
          });
        for (const change of [...valueChanges(line), ...optionChanges(line)])
          changeText(spot, node, shifted(change, start));
      }
      start = end;
    }
  };

  const onHosts = (spot: Spot, node: unknown): void => {
    if (!isSeq(node) || node.items.length < 2) return;
    node.items.forEach((item, index) => {
      const name = isScalar(item) ? String(item.value) : '';
      add(
        { ...spot, path: [...spot.path, index] },
        'remove-host',
        placeOf(item),
        `leaves ${name} out of the step`,
        name,
        removal([...spot.path, index]),
      );
    });
  };

  const step = (map: YAMLMap, index: number): void => {
    const path: Path = ['steps', index];
    const spot = (key: string): Spot => ({ path: [...path, key], step: index });
    const value = (key: string): unknown => map.get(key, true);
    const marking = ['run', 'start', 'write'].map(value).find(isScalar);
    if (!marking) return;
    const content = value('content');
    const written = isScalar(value('write'));
    const command = String(marking.value);
    const configures = written || scriptCommands(command).some((one) => !onlyShows(one.text));
    if (!configures) return;
    const doing = written ? `that writes ${command}` : `\`${shortly(command)}\``;
    add(
      { path, step: index },
      'remove-step',
      placeOf(map),
      `removes the step ${doing}`,
      [command, isScalar(content) ? String(content.value) : ''].join(' ').trim(),
      removal(path),
    );
    onHosts(spot('on'), value('on'));
    for (const key of ['run', 'start']) {
      const node = value(key);
      if (isScalar(node)) script(spot(key), node);
    }
    if (isScalar(content)) fileContent(spot('content'), content);
    const stdin = value('stdin');
    if (isScalar(stdin)) fileContent(spot('stdin'), stdin);
    for (const pair of map.items) {
      const key = String((pair.key as Scalar | null)?.value ?? '');
      if (key === 'mode')
        add(
          spot(key),
          'remove-entry',
          placeOf(pair.key),
          `removes mode: ${String((pair.value as Scalar | null)?.value ?? '')}`,
          '',
          removal([...path, key]),
        );
      else if (!frameKeys.has(key) && !['run', 'start', 'write', 'content', 'stdin'].includes(key))
        entry({ path: [...path, key], step: index }, pair, key);
    }
  };

  /** One `key: value` of a declaration, and everything inside it. */
  const entry = (spot: Spot, pair: Pair, shown: string): void => {
    const { value } = pair;
    const target = value === null ? shown : `${shown} ${spelled(value)}`;
    add(
      spot,
      'remove-entry',
      placeOf(pair.key),
      `removes ${shortly(`${shown}${isScalar(value) && value.value !== null ? `: ${String(value.value)}` : ''}`, 60)}`,
      target,
      removal(spot.path),
    );
    inside(spot, value, shown);
  };
  const inside = (spot: Spot, value: unknown, shown: string): void => {
    if (isAlias(value)) return;
    if (isScalar(value)) {
      const old = String(value.value);
      const altered = alterScalar(old);
      if (altered) {
        const next =
          typeof value.value === 'boolean'
            ? altered.value === 'true'
            : typeof value.value === 'number'
              ? Number(altered.value)
              : altered.value;
        add(
          spot,
          altered.operator,
          placeOf(value),
          `alters ${shown} from ${old} to ${altered.value}`,
          old,
          setting(spot.path, next),
        );
      } else if (typeof value.value === 'string')
        for (const change of valueChanges(old)) changeText(spot, value, change);
    } else if (isSeq(value)) {
      value.items.forEach((item, index) => {
        const below = { ...spot, path: [...spot.path, index] };
        if (value.items.length > 1)
          add(
            below,
            'remove-entry',
            placeOf(item),
            `removes ${shortly(spelled(item), 50)} from ${shown}`,
            spelled(item),
            removal(below.path),
          );
        if (isMap(item)) entries(below, item, shown, false);
        else inside(below, item, shown);
      });
    } else if (isMap(value)) entries(spot, value, shown, true);
  };
  /** @param removable Whether keys may go: an item of a list (a route) is whole or not there. */
  const entries = (spot: Spot, map: YAMLMap, shown: string, removable: boolean): void => {
    for (const pair of map.items) {
      const key = String((pair.key as Scalar | null)?.value ?? '');
      const below = { ...spot, path: [...spot.path, key] };
      if (removable) entry(below, pair, `${shown} › ${key}`);
      else inside(below, pair.value, `${shown} › ${key}`);
    }
  };

  const hosts = document.get('hosts', true);
  if (isMap(hosts)) {
    for (const { key, value } of hosts.items) {
      const name = String((key as Scalar).value);
      if (!isMap(value)) continue;
      for (const pair of value.items) {
        const property = String((pair.key as Scalar).value);
        // Image, init and engine say what host it is: another matter, and not a line of its configuration.
        const spot: Spot = { path: ['hosts', name, property], step: null };
        if (property === 'routes') {
          if (isSeq(pair.value) && pair.value.items.length === 1) entry(spot, pair, `${name} › routes`);
          else inside(spot, pair.value, `${name} › routes`);
        } else if (property === 'sysctls') inside(spot, pair.value, `${name} › sysctls`);
        else if (property === 'docker' && isMap(pair.value)) {
          for (const part of pair.value.items) {
            const kind = String((part.key as Scalar).value);
            inside({ ...spot, path: [...spot.path, kind] }, part.value, `${name} › ${kind}`);
          }
        }
      }
    }
  }

  const segments = document.get('segments', true);
  if (isMap(segments)) {
    for (const pair of segments.items) {
      const name = String((pair.key as Scalar).value);
      const spot: Spot = { path: ['segments', name], step: null };
      if (segments.items.length > 1)
        add(spot, 'remove-entry', placeOf(pair.key), `removes the segment ${name}`, name, removal(spot.path));
      if (!isMap(pair.value)) continue;
      for (const part of pair.value.items) {
        const property = String((part.key as Scalar).value);
        const below: Spot = { path: [...spot.path, property], step: null };
        if (property === 'mtu') entry(below, part, `${name} › mtu`);
        else inside(below, part.value, `segment ${name} › ${property}`);
      }
    }
  }

  const steps = document.get('steps', true);
  if (isSeq(steps)) steps.items.forEach((item, index) => void (isMap(item) && !item.has('check') && step(item, index)));

  const variables = document.get('vars', true);
  const plain = document.toJS() as { steps?: unknown[] };
  const checks = JSON.stringify(
    (plain.steps ?? []).filter((item) => typeof item === 'object' && item !== null && 'check' in item),
  );
  if (isMap(variables)) {
    for (const pair of variables.items) {
      const name = String((pair.key as Scalar).value);
      // Altered for steps and checks alike, nothing would have changed but a name.
      if (!checks.includes(`\${${name}}`)) inside({ path: ['vars', name], step: null }, pair.value, `vars › ${name}`);
    }
  }

  const reasons = acceptedReasons(text);
  const stepLines = isSeq(steps) ? steps.items.map((item) => placeOf(item).line) : [];
  const seen = new Set<string>();
  return found
    .filter((one) => {
      const key = `${one.path.join('\0')}\0${one.line}:${one.column}\0${one.what}`;
      return seen.has(key) ? false : seen.add(key);
    })
    .sort((a, b) => a.line - b.line)
    .map((one, index) => ({
      id: `m${String(index + 1).padStart(3, '0')}`,
      ...one,
      accepted:
        reasons.get(one.line) ?? (one.step === null ? undefined : reasons.get(stepLines[one.step] ?? 0)) ?? null,
    }));
}

/** A node as a reader would write it on one line. */
function spelled(node: unknown): string {
  if (isScalar(node)) return node.value === null ? '' : String(node.value);
  if (isAlias(node)) return `*${node.source}`;
  if (isSeq(node)) return `[${node.items.map(spelled).join(', ')}]`;
  if (isMap(node)) return `{ ${node.items.map((pair) => `${spelled(pair.key)}: ${spelled(pair.value)}`).join(', ')} }`;
  return '';
}
