import { expect } from 'chai';
import { endsOverAndOver } from '../../src/diagnosis/explain-local.js';
import type { Case } from '../../src/diagnosis/follow.js';
import type { EngineContainer } from '../../src/diagnosis/world.js';

const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

/** A probe of tcp port 8080 that came in at a place of server, whose engine has this container. */
function ofProbe(over: Partial<EngineContainer>, label = 'server', port = 8080): Case {
  const container: EngineContainer = {
    id: 'x',
    name: 'web',
    status: 'restarting',
    exitCode: 1,
    finishedAt: ago(500),
    startedAt: ago(600),
    restarts: 4,
    networkMode: 'bridge',
    published: [{ proto: 'tcp', hostPort: 8080, hostIp: '', port: 80 }],
    networks: [],
    ...over,
  };
  return {
    proto: 'tcp',
    port,
    forward: [{ way: 'in', space: { label, host: 'server' } }],
    world: { engines: new Map([['server', { running: true, containers: [container], networks: [] }]]) },
  } as unknown as Case;
}

// What is some time ago is so when a test runs, which may be long after all files were loaded.
describe('diagnosis: a container that ends and is started again', () => {
  for (const [what, seen] of [
    ['waits for its next start', () => ofProbe({})],
    ['runs at this instant', () => ofProbe({ status: 'running' })],
    ['got the packet itself', () => ofProbe({ status: 'running', published: [] }, 'server/web')],
  ] as const)
    it(`is named where it ${what}`, () => {
      const found = endsOverAndOver(seen())!;
      expect(found.rootCause).to.equal('container-not-running');
      expect(found.sentence).to.equal(
        'web on server is not running (restarting): it ends each time, and was started again 4 times',
      );
    });

  for (const [what, seen] of [
    ['has run for long since', () => ofProbe({ status: 'running', startedAt: ago(60_000) })],
    ['was started again only once', () => ofProbe({ restarts: 1 })],
    ['publishes another port', () => ofProbe({}, 'server', 8081)],
    [
      'publishes the port of another protocol',
      () => ofProbe({ published: [{ proto: 'udp', hostPort: 8080, hostIp: '', port: 80 }] }),
    ],
    ['is another one than the container that got it', () => ofProbe({ published: [] }, 'server/other')],
  ] as const)
    it(`is not named where it ${what}`, () => expect(endsOverAndOver(seen())).to.equal(null));
});
