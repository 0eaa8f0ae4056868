import { ownWord } from '../checks/own-word.js';
import type { Exercise } from './exercise.js';

/** A graded check that root of a host, as every student is, could deceive. No flaw of the exercise: its author is to know. */
export interface Believed {
  /** Line in the file. */
  line: number;
  title: string;
  /** Whose word it takes: `the engine of server`. */
  of: string;
  /** What to grade instead, or besides. */
  instead: string;
}

/** The tasks and guards of an exercise that take the word of a student's own host, where netrig's tools are beside the hosts. */
export function believedOf({ checks, scenario }: Exercise): Believed[] {
  const hosts = scenario.hosts.map(({ name }) => name);
  return checks.flatMap(({ id, title, line }) => {
    const item = scenario.items.find((one) => one.id === id);
    const word = item?.kind === 'check' ? ownWord(item.type, item.spec, hosts) : null;
    return word === null ? [] : [{ line, title, ...word }];
  });
}
