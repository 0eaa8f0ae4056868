import { useMemo } from 'preact/hooks';
import type { TopologyView, TraceView, WorkView } from '../../classroom/api.js';
import type { EngineState } from '../../model/events.js';
import { topologySvg } from '../../report/topology-svg.js';
import { wayMarks } from '../../report/way.js';

function enginesOf(topology: TopologyView, work: WorkView): EngineState[] {
  return topology.hosts.map(({ name }) => ({
    host: name,
    version: '',
    networks: [],
    containers: work.containers.filter(({ host }) => host === name),
  }));
}

/** The lab as it is now: hosts, wires, containers; and the way of a packet that was followed. */
export function Topology({
  topology,
  work,
  trace,
}: {
  topology: TopologyView;
  work: WorkView;
  trace: TraceView | null;
}) {
  const drawing = useMemo(() => {
    const hosts = topology.hosts.map((host) => ({ ...host, init: 'systemd' }));
    return topologySvg(
      { hosts, segments: topology.segments },
      enginesOf(topology, work),
      'lab',
      trace === null ? null : wayMarks(trace),
    );
  }, [topology, work.containers, trace]);
  // The drawing is made by netrig, which escapes every name in it.
  return <figure class="drawing" tabIndex={0} dangerouslySetInnerHTML={{ __html: drawing }} />;
}
