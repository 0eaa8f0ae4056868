import { expect } from 'chai';
import { dockerWords } from '../../src/language/docker-words.js';

const used = (script: string): string[] => dockerWords(script).used;

describe('Images that docker commands of a script name', () => {
  const seen: [string, string[]][] = [
    ['docker run nginx:alpine', ['nginx:alpine']],
    ['docker run -dit --name a -p 8080:80 --net=own nginx sleep 5', ['nginx']],
    ['docker run -dp80:80 nginx', ['nginx']],
    ['docker run -itv /a:/b nginx', ['nginx']],
    ['docker run --rm -a stdout nginx', ['nginx']],
    ['docker run \\\n  --name "$name" \\\n  nginx', ['nginx']],
    ['docker run --env=A=$B nginx', ['nginx']],
    ['docker pull -q postgres:16 && docker create "redis"', ['postgres:16', 'redis']],
    ['docker pull -a alpine', ['alpine']],
    ['sudo docker container run nginx; timeout 5 docker image pull alpine', ['nginx', 'alpine']],
    ['for i in 1 2; do docker run -d nginx; done', ['nginx']],
    ['id=$(docker run -d nginx) && docker stop "$id"', ['nginx']],
    ['echo "of $(docker create alpine)"', ['alpine']],
    ['A=b docker run nginx >/dev/null 2>&1', ['nginx']],
    ['(cd /tmp; docker run nginx)', ['nginx']],
    ["docker run 'registry.example:5000/team/app:1' # docker run other", ['registry.example:5000/team/app:1']],
  ];
  for (const [script, images] of seen) it(`sees: ${script}`, () => expect(used(script)).to.deep.equal(images));

  const unseen = [
    'docker run "$image"',
    'docker run $OPTIONS nginx',
    'docker run --brand-new-option nginx',
    'docker run -zx nginx',
    'docker -H tcp://10.0.0.1:2375 run nginx',
    'docker run nginx || true',
    '! docker run nginx',
    'if docker run nginx; then echo; fi',
    'echo docker run nginx',
    '# docker run nginx',
    "cat >script <<'END'\ndocker run nginx\nEND",
    'docker run',
    'docker run nginx"',
    'docker ps nginx',
    'sh -c "docker run nginx"',
  ];
  for (const script of unseen) it(`does not guess: ${script}`, () => expect(used(script)).to.deep.equal([]));

  it('goes on after a here-document', () => {
    expect(used('cat <<-END >a\n\tdocker run one\n\tEND\ndocker run two')).to.deep.equal(['two']);
  });

  it('knows the names that are made', () => {
    const made = (script: string): unknown => [dockerWords(script).made, dockerWords(script).makesUnnamed];
    expect(made('docker build -t app:1 --tag=app:2 .')).to.deep.equal([['app:1', 'app:2'], false]);
    expect(made('docker tag web shop && docker commit box kept')).to.deep.equal([['shop', 'kept'], false]);
    expect(made('tar c . | docker import - own:1')).to.deep.equal([['own:1'], false]);
    expect(made('docker commit box')).to.deep.equal([[], false]);
    expect(made('docker load -i a.tar')).to.deep.equal([[], true]);
    expect(made('docker build -t "$name" .')).to.deep.equal([[], true]);
    expect(made('docker compose up -d')).to.deep.equal([[], true]);
  });

  it('tells those that are pulled', () => {
    expect(dockerWords('docker pull nginx && docker run redis; docker pull x || true').pulled).to.deep.equal(['nginx']);
  });
});
