import type { HostPlan } from '../../plan/lab-plan.js';
import { containerImageRecipes } from '../../images/container-images.js';
import type { LabKeys } from '../../ssh/keys.js';
import { quoteArg } from '../../ssh/quote.js';
import { probeScript } from '../shared/kernel-probes.js';
import { addressLines } from '../shared/address-lines.js';
import { uplink } from '../../model/uplink.js';
import { uplinkLines } from '../shared/uplink.js';
import { imageScript } from '../ssh/engine-images.js';
import { labDirectory } from '../ssh/journal.js';
import type { VagrantInterface } from './vagrant-plan.js';

/**
 * Once for each machine, as root: keys of its own, and an engine that runs already when the snapshot is taken, for where the
 * processor is emulated that takes half a minute. Boxes of others may lack what netrig's have.
 */
export function prepareScript(keys: LabKeys, options: { engine: boolean; ownBox: boolean }): string {
  const lines = [
    'set -e',
    'umask 077',
    'mkdir -p /root/.ssh',
    `printf '%s\\n' ${quoteArg(keys.publicKeyLine)} >/root/.ssh/authorized_keys`,
    `printf %s ${quoteArg(keys.hostPrivateKey)} >/etc/ssh/ssh_host_ed25519_key`,
    `printf '%s\\n' ${quoteArg(keys.hostPublicKeyLine)} >/etc/ssh/ssh_host_ed25519_key.pub`,
    'chmod 644 /etc/ssh/ssh_host_ed25519_key.pub',
  ];
  if (!options.ownBox) {
    lines.push(
      'for tool in ip ping systemctl; do command -v "$tool" >/dev/null || { echo "the box has no $tool" >&2; exit 1; }; done',
      'mkdir -p /etc/ssh/sshd_config.d',
      "printf 'PermitRootLogin prohibit-password\\nPubkeyAuthentication yes\\nUseDNS no\\nMaxSessions 64\\nMaxStartups 200:30:400\\n' >/etc/ssh/sshd_config.d/00-netrig.conf",
      'systemctl restart ssh 2>/dev/null || systemctl restart sshd',
    );
  }
  if (options.engine)
    lines.push(
      'command -v docker >/dev/null || { echo "the box has no docker" >&2; exit 1; }',
      'systemctl start docker',
      'docker version --format "{{.Server.Version}}" >/dev/null',
    );
  // What was written is on the disk before the snapshot is.
  lines.push('sync', 'echo prepared');
  return lines.join('\n');
}

/** The kernel's probes of the local provider, in namespaces of the guest. Modules that the probes' own commands do not call for are loaded first. */
export function guestProbes(): string {
  const script = probeScript();
  return `modprobe -a ip_vs esp4 gcm 2>/dev/null || true\nexec unshare --mount --pid --uts --ipc --net --cgroup --propagation private --fork --kill-child=KILL sh -c ${quoteArg(script)}`;
}

/**
 * What makes a machine, fresh from its snapshot, the host of a plan: names, addresses, cards, the clock. `epochMs` is this
 * machine's time, milliseconds since 1970. Cards are found by the addresses that Vagrant gave them, whatever their names.
 */
export function configureScript(
  host: HostPlan,
  cards: readonly VagrantInterface[],
  mtus: readonly (number | null)[],
  epochMs: number,
): string {
  const name = quoteArg(host.name);
  const lines = [
    'set -e',
    // A restored machine lives in the time of its snapshot.
    `date -u -s @${(epochMs / 1000).toFixed(3)} >/dev/null`,
    'card() { for entry in /sys/class/net/*; do if [ "$(cat "$entry/address")" = "$1" ]; then echo "${entry##*/}"; return; fi; done; echo "no network card has the address $1" >&2; return 1; }',
  ];
  host.interfaces.forEach((_, index) => {
    const mac = cards[index]?.mac ?? '';
    lines.push(
      `old=$(card ${quoteArg(mac)})`,
      `ip link set dev "$old" down`,
      `ip link set dev "$old" name netrig${index}`,
    );
  });
  // In boxes of others Vagrant's own card is among them, and may have a name that the plan wants. Its way in needs no route.
  for (const nic of host.interfaces) {
    lines.push(
      `if [ -e /sys/class/net/${nic.name} ]; then address=$(ip -4 -o address show dev ${nic.name} scope global | awk '{ print $4; exit }'); ip link set dev ${nic.name} down; ip link set dev ${nic.name} name mgmt0; ip address replace "$address" dev mgmt0; ip link set dev mgmt0 up; fi`,
    );
  }
  lines.push('ip -4 route del default 2>/dev/null || true');
  host.interfaces.forEach((nic, index) => {
    const mtu = mtus[index];
    lines.push(
      `ip link set dev netrig${index} address ${quoteArg(nic.mac)}${mtu === null || mtu === undefined ? '' : ` mtu ${mtu}`}`,
      `ip link set dev netrig${index} name ${nic.name}`,
    );
  });
  if (host.outside)
    lines.push(
      `old=$(card ${quoteArg(cards[host.interfaces.length]?.mac ?? '')})`,
      `ip link set dev "$old" down`,
      `ip link set dev "$old" name ${uplink.device}`,
    );
  lines.push("ip -batch - <<'END'", ...addressLines(host), ...(host.outside ? uplinkLines : []), 'END');
  lines.push(
    `hostname ${name}`,
    // Engine and resolver of a box may have made links of these.
    'rm -f /etc/hostname /etc/hosts',
    `printf '%s\\n' ${name} >/etc/hostname`,
    `printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n127.0.1.1 %s\\n' ${name} >/etc/hosts`,
    'chmod 644 /etc/hostname /etc/hosts',
  );
  if (!host.engine || host.init !== 'systemd') {
    lines.push(
      'systemctl mask --quiet --runtime --now docker.socket docker.service containerd.service 2>/dev/null || true',
    );
  }
  lines.push('echo configured');
  return lines.join('\n');
}

/** Makes the container images that a plan asks for and the box does not have; one script for all. */
export function containerImagesScript(names: readonly string[]): string {
  const parts = names.map(
    (name) =>
      `sh -c ${quoteArg(
        imageScript(
          name,
          containerImageRecipes.find((recipe) => recipe.name === name),
        ),
      )}`,
  );
  return ['set -e', `mkdir -p ${labDirectory}`, ...parts].join('\n');
}
