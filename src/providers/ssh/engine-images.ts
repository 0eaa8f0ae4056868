import type { ContainerImageRecipe } from '../../images/container-images.js';
import { quoteArg } from '../../ssh/quote.js';
import { labDirectory } from './journal.js';

/**
 * Makes a container image on a machine's engine where it has none of that name: of the machine's own busybox, like those of
 * the host images. Says `made`, and has it removed with the lab.
 */
export function imageScript(name: string, recipe: ContainerImageRecipe | undefined): string {
  const lines = ['set -e', `docker image inspect ${quoteArg(`${name}:latest`)} >/dev/null 2>&1 && exit 0`];
  if (!recipe || recipe.programs.length > 0)
    return [...lines, `echo ${quoteArg(`netrig cannot make ${name} there`)} >&2`, 'exit 1'].join('\n');
  const stage = `${labDirectory}/image`;
  lines.push(
    'box=$(command -v busybox) || { echo "the machine has no busybox to make it of" >&2; exit 1; }',
    'if ldd "$box" >/dev/null 2>&1; then echo "its busybox is not static" >&2; exit 1; fi',
    `rm -rf ${stage}`,
    `mkdir -p ${[...recipe.directories, 'bin'].map((directory) => `${stage}/${directory}`).join(' ')}`,
    `chmod 1777 ${stage}/tmp ${stage}/var/tmp`,
    `cp "$box" ${stage}/bin/busybox`,
    `"$box" --list | while read -r applet; do [ "$applet" = busybox ] || ln -s busybox "${stage}/bin/$applet"; done`,
    // glibc's name services are plug-ins, which a static program loads as soon as it resolves a name.
    `for lib in /lib/*-linux-gnu/libc.so.6 /lib/*-linux-gnu/libnss_files.so.2 /lib/*-linux-gnu/libnss_dns.so.2 /lib/*-linux-gnu/libresolv.so.2 /lib/*-linux-gnu/ld-linux*.so.*; do [ -e "$lib" ] || continue; mkdir -p "${stage}\${lib%/*}"; cp -L "$lib" "${stage}$lib"; done`,
    ...recipe.files.flatMap((file) => [
      `mkdir -p ${quoteArg(`${stage}/${file.path}`.replace(/\/[^/]*$/, ''))}`,
      `printf %s ${quoteArg(file.content)} >${quoteArg(`${stage}/${file.path}`)}`,
      `chmod ${file.mode.toString(8)} ${quoteArg(`${stage}/${file.path}`)}`,
    ]),
    `printf '%s\\n' ${quoteArg(`docker image rm -f ${name}:latest >/dev/null 2>&1 || ! docker image inspect ${name}:latest`)} >>${labDirectory}/undo`,
    `tar -C ${stage} -c . | docker import ${recipe.changes.map((change) => `--change ${quoteArg(change)}`).join(' ')} - ${quoteArg(`${name}:latest`)} >/dev/null`,
    `rm -rf ${stage}`,
    'echo made',
  );
  return lines.join('\n');
}
