import { isMap, isScalar, LineCounter, parseDocument, Scalar, type Document, type Node, type YAMLMap } from 'yaml';
import type { Path } from '../scenario/diagnostic.js';
import type { Mutation, Operator, TextChange } from './mutation.js';

/** A mutation that has no number yet, and of which it is not known whether the file gives a reason for it. */
export type Draft = Omit<Mutation, 'id' | 'accepted'>;

/** Where in the file the place is whose mutations are being made. */
export interface Spot {
  path: Path;
  step: number | null;
}

export interface Place {
  /** 1-based. */
  line: number;
  column: number;
}

export type Edit = (document: Document) => void;

/** What is done at a place, in the words of `Mutation`. */
export interface Change {
  operator: Operator;
  what: string;
  target: string;
  edit: Edit;
}

const parseOptions = { version: '1.2', keepSourceTokens: false } as const;

/** A scenario file as it was read, and where in it things stand. */
export class ScenarioSource {
  readonly text: string;
  readonly document: Document;
  readonly #lines = new LineCounter();

  constructor(source: string) {
    this.text = source.replace(/^\ufeff/, '');
    this.document = parseDocument(this.text, { ...parseOptions, lineCounter: this.#lines });
  }

  /** What stands at a key of the file's top level, where it is a map. */
  mapAt(key: string): YAMLMap | null {
    const node = isMap(this.document.contents) ? this.document.get(key, true) : null;
    return isMap(node) ? node : null;
  }

  placeOf(node: unknown): Place {
    const { line, col } = this.#lines.linePos((node as Node | null)?.range?.[0] ?? 0);
    return { line, column: col };
  }

  /** The place of an offset inside a text; inside other than literal blocks, of the text's first line. */
  placeIn(node: Scalar, offset: number): Place {
    const place = this.placeOf(node);
    if (node.type !== Scalar.BLOCK_LITERAL) return place;
    const lines = String(node.value).slice(0, offset).split('\n').length;
    const line = place.line + lines;
    const start = this.#lines.lineStarts[line - 1] ?? 0;
    return { line, column: (/^ */.exec(this.text.slice(start))?.[0].length ?? 0) + 1 };
  }

  draft({ path, step }: Spot, { line, column }: Place, { operator, what, target, edit }: Change): Draft {
    const text = (): string => {
      const mutant = parseDocument(this.text, parseOptions);
      edit(mutant);
      return mutant.toString({ lineWidth: 0 });
    };
    return { operator, line, column, step, path, what, target, text };
  }

  /** @param from Where in the text of the node the offsets of the change begin. */
  textDraft(spot: Spot, node: Scalar, change: TextChange, from = 0): Draft {
    const value = String(node.value);
    const start = change.start + from;
    const changed = value.slice(0, start) + change.replacement + value.slice(change.end + from);
    const { operator, what, target } = change;
    return this.draft(spot, this.placeIn(node, start), { operator, what, target, edit: setting(spot.path, changed) });
  }
}

export function removal(path: Path): Edit {
  return (mutant) => void mutant.deleteIn(path);
}

export function setting(path: Path, value: unknown): Edit {
  return (mutant) => {
    const node = mutant.getIn(path, true);
    // A scalar keeps its style; a number in quotes stays a text.
    if (isScalar(node)) node.value = value;
    else mutant.setIn(path, value);
  };
}

/** The text of a map's key. */
export function keyOf(pair: { key: unknown }): string {
  return String((pair.key as Scalar | null)?.value ?? '');
}
