import type { EngineState, Topology } from '../model/events.js';
import { oneLine } from './terminal-text.js';
import type { WayMarks } from './way.js';

/** Text made safe for HTML and XML content and for double-quoted attributes. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** Networks and segments are told apart by eight colours, `n0` … `n7` of the style sheet, besides their names. */
const colours = 8;

const layout = {
  /** Drawing width that hosts are wrapped at, px; a host wider than this makes the drawing wider. */
  wrapAt: 1120,
  gap: 22,
  pad: 10,
  headHeight: 42,
  networkRow: 16,
  cardGap: 6,
  cardsShown: 6,
  /** Room below a host in which its interfaces' names and addresses stand beside the wires. */
  wireLabel: 36,
  lane: 34,
  trunk: 16,
  rowGap: 26,
  /** Widths of one character, px, a little more than the fonts need. */
  mono: 6.7,
  sans: 7.3,
} as const;

type Container = EngineState['containers'][number];
type Network = EngineState['networks'][number];

interface Nic {
  name: string;
  address: string;
  segment: string;
  width: number;
}

interface Card {
  container: Container;
  lines: { text: string; colour: number | null; title: string }[];
  height: number;
}

interface HostBox {
  name: string;
  subtitle: string;
  nics: Nic[];
  networks: { network: Network; colour: number }[];
  cards: Card[];
  hidden: number;
  /** Spanning networks that its engine knows, and whether one of its containers is on it. */
  spans: Map<string, boolean>;
  width: number;
  height: number;
  x: number;
}

interface Lane {
  key: string;
  label: string;
  sub: string;
  colour: number;
  overlay: boolean;
}

function clip(text: string, characters: number): string {
  const line = oneLine(text);
  return line.length <= characters ? line : `${line.slice(0, Math.max(1, characters - 1))}…`;
}

function text(x: number, y: number, className: string, content: string, full = content): string {
  const title = full === content ? '' : `<title>${escapeMarkup(full)}</title>`;
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${className}">${title}${escapeMarkup(content)}</text>`;
}

/** A network that spans hosts: the engine says so by its scope (`global` with a cluster store, `swarm` in a swarm). */
function spans(network: Network): boolean {
  return network.scope !== 'local' && network.scope !== '';
}

/** Networks every engine has by itself say nothing unless something is on them. */
function ofInterest(network: Network, containers: Container[]): boolean {
  const used = containers.some((c) => c.networks.some((n) => n.name === network.name));
  return used || !['bridge', 'host', 'none', 'ingress', 'docker_gwbridge'].includes(network.name);
}

function hostBoxes(topology: Topology, engines: EngineState[], networkColour: (name: string) => number): HostBox[] {
  return topology.hosts.map((host) => {
    const engine = engines.find((e) => e.host === host.name);
    const containers = engine?.containers ?? [];
    const networks = (engine?.networks ?? [])
      .filter((n) => ofInterest(n, containers))
      .map((network) => ({ network, colour: networkColour(network.name) }));
    const nics = host.interfaces.map(({ name, segment, address }) => ({
      name,
      segment,
      address,
      width: Math.max(64, Math.max(name.length, address.length) * layout.mono + 20),
    }));
    const cards = containers.slice(0, layout.cardsShown).map((container): Card => {
      const lines: Card['lines'] = [
        {
          text: container.image + (container.state === 'running' ? '' : ` · ${container.state}`),
          colour: null,
          title: container.image,
        },
      ];
      for (const { name, address } of container.networks)
        lines.push({ text: `${name} ${address}`.trim(), colour: networkColour(name), title: `${name} ${address}` });
      if (container.ports.length > 0)
        lines.push({ text: `⇢ ${container.ports.join(', ')}`, colour: null, title: container.ports.join(', ') });
      return { container, lines, height: 22 + lines.length * 14 };
    });
    const spanning = new Map<string, boolean>();
    for (const { network } of networks) {
      if (spans(network))
        spanning.set(
          network.name,
          containers.some((c) => c.networks.some((n) => n.name === network.name)),
        );
    }
    const version = engine?.version ? `Docker ${engine.version}` : '';
    const subtitle = [host.image, host.init === 'light' ? 'light' : '', version]
      .filter((part) => part !== '')
      .join(' · ');
    const local = networks.filter(({ network }) => !spans(network));
    const widest = Math.max(
      host.name.length * 9.2,
      subtitle.length * 6.2,
      ...cards.map(
        (card) =>
          Math.max(
            card.container.name.length * layout.sans,
            ...card.lines.map((l) => l.text.length * layout.mono + 12),
          ) + 18,
      ),
      ...local.map(({ network }) => `${network.name} ${network.driver} ${network.subnet}`.length * layout.mono + 20),
    );
    const hidden = containers.length - cards.length;
    const width = Math.max(
      nics.reduce((sum, nic) => sum + nic.width, 0) + layout.pad,
      Math.min(300, Math.max(104, widest + 2 * layout.pad)),
    );
    const height =
      layout.headHeight +
      local.length * layout.networkRow +
      (local.length > 0 ? 4 : 0) +
      cards.reduce((sum, card) => sum + card.height + layout.cardGap, 0) +
      (hidden > 0 ? 18 : 0) +
      (cards.length > 0 || local.length > 0 ? 4 : 0);
    return { name: host.name, subtitle, nics, networks: local, cards, hidden, spans: spanning, width, height, x: 0 };
  });
}

/** The class of a host that a packet passed, or was stopped at. */
function markOf(mark: 'passed' | 'broken' | undefined): string {
  return mark === undefined ? '' : mark === 'broken' ? ' way-broken' : ' way-passed';
}

function drawHost(box: HostBox, y: number, height: number, way: WayMarks | null): string {
  const { x, width } = box;
  const chars = Math.floor((width - 2 * layout.pad) / layout.mono);
  const parts = [
    `<g class="host${markOf(way?.hosts.get(box.name))}"><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8" class="host-box"/>`,
  ];
  parts.push(
    text(x + layout.pad, y + 19, 'host-name', clip(box.name, Math.floor((width - 2 * layout.pad) / 9)), box.name),
  );
  parts.push(
    text(
      x + layout.pad,
      y + 34,
      'small dim',
      clip(box.subtitle, Math.floor((width - 2 * layout.pad) / 5.9)),
      box.subtitle,
    ),
  );
  let at = y + layout.headHeight;
  for (const { network, colour } of box.networks) {
    const label = [network.name, network.driver === network.name ? '' : network.driver, network.subnet]
      .filter((part) => part !== '')
      .join(' ');
    parts.push(`<circle cx="${x + layout.pad + 4}" cy="${at + 7}" r="3.5" class="dot n${colour}"/>`);
    parts.push(text(x + layout.pad + 12, at + 11, 'mono', clip(label, chars - 2), label));
    at += layout.networkRow;
  }
  if (box.networks.length > 0) at += 4;
  for (const card of box.cards) {
    const stopped = card.container.state === 'running' ? '' : ' stopped';
    parts.push(
      `<g class="container${stopped}"><rect x="${x + 7}" y="${at}" width="${width - 14}" height="${card.height}" rx="5" class="container-box"/>`,
    );
    parts.push(
      text(
        x + 15,
        at + 15,
        'container-name',
        clip(card.container.name, Math.floor((width - 30) / layout.sans)),
        card.container.name,
      ),
    );
    card.lines.forEach((line, index) => {
      const lineY = at + 29 + index * 14;
      const indent = line.colour === null ? 0 : 11;
      if (line.colour !== null)
        parts.push(`<circle cx="${x + 19}" cy="${lineY - 4}" r="3.5" class="dot n${line.colour}"/>`);
      parts.push(
        text(
          x + 15 + indent,
          lineY,
          line.colour === null ? 'mono dim' : 'mono',
          clip(line.text, Math.floor((width - 30 - indent) / (layout.mono - 0.1))),
          line.title,
        ),
      );
    });
    parts.push('</g>');
    at += card.height + layout.cardGap;
  }
  if (box.hidden > 0) parts.push(text(x + 15, at + 12, 'small dim', `and ${box.hidden} more, in the table below`));
  parts.push('</g>');
  return parts.join('');
}

/** A wire with a halo of the background's colour, so that where two cross one is seen to pass over the other. */
function wire(path: string, lane: Lane): string {
  return `<path d="${path}" class="halo"/><path d="${path}" class="wire n${lane.colour}${lane.overlay ? ' overlay' : ''}"/>`;
}

/** A colour each for segments and networks, in the order in which they are asked for. */
function colouring(topology: Topology): { segment(name: string): number; network(name: string): number } {
  const known = new Map<string, number>();
  const colourOf = (key: string): number => {
    const colour = known.get(key) ?? known.size % colours;
    known.set(key, colour);
    return colour;
  };
  for (const { name } of topology.segments) colourOf(`segment ${name}`);
  return { segment: (name) => colourOf(`segment ${name}`), network: (name) => colourOf(`network ${name}`) };
}

/** One lane for each network that spans hosts. */
function overlayLanes(boxes: HostBox[], engines: EngineState[], networkColour: (name: string) => number): Lane[] {
  const names = new Set(boxes.flatMap((box) => [...box.spans.keys()]));
  return [...names].map((name) => {
    const network = engines.flatMap((e) => e.networks).find((n) => n.name === name && spans(n));
    return {
      key: name,
      label: name,
      sub: `${network?.driver ?? ''} ${network?.subnet ?? ''}`.trim(),
      colour: networkColour(name),
      overlay: true,
    };
  });
}

/** Rows are packed before the trunks are known; their gutter is at most one trunk a lane wide. */
function inRows(boxes: HostBox[], rowWidth: number): HostBox[][] {
  const rows: HostBox[][] = [];
  let used = 0;
  for (const box of boxes) {
    const row = rows.at(-1);
    if (row && used + layout.gap + box.width <= rowWidth) {
      row.push(box);
      used += layout.gap + box.width;
    } else {
      rows.push([box]);
      used = box.width;
    }
  }
  return rows;
}

function inRow(lane: Lane, row: HostBox[]): boolean {
  return row.some((box) => (lane.overlay ? box.spans.has(lane.key) : box.nics.some((nic) => nic.segment === lane.key)));
}

/** What is drawn, in layers, and how far it has come. */
interface Drawing {
  labelWidth: number;
  /** Where hosts begin, right of labels and trunks. */
  left: number;
  /** Lanes that more than one row needs, in the order of their trunks. */
  trunked: Lane[];
  way: WayMarks | null;
  wires: string[];
  labels: string[];
  hosts: string[];
  /** Heights at which a lane was drawn: what its trunk joins. */
  ends: Map<Lane, number[]>;
  y: number;
  right: number;
}

function trunkX(drawing: Drawing, lane: Lane): number {
  return drawing.labelWidth + 8 + drawing.trunked.indexOf(lane) * layout.trunk;
}

function busClass(lane: Lane): string {
  return `bus n${lane.colour}${lane.overlay ? ' overlay' : ''}`;
}

/** @param xs Where wires meet it. */
function drawLane(drawing: Drawing, lane: Lane, laneY: number, xs: number[]): void {
  const { labelWidth, trunked, wires, labels, ends } = drawing;
  const from = trunked.includes(lane) ? trunkX(drawing, lane) : labelWidth + 2;
  const to = xs.length > 0 ? Math.max(...xs) + 18 : drawing.left + 140;
  drawing.right = Math.max(drawing.right, to);
  wires.push(`<path d="M${from} ${laneY}H${to}" class="${busClass(lane)}"/>`);
  if (trunked.includes(lane)) wires.push(`<path d="M${labelWidth + 2} ${laneY}H${from}" class="${busClass(lane)}"/>`);
  ends.set(lane, [...(ends.get(lane) ?? []), laneY]);
  labels.push(
    `<g class="lane-label n${lane.colour}">${text(labelWidth - 4, laneY - 2, 'lane-name', clip(lane.label, 24), lane.label)}${text(labelWidth - 4, laneY + 11, 'lane-sub', clip(lane.sub, 30), lane.sub)}</g>`,
  );
}

/** Buses above a row, each with a wire down to every host that knows its network; hollow where no container is on it. */
function drawOverlays(drawing: Drawing, row: HostBox[], lanes: Lane[], top: number): void {
  for (const [index, lane] of lanes.entries()) {
    const laneY = drawing.y + 14 + index * layout.lane;
    const xs: number[] = [];
    const marks: string[] = [];
    for (const box of row) {
      const member = box.spans.get(lane.key);
      if (member === undefined) continue;
      const at = box.x + ((index + 1) * box.width) / (lanes.length + 1);
      xs.push(at);
      drawing.wires.push(wire(`M${at.toFixed(1)} ${laneY}V${top}`, lane));
      marks.push(
        `<circle cx="${at.toFixed(1)}" cy="${laneY}" r="4" class="tap n${lane.colour}${member ? '' : ' hollow'}"/>`,
      );
    }
    drawLane(drawing, lane, laneY, xs);
    drawing.labels.push(...marks);
  }
}

/** A host's interfaces at its lower edge, with wires down to their buses. */
function drawNics(
  drawing: Drawing,
  box: HostBox,
  buses: ReadonlyMap<string, { lane: Lane; laneY: number; xs: number[] }>,
  bottom: number,
): string[] {
  const taps: string[] = [];
  let nicX = box.x + layout.pad / 2 + 6;
  for (const nic of box.nics) {
    const bus = buses.get(nic.segment);
    if (bus) {
      const { lane, laneY } = bus;
      const path = `M${nicX.toFixed(1)} ${bottom}V${laneY}`;
      bus.xs.push(nicX);
      drawing.wires.push(wire(path, lane));
      if (drawing.way?.interfaces.has(`${box.name} ${nic.name}`))
        drawing.wires.push(`<path d="${path}" class="way-wire"/>`);
      taps.push(
        `<rect x="${(nicX - 4).toFixed(1)}" y="${bottom - 4}" width="8" height="8" rx="1.5" class="port n${lane.colour}"/>`,
        `<circle cx="${nicX.toFixed(1)}" cy="${laneY}" r="4" class="tap n${lane.colour}"/>`,
      );
    }
    drawing.labels.push(
      text(nicX + 8, bottom + 15, 'small dim', nic.name),
      text(nicX + 8, bottom + 28, 'mono', nic.address === '' ? 'no address' : nic.address),
    );
    nicX += nic.width;
  }
  return taps;
}

function drawRow(drawing: Drawing, row: HostBox[], overlays: Lane[], segments: Lane[]): void {
  const above = overlays.filter((lane) => inRow(lane, row));
  const below = segments.filter((lane) => inRow(lane, row));
  let x = drawing.left;
  for (const box of row) {
    box.x = x;
    x += box.width + layout.gap;
  }
  drawing.right = Math.max(drawing.right, x - layout.gap);
  const top = drawing.y + above.length * layout.lane + (above.length > 0 ? 6 : 0);
  const height = Math.max(...row.map((box) => box.height));
  drawOverlays(drawing, row, above, top);
  for (const box of row) drawing.hosts.push(drawHost(box, top, height, drawing.way));
  const bottom = top + height;
  const buses = new Map(
    below.map((lane, index) => {
      const laneY = bottom + layout.wireLabel + 14 + index * layout.lane;
      return [lane.key, { lane, laneY, xs: [] as number[] }];
    }),
  );
  const taps = row.flatMap((box) => drawNics(drawing, box, buses, bottom));
  for (const { lane, laneY, xs } of buses.values()) drawLane(drawing, lane, laneY, xs);
  drawing.labels.push(...taps);
  drawing.y = bottom + (row.some((box) => box.nics.length > 0) ? layout.wireLabel : 0) + below.length * layout.lane;
}

/**
 * Draws a lab as SVG: hosts as boxes with their containers, segments as buses below them with each interface's address at
 * its wire, networks that span engines as dashed buses above. Hosts wrap into rows; a bus that more than one row needs is
 * joined by a trunk at the left. `''` where there is no host to draw.
 */
export function topologySvg(
  topology: Topology,
  engines: EngineState[],
  idPrefix: string,
  way: WayMarks | null = null,
): string {
  if (topology.hosts.length === 0) return '';
  const colour = colouring(topology);
  const boxes = hostBoxes(topology, engines, colour.network);
  const segments = topology.segments.map((s): Lane => ({
    key: s.name,
    label: s.name,
    sub: s.mtu === undefined ? s.subnet : `${s.subnet} · MTU ${s.mtu}`,
    colour: colour.segment(s.name),
    overlay: false,
  }));
  const overlays = overlayLanes(boxes, engines, colour.network);
  const lanes = [...overlays, ...segments];
  const widest = Math.max(60, ...lanes.map((lane) => Math.max(lane.label.length * layout.sans, lane.sub.length * 6.2)));
  const labelWidth = Math.min(190, widest) + 10;
  const rows = inRows(boxes, layout.wrapAt - labelWidth);
  const rowsOf = (lane: Lane): number => rows.filter((row) => inRow(lane, row)).length;
  const trunked = lanes.filter((lane) => rowsOf(lane) > 1);
  const drawing: Drawing = {
    labelWidth,
    left: labelWidth + 14 + trunked.length * layout.trunk,
    trunked,
    way,
    wires: [],
    labels: [],
    hosts: [],
    ends: new Map(),
    y: 8,
    right: 0,
  };
  for (const [index, row] of rows.entries()) {
    drawRow(drawing, row, overlays, segments);
    drawing.y += index < rows.length - 1 ? layout.rowGap : 6;
  }
  for (const lane of segments.filter((s) => rowsOf(s) === 0)) {
    drawLane(drawing, lane, drawing.y + 20, []);
    drawing.y += 40;
  }
  const trunks = trunked.map((lane) => {
    const ys = drawing.ends.get(lane) ?? [];
    return wire(`M${trunkX(drawing, lane)} ${Math.min(...ys)}V${Math.max(...ys)}`, lane);
  });

  const width = Math.ceil(drawing.right + 10);
  const height = Math.ceil(drawing.y + 4);
  const summary = `${topology.hosts.length} hosts on ${topology.segments.length} segments${overlays.length > 0 ? `, ${overlays.length} networks spanning hosts` : ''}`;
  const { wires, hosts, labels } = drawing;
  return (
    `<svg class="topology" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${idPrefix}-t" xmlns="http://www.w3.org/2000/svg">` +
    `<title id="${idPrefix}-t">${escapeMarkup(`Topology: ${summary}: ${topology.hosts.map((h) => oneLine(h.name)).join(', ')}`)}</title>` +
    `${trunks.join('')}${wires.join('')}${hosts.join('')}${labels.join('')}</svg>`
  );
}
