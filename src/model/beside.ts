/**
 * Where a helper beside a host (`RunningLab.beside`) has the proc file system of the host's own pid namespace: the way to network
 * namespaces that the host knows by a pid or by a file, without being among its processes.
 */
export const hostProcBeside = '/mnt/proc';
