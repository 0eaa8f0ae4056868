import { resolve } from 'node:path';
import { startPlay } from '../../classroom/play.js';
import { chooseScenario } from '../../labs/up.js';
import { exitStatus } from '../../model/verdict.js';
import { netrigVersion } from '../../model/version.js';
import { isolationWish } from '../../providers/isolation-wish.js';
import { onInterrupt } from '../../run/interrupt.js';
import { loadOrPrint } from '../load-or-print.js';
import { err, note, print, tell } from '../terminal.js';

/** `netrig play`: prints the link on standard output, and serves it until Ctrl-C. */
export async function play(
  file: string,
  flags: { port: number; provider?: string; scenario?: string; isolation: string },
): Promise<number> {
  const [loaded] = await loadOrPrint([file], { provider: flags.provider ?? null });
  const { scenarios } = loaded!;
  const shown = flags.scenario === undefined ? scenarios : [chooseScenario(scenarios, file, flags.scenario)];
  const interrupt = onInterrupt(() => note('ends, taking the lab down'));
  try {
    const lab = await startPlay(resolve(file), shown, {
      port: flags.port,
      provider: flags.provider ?? shown[0]?.provider ?? 'local',
      isolation: isolationWish(flags.isolation),
      version: netrigVersion,
      warn: (text) => note(text),
    });
    print`${lab.link}`;
    tell`${err.dim('Open this link in a browser on this machine. Ctrl-C ends the lab.')}`;
    if (!interrupt.signal.aborted)
      await new Promise<void>((done) => interrupt.signal.addEventListener('abort', () => done(), { once: true }));
    await lab.end();
    return exitStatus.passed;
  } finally {
    interrupt.dispose();
  }
}
