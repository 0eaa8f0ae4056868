import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLocalProvider } from '../../src/providers/local/provider.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { hostPlan, labPlan, machineState, missing, onHost, rejectsWith, upOptions } from './local-labs.js';

const MiB = 1024 ** 2;

(missing ? describe.skip : describe)(
  `Labs that do not fit beside others${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(120_000);
    let state: string;
    const up = new Set<RunningLab>();
    const oldState = process.env['XDG_STATE_HOME'];
    const untouched = missing ? null : machineState();

    // A machine with room for one lab of two light hosts, 12 MB each.
    const provider = createLocalProvider({
      queue: {
        room: () => ({ freeMemory: (30 - 24 * up.size) * MiB, freePids: 1000, freeRanges: 100 }),
        ...(missing ? {} : { directory: mkdtempSync(join(tmpdir(), 'netrig-queue-')) }),
      },
    });
    const plan = (slug: string) => labPlan(slug, [hostPlan('a', 11, ['net1']), hostPlan('b', 12, ['net1'])]);

    async function bring(slug: string, options = upOptions()): Promise<RunningLab> {
      const lab = await provider.up(plan(slug), options);
      up.add(lab);
      return lab;
    }

    async function down(lab: RunningLab): Promise<void> {
      await lab.down();
      up.delete(lab);
    }

    before(() => {
      state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
      process.env['XDG_STATE_HOME'] = state;
    });

    after(async () => {
      await Promise.all([...up].map(down));
      if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
      else process.env['XDG_STATE_HOME'] = oldState;
      rmSync(state, { recursive: true });
      expect(machineState()).to.deep.equal(untouched);
    });

    it('wait until those are down, and then come up', async () => {
      const first = await bring('first');
      const options = upOptions();
      let second: RunningLab | null = null;
      const coming = bring('second', options).then((lab) => (second = lab));
      const says = (): string[] => options.events.flatMap((event) => (event.type === 'log' ? [event.text] : []));
      while (!says().some((text) => text.startsWith('Waits for other labs')) && second === null)
        await new Promise((resolve) => setTimeout(resolve, 20));
      expect(second).to.equal(null);
      expect(says().join('\n')).to.contain(`Waits for other labs (${first.id}), first in the queue`);
      // What waits has nothing of a lab yet.
      expect(options.events.filter((event) => event.type === 'phase' && event.phase === 'boot')).to.deep.equal([]);
      await down(first);
      const lab = await coming;
      expect((await onHost(lab, 'a', 'ping -c 1 -W 5 10.20.1.12')).exitCode).to.equal(0);
      await down(lab);
    });

    it('are interrupted while they wait, with nothing left', async () => {
      const first = await bring('first');
      const stop = new AbortController();
      const options = upOptions(stop.signal);
      const emit = options.emit;
      options.emit = (event) => {
        emit(event);
        if (event.type === 'log' && event.text.startsWith('Waits')) stop.abort();
      };
      await rejectsWith('NETRIG_INTERRUPTED', bring('second', options));
      expect(readdirSync(join(state, 'netrig', 'labs'))).to.deep.equal([first.id]);
      await down(first);
    });
  },
);
