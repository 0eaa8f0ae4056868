import { shown } from '../language/wording.js';
import type { Origin } from './composed-source.js';
import type { Diagnostic, Path } from './diagnostic.js';
import { isDataMap, type Data, type DataMap, type ScenarioSource } from './source.js';

/** An entry of a map with the place where it stands. */
export type Placed = readonly [string, Data, Origin];

export interface ComposeParts {
  networks: Placed[];
  containers: Placed[];
  /** Of `images`: what services build. */
  images: Placed[];
  /** Of `files` of the host: what is bound into containers. */
  files: Placed[];
  diagnostics: Diagnostic[];
}

/** What a Compose file means beside what stands in it. */
export interface ComposeSurroundings {
  /** Name of the file’s folder: the project’s, where the file has no `name`. */
  folder: string;
  /** Profiles that are wanted. */
  profiles: readonly string[];
  /** A file beside it. */
  read(name: string): { text: string } | { message: string; missing: boolean };
}

export interface Conversion extends ComposeParts {
  source: ScenarioSource;
  surroundings: ComposeSurroundings;
  /** Of the file `.env` beside it. */
  known: Readonly<Record<string, string>>;
  /** The file, its variables replaced. */
  data: DataMap;
  services: DataMap;
  project: string;
  /** The network of services that name none. */
  defaultNetwork: string;
}

export const origin = ({ source }: Conversion, path: Path): Origin => ({ source, path });
/** Tells what is wrong at a path of the file. */
export const complain = (conversion: Conversion, path: Path, message: string, at?: 'key' | 'value'): void =>
  void conversion.diagnostics.push(conversion.source.diagnostic(path, message, at));

/** A text in which the scenario sees no variable of its own. */
export const plain = (text: string): string => text.replaceAll('${', () => '$${');

/**
 * Variables by the file `.env`, else by their defaults (`${NAME:-value}`), and `$$`. What has neither is left to the scenario’s
 * variables.
 */
export function interpolated(value: Data, known: Readonly<Record<string, string>>): Data {
  if (typeof value === 'string')
    return value.replace(
      /\$\$(\{)?|\$\{(\w+)(?:(:?[-?+])([^}]*))?\}|\$([A-Za-z_]\w*)/g,
      (
        all,
        brace: string | undefined,
        braced: string | undefined,
        operator: string | undefined,
        rest: string | undefined,
        bare: string | undefined,
      ) => {
        // The scenario's own sign for a `${` that is none of its variables.
        if (all.startsWith('$$')) return brace === undefined ? '$' : '$${';
        const name = (braced ?? bare)!;
        const given = known[name];
        const there = given !== undefined && !(operator?.startsWith(':') && given === '');
        if (operator?.endsWith('+')) return there ? rest! : '';
        if (there) return plain(given);
        return operator?.endsWith('-') ? rest! : `\${${name}}`;
      },
    );
  if (Array.isArray(value)) return value.map((one) => interpolated(one, known));
  if (!isDataMap(value)) return value;
  const out = Object.create(null) as DataMap;
  for (const [key, one] of Object.entries(value)) out[key] = interpolated(one, known);
  return out;
}

/** Whether a service is there: it has no profiles, or one that is wanted. */
export function isWanted(conversion: Conversion, name: string): boolean {
  const service = conversion.services[name];
  const profiles = isDataMap(service) ? service['profiles'] : undefined;
  if (profiles === undefined || profiles === null) return true;
  if (!Array.isArray(profiles) || !profiles.every((one) => typeof one === 'string')) {
    complain(conversion, ['services', name, 'profiles'], `expected a list of names, got ${shown(profiles)}`);
    return false;
  }
  return profiles.length === 0 || profiles.some((one) => conversion.surroundings.profiles.includes(one));
}

/** The container of a service: its own name where it has one. */
export function containerOf({ services }: Conversion, name: string): string {
  const service = services[name];
  const given = isDataMap(service) ? service['container_name'] : undefined;
  return typeof given === 'string' ? given : name;
}
