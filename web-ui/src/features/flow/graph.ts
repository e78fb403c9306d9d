/** The graph's shape: which nodes and edges there are, and where they stand, wide and narrow. */

import { Boxes, CircleSlash, Database, Landmark, Users, Waypoints, type LucideIcon } from 'lucide-react';
import { Position, type Edge, type Node, type NodeHandle } from '@xyflow/react';

import type { EdgeId } from '@/lib/flow';
import type { Key } from '@/lib/i18n';
import type { ServiceName } from '@/lib/types';

export const NODE_IDS = ['simulator', 'kafka', 'bancaire', 'postgres', 'dlq', 'client360'] as const;
export type NodeId = (typeof NODE_IDS)[number];

export interface NodeInfo {
  icon: LucideIcon;
  title: Key;
  /** Whose health is its state; a topic has that of its broker. */
  service: ServiceName | null;
  counter: Key | null;
  /** The edge whose total is its counter and whose rate is its curve. */
  counts: EdgeId | null;
  about: Key;
  /** In the repository. */
  code: string | null;
  /** The name under which xtask keeps its log. */
  log: string | null;
}

export const NODES: Record<NodeId, NodeInfo> = {
  simulator: { icon: Waypoints, title: 'node.simulator', service: 'simulator', counter: 'node.simulator.counter', counts: 'simulator-kafka', about: 'node.simulator.about', code: 'services/simulator/src', log: 'simulator' },
  kafka: { icon: Boxes, title: 'node.kafka', service: 'kafka', counter: 'node.kafka.counter', counts: null, about: 'node.kafka.about', code: 'xtask/src/components/kafka', log: 'kafka' },
  bancaire: { icon: Landmark, title: 'node.bancaire', service: 'bancaire', counter: 'node.bancaire.counter', counts: 'kafka-bancaire', about: 'node.bancaire.about', code: 'services/bancaire/src', log: 'bancaire' },
  postgres: { icon: Database, title: 'node.postgres', service: 'postgres', counter: 'node.postgres.counter', counts: 'bancaire-postgres', about: 'node.postgres.about', code: 'services/bancaire/migrations', log: 'postgres' },
  dlq: { icon: CircleSlash, title: 'node.dlq', service: 'kafka', counter: 'node.dlq.counter', counts: 'bancaire-dlq', about: 'node.dlq.about', code: 'schemas/src/dead_letter.rs', log: null },
  client360: { icon: Users, title: 'node.client360', service: null, counter: null, counts: null, about: 'node.client360.about', code: null, log: null },
};

export type FlowNodeType = Node<{ id: NodeId; isNarrow: boolean }, 'service'>;
export type FlowEdgeType = Edge<{ edge: EdgeId | null; bend?: number }, 'flow'>;

const WIDE: Record<NodeId, [number, number]> = {
  simulator: [0, 60],
  kafka: [282, 60],
  bancaire: [564, 60],
  postgres: [846, 60],
  client360: [282, 268],
  dlq: [564, 268],
};
const NARROW: Record<NodeId, [number, number]> = {
  simulator: [0, 0],
  kafka: [0, 170],
  bancaire: [0, 340],
  postgres: [0, 510],
  client360: [216, 170],
  dlq: [216, 340],
};

export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 116;
export const NARROW_WIDTH = 156;

export function layout(isNarrow: boolean): { nodes: FlowNodeType[]; edges: FlowEdgeType[] } {
  const places = isNarrow ? NARROW : WIDE;
  const nodes = NODE_IDS.map<FlowNodeType>((id) => ({
    id,
    type: 'service',
    position: { x: places[id][0], y: places[id][1] },
    width: isNarrow ? NARROW_WIDTH : NODE_WIDTH,
    height: NODE_HEIGHT,
    // Said beforehand, so that edges are there with the first paint and nothing has to be measured.
    handles: handles(isNarrow ? NARROW_WIDTH : NODE_WIDTH, NODE_HEIGHT),
    data: { id, isNarrow },
    draggable: false,
    connectable: false,
    selectable: false,
    focusable: false,
  }));
  const along = isNarrow ? ['bottom', 'top'] : ['right', 'left'];
  const across = isNarrow ? ['right', 'left'] : ['bottom', 'top'];
  const edge = (id: EdgeId | 'kafka-client360', source: NodeId, target: NodeId, [from, to]: string[], bend?: number): FlowEdgeType => ({
    id,
    source,
    target,
    sourceHandle: `${String(from)}-out`,
    targetHandle: `${String(to)}-in`,
    type: 'flow',
    data: { edge: id === 'kafka-client360' ? null : id, ...(bend === undefined ? {} : { bend }) },
    focusable: false,
    selectable: false,
  });
  return {
    nodes,
    edges: [
      edge('simulator-kafka', 'simulator', 'kafka', along),
      edge('kafka-bancaire', 'kafka', 'bancaire', along),
      edge('bancaire-postgres', 'bancaire', 'postgres', along),
      edge('bancaire-kafka', 'bancaire', 'kafka', isNarrow ? ['left', 'left'] : ['top', 'top'], isNarrow ? 30 : 46),
      edge('bancaire-dlq', 'bancaire', 'dlq', across),
      edge('kafka-client360', 'kafka', 'client360', across),
    ],
  };
}

/** Each side of a node has a place where an edge leaves and one where it arrives. */
export const SIDES: { id: string; position: Position }[] = [
  { id: 'top', position: Position.Top },
  { id: 'right', position: Position.Right },
  { id: 'bottom', position: Position.Bottom },
  { id: 'left', position: Position.Left },
];

function handles(width: number, height: number): NodeHandle[] {
  const places: Record<string, [number, number]> = { top: [width / 2, 0], right: [width, height / 2], bottom: [width / 2, height], left: [0, height / 2] };
  return SIDES.flatMap(({ id, position }) => {
    const [x, y] = places[id] ?? [0, 0];
    const at = { position, x, y, width: 1, height: 1 };
    return [
      { ...at, id: `${id}-in`, type: 'target' as const },
      { ...at, id: `${id}-out`, type: 'source' as const },
    ];
  });
}
