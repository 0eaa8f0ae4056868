import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localProvider } from '../../src/providers/local/provider.js';
import { made, missing } from './local-labs.js';
import { leftovers } from './netrig-command.js';
import { itKeepsTheContract } from './provider-contract.js';

(missing ? describe.skip : describe)(
  `the local provider keeps the contract${missing ? ` (needs ${missing})` : ''}`,
  function () {
    this.timeout(60_000);
    let state: string;
    const oldState = process.env['XDG_STATE_HOME'];

    before(() => {
      state = mkdtempSync(join(tmpdir(), 'netrig-state-'));
      process.env['XDG_STATE_HOME'] = state;
    });

    after(() => {
      if (oldState === undefined) delete process.env['XDG_STATE_HOME'];
      else process.env['XDG_STATE_HOME'] = oldState;
      rmSync(state, { recursive: true });
    });

    itKeepsTheContract(() => ({
      provider: localProvider,
      image: 'debian-12',
      plannedMacs: true,
      plannedNames: true,
      bootTimeoutMs: 60_000,
      async killHost(lab, host) {
        const init = made(lab.id).find((entry) => entry.kind === 'process' && entry.role === host);
        if (init?.kind !== 'process') throw new Error(`no process of ${host} in ${JSON.stringify(made(lab.id))}`);
        process.kill(init.pid, 'SIGKILL');
      },
      leftovers: async (id) => leftovers(id),
    }));
  },
);
