import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { messageOf, NetrigError } from '../errors.js';
import { fromCompose } from './compose.js';
import { fromContainerlab } from './containerlab.js';
import { sayWithoutChecks, scenarioText } from './draft.js';
import type { Loss } from './draft.js';
import { fromKathara } from './kathara.js';
import type { ForeignKind } from './kinds.js';
import { isMap, readYaml } from './yaml-file.js';

export interface Imported {
  kind: ForeignKind;
  /** The folder that paths in the scenario are relative to: the scenario belongs there. */
  folder: string;
  /** The scenario's name. */
  name: string;
  /** The scenario file. */
  text: string;
  lost: Loss[];
}

const composeNames = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** The file of a lab that is named by its folder. */
function fileOf(named: string): string {
  let directory: boolean;
  try {
    directory = statSync(named).isDirectory();
  } catch (error) {
    throw new NetrigError('NETRIG_IMPORT', `${named} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  if (!directory) return named;
  const found = ['lab.conf', ...composeNames].map((name) => path.join(named, name)).find((file) => isFile(file));
  if (found === undefined)
    throw new NetrigError('NETRIG_IMPORT', `${named} has no lab.conf and no Compose file: name the file.`);
  return found;
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/**
 * The lab of another tool as a scenario. Starts nothing, and writes nothing.
 *
 * @param named A containerlab topology, a Kathará lab.conf, a Compose file, or a folder with one of the last two.
 * @param kind What it is; `undefined`: to be told from its name and its keys.
 *
 * Throws NETRIG_IMPORT for what cannot be read, or is none of these.
 */
export function importLab(named: string, kind?: ForeignKind): Imported {
  const file = fileOf(named);
  const folder = path.dirname(path.resolve(file));
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new NetrigError('NETRIG_IMPORT', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const shown = path.basename(file);
  if (kind === 'kathara' || (kind === undefined && shown === 'lab.conf')) {
    const draft = fromKathara(text, shown, folder);
    sayWithoutChecks(draft, shown);
    return { kind: 'kathara', folder, name: draft.name, text: scenarioText(draft, shown), lost: draft.lost };
  }
  const source = readYaml(text, shown);
  const told = kind ?? (isMap(source.data.topology) ? 'containerlab' : isMap(source.data.services) ? 'compose' : null);
  if (told === null)
    throw new NetrigError(
      'NETRIG_IMPORT',
      `${file} is no lab that is known: it has neither \`topology\` (containerlab) nor \`services\` (Compose).`,
    );
  const draft = told === 'containerlab' ? fromContainerlab(source, folder) : fromCompose(source, folder);
  sayWithoutChecks(draft, shown);
  return { kind: told, folder, name: draft.name, text: scenarioText(draft, shown), lost: draft.lost };
}
