import { execLine } from '../run/exec-line.js';
import type { Transcript } from '../model/events.js';
import type { Diagnosis } from '../model/verdict.js';
import type { ItemResult } from './run-model.js';
import { lastLines } from './terminal-text.js';
import { wayLine } from './way.js';
import { exitText } from './wording.js';

/** Lines of one stream of a command that a finding shows. */
const shownLines = 4;
/** Sentences of a diagnosis that a finding shows. */
const shownSentences = 4;
/** A command longer than this is a script: nobody reads it on a terminal. */
const longestCommand = 240;

/** What shows a finding in the fewest lines. All else is in the record, and behind a fold of the page. */
export interface Evidence {
  /** What was found out, a sentence each. */
  sentences: string[];
  /** What programs wrote, each with whose it is: `client $ ping …  (exit 1, 2.0 s)`. */
  outputs: { title: string; lines: string[] }[];
  /** The command to type again, as arguments of `netrig`; `null` where there is none that a person would type. */
  again: string | null;
}

/** A command that a person might have typed, with output that a person reads: no script of netrig's own, no JSON. */
export function isReadable({ command, stdout }: Pick<Transcript, 'command' | 'stdout'>): boolean {
  const lines = command.trim().split('\n');
  return (
    lines.length <= 12 &&
    lines.every((line) => line.length <= longestCommand) &&
    !/@@[0-9a-f]{10} |^perl - |\bcat \/proc\/net\/snmp /.test(command) &&
    !/^\s*[[{]["[{]/.test(stdout)
  );
}

/** Of the commands of the last try, the one that failed; controls and diagnosis come after it. */
function telling(transcripts: readonly Transcript[]): Transcript | undefined {
  const readable = transcripts.filter(isReadable);
  return readable.findLast((one) => one.exitCode !== 0) ?? readable.at(-1);
}

/** The way, what shows that it ends there, and how to mend it. */
function diagnosisLines(diagnosis: Diagnosis | undefined): string[] {
  if (!diagnosis) return [];
  const way = wayLine(diagnosis);
  return [
    ...(way === '' ? [] : [way]),
    ...diagnosis.evidence.slice(0, shownSentences),
    ...(diagnosis.mend === null ? [] : [`mend: ${diagnosis.mend}`]),
    ...diagnosis.unlooked.slice(0, shownSentences).map((one) => `not looked at: ${one}`),
  ];
}

/** @param stays The id of the lab, where it is still up: the command to type again names it. */
export function evidenceOf(item: Pick<ItemResult, 'outcome' | 'transcripts'>, stays: string | null = null): Evidence {
  const { outcome, transcripts } = item;
  const again = outcome.again ? execLine(outcome.again.on, outcome.again.command, stays) : null;
  const sentences = diagnosisLines(outcome.diagnosis);
  if (outcome.output)
    return {
      sentences,
      outputs: outcome.output.map(({ title, text }) => ({ title, lines: text.split('\n') })),
      again,
    };
  const one = sentences.length > 0 ? undefined : telling(transcripts);
  if (!one) return { sentences, outputs: [], again };
  const lines = [...lastLines(one.stdout, shownLines), ...lastLines(one.stderr, shownLines)];
  return {
    sentences,
    outputs: [{ title: `${one.host} $ ${one.command.trim()}  (${exitText(one)})`, lines }],
    again,
  };
}
