import { mtuCheck } from '../../src/checks/mtu.js';
import { kindTable } from '../fakes/kind-table.js';
import type { Row } from '../fakes/lab.js';

const searched = (payload: number): Row => ({ tool: 'perl', says: `largest ${payload}\n` });

kindTable(mtuCheck, {
  hosts: { a: { on: { lan: '10.0.0.1' } }, b: { on: { lan: '10.0.0.2' } } },
  cases: [
    {
      title: 'the payload with its 28 bytes of headers',
      spec: { from: 'a', to: 'b', expect: 1500 },
      said: [searched(1472)],
      is: 'pass',
      reason: /packets of up to 1500 bytes/,
    },
    {
      title: 'at least',
      spec: { from: 'a', to: 'b', expect: { 'at-least': 1400 } },
      said: [searched(1472)],
      is: 'pass',
    },
    {
      title: 'a smaller one',
      spec: { from: 'a', to: 'b', expect: 1500 },
      said: [searched(1272)],
      is: 'fail wrong-value',
      reason: /up to 1300 bytes/,
    },
    {
      title: 'a larger one',
      spec: { from: 'a', to: 'b', expect: 1400 },
      said: [searched(1472)],
      is: 'fail wrong-value',
    },
    { title: 'nothing passes', spec: { from: 'a', to: 'b', expect: 1500 }, said: [searched(-1)], is: 'fail timeout' },
    {
      title: 'the search did not end',
      spec: { from: 'a', to: 'b', expect: 1500 },
      said: [{ tool: 'perl', says: '' }],
      is: 'inconclusive',
    },
  ],
});
