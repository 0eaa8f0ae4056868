import { expect } from 'chai';
import { ensureOrderedImage } from '../../src/images/made-to-order.js';
import { subordinateIds } from '../../src/lab/outer-users.js';
import { delegatedLayout, labGroups, parseLayout } from '../../src/providers/local/cgroups.js';
import { chooseIsolation } from '../../src/providers/local/isolation.js';
import { requirementsWithoutRoot, subordinateSpan } from '../../src/providers/local/without-root.js';
import { rejectsWith } from '../lab/local-labs.js';

describe('without root: the outer namespace', () => {
  it('is told by its map, from the machine and from namespaces of others', () => {
    expect(subordinateIds('         0       1000          1\n         1     100000      65536\n')).to.equal(65536);
    expect(subordinateIds('         0          0 4294967295\n')).to.equal(null);
    expect(subordinateIds('0 1000 1\n')).to.equal(null);
    expect(subordinateIds('0 100000 65536\n')).to.equal(null);
    expect(subordinateIds('0 1000 1\n1 100000 65536\n70000 200000 1\n')).to.equal(null);
  });
});

describe('without root: what a user needs', () => {
  const user = { username: 'ann', uid: 1000 };
  const subordinate = 'bob:100000:65536\nann:165536:65536\n';
  const well: Record<string, string> = {
    '/etc/subuid': subordinate,
    '/etc/subgid': subordinate,
    '/proc/sys/user/max_user_namespaces': '15000\n',
    '/proc/sys/kernel/unprivileged_userns_clone': '1\n',
  };
  const lacking = (files: Record<string, string>, find: (name: string) => string | null = (name) => name): string[] =>
    requirementsWithoutRoot((path) => files[path] ?? '', user, find).flatMap((one) =>
      one.required && !one.have ? [`${one.name}: ${one.seen} ${one.mend}`] : [],
    );

  it('subordinate ids are the first piece that is large enough, by name or by number', () => {
    expect(subordinateSpan(subordinate, 'ann', 1000)).to.deep.equal({ first: 165536, count: 65536 });
    expect(subordinateSpan('1000:165536:65536\n', 'ann', 1000)).to.deep.equal({ first: 165536, count: 65536 });
    expect(subordinateSpan('ann:1:1000\nann:300000:70000\n', 'ann', 1000)).to.deep.equal({
      first: 300000,
      count: 70000,
    });
    expect(subordinateSpan('anna:165536:65536\nann:1:65535\n', 'ann', 1000)).to.equal(null);
  });

  it('nothing is named where all is there', () => {
    expect(lacking(well)).to.deep.equal([]);
  });

  it('each missing piece is named, with the command that mends it', () => {
    expect(lacking(well, () => null)).to.deep.equal([
      'tool:newuidmap: `newuidmap`, `newgidmap` is not on the path. apt-get install uidmap',
    ]);
    const [ids, ...noMore] = lacking({ ...well, '/etc/subgid': 'bob:100000:65536\n' });
    expect(noMore).to.deep.equal([]);
    expect(ids).to.match(/^subordinate-ids: \/etc\/subgid give.* usermod --add-subuids .* ann /);
    expect(lacking({ ...well, '/proc/sys/user/max_user_namespaces': '0\n' })[0]).to.contain(
      'sysctl user.max_user_namespaces=',
    );
    expect(lacking({ ...well, '/proc/sys/kernel/unprivileged_userns_clone': '0\n' })[0]).to.contain(
      'sysctl kernel.unprivileged_userns_clone=1',
    );
    expect(lacking({ ...well, '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1\n' })[0]).to.contain(
      'sysctl kernel.apparmor_restrict_unprivileged_userns=0',
    );
  });
});

describe('without root: cgroups', () => {
  const mounts = [
    '31 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '32 23 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd',
    '33 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
  ].join('\n');
  const layout = (group: string): ReturnType<typeof parseLayout> => parseLayout(mounts, `2:memory:/\n0::${group}\n`);
  const own = '/sys/fs/cgroup/unified/user/scope';

  it('are made below the delegated group, of which netrig’s commands are in a group of their own', () => {
    for (const group of ['/user/scope', '/user/scope/netrig-commands']) {
      const mine = delegatedLayout(layout(group), (path) => path === own);
      expect(mine.kind).to.equal('v2');
      expect(labGroups(mine, 'lab').all).to.deep.equal([`${own}/lab`]);
    }
  });

  it('are none where the group is not the user’s, or version 2 is not mounted', () => {
    for (const one of [layout('/user/scope'), parseLayout(mounts.split('\n')[0]!, '2:memory:/\n')]) {
      const mine = delegatedLayout(one, () => false);
      expect(mine).to.deep.equal({ kind: 'none', hierarchies: [], unified: null });
      expect(labGroups(mine, 'lab').all).to.deep.equal([]);
    }
  });
});

describe('without root: images', () => {
  it('packages are refused before anything is built', async () => {
    const options = { signal: AbortSignal.abort(), progress: () => undefined, builder: async () => undefined };
    const order = { image: 'debian-12', packages: ['frr'] };
    const refused = await rejectsWith('NETRIG_NO_ROOT', ensureOrderedImage(order, options, true));
    expect(refused.message).to.contain('debian-12 (frr)');
  });
});

describe('without root: isolation', () => {
  const works = async (): Promise<{ works: true; overlay: 'host' }> => ({ works: true, overlay: 'host' });
  const fails = async (): Promise<{ works: false; why: string }> => ({ works: false, why: 'no tmpfs for an overlay' });

  it('is always there', async () => {
    const { isolation } = await chooseIsolation('auto', ['/images/one/root'], works, true);
    expect(isolation.mode).to.equal('users');
    const refused = await rejectsWith('NETRIG_ISOLATION', chooseIsolation('none', ['/images/one/root'], works, true));
    expect(refused.message).to.contain('without root');
  });

  it('is not left out where it fails, as `auto` does for root', async () => {
    const refused = await rejectsWith('NETRIG_ISOLATION', chooseIsolation('auto', ['/images/one/root'], fails, true));
    expect(refused.message).to.contain('no tmpfs for an overlay');
    const { isolation } = await chooseIsolation('auto', ['/images/one/root'], fails, false);
    expect(isolation.mode).to.equal('none');
  });
});
