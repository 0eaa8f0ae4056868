import { join } from 'node:path';
import { expect } from 'chai';
import { Lab } from 'netrig';
import { hostImageRows } from '../../src/images/host-image.js';
import { page } from '../pages.js';
import { workDirectory } from './netrig-command.js';

const images = hostImageRows.map(({ name }) => name);
const { text } = page('docs/on-a-host.md');

/** `program → image → whether it is there`, as the tables say. */
const programs = new Map(
  [...text.matchAll(/^\| `([\w-]+)` ((?:\| (?:yes|–) ){4})\|$/gm)].map(([, name, cells]) => [
    name!,
    cells!
      .split('|')
      .slice(1)
      .map((cell) => cell.trim() === 'yes'),
  ]),
);
const [, listedApplets] = /\*\*As applets of busybox\*\*.*?: (.*)\.$/m.exec(text)!;
const applets = [...listedApplets!.matchAll(/`([\w-]+)`/g)].map(([, name]) => name!);

describe('docs/on-a-host.md', function () {
  this.timeout(180_000);
  const { dir, remove } = workDirectory({
    'hosts.yaml': `scenario: on-a-host\ntitle: One host of each image\nhosts: { ${images
      .map((image) => `${image}: { image: ${image}, engine: false }`)
      .join(', ')} }\nsteps:\n  - { on: ${images[0]}, run: "true" }\n`,
  });
  let lab: Lab;
  before(async () => {
    expect(programs.size).to.be.greaterThan(60);
    expect(applets.length).to.be.greaterThan(10);
    lab = await Lab.up(join(dir, 'hosts.yaml'));
  });
  after(async () => {
    await lab.down();
    remove();
  });

  for (const [at, image] of images.entries())
    it(`is what a host of ${image} has and lacks`, async () => {
      const asked = [...programs.keys()];
      const found = await lab
        .host(image)
        .exec(`for name in ${asked.join(' ')}; do command -v "$name" >/dev/null && echo "$name"; done; true`);
      const there = found.stdout.trim().split('\n');
      expect(there).to.deep.equal(asked.filter((name) => programs.get(name)![at]));
      const listed = await lab.host(image).exec(['busybox', '--list']);
      expect(listed.stdout.split('\n')).to.include.members(applets);
    });

  for (const image of images)
    it(`says what ${image} is: iptables writes nftables, no module can be loaded, the root lies in memory`, async () => {
      const { stdout } = await lab
        .host(image)
        .exec('iptables --version; modprobe dummy && echo loaded; df --output=fstype,source /; true');
      expect(stdout).to.contain('(nf_tables)').and.not.to.contain('loaded');
      expect(stdout).to.contain('overlay');
    });
});
