import { expect } from 'chai';
import { join } from 'node:path';
import { readdirSync, readFileSync } from 'node:fs';
import { listHostImages } from '../../src/images/store.js';
import { missing } from './local-labs.js';
import { leftovers, netrig, workDirectory } from './netrig-command.js';

/** An echo request and an ARP request, behind a tag: by a packet socket, so that it takes no VLAN interface. */
const bodies = {
  icmp: '0800 4500001c 00000000 40010000 0a0a0a0b 0a0a0a63 0800f7ff 00000000',
  arp: '0806 0001 0800 0604 0001 020000000001 0a0a0a0b 000000000000 0a0a0a63',
};
const send =
  'use Socket; my $index = `cat /sys/class/net/eth0/ifindex` + 0; socket(my $s, 17, SOCK_RAW, 0) or die; send($s, pack("H*", shift) . "\\0" x 18, 0, pack("S n l S C C a8", 17, 0x8100, $index, 0, 0, 6, "")) or die';

const cases = Object.entries(bodies).flatMap(([proto, body]) =>
  // As they leave, their tag is in them still; of those that came in, the kernel has taken it out.
  ['a', 'b'].map((host) => ({ host, proto, frame: `ffffffffffff 020000000001 8100 000a ${body}`.replaceAll(' ', '') })),
);

const scenario = (images: readonly string[]): string => `scenario: tagged-frames
title: A capture with a filter sees frames behind a tag
matrix: { image: ${JSON.stringify(images)} }
hosts: { a: { image: "\${image}", init: light }, b: { image: "\${image}", init: light } }
segments:
  lan: { subnet: 10.10.10.0/24, hosts: { a: 10.10.10.1, b: 10.10.10.2 } }
steps:
${cases
  .flatMap((one) =>
    [
      ['is there', 'vlan 10 and', { packets: 1, each: { vlan: 10, dst: '10.10.10.99' } }] as const,
      ['is said not to be there', 'vlan and', { absent: true }] as const,
      ['of another VLAN is not', 'vlan 20 and', { absent: true }] as const,
    ].map(
      ([what, filter, expected]) => `  - check: ${one.proto} at ${one.host} ${what}
    capture: { on: ${one.host}, segment: lan, filter: ${filter} ${one.proto}, during: { command: { on: a, run: ${JSON.stringify(['perl', '-e', send, one.frame])} } }, expect: ${JSON.stringify(expected)} }`,
    ),
  )
  .join('\n')}
`;

(missing ? describe.skip : describe)(`tagged frames${missing ? ` (needs ${missing})` : ''}`, function () {
  this.timeout(300_000);

  it('are captured as a filter says, by the tcpdump of every image that is there', async () => {
    const images = (await listHostImages()).filter(({ state }) => state === 'ready').map(({ name }) => name);
    expect(images).not.to.deep.equal([]);
    const { dir, remove } = workDirectory({ 'tags.yaml': scenario(images) });
    const ended = await netrig(['run', 'tags.yaml', '--no-allure-report'], { cwd: dir }).ended;
    expect(ended.status, ended.stdout + ended.stderr).to.equal(1);
    const run = readdirSync(join(dir, 'reports')).find((name) => /^\d{8}T/.test(name))!;
    const { scenarios } = JSON.parse(readFileSync(join(dir, 'reports', run, 'results.json'), 'utf8')) as {
      scenarios: { id: string; items: { title: string; verdict: string; cause?: string }[] }[];
    };
    expect(scenarios).to.have.length(images.length);
    for (const { id, items } of scenarios)
      expect(
        items.map(({ title, verdict, cause }) => `${title}: ${verdict}${cause === undefined ? '' : ` ${cause}`}`),
        id,
      ).to.deep.equal(
        cases.flatMap(({ proto, host }) => [
          `${proto} at ${host} is there: pass`,
          `${proto} at ${host} is said not to be there: fail present`,
          `${proto} at ${host} of another VLAN is not: pass`,
        ]),
      );
    expect(leftovers('tagged-frames')).to.deep.equal([]);
    remove();
  });
});
