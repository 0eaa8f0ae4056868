import { expect } from 'chai';
import { pingCheck } from '../../src/checks/ping.js';
import { portCheck } from '../../src/checks/port.js';
import { reachCheck } from '../../src/checks/reach.js';
import { fakeLab } from '../fakes/lab.js';
import { pingText } from '../fakes/sayings.js';

/** The fake lab itself: what kinds are judged by in other tests must be what they would see. */
describe('the fake lab', () => {
  const hosts = {
    a: { on: { lan: '10.0.0.1' }, namespaces: { blue: { eth0: ['10.0.0.7/24'] } } },
    b: { on: { lan: '10.0.0.2' }, containers: { web: { on: { bridge: '172.17.0.2/16' } } } },
  };
  it('answers as its world is', async () => {
    const lab = fakeLab({ hosts });
    expect(await lab.check(pingCheck, { from: 'a', to: 'b' })).to.include({ verdict: 'pass' });
    expect(await lab.check(portCheck, { from: 'a', to: 'b', port: 80 })).to.include({
      verdict: 'fail',
      cause: 'refused',
    });
    expect(await lab.check(reachCheck, { groups: { all: ['a', 'b'] } })).to.include({ verdict: 'pass' });
  });
  it('enters containers and namespaces where the commands do', async () => {
    const lab = fakeLab({ hosts });
    expect(await lab.check(pingCheck, { from: 'a/netns:blue', to: 'b' })).to.include({ verdict: 'pass' });
    await lab.check(pingCheck, { from: 'b/web', to: '172.17.0.1' });
    expect(new Set(lab.asked.filter(({ tool }) => tool === 'ping').map(({ at }) => at))).to.include.all.keys(
      'a/netns:blue',
      'b/web',
    );
  });
  it('says what a row says, and keeps what was asked', async () => {
    const lab = fakeLab({
      hosts,
      said: [{ at: 'a', tool: 'ping', about: '10.0.0.2', says: pingText('10.0.0.2', { received: 0 }) }],
    });
    expect(await lab.check(pingCheck, { from: 'a', to: 'b' })).to.include({ verdict: 'fail', cause: 'timeout' });
    expect(lab.asked.find(({ tool }) => tool === 'ping')).to.include({
      at: 'a',
      tool: 'ping',
      address: '10.0.0.2',
      part: 'ping',
    });
  });
  it('throws for what nobody answers', async () => {
    const lab = fakeLab({ hosts });
    let thrown = '';
    await lab.context
      .host('a')
      .exec(['hexdump', '-C'])
      .catch((error: unknown) => (thrown = String(error)));
    expect(thrown).to.match(/what a answers to: hexdump -C/);
  });
});
