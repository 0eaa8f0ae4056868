import { z } from 'zod';

/** A row of the database: its columns with sets as lists, maps as objects, references as the text of their UUID. */
export type OvsRow = Record<string, unknown>;

const zTable = z.object({ headings: z.array(z.string()), data: z.array(z.array(z.unknown())) });

/** Columns whose values are sets by their schema (ovs-vswitchd.conf.db(5)): a set of one stands in the answer as that one. */
const setColumns = new Set([
  'ports',
  'interfaces',
  'controller',
  'mirrors',
  'trunks',
  'cvlans',
  'protocols',
  'flood_vlans',
  'bridges',
  'manager_options',
  'datapath_types',
  'iface_types',
]);

function plain(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const [kind, body] = value as [unknown, unknown];
  if (kind === 'uuid' || kind === 'named-uuid') return body;
  if (kind === 'set' && Array.isArray(body)) return body.map(plain);
  if (kind === 'map' && Array.isArray(body))
    return Object.fromEntries((body as [unknown, unknown][]).map(([key, one]) => [String(plain(key)), plain(one)]));
  return value;
}

/**
 * One answer of `ovs-vsctl --format=json list TABLE`: RFC 7047's notation (5.1) as plain values. What a column may hold once or
 * not at all is left out where it is not there. `null`: a form that is not known.
 */
export function parseTable(line: string): OvsRow[] | null {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return null;
  }
  const table = zTable.safeParse(raw);
  if (!table.success || table.data.data.some((row) => row.length !== table.data.headings.length)) return null;
  return table.data.data.map((row) =>
    Object.fromEntries(
      table.data.headings.flatMap((heading, i): [string, unknown][] => {
        const value = plain(row[i]);
        if (setColumns.has(heading)) return [[heading, Array.isArray(value) ? value : [value]]];
        return Array.isArray(value) && value.length === 0 ? [] : [[heading, value]];
      }),
    ),
  );
}

const zNamed = z.looseObject({ _uuid: z.string(), name: z.string() });

export interface OvsPort {
  name: string;
  row: OvsRow;
  /** Its interfaces: one, but for bonds. */
  interfaces: OvsRow[];
}

export interface OvsBridge {
  name: string;
  row: OvsRow;
  /** Without the bridge's own port, as `ovs-vsctl list-ports`. */
  ports: OvsPort[];
  controllers: OvsRow[];
}

/** The bridges with what belongs to them. `null`: a row without name, or a reference to a row that is not there. */
export function joinTables(tables: {
  bridge: OvsRow[];
  port: OvsRow[];
  interface: OvsRow[];
  controller: OvsRow[];
}): OvsBridge[] | null {
  const byId = (rows: OvsRow[]): Map<unknown, OvsRow> => new Map(rows.map((row) => [row['_uuid'], row]));
  const [ports, interfaces, controllers] = [byId(tables.port), byId(tables.interface), byId(tables.controller)];
  const all = (ids: unknown, of: Map<unknown, OvsRow>): OvsRow[] | null => {
    if (!Array.isArray(ids)) return null;
    const rows = ids.flatMap((id): OvsRow[] => {
      const row = of.get(id);
      return row === undefined ? [] : [row];
    });
    return rows.length === ids.length ? rows : null;
  };
  const bridges: OvsBridge[] = [];
  for (const row of tables.bridge) {
    const named = zNamed.safeParse(row);
    const own = all(row['ports'], ports);
    const controller = all(row['controller'], controllers);
    if (!named.success || own === null || controller === null) return null;
    const list: OvsPort[] = [];
    for (const port of own) {
      const portName = zNamed.safeParse(port);
      const of = all(port['interfaces'], interfaces);
      if (!portName.success || of === null) return null;
      if (portName.data.name !== named.data.name) list.push({ name: portName.data.name, row: port, interfaces: of });
    }
    list.sort((a, b) => (a.name < b.name ? -1 : 1));
    bridges.push({ name: named.data.name, row, ports: list, controllers: controller });
  }
  return bridges.sort((a, b) => (a.name < b.name ? -1 : 1));
}
