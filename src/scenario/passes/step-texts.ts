import { isDataMap } from '../source.js';
import type { Data } from '../source.js';
import { stepFrameKeys } from '../schema.js';
import { pick } from './reading.js';

/** A text taken apart once, so that asking it for a name costs nothing. */
export interface IndexedText {
  /** Words that stand for themselves, not as a part of a longer name. */
  words: ReadonlySet<string>;
  /** Names after `--name`, as far as the text itself says them. */
  containerNames: readonly string[];
  /** Beginnings of names after `--name` whose rest the shell puts together. */
  containerPrefixes: readonly string[];
  /** A Compose project, whose containers have names that are known when it runs. */
  compose: boolean;
  /** The shell puts the name of a network namespace together. */
  computedNetns: boolean;
}

/** Longest name that anything in a lab has (a container, a network namespace, a DNS label). */
const maxName = 64;

/**
 * Words of the letters that names are made of. A dot may belong to a word or end a sentence: `web.` is `web`, `web.local`
 * begins with it.
 */
export function wordsOf(text: string): Set<string> {
  const words = new Set<string>();
  for (const [token] of text.matchAll(/[\w.-]+/g)) {
    if (token.length <= maxName) words.add(token);
    for (let dot = token.indexOf('.'); dot >= 0 && dot <= maxName; dot = token.indexOf('.', dot + 1))
      words.add(token.slice(0, dot));
  }
  return words;
}

export function indexText(text: string): IndexedText {
  const matches = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map((match) => match[1]!);
  return {
    words: wordsOf(text),
    containerNames: matches(/--name[= ]\s*["']?([A-Za-z0-9][\w.-]{1,64})/g),
    containerPrefixes: matches(/--name[= ]\s*["']?([\w.-]{0,64})[$`{]/g),
    compose: /docker[- ]compose\b/.test(text),
    computedNetns: text
      .split('\n')
      .some((line) => line.slice(Math.max(0, line.indexOf('netns'))).includes('$') && line.includes('netns')),
  };
}

/** Every text in a value. */
export function textsIn(data: Data | undefined): string[] {
  const texts: string[] = [];
  const walk = (value: Data | undefined): void => {
    if (typeof value === 'string') texts.push(value);
    else if (Array.isArray(value)) value.forEach(walk);
    else if (isDataMap(value)) Object.values(value).forEach(walk);
  };
  walk(data);
  return texts;
}

/** What the steps of a scenario say, by the host that they run on: that is what may create containers and namespaces there. */
export interface StepTexts {
  of(host: string): readonly IndexedText[];
  all: readonly IndexedText[];
}

export function stepTexts(steps: Data | undefined): StepTexts {
  const byHost = new Map<string, IndexedText[]>();
  const everywhere: IndexedText[] = [];
  const all: IndexedText[] = [];
  for (const item of Array.isArray(steps) ? steps : []) {
    if (!isDataMap(item) || 'check' in item) continue;
    const text = indexText(textsIn(pick(item, (key) => !stepFrameKeys.has(key))).join('\n'));
    all.push(text);
    const on = typeof item.on === 'string' ? [item.on] : Array.isArray(item.on) ? item.on : null;
    if (on === null) everywhere.push(text);
    for (const host of on ?? []) {
      if (typeof host !== 'string') continue;
      const known = byHost.get(host);
      if (known === undefined) byHost.set(host, [text]);
      else known.push(text);
    }
  }
  return { of: (host) => [...(byHost.get(host) ?? []), ...everywhere], all };
}
