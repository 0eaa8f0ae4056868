import { shown } from '../language/wording.js';
import type { Path } from './diagnostic.js';

/** The words of the Compose Specification (compose-spec.json), for those that netrig does not carry out. */

type Part = 'service' | 'container' | 'network' | 'network of a service' | 'build';

const words: Readonly<Record<Exclude<Part, 'container'>, string>> = {
  service: `annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name
    cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on
    deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends
    external_links extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging
    mac_address mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable
    oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider pull_policy pull_refresh_after
    read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls
    tmpfs tty ulimits use_api_socket user userns_mode uts volumes volumes_from working_dir`,
  network: `attachable driver driver_opts enable_ipv4 enable_ipv6 external internal ipam labels name`,
  'network of a service': `aliases driver_opts gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address
    priority`,
  build: `additional_contexts args cache_from cache_to context dockerfile dockerfile_inline entitlements extra_hosts isolation
    labels network no_cache platforms privileged provenance pull sbom secrets shm_size ssh tags target ulimits`,
};

/** What does the same here, as far as there is something. */
const instead: Readonly<Record<string, string>> = {
  deploy: 'there is one container of each service',
  scale: 'there is one container of each service',
  env_file: 'write its lines under `environment`',
  profiles: 'they are for Compose files',
  secrets: 'put a file on the host by `files`, and mount it by `volumes`',
  configs: 'put a file on the host by `files`, and mount it by `volumes`',
  build: 'name under `images` what is to be built',
  container_name: 'the name of a container is its key',
  external: 'the networks of a host are made for the lab',
};

/** A container of a scenario has the words of a service. */
const wordsOf = (part: Part): string[] => words[part === 'container' ? 'service' : part].split(/\s+/);

/** Why a key of the Compose Specification has no effect; `null` for a key that Compose has not either. */
export function notCarriedOut(part: Part, key: string): string | null {
  if (!wordsOf(part).includes(key)) return null;
  const hint = instead[key];
  return `netrig does not carry out ${shown(key)} of a ${part}${hint === undefined ? '' : `: ${hint}`}`;
}

/** What of Compose a map of a scenario is, by its path; `null` where it is nothing of Compose's. */
export function composePart(path: Path): Part | null {
  const [top, , docker, kind] = path;
  if (top === 'images' && path.at(-1) === 'build') return 'build';
  if (top !== 'hosts' || docker !== 'docker') return null;
  if (kind === 'networks' && path.length === 5) return 'network';
  if (kind !== 'containers') return null;
  if (path.length === 5) return 'container';
  return path.length === 7 && path[5] === 'networks' ? 'network of a service' : null;
}
