import YAML from 'yaml';
import { NetrigError } from '../errors.js';
import type { Loss } from './draft.js';

export type Path = readonly (string | number)[];
export type Data = Record<string, unknown>;

export const isMap = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const textList = (value: unknown): string[] =>
  value === undefined || value === null
    ? []
    : [value]
        .flat()
        .filter((one) => typeof one !== 'object')
        .map(String);

/** A YAML file of another tool, with the lines of what stands in it. */
export interface YamlFile {
  file: string;
  data: Data;
  lineOf(path: Path): number | null;
}

/** Throws NETRIG_IMPORT for what is no YAML, or no map. */
export function readYaml(text: string, file: string): YamlFile {
  const lines = new YAML.LineCounter();
  const document = YAML.parseDocument(text, { lineCounter: lines, merge: true });
  const [error] = document.errors;
  if (error !== undefined)
    throw new NetrigError(
      'NETRIG_IMPORT',
      `${file}:${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0]}`,
    );
  const data: unknown = document.toJS();
  if (!isMap(data)) throw new NetrigError('NETRIG_IMPORT', `${file} holds no map of keys.`);
  return {
    file,
    data,
    lineOf: (path) => {
      for (let length = path.length; length > 0; length -= 1) {
        const parent: unknown = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
        const key = path[length - 1];
        const node: unknown = YAML.isMap(parent)
          ? parent.items.find((pair) => YAML.isScalar(pair.key) && pair.key.value === key)?.key
          : document.getIn(path.slice(0, length), true);
        if (YAML.isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return null;
    },
  };
}

/** Says of each key that is there and not among `known` that it was left out. */
export function leaveOut(
  source: YamlFile,
  lost: Loss[],
  at: { path: Path; of: string; data: Data; known: readonly string[]; why?: Readonly<Record<string, string>> },
): void {
  for (const key of Object.keys(at.data)) {
    if (at.known.includes(key) || key.startsWith('x-')) continue;
    lost.push({
      file: source.file,
      line: source.lineOf([...at.path, key]),
      what: `\`${key}\` of ${at.of}`,
      why: at.why?.[key] ?? 'left out',
    });
  }
}
