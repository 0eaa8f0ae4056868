import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import type { LabPlan } from '../../src/plan/lab-plan.js';
import type { LabRecord, Provider, RunningLab } from '../../src/providers/provider.js';
import { hostPlan, labPlan, onHost, rejectsWith, upOptions } from './local-labs.js';

/** What a provider's own test says about it, so that the contract can be tried on it. */
export interface ContractSubject {
  provider: Provider;
  /** Host image that its hosts are made of. */
  image: string;
  /** Ends a host behind the provider's back, as a crash would. `null` where the test cannot do that. */
  killHost: ((lab: RunningLab, host: string) => Promise<void>) | null;
  /** Everything that is there of labs whose ids begin so: processes, containers, files. Empty when nothing is left. */
  leftovers(labId: string): Promise<string[]>;
  /** Whether interfaces carry the hardware addresses of the plan; machines that exist keep their own. */
  plannedMacs: boolean;
  /** Whether hosts say the names of the plan; machines that exist keep their own. */
  plannedNames: boolean;
  /** ms that one lab may take to come up. */
  bootTimeoutMs: number;
  /** The plan to use instead of the usual one of two hosts on one segment, `left` (with an engine) and `right`. */
  plan?: LabPlan;
}

interface Link {
  ifname: string;
  address: string;
  flags: string[];
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

function usualPlan(subject: ContractSubject): LabPlan {
  const hosts = [
    hostPlan('left', 11, ['net1'], {
      image: subject.image,
      init: 'systemd',
      engine: true,
      containerImages: ['busybox'],
    }),
    hostPlan('right', 12, ['net1'], { image: subject.image, init: 'systemd' }),
  ];
  return labPlan('contract', hosts, { bootTimeoutMs: subject.bootTimeoutMs });
}

/**
 * What every provider promises, as tests: call it inside of a `describe` of the provider. `subject` is asked for once, before
 * the first test.
 */
export function itKeepsTheContract(subject: () => ContractSubject): void {
  let plan: LabPlan;
  let lab: RunningLab;
  const options = upOptions();

  function context(): ContractSubject & { plan: LabPlan } {
    return { ...subject(), plan };
  }

  before('a lab of the contract comes up', async function () {
    const { provider, bootTimeoutMs, plan: own } = subject();
    this.timeout(bootTimeoutMs * 2 + 60_000);
    plan = own ?? usualPlan(subject());
    await provider.preflight(plan);
    lab = await provider.up(plan, options);
  });

  after('the lab of the contract goes', async function () {
    this.timeout(subject().bootTimeoutMs + 60_000);
    await lab?.down();
  });

  it('says what it can do, each thing once, with what was seen', async () => {
    const capabilities = await context().provider.capabilities();
    expect(capabilities).not.to.deep.equal([]);
    expect(new Set(capabilities.map(({ name }) => name)).size).to.equal(capabilities.length);
    for (const { name, seen } of capabilities) expect(seen, name).to.match(/\S/);
  });

  it('gives each planned host root over SSH, with the addresses of the plan on its interfaces', async () => {
    for (const host of lab.plan.hosts) {
      const { stdout } = await onHost(lab, host.name, 'id -u; hostname; ip -j address');
      const [uid, name, ...json] = stdout.trim().split('\n');
      expect(uid, host.name).to.equal('0');
      if (context().plannedNames) expect(name).to.equal(host.name);
      const links = JSON.parse(json.join('')) as Link[];
      for (const nic of host.interfaces) {
        const link = links.find(({ ifname }) => ifname === (nic.device ?? nic.name));
        expect(link?.flags, `${host.name} ${nic.name}`).to.include.members(['UP', 'LOWER_UP']);
        if (context().plannedMacs) expect(link?.address).to.equal(nic.mac);
        expect(link?.addr_info.map((one) => `${one.local}/${one.prefixlen}`)).to.include(nic.address);
      }
    }
  });

  it('lets hosts of one segment reach each other', async () => {
    const [left, right] = lab.plan.hosts;
    const address = right!.interfaces[0]!.address!.split('/')[0]!;
    const ping = await onHost(lab, left!.name, `ping -c 1 -W 5 ${address}`);
    expect(ping.exitCode, ping.stdout + ping.stderr).to.equal(0);
  });

  it('gives an engine with the images that the plan asks for', async () => {
    const host = lab.plan.hosts.find(({ engine }) => engine)!;
    const { stdout, stderr } = await onHost(
      lab,
      host.name,
      'docker run --rm --network none busybox echo from a container',
    );
    expect(stdout, stderr).to.contain('from a container');
  });

  it('pins the key that a host shows', async () => {
    const target = lab.target(lab.plan.hosts[0]!.name);
    const other = { ...lab, target: () => ({ ...target, hostKey: target.hostKey.replace(/.{8}$/, 'AAAAAAAA') }) };
    await rejectsWith('NETRIG_SSH_HOST_KEY', onHost(other, target.host, 'true'));
  });

  it('tells of the boot and its end, host by host', () => {
    const phases = options.events.flatMap((event) =>
      event.type === 'phase' && event.phase === 'boot' && event.host !== null ? [`${event.host} ${event.state}`] : [],
    );
    expect(phases).to.include.members(lab.plan.hosts.flatMap(({ name }) => [`${name} start`, `${name} end`]));
  });

  it('is reached by another process through its record, and left alone by its sweep', async () => {
    const record = JSON.parse(JSON.stringify(lab.record)) as LabRecord;
    const { provider } = context();
    const swept = await provider.sweep();
    expect([...swept.removed, ...swept.left].filter((one) => one.lab === lab.id)).to.deep.equal([]);
    const attached = await provider.attach(record);
    const { stdout } = await onHost(attached, lab.plan.hosts[1]!.name, 'echo still here');
    expect(stdout).to.equal('still here\n');
  });

  it('says that a host is gone when it is, soon, and takes the rest down', async function () {
    const { killHost, leftovers, bootTimeoutMs } = context();
    if (!killHost) {
      this.test!.title += ' (skipped: hosts of this provider cannot be ended from here)';
      this.skip();
    }
    this.timeout(bootTimeoutMs + 90_000);
    const victim = lab.plan.hosts[1]!.name;
    await killHost!(lab, victim);
    const error: unknown = await onHost(lab, victim, 'true').then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(isNetrigError(error) && error.code, String(error)).to.be.oneOf(['NETRIG_SSH_CONNECT', 'NETRIG_SSH_LOST']);
    await lab.down();
    expect(await leftovers(lab.id)).to.deep.equal([]);
  });

  it('goes without a trace, and going twice is no error', async function () {
    const { provider, leftovers, bootTimeoutMs } = context();
    this.timeout(bootTimeoutMs + 60_000);
    await lab.down();
    await lab.down();
    expect(await leftovers(lab.id)).to.deep.equal([]);
    await rejectsWith('NETRIG_LAB_GONE', provider.attach(lab.record));
  });

  it('takes away what it made when it is interrupted on its way up', async function () {
    const { provider, leftovers, bootTimeoutMs } = context();
    this.timeout(bootTimeoutMs + 90_000);
    const stop = new AbortController();
    const interrupted = upOptions(stop.signal);
    const emit = interrupted.emit;
    interrupted.emit = (event) => {
      emit(event);
      if (event.type === 'phase' && event.phase === 'boot' && event.host !== null && event.state === 'start')
        setTimeout(() => stop.abort(), 50);
    };
    await rejectsWith('NETRIG_INTERRUPTED', provider.up({ ...plan, slug: 'contract-cut' }, interrupted));
    expect(await leftovers('contract-cut')).to.deep.equal([]);
  });
}
