import { quoteArg } from '../ssh/quote.js';

/**
 * A registry of the host's own, for labs whose steps type `docker pull` of images that the engine has from the start: it is asked
 * as a mirror of Docker Hub's, on loopback, and says of each image that it is the one which the engine has. The engine compares
 * the image's id (the digest of its configuration) and fetches nothing (moby, `distribution/pull_v2.go`). What the engine lacks
 * is not found there, and it goes on to the registry itself, which no lab reaches.
 */

/** Below the ports that the kernel gives out by itself, and used by nothing that is usual in labs. */
const ownRegistryAddress = '127.0.0.1:6500';

const directory = '/run/netrig-registry';

/** Answers one request on standard input by the engine's own word: the distribution API's ping and manifests (schema 2). */
const answerScript = `IFS=' ' read -r method target _
while IFS= read -r line && [ "\${line%?}" ]; do :; done
target=\${target%%\\?*}
answer() {
  printf 'HTTP/1.1 %s\\r\\nDocker-Distribution-Api-Version: registry/2.0\\r\\nContent-Type: %s\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n' "$1" "$2" "\${#body}"
  [ -z "$3" ] || printf 'Docker-Content-Digest: %s\\r\\n' "$3"
  printf '\\r\\n'
  [ "$method" = HEAD ] || printf %s "$body"
}
manifest=application/vnd.docker.distribution.manifest.v2+json
config=application/vnd.docker.container.image.v1+json
case $target in
  /v2/ | /v2) body='{}'; answer '200 OK' application/json; exit ;;
  /v2/*/manifests/sha256:*)
    digest=sha256:\${target##*:}
    if body=$(cat "${directory}/$digest"); then answer '200 OK' $manifest "$digest"; exit; fi ;;
  /v2/*/manifests/*)
    name=\${target#/v2/} tag=\${target##*/}
    if id=$(docker image inspect --format '{{.Id}}' "docker.io/\${name%/manifests/*}:$tag"); then
      store=$(docker info --format '{{.DockerRootDir}}/image/{{.Driver}}/imagedb/content/sha256')
      size=$(stat -c %s "$store/\${id#*:}") || size=0
      body='{"schemaVersion":2,"mediaType":"'$manifest'","config":{"mediaType":"'$config'","size":'$size',"digest":"'$id'"},"layers":[]}'
      digest=sha256:$(printf %s "$body" | sha256sum | cut -c 1-64)
      printf %s "$body" >"${directory}/$digest"
      answer '200 OK' $manifest "$digest"; exit
    fi ;;
esac
body='{"errors":[{"code":"NAME_UNKNOWN","message":"the engine of this host has no such image"}]}'
answer '404 Not Found' application/json
`;

const socketUnit = `[Unit]
Description=netrig's registry of what the engine has
[Socket]
ListenStream=${ownRegistryAddress}
Accept=yes
MaxConnections=64
`;

const serviceUnit = `[Unit]
Description=netrig's registry of what the engine has, one request
CollectMode=inactive-or-failed
[Service]
ExecStart=-/bin/sh ${directory}/answer
StandardInput=socket
StandardError=null
`;

/** Before files that a lab may put there itself, and weaker than /etc/default/docker. */
const engineUnit = `[Service]
Environment=DOCKER_OPTS=--registry-mirror=http://${ownRegistryAddress}
`;

/**
 * Lines of a shell that set it up before the engine starts. A host whose own configuration of the engine names mirrors is left
 * as it is: the engine takes them from one place only.
 */
export function ownRegistryLines(): string[] {
  const units = '/run/systemd/system';
  const put = (path: string, text: string): string => `printf %s ${quoteArg(text)} >${quoteArg(path)}`;
  return [
    'if ! grep -qs registry-mirrors /etc/docker/daemon.json; then',
    `mkdir -p ${directory} ${units}/docker.service.d`,
    put(`${directory}/answer`, answerScript),
    put(`${units}/netrig-registry.socket`, socketUnit),
    put(`${units}/netrig-registry@.service`, serviceUnit),
    put(`${units}/docker.service.d/00-netrig-registry.conf`, engineUnit),
    'systemctl daemon-reload && systemctl start netrig-registry.socket',
    // Where images were loaded before, it runs already.
    'if systemctl -q is-active docker.service; then systemctl restart docker.service; fi',
    'fi',
  ];
}
