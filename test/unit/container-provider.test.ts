import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { expect } from 'chai';
import { isNetrigError, NetrigError } from '../../src/errors.js';
import { hostImageRows } from '../../src/images/host-image.js';
import { imageRecipe } from '../../src/images/recipe.js';
import { wireScript } from '../../src/providers/container/boot-script.js';
import {
  ask,
  engineError,
  engineOptions,
  engineWords,
  findEndpoint,
  isUnreachable,
} from '../../src/providers/container/engine.js';
import { baseReference, configureScript, dockerfileOf } from '../../src/providers/container/image-build.js';
import { type HolderMark, isAbandoned, ownMark, parseMark } from '../../src/providers/container/labels.js';
import { poolBlock, tunnelEnds, usableBlocks } from '../../src/providers/container/segments.js';
import { ExecStream } from '../../src/providers/container/transport.js';
import type { HostPlan } from '../../src/plan/lab-plan.js';

const endpoint = { uri: 'unix:///run/docker.sock', from: 'DOCKER_HOST' };

describe('Which engine the container provider takes', () => {
  let config: string;
  beforeEach(() => (config = mkdtempSync(join(tmpdir(), 'netrig-docker-'))));
  afterEach(() => rmSync(config, { recursive: true }));

  it('is that of DOCKER_HOST before all others', () => {
    expect(findEndpoint({ DOCKER_HOST: 'tcp://engine:2375', DOCKER_CONFIG: config })).to.deep.equal({
      uri: 'tcp://engine:2375',
      from: 'DOCKER_HOST',
    });
  });

  it('is that of the current Docker context, as Docker Desktop sets one', () => {
    const meta = join(config, 'contexts', 'meta', createHash('sha256').update('desktop-linux').digest('hex'));
    mkdirSync(meta, { recursive: true });
    writeFileSync(join(config, 'config.json'), JSON.stringify({ currentContext: 'desktop-linux' }));
    writeFileSync(
      join(meta, 'meta.json'),
      JSON.stringify({
        Name: 'desktop-linux',
        Endpoints: { docker: { Host: 'unix:///home/u/.docker/desktop/docker.sock' } },
      }),
    );
    expect(findEndpoint({ DOCKER_CONFIG: config })).to.deep.equal({
      uri: 'unix:///home/u/.docker/desktop/docker.sock',
      from: 'the Docker context "desktop-linux"',
    });
    expect(findEndpoint({ DOCKER_CONFIG: config, DOCKER_CONTEXT: 'default' })?.from ?? '').not.to.contain('context');
  });

  it('is reached in the way that its address says', () => {
    expect(engineOptions(endpoint)).to.deep.equal({ socketPath: '/run/docker.sock' });
    expect(engineOptions({ uri: 'tcp://10.0.0.1', from: 'x' }, {})).to.deep.equal({
      host: '10.0.0.1',
      port: '2375',
      protocol: 'http',
    });
    for (const uri of ['ssh://host', 'nonsense'])
      expect(() => engineOptions({ uri, from: 'DOCKER_HOST' }))
        .to.throw(NetrigError)
        .with.property('code', 'NETRIG_USAGE');
  });
});

describe('What the container provider makes of an engine’s answers', () => {
  it('tells silence from a no, and keeps the engine’s words', () => {
    const no = Object.assign(new Error('(HTTP code 409) unexpected - container is paused '), { statusCode: 409 });
    expect(engineWords(no)).to.equal('container is paused');
    expect(engineError(endpoint, 'start a', no)).to.include({
      code: 'NETRIG_ENGINE_REFUSED',
      message: 'The Docker engine could not start a: container is paused.',
    });
    expect(isUnreachable(no)).to.equal(false);
    for (const code of ['ENOENT', 'ECONNREFUSED', 'EACCES', 'ECONNRESET']) {
      const silence = Object.assign(new Error(`connect ${code}`), { code });
      expect(isUnreachable(silence), code).to.equal(true);
      expect(engineError(endpoint, 'start a', silence)).to.include({ code: 'NETRIG_ENGINE_UNREACHABLE' });
    }
  });

  it('waits no longer than it said, nor after it was called off', async () => {
    const never = new Promise<never>(() => undefined);
    const late = await ask(endpoint, 'start a', 20, never).catch((error: unknown) => error);
    expect(isNetrigError(late, 'NETRIG_ENGINE_UNREACHABLE')).to.equal(true);
    expect(String(late)).to.contain('it said nothing for 20 ms');
    const abort = new AbortController();
    const called = ask(endpoint, 'start a', 60_000, never, abort.signal).catch((error: unknown) => error);
    abort.abort('enough');
    expect(await called).to.equal('enough');
  });
});

describe('A hijacked exec as a stream', () => {
  function frame(stream: number, text: string): Buffer {
    const header = Buffer.alloc(8);
    header[0] = stream;
    header.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([header, Buffer.from(text)]);
  }

  it('gives what came in frames, however they are cut, and keeps standard error apart', async () => {
    const bytes = Buffer.concat([frame(1, 'one '), frame(2, 'oh no'), frame(1, ''), frame(1, 'two')]);
    for (const size of [1, 3, 7, 9, bytes.length]) {
      const incoming = new PassThrough();
      const stream = new ExecStream(Duplex.from({ readable: incoming, writable: new PassThrough() }));
      for (let at = 0; at < bytes.length; at += size) incoming.write(bytes.subarray(at, at + size));
      incoming.end();
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      expect(text, `by ${size}`).to.equal('one two');
      expect(stream.words).to.equal('oh no');
    }
  });

  it('sends what is written, and ends the other side with its own', async () => {
    const outgoing = new PassThrough();
    const stream = new ExecStream(Duplex.from({ readable: new PassThrough(), writable: outgoing }));
    stream.end('hello');
    let text = '';
    for await (const chunk of outgoing) text += String(chunk);
    expect(text).to.equal('hello');
    stream.destroy();
  });
});

describe('Whose lab a container is', () => {
  const own = ownMark();

  it('is abandoned when its process is gone, or the boot that it ran in', () => {
    expect(isAbandoned(own)).to.equal(false);
    expect(isAbandoned({ ...own, startTime: own.startTime + 1 })).to.equal(true);
    expect(isAbandoned({ ...own, boot: 'before' })).to.equal(true);
  });

  it('is not judged where the pid means nothing here', () => {
    const strange: HolderMark[] = [
      { ...own, machine: 'elsewhere', startTime: 1 },
      { ...own, pids: 'pid:[1]', startTime: 1 },
      { ...own, machine: 'elsewhere', boot: 'before' },
    ];
    for (const mark of strange) expect(isAbandoned(mark), JSON.stringify(mark)).to.equal(false);
  });

  it('is read from a label, and only from one that netrig wrote', () => {
    expect(parseMark(JSON.stringify(own))).to.deep.equal(own);
    for (const text of [undefined, '', 'null', '{}', '{"machine":1}', JSON.stringify({ ...own, pid: '1' })])
      expect(parseMark(text), text).to.equal(null);
  });
});

describe('Segments as networks of an engine', () => {
  const host = (name: string): HostPlan => ({
    name,
    image: 'debian-12',
    init: 'light',
    engine: false,
    containerImages: [],
    interfaces: [{ name: 'eth0', segment: 'lan', address: '10.0.0.1/24', mac: '0a:6e:00:00:00:01' }],
    routes: [],
    sysctls: {},
  });

  it('take their blocks from 198.18.0.0/15, round it, and none that the lab itself uses', () => {
    expect([poolBlock(0), poolBlock(63), poolBlock(64), poolBlock(127)]).to.deep.equal([
      '198.18.0.0/22',
      '198.18.252.0/22',
      '198.19.0.0/22',
      '198.19.252.0/22',
    ]);
    const blocks = usableBlocks(
      {
        segments: [
          { name: 'lan', subnet: '198.18.4.0/24', mtu: null },
          { name: 'six', subnet: 'fd00::/64', mtu: null },
        ],
      },
      127,
    );
    expect(blocks.slice(0, 3)).to.deep.equal(['198.19.252.0/22', '198.18.0.0/22', '198.18.8.0/22']);
    expect(new Set(blocks).size).to.equal(127);
  });

  it('give each host of theirs an address of its own, and others none', () => {
    const hosts = [...Array.from({ length: 300 }, (_, index) => host(`h${index}`)), { ...host('off'), interfaces: [] }];
    const ends = tunnelEnds({ hosts }, { name: 'lan' }, '198.18.4.0/22');
    expect([ends.get('h0'), ends.get('h253'), ends.get('h254')]).to.deep.equal([
      '198.18.4.2',
      '198.18.4.255',
      '198.18.5.0',
    ]);
    expect(new Set(ends.values()).size).to.equal(300);
    expect(ends.has('off')).to.equal(false);
  });

  it('become interfaces with the names, MACs and MTUs of the plan', () => {
    const network = {
      id: 'n1',
      vni: 7,
      mtu: 1400,
      ends: new Map([
        ['a', '198.18.4.2'],
        ['b', '198.18.4.3'],
      ]),
      prefix: 22,
    };
    const script = wireScript(host('a'), [{ name: 'eth0', mac: '02:42:c6:12:04:02', network }]);
    expect(script).to.contain(
      'link add name tunnel0 address 0a:6e:00:00:00:01 mtu 1400 type vxlan id 7 local 198.18.4.2 dev under0',
    );
    expect(script).to.contain('dst 198.18.4.3').and.not.to.contain('dst 198.18.4.2');
    expect(script).to.match(/ip link set dev tunnel0 name eth0\n/);
  });
});

describe('The Dockerfile of a host image', () => {
  for (const row of hostImageRows) {
    it(`has all of the recipe of ${row.name}`, () => {
      const recipe = imageRecipe(row);
      const text = dockerfileOf(recipe, baseReference(row, {}));
      expect(text).to.match(new RegExp(`^FROM debian:${row.suite}\n`));
      for (const name of recipe.packages) expect(text).to.contain(` ${name} `);
      for (const file of recipe.files)
        if (!/^etc\/(resolv\.conf|hosts|hostname)$/.test(file.path)) expect(text).to.contain(` /${file.path}`);
      const configure = configureScript(recipe);
      for (const unit of recipe.masked) expect(configure).to.contain(`/etc/systemd/system/${unit}`);
      expect(configure).to.contain('rm -rf /etc/ssh/ssh_host_*\n');
    });
  }

  it('stands on another registry where one is named', () => {
    expect(baseReference(hostImageRows[0]!, { NETRIG_CONTAINER_REGISTRY: 'registry.example:5000/mirror/' })).to.equal(
      'registry.example:5000/mirror/debian:bullseye',
    );
  });
});
