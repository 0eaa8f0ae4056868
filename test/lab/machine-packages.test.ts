import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { localProvider } from '../../src/providers/local/provider.js';
import { type PackedLayers, packLayers, putPackages, startServices } from '../../src/providers/vagrant/packages.js';
import type { RunningLab } from '../../src/providers/provider.js';
import { connect } from '../../src/ssh/connection.js';
import { putOwnFiles } from '../../src/ssh/own-files.js';
import type { HostConnection } from '../../src/ssh/ssh.js';
import { hostPlan, labPlan, missing, upOptions } from './local-labs.js';

/**
 * What a machine of a box differs in from the image that the layer was made on, made by hand on a host of that image: a package
 * and accounts of its own, which have the numbers that the layer's accounts would get.
 */
const another = `set -e
for id in $(seq 100 130); do
  getent passwd "$id" >/dev/null || echo "boxuser$id:x:$id:$id::/:/usr/sbin/nologin" >>/etc/passwd
  getent group "$id" >/dev/null || echo "boxgroup$id:x:$id:" >>/etc/group
done
printf 'Package: box-kernel\\nStatus: install ok installed\\nMaintainer: nobody\\nArchitecture: amd64\\nVersion: 1\\nDescription: of the box\\n\\n' >>/var/lib/dpkg/status
echo /. >/var/lib/dpkg/info/box-kernel.list
: >/var/lib/dpkg/info/box-kernel.md5sums
`;

(missing === null ? describe : describe.skip)(
  `Packages on a machine that is up${missing === null ? '' : ` (needs ${missing})`}`,
  function () {
    this.timeout(300_000);
    let lab: RunningLab;
    let layers: PackedLayers;
    let connection: HostConnection;
    let directory: string;
    const signal = new AbortController().signal;
    const host = hostPlan('a', 11, ['net1'], { image: 'debian-12', init: 'systemd', packages: ['frr'] });

    const said = async (command: string): Promise<string> => {
      const { exitCode, stdout, stderr } = await connection.exec(command);
      expect(exitCode, `${command}\n${stdout}${stderr}`).to.equal(0);
      return stdout.trim();
    };

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'netrig-daemons-'));
      writeFileSync(join(directory, 'daemons'), 'ospfd=yes\nvtysh_enable=yes\n');
      const { packages: _, ...bare } = host;
      layers = await packLayers(labPlan('machine', [host]), upOptions());
      lab = await localProvider.up(labPlan('machine', [bare]), upOptions());
      connection = await connect(lab.target('a'));
      expect((await connection.exec(another)).exitCode).to.equal(0);
      await putPackages(connection, layers.of(host)!, signal);
      await putOwnFiles(connection, 'a', [
        {
          from: join(directory, 'daemons'),
          to: '/etc/frr/daemons',
          owner: 'frr:frr',
          mode: 0o640,
          place: 'lab.yaml:1:1',
        },
      ]);
      await startServices(connection, host, signal);
    });

    after(async () => {
      await connection?.end();
      await lab?.down();
      await layers?.end();
      if (directory) rmSync(directory, { recursive: true });
    });

    it('are known to dpkg beside what was there, and nothing is half done', async () => {
      expect(await said("dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' frr libyang2 box-kernel")).to.equal(
        'box-kernel ii \nfrr ii \nlibyang2 ii'.trim(),
      );
      expect(await said('dpkg --audit')).to.equal('');
      await said('apt-get check');
    });

    it('have accounts of their own, whatever numbers were taken', async () => {
      const [user = '', group = ''] = (await said('id -u frr; id -g frr')).split('\n');
      expect(Number(user)).to.be.greaterThan(130);
      expect(Number(group)).to.be.greaterThan(130);
      expect(await said('id -nG frr')).to.contain('frrvty');
      expect(await said("stat -c '%U:%G %a' /etc/frr /etc/frr/daemons /etc/shadow")).to.equal(
        'frr:frr 750\nfrr:frr 640\nroot:shadow 640',
      );
      expect(await said('getent passwd boxuser110')).to.contain('boxuser110');
    });

    it('have services that run with the files of the scenario', async () => {
      expect(await said('systemctl is-active frr')).to.equal('active');
      expect(await said('pgrep -x ospfd >/dev/null && vtysh -c "show version" | head -n 1')).to.contain('FRRouting');
      expect(await said('systemctl --failed --no-legend')).to.equal('');
      expect(await said('ls /var/tmp')).not.to.contain('netrig-');
    });
  },
);
