import { joinTables, parseTable } from '../facts/ovs-table.js';
import type { OvsBridge, OvsRow } from '../facts/ovs-table.js';

export interface SwitchPort {
  name: string;
  /** VLAN of an access port; `null`: a trunk. */
  tag: number | null;
  /** VLANs that a trunk carries; empty: all. */
  trunks: number[];
  /** `vxlan`, `patch`, `internal`, …; `''` for a device of the host. */
  type: string;
  /** Of a patch port: the port of another bridge that it is joined to. */
  peer: string | null;
  /** Why ovs-vswitchd could not open the device. */
  error: string | null;
}

/** A flow of OpenFlow as `ovs-ofctl dump-flows` writes it, without its counters. */
export interface Flow {
  text: string;
  drops: boolean;
  /** Packets that met it while the probe was on its way. */
  met: number;
}

/** A bridge of Open vSwitch. */
export interface Switch {
  name: string;
  secure: boolean;
  ports: SwitchPort[];
  /** `null`: they could not be read. */
  flows: Flow[] | null;
  /** Whether ovs-vswitchd runs; the database outlives it. */
  running: boolean;
}

/** The other end of a patch port (ovs-vswitchd.conf.db(5), Patch Options). */
function peerNamed(face: OvsRow | undefined): string | null {
  const options = face?.['type'] === 'patch' ? face['options'] : null;
  const peer = typeof options === 'object' && options !== null ? (options as Record<string, unknown>)['peer'] : null;
  return typeof peer === 'string' ? peer : null;
}

function portsOf({ ports }: OvsBridge): SwitchPort[] {
  return ports.map(({ name, row, interfaces }) => ({
    name,
    tag: typeof row['tag'] === 'number' ? row['tag'] : null,
    trunks: Array.isArray(row['trunks']) ? row['trunks'].filter((one) => typeof one === 'number') : [],
    type: typeof interfaces[0]?.['type'] === 'string' ? interfaces[0]['type'] : '',
    peer: peerNamed(interfaces[0]),
    error: typeof interfaces[0]?.['error'] === 'string' ? interfaces[0]['error'] : null,
  }));
}

/** Sections `= BRIDGE` with lines of `ovs-ofctl dump-flows`: ` cookie=…, duration=…, table=0, n_packets=5, n_bytes=9, priority=0 actions=NORMAL`. */
function readFlows(text: string | undefined): Map<string, Map<string, number>> {
  const found = new Map<string, Map<string, number>>();
  let flows: Map<string, number> | null = null;
  for (const line of (text ?? '').split('\n')) {
    const bridge = /^= (\S+)$/.exec(line)?.[1];
    const [, table, packets, rest] =
      /^ cookie=\S+, duration=\S+, table=(\d+), n_packets=(\d+), n_bytes=\d+, (?:(?:idle|hard)_(?:age|timeout)=\d+, )*(.* ?actions=.*)$/.exec(
        line,
      ) ?? [];
    if (bridge !== undefined) found.set(bridge, (flows = new Map()));
    else if (rest !== undefined) flows?.set(`${table === '0' ? '' : `table=${table},`}${rest}`, Number(packets));
  }
  return found;
}

/** What the observer read of Open vSwitch: a line for each of the tables Bridge, Port, Interface and Controller. */
export function readSwitches(
  tables: string | undefined,
  before: string | undefined,
  after: string | undefined,
  running: boolean,
): Switch[] {
  const [bridge, port, face, controller] = (tables ?? '').split('\n').map(parseTable);
  const joined =
    bridge && port && face && controller ? joinTables({ bridge, port, interface: face, controller }) : null;
  const [old, now] = [readFlows(before), readFlows(after)];
  return (joined ?? []).map((one) => {
    const flows = now.get(one.name);
    return {
      name: one.name,
      secure: one.row['fail_mode'] === 'secure',
      ports: portsOf(one),
      running,
      flows: flows
        ? [...flows].map(([text, packets]) => ({
            text,
            drops: /actions=drop$/.test(text),
            met: packets - (old.get(one.name)?.get(text) ?? 0),
          }))
        : null,
    };
  });
}
