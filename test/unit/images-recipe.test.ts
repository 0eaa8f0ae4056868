import { expect } from 'chai';
import { isNetrigError } from '../../src/errors.js';
import { containerImageRecipes } from '../../src/images/container-images.js';
import { findHostImageRow, hostImageRows } from '../../src/images/host-image.js';
import { imageRecipe, recipeKey, requireHostImageRow, type ImageRecipe } from '../../src/images/recipe.js';

const recipes = hostImageRows.map((row) => imageRecipe(row));

describe('images/recipe', () => {
  it('has a row for each Debian release that the documents promise', () => {
    expect(hostImageRows.map((row) => [row.name, row.suite])).to.deep.equal([
      ['debian-11', 'bullseye'],
      ['debian-12', 'bookworm'],
      ['debian-13', 'trixie'],
      ['debian-sid', 'sid'],
    ]);
  });

  it('gives every image what hosts, steps and checks rely on', () => {
    for (const { name, packages } of recipes) {
      expect(packages, name).to.include.members([
        'systemd-sysv',
        'openssh-server',
        'docker.io',
        'iproute2',
        'iputils-ping',
        'fping',
        'nftables',
        'iptables',
        'busybox-static',
        'tcpdump',
        'curl',
      ]);
      expect(new Set(packages).size, `${name} names a package twice`).to.equal(packages.length);
    }
  });

  it('has Consul in Debian 11 alone: later releases do not carry it', () => {
    expect(recipes.filter(({ packages }) => packages.includes('consul')).map(({ name }) => name)).to.deep.equal([
      'debian-11',
    ]);
    expect(
      recipes
        .filter(({ containerImages }) => containerImages.some(({ name }) => name === 'consul'))
        .map(({ name }) => name),
    ).to.deep.equal(['debian-11']);
  });

  it('knows a recipe for every container image that a row names', () => {
    const known = containerImageRecipes.map(({ name }) => name);
    for (const row of hostImageRows) expect(known).to.include.members([...row.containerImages]);
  });

  it('never masks or disables what it enables', () => {
    for (const { name, enabled, masked, disabled } of recipes) {
      const units = enabled.map(({ unit }) => unit);
      expect(
        units.filter((unit) => masked.includes(unit) || disabled.includes(unit)),
        name,
      ).to.deep.equal([]);
      expect(new Set(masked).size, `${name} masks a unit twice`).to.equal(masked.length);
    }
  });

  it('never masks what must stay startable', () => {
    for (const { masked } of recipes) {
      for (const unit of [
        'docker.service',
        'containerd.service',
        'consul.service',
        'openvswitch-switch.service',
        'ovs-record-hostname.service',
        'ssh.service',
      ])
        expect(masked).not.to.include(unit);
    }
  });

  describe('key', () => {
    it('is the same for the same recipe, and another for each image', () => {
      expect(recipes.map(recipeKey)).to.deep.equal(hostImageRows.map((row) => recipeKey(imageRecipe(row))));
      expect(new Set(recipes.map(recipeKey)).size).to.equal(recipes.length);
      for (const key of recipes.map(recipeKey)) expect(key).to.match(/^[0-9a-f]{12}$/);
    });

    const base = imageRecipe(requireHostImageRow('debian-11'));
    const changes: Record<string, (recipe: ImageRecipe) => void> = {
      'the format': (recipe) => (recipe.format += 1),
      'a package': (recipe) => recipe.packages.push('vim-tiny'),
      'a dpkg option': (recipe) => recipe.dpkgOptions.pop(),
      'a line of a file': (recipe) => (recipe.files[0] = { path: 'etc/fstab', mode: 0o644, content: '#\n' }),
      'the mode of a file': (recipe) => (recipe.files[0] = { path: 'etc/fstab', mode: 0o600, content: '' }),
      'a masked unit': (recipe) => recipe.masked.pop(),
      'a disabled unit': (recipe) => recipe.disabled.pop(),
      'what is removed': (recipe) => recipe.remove.pop(),
      'a container image': (recipe) => recipe.containerImages.pop(),
      'an instruction of a container image': (recipe) => recipe.containerImages[0]?.changes.push('EXPOSE 81'),
    };
    for (const [what, change] of Object.entries(changes)) {
      it(`changes with ${what}`, () => {
        const changed = structuredClone(base);
        change(changed);
        expect(recipeKey(changed)).not.to.equal(recipeKey(base));
      });
    }
  });

  it('refuses a name that is not in the table with a coded error', () => {
    for (const name of ['debian-10', '', '../x; rm -rf /', '$(id)', 'toString']) {
      expect(findHostImageRow(name)).to.equal(undefined);
      expect(() => requireHostImageRow(name))
        .to.throw()
        .that.satisfies((error: unknown) => isNetrigError(error, 'NETRIG_IMAGE_UNKNOWN'));
    }
  });
});
