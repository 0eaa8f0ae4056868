import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** A fenced block of a page. */
export interface Block {
  /** The word behind the fence; '' where there is none. */
  language: string;
  text: string;
  /** Line of the page that the block begins at. */
  line: number;
}

export interface Page {
  /** From the project's root. */
  path: string;
  text: string;
  blocks: Block[];
}

/** A page of the project, with its fenced blocks. */
export function page(path: string): Page {
  const text = readFileSync(join(root, path), 'utf8');
  const blocks = [...text.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)].map((found) => ({
    language: found[1]!.trim(),
    text: found[2]!,
    line: text.slice(0, found.index).split('\n').length,
  }));
  return { path, text, blocks };
}

/** Every page for people: what lies at the root and in the folders that a reader is sent to. */
export function pages(): Page[] {
  return ['.', 'docs', 'bench', 'reports', 'src']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((name) => name.endsWith('.md'))
        .map((name) => page(join(folder, name))),
    );
}

/** A command that a page tells its reader to type. */
export interface Told {
  command: string;
  /** Exit status that the page says; 0 where it says nothing. `# ends with 1` */
  status: number;
}

/** Commands of a shell block: one a line, continued by a backslash; comments are left out. */
export function commandsOf(block: Block): Told[] {
  return block.text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => ({
      command: line.replace(/(^|\s)#.*$/, '').trim(),
      status: Number(/# ends with (\d+)/.exec(line)?.[1] ?? 0),
    }))
    .filter(({ command }) => command !== '');
}

/** The anchors of a page, as GitHub makes them of its headings. */
export function anchorsOf({ text }: Page): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading] of text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)) {
    const plain = heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = plain.replaceAll(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    anchors.add(before === 0 ? slug : `${slug}-${before}`);
  }
  return anchors;
}
