/** What labs can be imported from. By itself: the command line names them before anything is read. */
export const foreignKinds = ['containerlab', 'kathara', 'compose'] as const;
export type ForeignKind = (typeof foreignKinds)[number];
