import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { NetrigError } from '../../errors.js';
import { exerciseOf } from '../../exercise/exercise.js';
import { isProven, type Proof } from '../../exercise/proof.js';
import { believedLine, flawLine, labLine, lineLine, proofLine } from '../../exercise/proof-page.js';
import { prove as proveExercises, type ProofSubject } from '../../exercise/prove.js';
import { sweepFirst } from '../../labs/down.js';
import { exitStatus } from '../../model/verdict.js';
import { netrigVersion } from '../../model/version.js';
import { providerNamed } from '../../providers/registry.js';
import { onInterrupt } from '../../run/interrupt.js';
import { findScenarioFiles } from '../../scenario/load.js';
import { labsAtOnce } from '../jobs.js';
import { loadOrPrint } from '../load-or-print.js';
import type { ProveFlags } from '../program.js';
import { note, out, print, printJson, type Shown } from '../terminal.js';

/** The exercises among scenario files, each with the first values of its matrix. */
async function subjectsOf(paths: readonly string[], flags: ProveFlags): Promise<ProofSubject[]> {
  const loaded = await loadOrPrint(
    await findScenarioFiles(paths),
    { provider: flags.provider ?? null },
    { hints: true },
  );
  const named = new Set(paths.map((one) => path.resolve(one)));
  const subjects: ProofSubject[] = [];
  for (const { file, scenarios } of loaded) {
    const exercise = scenarios[0] ? exerciseOf(scenarios[0]) : null;
    const shown = path.relative(process.cwd(), file).startsWith('..') ? file : path.relative(process.cwd(), file);
    if (exercise !== null) subjects.push({ exercise, text: await readFile(file, 'utf8'), file: shown });
    else if (named.has(file)) throw noExercise(`${shown} is no exercise: it has no \`exercise:\`.`);
  }
  if (subjects.length === 0) throw noExercise('None of these scenarios is an exercise: none has `exercise:`.');
  for (const { exercise } of subjects) {
    const name = flags.provider ?? exercise.scenario.provider ?? 'local';
    if (providerNamed(name).asks)
      throw new NetrigError(
        'NETRIG_USAGE',
        `A proof needs fresh hosts, and the provider ${name} has machines that exist already.`,
        { hint: 'Use another provider.' },
      );
  }
  return subjects;
}

function noExercise(message: string): NetrigError {
  return new NetrigError('NETRIG_USAGE', message, {
    hint: 'docs/teaching.md says how to make an exercise of a scenario.',
  });
}

function statusOf(proofs: readonly Proof[]): number {
  if (proofs.some(({ broken }) => broken !== null)) return exitStatus.lab;
  return proofs.every(isProven) ? exitStatus.passed : exitStatus.failed;
}

/** `netrig prove`: 1 when an exercise has a flaw. */
export async function prove(paths: string[], flags: ProveFlags): Promise<number> {
  const subjects = await subjectsOf(paths, flags);
  await sweepFirst(note);
  const say = (paint: (line: string) => Shown, line: string): void =>
    void (flags.json ? undefined : print`${paint(line)}`);
  const plainly = (line: string): Shown => line;
  const interrupt = onInterrupt(() =>
    note('interrupted: ending what runs and taking labs down; once more ends at once'),
  );
  const begin = performance.now();
  const proofs = await proveExercises(subjects, {
    provider: flags.provider ?? null,
    jobs: flags.jobs ?? labsAtOnce(flags.provider),
    lines: flags.lines,
    keep: flags.reports ?? null,
    version: netrigVersion,
    argv: process.argv.slice(2),
    signal: interrupt.signal,
    onLab: (proof, lab) => say(plainly, labLine(proof, lab)),
    onLine: (proof, line) => say(line.fate === 'unnoticed' ? out.red : out.dim, lineLine(proof, line)),
    onProof: (proof) => {
      say(isProven(proof) ? out.green : out.red, proofLine(proof));
      for (const flaw of proof.flaws) say(plainly, `  ${flawLine(proof, flaw)}`);
      for (const one of proof.believed) say(out.yellow, `  ${believedLine(proof, one)}`);
    },
  }).finally(() => interrupt.dispose());
  const interrupted = interrupt.signal.aborted;
  if (flags.json)
    printJson({
      schema: 'netrig-prove/1',
      durationMs: Math.round(performance.now() - begin),
      interrupted,
      exercises: proofs.map((proof) => ({ ...proof, proven: !interrupted && isProven(proof) })),
    });
  return interrupted ? exitStatus.interrupted : statusOf(proofs);
}
