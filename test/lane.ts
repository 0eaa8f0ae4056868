/**
 * Loaded into each process of Mocha's parallel mode before its first file: the labs of its tests have a state directory of
 * their own, as if each process were another user's. What a test starts says by its environment whose it is.
 */
import { join } from 'node:path';

const worker = process.env['MOCHA_WORKER_ID'];
const lanes = process.env['NETRIG_TEST_LANES'];
if (worker !== undefined && lanes !== undefined) {
  process.env['NETRIG_TEST_LANE'] = worker;
  process.env['XDG_STATE_HOME'] = join(lanes, worker);
  // A Mocha that a test runs has workers of its own.
  delete process.env['MOCHA_WORKER_ID'];
}
