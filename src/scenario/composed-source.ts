import type { Path } from './diagnostic.js';
import type { SourcePlace } from './scenario.js';
import { isDataMap, type Data, type DataMap, type ScenarioSource } from './source.js';

/** Where a value really stands: a file, and its path in that file. */
export interface Origin {
  source: ScenarioSource;
  path: Path;
}

/** A map or list that was put together here, with the origin of each entry. Whatever is below an entry stands below its origin. */
export class Assembly {
  private readonly origins = new WeakMap<object, Map<string | number, Origin>>();

  /** A map of entries that come from different places. */
  map(entries: Iterable<readonly [string, Data, Origin]>): DataMap {
    const out = Object.create(null) as DataMap;
    const origins = new Map<string | number, Origin>();
    for (const [key, value, origin] of entries) {
      out[key] = value;
      origins.set(key, origin);
    }
    this.origins.set(out, origins);
    return out;
  }

  list(items: readonly (readonly [Data, Origin])[]): Data[] {
    const out = items.map(([value]) => value);
    this.origins.set(out, new Map(items.map(([, origin], index) => [index, origin])));
    return out;
  }

  /** The origin of a path below `data`, whose own origin is `top`. */
  origin(data: Data, top: Origin, path: Path): Origin {
    let here: Data | undefined = data;
    let origin = top;
    for (const part of path) {
      const known: Origin | undefined =
        typeof here === 'object' && here !== null ? this.origins.get(here)?.get(part) : undefined;
      origin = known ?? { source: origin.source, path: [...origin.path, part] };
      here =
        Array.isArray(here) || isDataMap(here) ? (here as Record<string | number, Data | undefined>)[part] : undefined;
    }
    return origin;
  }
}

/** A source whose data was put together: mistakes and places point into the files that it came from. */
export function composedSource(main: ScenarioSource, data: Data, assembly: Assembly): ScenarioSource {
  const top: Origin = { source: main, path: [] };
  const originOf = (path: Path): Origin => assembly.origin(data, top, path);
  return {
    file: main.file,
    data,
    diagnostics: main.diagnostics,
    usable: main.usable,
    diagnostic(path, message, at) {
      const origin = originOf(path);
      return origin.source.diagnostic(origin.path, message, at);
    },
    place(path): SourcePlace {
      const origin = originOf(path);
      const place = origin.source.place(origin.path);
      return origin.source === main ? place : { ...place, file: origin.source.file };
    },
    spelling(path) {
      const origin = originOf(path);
      return origin.source.spelling(origin.path);
    },
  };
}
