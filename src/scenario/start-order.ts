import type { StartCondition } from './container-keys.js';

interface Dependent {
  depends_on?: Readonly<Record<string, StartCondition>> | undefined;
}

/** A circle in what depends on what, as names, the first of them once more at its end; `null`: there is none. */
export function startCircle(containers: Readonly<Record<string, Dependent>>): string[] | null {
  const done = new Set<string>();
  const visit = (name: string, chain: readonly string[]): string[] | null => {
    if (chain.includes(name)) return [...chain.slice(chain.indexOf(name)), name];
    if (done.has(name) || !Object.hasOwn(containers, name)) return null;
    for (const other of Object.keys(containers[name]!.depends_on ?? {})) {
      const found = visit(other, [...chain, name]);
      if (found) return found;
    }
    done.add(name);
    return null;
  };
  for (const name of Object.keys(containers)) {
    const found = visit(name, []);
    if (found) return found;
  }
  return null;
}

/** Containers in the order of the file, but each after those that it depends on. A circle is cut somewhere. */
export function inStartOrder<T extends Dependent>(containers: Readonly<Record<string, T>>): Record<string, T> {
  const ordered = Object.create(null) as Record<string, T>;
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name) || !Object.hasOwn(containers, name)) return;
    seen.add(name);
    const one = containers[name]!;
    Object.keys(one.depends_on ?? {}).forEach(visit);
    ordered[name] = one;
  };
  Object.keys(containers).forEach(visit);
  return { ...ordered };
}
