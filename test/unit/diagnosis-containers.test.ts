import { expect } from 'chai';
import { endsOverAndOver, stoppedOwner } from '../../src/diagnosis/explain-local.js';
import type { Case } from '../../src/diagnosis/follow.js';
import { engineError } from '../../src/places/vantage.js';
import { lostInTunnel } from '../../src/diagnosis/explain-tunnel.js';
import type { Section } from '../../src/diagnosis/observer.js';
import { addToWorld, emptyWorld } from '../../src/diagnosis/world.js';
import type { EngineContainer, Link, Space } from '../../src/diagnosis/world.js';

const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

/** A probe of tcp port 8080 that came in at a place of server, whose engine has this container. */
function ofProbe(over: Partial<EngineContainer>, label = 'server', port = 8080): Case {
  const container: EngineContainer = {
    id: 'x',
    name: 'web',
    status: 'restarting',
    exitCode: 1,
    error: null,
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

describe('diagnosis: why an engine could not start a container', () => {
  it('is said on one line, without ids, and not at length', () => {
    const id = 'e595f366da7b9a9f8d9c4127e5e9965ccce570596b0644d5c17a09ba23b195b7';
    expect(engineError(`endpoint web (${id}): bind:\n address in use`)).to.equal('endpoint web: bind: address in use');
    expect(engineError('x'.repeat(500))).to.have.length(200);
    expect(engineError('')).to.equal(null);
    expect(engineError(undefined)).to.equal(null);
  });

  it('stands with the container that is to have the address', () => {
    const seen = ofProbe({
      status: 'created',
      error: 'address already in use',
      networks: [{ name: 'lan', id: 'n', address: '172.18.0.2', address6: '', aliases: [] }],
    });
    seen.world.spaces = [];
    const found = stoppedOwner(seen, '172.18.0.2')!;
    expect(found.sentence).to.equal(
      'web on server is not running (created): the engine could not start it: address already in use; it is to have the address 172.18.0.2',
    );
    expect(found.mend).to.equal('mend what the engine says, then docker start web, on server');
  });
});

describe('diagnosis: what an engine tells other engines of itself', () => {
  const advertisedBy = (info: string): string | null | undefined => {
    const world = emptyWorld();
    const at = (name: string, text: string): Section => ({ name, space: '0', text });
    addToWorld(world, 'node', [at('spaces', '1\thost\t-\t1\n'), at('containers', '[]'), at('info', info)]);
    return world.engines.get('node')!.advertised;
  };

  it('is the address of its store’s cluster, or of its swarm, or none', () => {
    expect(advertisedBy('{"ClusterAdvertise":"10.99.0.2:2375","Swarm":{"NodeAddr":""}}')).to.equal('10.99.0.2');
    expect(advertisedBy('{"Swarm":{"NodeAddr":"192.168.10.129"}}')).to.equal('192.168.10.129');
    for (const info of ['{"Swarm":{"NodeAddr":""}}', '{}', '', 'cut {']) expect(advertisedBy(info)).to.equal(null);
  });

  it('is said where a tunnel has no entry, if no segment has it', () => {
    const link = { name: 'vxlan0', kind: 'vxlan', data: {} } as unknown as Link;
    const space = { label: 'node1/netns:1-ov', kind: 'engine', host: 'node1', forwards: [] } as unknown as Space;
    const said = (advertised: string): string => {
      const engines = new Map([['node2', { running: true, containers: [], networks: [], advertised }]]);
      const plan = { segments: [{ name: 'lan', subnet: '10.10.10.0/24' }] };
      const c = { plan, world: { spaces: [], engines, unlooked: [] } } as unknown as Case;
      return lostInTunnel(c, { space, link, mac: '02:42:0a:00:00:03' }, 'it')!.sentence;
    };
    expect(said('10.99.0.2')).to.match(
      /; the engine of node2 tells the others the address 10\.99\.0\.2, which is on no segment/,
    );
    expect(said('10.10.10.12')).to.match(/goes into the tunnel and to nobody$/);
  });
});
