import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab } from '../../src/api/lab.js';
import type { Outcome } from '../../src/model/verdict.js';
import type { Commands, Family, Fault, Harmless } from './fault.js';

export async function labUp({ lab }: Family): Promise<Lab> {
  const dir = mkdtempSync(join(tmpdir(), 'netrig-faults-'));
  try {
    const file = join(dir, 'lab.yaml');
    writeFileSync(file, lab);
    return await Lab.up(file);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What this kernel lacks for a fault to be planted. */
export class CannotPlant extends Error {}

async function apply(lab: Lab, commands: Commands): Promise<void> {
  for (const [host, command] of Object.entries(commands)) {
    const result = await lab.host(host).exec(command, { timeoutMs: 30_000 });
    expect(result.exitCode, `${host}: ${command}: ${result.stderr}`).to.equal(0);
  }
}

/** Until it passes, or the last outcome: a path may need a moment after it was mended (STP, a container's start). */
async function green(lab: Lab, [kind, spec]: Fault['check']): Promise<Outcome> {
  let outcome = await lab.check(kind, spec);
  for (let tries = 0; outcome.verdict !== 'pass' && tries < 40; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    outcome = await lab.check(kind, spec);
  }
  return outcome;
}

export interface Told {
  named: boolean;
  root: string | null;
  words: string;
}

/** Plants the fault, asks, mends it. Throws where the check is not green before and after, or something false is said. */
export async function plantAndAsk(lab: Lab, fault: Fault): Promise<Told> {
  const before = await green(lab, fault.check);
  expect(before.verdict, `before: ${before.reason}`).to.equal('pass');
  let told: Outcome;
  try {
    await apply(lab, fault.plant);
    await apply(lab, fault.then ?? {});
  } catch (error) {
    await apply(lab, fault.mend).catch(() => undefined);
    if (fault.needs === undefined) throw error;
    throw new CannotPlant(fault.needs, { cause: error });
  }
  try {
    told = await lab.check(...fault.check);
  } finally {
    await apply(lab, fault.mend);
  }
  expect(told.verdict, told.reason).to.equal('fail');
  const words = told.reason;
  if (fault.never) expect(words).not.to.match(fault.never);
  const after = await green(lab, fault.check);
  expect(after.verdict, `after: ${after.reason}`).to.equal('pass');
  const roots: readonly (string | null)[] = [fault.root].flat();
  const root = told.diagnosis?.rootCause ?? null;
  const named = roots.includes(root) && fault.says.test(told.diagnosis?.sentence ?? words);
  // A root cause that is another one than what was planted is something false.
  if (!named) expect(root, `said ${root}: ${words}`).to.equal(null);
  return { named, root, words: told.diagnosis?.sentence ?? words };
}

/** Makes the change, asks, takes it back. Throws where another verdict or another cause comes of it than there is. Answers what was said. */
export async function askBesides(lab: Lab, harmless: Harmless): Promise<string> {
  const { plant, then, mend, check, verdict, root, says } = { then: {}, ...harmless };
  let told: Outcome;
  try {
    await apply(lab, plant);
    await apply(lab, then);
    told = await lab.check(...check);
  } finally {
    await apply(lab, mend);
  }
  const { reason, diagnosis } = told;
  expect(told.verdict, reason).to.equal(verdict);
  if (verdict === 'pass') expect(diagnosis ?? null, 'a check that passes has nothing to explain').to.equal(null);
  const sentence = diagnosis?.sentence ?? reason;
  expect(diagnosis?.rootCause ?? null, sentence).to.equal(root);
  if (says) expect(sentence).to.match(says);
  return sentence;
}
