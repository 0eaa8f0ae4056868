import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { HostImage } from '../src/images/host-image.js';
import { machineEnvironment } from '../src/providers/shared/command.js';
import { bareEnvironment, benchImage, sourceDirectory } from './bare.js';
import { bringUp } from './lab.js';
import { type Bench, type BenchContext, comparison, takeTurns } from './measure.js';
import { hostsPlan } from './plans.js';

const hostCount = 24;

interface Times {
  upMs: number;
  downMs: number;
}

async function byNetrig(context: BenchContext): Promise<Times> {
  const from = performance.now();
  const lab = await bringUp(hostsPlan(hostCount, 'systemd'), context);
  const up = performance.now();
  await lab.down();
  return { upMs: up - from, downMs: performance.now() - up };
}

async function byScript(image: HostImage, context: BenchContext): Promise<Times> {
  const from = performance.now();
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'TERM', 'bash', join(sourceDirectory, 'hosts-bare.sh'), String(hostCount)],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...machineEnvironment, ...bareEnvironment(image) },
    },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const end = (): void => void child.kill('SIGTERM');
  context.signal.addEventListener('abort', end, { once: true });
  try {
    const ended = once(child, 'close');
    const [first] = (await Promise.race([once(child.stdout.setEncoding('utf8'), 'data'), ended])) as unknown[];
    const up = performance.now();
    child.stdin.end();
    await ended;
    context.signal.throwIfAborted();
    if (first !== 'up\n') throw new Error(`hosts-bare.sh did not bring its hosts up: ${said.trim()}`);
    return { upMs: up - from, downMs: performance.now() - up };
  } finally {
    context.signal.removeEventListener('abort', end);
  }
}

/** Many systemd hosts at once. */
export const hostsBench: Bench = {
  name: 'hosts',
  what: `${hostCount} systemd hosts without engine by the local provider, against bench/hosts-bare.sh`,
  async run(context) {
    const image = await benchImage(context);
    const pairs = await takeTurns(
      context.quick ? 2 : 7,
      context,
      { netrig: () => byNetrig(context), other: () => byScript(image, context) },
      true,
    );
    return [
      comparison(`${hostCount} hosts answer SSH`, 'script', 's', pairs, (side) => side.upMs / 1000, 1.2),
      comparison('all gone again', 'script', 's', pairs, (side) => side.downMs / 1000, null),
    ];
  },
};
