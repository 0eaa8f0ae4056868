/** How a container image is put together from the packages of a host image, without any registry. Pure data. */
export interface ContainerImageRecipe {
  /** The image is tagged `NAME:latest`. */
  name: string;
  /** Programs of the host image that go in at the same path, with the shared libraries they load. */
  programs: string[];
  /** Files beside them. */
  files: { path: string; mode: number; content: string }[];
  directories: string[];
  /** Dockerfile instructions, as `docker import --change` takes them. */
  changes: string[];
}

const path = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const userFiles: ContainerImageRecipe['files'] = [
  {
    path: 'etc/passwd',
    mode: 0o644,
    content: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  },
  { path: 'etc/group', mode: 0o644, content: 'root:x:0:\nnogroup:x:65534:\n' },
  { path: 'etc/nsswitch.conf', mode: 0o644, content: 'passwd: files\ngroup: files\nhosts: files dns\n' },
];

const userDirectories = ['etc', 'home', 'root', 'run', 'tmp', 'usr/sbin', 'var/log', 'var/tmp'];

/** A process that is PID 1 dies from SIGTERM only if it has a handler: without the trap `docker stop` would take its ten seconds. */
const serveWeb = `#!/bin/sh
trap 'exit 0' TERM INT
mkdir -p /www
echo "web on $(hostname)" > /www/index.html
httpd -f -v -p 80 -h /www &
wait $!
`;

/** Takes what tutorials type: flags alone, a subcommand, or a whole command. */
const consulEntrypoint = `#!/bin/sh
case "\${1:-agent}" in
  -*) set -- consul agent -data-dir /consul/data -client 0.0.0.0 "$@" ;;
  agent) [ $# -gt 0 ] && shift; set -- consul agent -data-dir /consul/data -client 0.0.0.0 "$@" ;;
  consul | sh | /*) ;;
  *) set -- consul "$@" ;;
esac
exec "$@"
`;

export const containerImageRecipes: readonly ContainerImageRecipe[] = [
  {
    name: 'busybox',
    programs: [],
    files: userFiles,
    directories: userDirectories,
    changes: [path, 'CMD ["sh"]'],
  },
  {
    name: 'web',
    programs: [],
    files: [...userFiles, { path: 'usr/sbin/serve-web', mode: 0o755, content: serveWeb }],
    directories: [...userDirectories, 'www'],
    changes: [path, 'EXPOSE 80', 'CMD ["serve-web"]'],
  },
  {
    name: 'consul',
    programs: ['usr/bin/consul'],
    files: [...userFiles, { path: 'usr/sbin/consul-entrypoint', mode: 0o755, content: consulEntrypoint }],
    directories: [...userDirectories, 'consul/data', 'consul/config'],
    changes: [
      path,
      'EXPOSE 8300 8301 8301/udp 8302 8302/udp 8500 8600 8600/udp',
      'VOLUME /consul/data',
      'ENTRYPOINT ["consul-entrypoint"]',
      'CMD ["agent", "-dev"]',
    ],
  },
];
