import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { NetrigError } from '../errors.js';
import { exerciseOf, type Exercise, type GradedCheck } from '../exercise/exercise.js';
import { labsDirectory } from '../lab/store.js';
import type { ResourceLimits } from '../model/size.js';
import type { IsolationWish } from '../providers/provider.js';
import { catalogueBeside } from '../scenario/catalogue.js';
import type { Catalogue, CatalogueItem } from '../scenario/covers.js';
import type { CheckItem, Scenario, ScenarioItem } from '../scenario/scenario.js';
import type { ClaimView } from './api.js';
import { createClassroom } from './classroom.js';
import type { GivenExercise } from './exercises.js';
import { hold, release } from './class.js';
import { hashOf, newCode, normalCode } from './secrets.js';
import { serveClass } from './server.js';
import { wantLab } from './student.js';
import { makeDirectorySync } from '../model/directory.js';

const noLimits: ResourceLimits = { memory: null, pids: null, cpus: null, disk: null };

/** Whose lab it is. */
const person = 'you';

/** Where a guided lab of that file keeps what it needs while it is up. */
function playDirectory(file: string): string {
  const name = `${basename(file).replace(/\W+/g, '-')}-${createHash('sha256').update(file).digest('hex').slice(0, 12)}`;
  return join(labsDirectory(), '..', 'play', name);
}

function taskOf(item: CheckItem): GradedCheck {
  const { grading } = item;
  return {
    id: item.id,
    title: item.title,
    text: item.text,
    points: 0,
    guard: grading?.guard ?? false,
    stage: grading?.stage ?? null,
    shown: 'always',
    hints: grading?.hints ?? {},
    line: item.source.line,
  };
}

/** A step is run by its reader; only what an exercise calls its set-up is there from the start. */
function byHand(item: ScenarioItem): ScenarioItem {
  return item.kind === 'step' && item.role !== 'setup' ? { ...item, role: 'solution' } : item;
}

/** Any scenario as something to work at by hand: every step by a click, every check a task. */
export function guided(scenario: Scenario): Exercise {
  const exercise = exerciseOf(scenario);
  // What a last step tidies up goes with the lab.
  const items = scenario.items.filter((item) => !(item.kind === 'step' && item.last)).map(byHand);
  const checks = items.flatMap((item) => (item.kind === 'check' ? [taskOf(item)] : []));
  return {
    id: scenario.id,
    title: scenario.title,
    text: exercise?.text ?? scenario.description ?? '',
    timeMs: null,
    feedback: exercise?.feedback ?? 'way',
    stages: exercise?.stages ?? [],
    checks,
    points: 0,
    parameters: exercise?.parameters ?? {},
    values: exercise?.values ?? {},
    scenario: { ...scenario, items },
  };
}

const notSo = new Set(['wrong', 'typo']);

/** What is true of a claim, as the catalogue has it; `null`: it is as it says. */
function whatHolds({ more }: CatalogueItem): string | null {
  const { truth, holds, status } = more;
  const so =
    typeof holds === 'string'
      ? `True of engines ${holds}.`
      : holds === false || (holds === undefined && [status].flat().some((one) => notSo.has(String(one))))
        ? 'It is not so.'
        : '';
  const words = [so, typeof truth === 'string' ? truth : ''].filter((one) => one !== '').join(' ');
  return words === '' ? null : words;
}

/** Sentences of a tutorial that a step or a check is about, from the catalogue beside the scenario. */
export function claimsOf(catalogue: Catalogue | null, covers: readonly string[]): ClaimView[] {
  if (catalogue === null) return [];
  const known = new Map(
    catalogue.parts.flatMap((part) =>
      part.sections.flatMap((section) => section.items.map((item) => [item.id, { part, section, item }] as const)),
    ),
  );
  return covers.flatMap((id) => {
    const found = known.get(id);
    if (!found) return [];
    const { part, section, item } = found;
    return [{ id, claim: item.says, holds: whatHolds(item), source: `${part.title}, ${section.title}` }];
  });
}

/** With the values of the matrix that made it, where a file makes several. */
export function playedTitle({ title, matrix }: Pick<Scenario, 'title' | 'matrix'>): string {
  const values = Object.entries(matrix).filter(([, value]) => !title.includes(String(value)));
  return values.length === 0
    ? title
    : `${title} (${values.map(([name, value]) => `${name}: ${String(value)}`).join(', ')})`;
}

function givenOf(scenario: Scenario, id: string): GivenExercise {
  const exercise = { ...guided(scenario), title: playedTitle(scenario) };
  return {
    settings: { id, file: scenario.file, opens: null, closes: null, late: null, feedback: null },
    example: exercise,
    personal: false,
    of: () => exercise,
    drawn: new Map(),
  };
}

export interface PlayOptions {
  port: number;
  provider: string;
  isolation: IsolationWish;
  version: string;
  warn(text: string): void;
}

export interface Play {
  /** The link that opens it, with the code in it. */
  link: string;
  /** Takes the labs down, and everything that was kept. */
  end(): Promise<void>;
}

/**
 * Serves a file's scenarios as guided labs on loopback, to whoever has the link. The lab begins to boot at once.
 *
 * @param scenarios Of one file.
 * @throws NETRIG_CLASS_RUNNING where another process serves the same file, NETRIG_CLASS_LISTEN.
 */
export async function startPlay(file: string, scenarios: readonly Scenario[], options: PlayOptions): Promise<Play> {
  const first = scenarios[0];
  if (!first) throw new NetrigError('NETRIG_USAGE', `${file} has no scenario to play.`);
  const directory = playDirectory(file);
  makeDirectorySync(directory, 0o700);
  hold(directory, file);
  try {
    const classroom = createClassroom({
      title: first.title,
      directory,
      exercises: scenarios.map((one, at) => givenOf(one, `lab-${at + 1}`)),
      students: [{ id: person, name: person }],
      limits: { labs: scenarios.length, starting: 1, rounds: 1, reserve: 0, lab: noLimits },
      isolation: options.isolation,
      provider: options.provider,
      solo: true,
      claims: (covers) => claimsOf(catalogueBeside(file)?.catalogue ?? null, covers),
      warn: options.warn,
    });
    const { book } = classroom.room;
    const code = newCode();
    void book.append({ type: 'class:started', class: first.id, netrig: options.version, pid: process.pid });
    void book.append({ type: 'person:known', person, name: person, role: 'solo' });
    void book.append({ type: 'person:code', person, code: hashOf(normalCode(code)) });
    await book.flush();
    const listen = { host: '127.0.0.1', port: options.port, url: null, tls: null, plain: true };
    const server = await serveClass({ room: classroom.room, listen, name: 'play' });
    await classroom.begin();
    await wantLab(classroom.room, person, 'lab-1', null, false);
    return {
      link: `${server.url}/join#${code}`,
      async end() {
        await server.close();
        await classroom.close();
        await classroom.clear();
        await book.close();
        release(directory);
        rmSync(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    release(directory);
    throw error;
  }
}
