import { expect } from 'chai';
import {
  differentPackages,
  mergeByName,
  mergeDiversions,
  mergeGroups,
  mergeLines,
  mergeOf,
  mergeStanzas,
  mergeUsers,
} from '../../src/images/layer-merge.js';

const stanza = (name: string, version: string, more = ''): string =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\nDescription: of ${name}\n more of it${more}\n\n`;

describe('A layer of packages over another tree than its own', () => {
  it('adds its packages to what dpkg knows there, and leaves the kernel that is there alone', () => {
    const base = stanza('libc6', '1') + stanza('old', '1') + stanza('login', '1');
    const layer = stanza('libc6', '1') + stanza('login', '2') + stanza('frr', '8');
    const there = stanza('libc6', '1') + stanza('linux-image', '6') + stanza('old', '1') + stanza('login', '1');
    expect(mergeStanzas({ base, layer, there })).to.equal(
      stanza('libc6', '1') + stanza('linux-image', '6') + stanza('login', '2') + stanza('frr', '8'),
    );
  });

  it('keeps a newer version of what it did not change', () => {
    const there = stanza('libc6', '1.1');
    expect(mergeStanzas({ base: stanza('libc6', '1'), layer: stanza('libc6', '1'), there })).to.equal(there);
  });

  it('tells packages of two architectures apart, and debconf’s questions by their names', () => {
    const other = stanza('libc6', '1').replace('amd64', 'i386');
    expect(
      mergeStanzas({ base: stanza('libc6', '1'), layer: stanza('libc6', '1') + other, there: stanza('libc6', '1') }),
    ).to.equal(stanza('libc6', '1') + other);
    const question = (name: string): string => `Name: ${name}\nTemplate: ${name}\n\n`;
    expect(mergeStanzas({ base: question('a'), layer: question('a') + question('b'), there: question('c') })).to.equal(
      question('c') + question('b'),
    );
  });

  it('gives its accounts numbers that nobody has there, and members to both', () => {
    const groups = {
      base: 'root:x:0:\nadm:x:4:\n',
      layer: 'root:x:0:\nadm:x:4:frr\nfrrvty:x:106:frr\nfrr:x:107:\n',
      there: 'root:x:0:\nadm:x:4:me\nkernel:x:107:\nlast:x:999:\n',
    };
    const merged = mergeGroups(groups);
    expect(merged).to.equal('root:x:0:\nadm:x:4:me,frr\nkernel:x:107:\nlast:x:999:\nfrrvty:x:106:frr\nfrr:x:998:\n');
    const users = mergeUsers(
      {
        base: 'root:x:0:0::/root:/bin/bash\n',
        layer:
          'root:x:0:0::/root:/bin/bash\nfrr:x:104:107:Frr:/nonexistent:/usr/sbin/nologin\nme:x:1000:4::/home/me:/bin/sh\n',
        there: 'root:x:0:0::/root:/bin/bash\nother:x:104:0::/:/bin/sh\nvagrant:x:1000:0::/:/bin/sh\n',
      },
      { layer: groups.layer, merged },
    );
    expect(users).to.equal(
      'root:x:0:0::/root:/bin/bash\nother:x:104:0::/:/bin/sh\nvagrant:x:1000:0::/:/bin/sh\nfrr:x:999:998:Frr:/nonexistent:/usr/sbin/nologin\nme:x:1001:4::/home/me:/bin/sh\n',
    );
  });

  it('leaves an account that both have with the numbers of the tree', () => {
    expect(
      mergeUsers(
        {
          base: 'a:x:101:101::/:/bin/sh\n',
          layer: 'a:x:101:101::/var/lib/a:/bin/sh\n',
          there: 'a:x:107:108::/:/bin/sh\n',
        },
        { layer: 'a:x:101:\n', merged: 'a:x:108:\n' },
      ),
    ).to.equal('a:x:107:108::/var/lib/a:/bin/sh\n');
  });

  it('adds passwords by name, lines once, and diversions by threes', () => {
    expect(mergeByName({ base: 'root:*:1\n', layer: 'root:*:1\nfrr:!:2\n', there: 'root:own:9\n' })).to.equal(
      'root:own:9\nfrr:!:2\n',
    );
    expect(mergeLines({ base: '/bin/sh\n', layer: '/bin/sh\n/usr/bin/zsh\n', there: '/bin/sh\n/bin/fish\n' })).to.equal(
      '/bin/sh\n/bin/fish\n/usr/bin/zsh\n',
    );
    expect(mergeDiversions({ base: '', layer: '/a\n/a.real\npack\n', there: '/b\n/b.real\npack\n' })).to.equal(
      '/b\n/b.real\npack\n/a\n/a.real\npack\n',
    );
  });

  it('changes nothing where the tree is the base itself', () => {
    const layer = stanza('libc6', '1') + stanza('frr', '8');
    expect(mergeStanzas({ base: stanza('libc6', '1'), layer, there: stanza('libc6', '1') })).to.equal(layer);
  });

  it('is merged in dpkg’s books and accounts only', () => {
    expect(mergeOf('etc/frr/daemons')).to.equal(null);
    expect(mergeOf('var/lib/dpkg/info/frr.list')).to.equal(null);
    for (const path of ['etc/shadow', 'var/lib/dpkg/status', 'var/lib/dpkg/triggers/ldconfig'])
      expect(mergeOf(path), path).not.to.equal(null);
  });

  it('names packages of its base that the tree has in another version, or lacks', () => {
    const base = stanza('a', '1') + stanza('b', '1') + stanza('c', '1');
    expect(differentPackages(base, stanza('a', '1') + stanza('b', '2') + stanza('kernel', '6'))).to.deep.equal([
      'b',
      'c',
    ]);
    expect(differentPackages(base, base)).to.deep.equal([]);
  });
});
