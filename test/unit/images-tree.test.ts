import { expect } from 'chai';
import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installedVersion, parseLdd, resolveInTree, upstreamVersion } from '../../src/images/container-image-build.js';

describe('images/container-image-build', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'netrig-tree-'));
    await mkdir(join(root, 'usr/lib/triplet'), { recursive: true });
    await mkdir(join(root, 'var/lib/dpkg'), { recursive: true });
    await writeFile(join(root, 'usr/lib/triplet/ld.so'), '');
    await symlink('usr/lib', join(root, 'lib'));
    await symlink('/lib/triplet/ld.so', join(root, 'usr/lib/loader'));
    await symlink('../../../../../../etc/passwd', join(root, 'usr/lib/escape'));
    await symlink('circle', join(root, 'circle'));
    await writeFile(
      join(root, 'var/lib/dpkg/status'),
      'Package: docker.io\nStatus: install ok installed\nArchitecture: amd64\nVersion: 20.10.5+dfsg1-1+deb11u4\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1.0\n\nPackage: docker.io-doc\nStatus: install ok installed\nVersion: 9\n',
    );
  });
  after(() => rm(root, { recursive: true, force: true }));

  it('follows links as a process inside the tree would', async () => {
    expect(await resolveInTree(root, 'lib/triplet/ld.so')).to.equal('usr/lib/triplet/ld.so');
    expect(await resolveInTree(root, '/lib/loader')).to.equal('usr/lib/triplet/ld.so');
    expect(await resolveInTree(root, 'usr/nothing/here')).to.equal('usr/nothing/here');
  });

  it('is not led out of the tree', async () => {
    expect(await resolveInTree(root, 'lib/escape')).to.equal('etc/passwd');
    expect(await resolveInTree(root, '../../../etc/passwd')).to.equal('etc/passwd');
  });

  it('ends on a circle', async () => {
    let message = '';
    await resolveInTree(root, 'circle').catch((error: Error) => (message = error.message));
    expect(message).to.include('too many symbolic links');
  });

  it('reads the version of an installed package, and of no other', async () => {
    expect(await installedVersion(root, 'docker.io')).to.equal('20.10.5+dfsg1-1+deb11u4');
    expect(await installedVersion(root, 'gone')).to.equal(null);
    expect(await installedVersion(root, 'docker')).to.equal(null);
  });

  it('takes the upstream part of Debian’s versions', () => {
    const versions = {
      '20.10.5+dfsg1-1+deb11u4': '20.10.5',
      '20.10.24+dfsg1-1+deb12u1+b2': '20.10.24',
      '26.1.5+dfsg1-9+b11': '26.1.5',
      '28.5.2+dfsg4-2': '28.5.2',
      '1:2.3~rc1-4': '2.3',
      '27.5.1': '27.5.1',
    };
    for (const [version, upstream] of Object.entries(versions)) expect(upstreamVersion(version)).to.equal(upstream);
  });

  it('reads what ldd writes', () => {
    const text = `\tlinux-vdso.so.1 (0x00007f859c291000)
\tlibpthread.so.0 => /lib/x86_64-linux-gnu/libpthread.so.0 (0x00007f859c27b000)
\tlibmissing.so.1 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f859c293000)
`;
    expect(parseLdd(text)).to.deep.equal(['/lib/x86_64-linux-gnu/libpthread.so.0', '/lib64/ld-linux-x86-64.so.2']);
    expect(parseLdd('\tnot a dynamic executable\n')).to.deep.equal([]);
  });
});
