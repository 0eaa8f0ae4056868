// npm run test:vagrant: the vagrant provider on real virtual machines. Installs the Debian packages that it needs, then runs
// the tests; where they can't be installed, says so and skips. Arguments go to Mocha (-g PATTERN, …).
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowed, consentFlags, consentOf, installPackages, onPath, root, run, say, setUp } from './setup.mjs';

/** What proves a package, and the package. */
const packages = {
  vagrant: ['vagrant', () => onPath('vagrant')],
  plugin: ['vagrant-libvirt', () => existsSync('/var/lib/dpkg/info/vagrant-libvirt.list')],
  libvirtd: ['libvirt-daemon', () => onPath('libvirtd')],
  'libvirt-driver': [
    'libvirt-daemon-driver-qemu',
    () => existsSync('/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so'),
  ],
  'libvirt-system': ['libvirt-daemon-system', () => existsSync('/var/lib/libvirt/qemu')],
  virsh: ['libvirt-clients', () => onPath('virsh')],
  qemu: ['qemu-system-x86', () => onPath('qemu-system-x86_64')],
  'qemu-img': ['qemu-utils', () => onPath('qemu-img')],
  firmware: ['seabios', () => existsSync('/usr/share/seabios/bios-256k.bin')],
  'network-boot': ['ipxe-qemu', () => existsSync('/usr/lib/ipxe/qemu')],
  dnsmasq: ['dnsmasq-base', () => onPath('dnsmasq')],
  extlinux: ['extlinux', () => onPath('extlinux')],
  sfdisk: ['fdisk', () => onPath('sfdisk')],
  mke2fs: ['e2fsprogs', () => onPath('mke2fs')],
  socat: ['socat', () => onPath('socat')],
  slirp4netns: ['slirp4netns', () => onPath('slirp4netns')],
};

const policy = '/usr/sbin/policy-rc.d';

/** Ends with the count line, and exit status 0: a machine that can't run them has not failed them. */
function skip(why) {
  say(`\nskipped: the tests of the vagrant provider: ${why}`);
  say('\n0 passed, 0 failed, 1 skipped');
  process.exit(0);
}

async function install(consent) {
  const missing = [
    ...new Set(
      Object.values(packages)
        .filter(([, there]) => !there())
        .map(([name]) => name),
    ),
  ];
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (process.getuid?.() !== 0) skip(`these Debian packages are missing, and only root can install them: ${names}`);
  if (!onPath('apt-get')) skip(`this machine has no apt-get, and these Debian packages are missing: ${names}`);
  if (!(await allowed(`Installing the Debian packages ${names}`, consent)))
    skip(`not without the Debian packages ${names}`);
  // The package of libvirt starts its daemon, whose default network would put a bridge and an address into this machine's
  // own network namespace. While this policy stands, invoke-rc.d starts nothing (deb-systemd-invoke asks it, too).
  const own = !existsSync(policy);
  if (own) {
    say('No service is started by that: /usr/sbin/policy-rc.d says so while it lasts.');
    writeFileSync(policy, '#!/bin/sh\nexit 101\n');
    chmodSync(policy, 0o755);
  } else if (spawnSync(policy, ['libvirtd', 'start'], { stdio: 'ignore' }).status === 101) {
    say('No service is started by that: this machine’s own /usr/sbin/policy-rc.d forbids it.');
  } else {
    skip(
      `installing ${names} would start services, as this machine's own /usr/sbin/policy-rc.d allows it; install them your way`,
    );
  }
  const tidy = () => {
    if (own) rmSync(policy, { force: true });
  };
  process.once('exit', tidy);
  try {
    const status = await installPackages(missing);
    if (status !== 0) skip(`apt-get install ${names} failed; its words are above`);
  } finally {
    tidy();
    process.off('exit', tidy);
  }
}

const args = process.argv.slice(2);
const consent = consentOf(args);
if (process.platform !== 'linux' || process.arch !== 'x64')
  skip(`netrig's boxes are for x86-64 Linux, and this is ${process.platform} ${process.arch}`);
if (process.getuid?.() !== 0) skip('they need root, for a libvirtd in namespaces of its own');
await install(consent);
await setUp({ ...consent, images: [], tools: {} });
const cli = join(root, 'dist', 'program', 'cli', 'main.js');
say('Building the box vagrant:debian-12 where the cache has none …');
const status = await run(process.execPath, [cli, 'images', 'build', 'vagrant:debian-12']);
if (status !== 0) process.exit(status);
const forMocha = args.filter((arg) => !consentFlags.includes(arg));
process.exit(
  await run(process.execPath, [
    join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'),
    '--reporter',
    join('dist', 'test', 'reporter.js'),
    '--timeout',
    '120000',
    ...forMocha,
    join('dist', 'test', 'vagrant', 'vagrant.test.js'),
  ]),
);
