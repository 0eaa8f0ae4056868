import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { messageOf } from '../../errors.js';
import { lockFileOf, parsePins } from '../../images/lock-file.js';
import type { Pins } from '../../images/pins.js';
import type { Reading } from './reading.js';

/** What the lock file beside the scenario pins; `null` where there is none. One that cannot be read is a mistake. */
export function pinsBeside({ absoluteFile, mistakes }: Pick<Reading, 'absoluteFile' | 'mistakes'>): Pins | null {
  const file = lockFileOf(absoluteFile);
  const complain = (why: string): null => {
    mistakes.report(['scenario'], `the lock file ${basename(file)} beside it cannot be used: ${why}`);
    return null;
  };
  let text: string;
  try {
    // Most scenarios have none, and an error takes longer to make than this question.
    if (statSync(file, { throwIfNoEntry: false }) === undefined) return null;
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    return code === 'ENOENT' || code === 'ENOTDIR' ? null : complain(messageOf(error));
  }
  const pins = parsePins(text);
  return 'problem' in pins ? complain(pins.problem) : pins;
}
