import { toolsPlace } from '../shared/tools-place.js';

/**
 * Shell text that finds netrig's programs: `$at/PATH` is one of the image's, or of the tools', by their own loader; `$box` a static
 * busybox.
 */
export const ownPrograms = `at= box=/bin/busybox
if [ -d ${toolsPlace} ]; then
  for loader in ${toolsPlace}/usr/lib/*-linux-gnu*/ld-linux*.so.*; do break; done
  at="$loader --library-path \${loader%/*} ${toolsPlace}" box=${toolsPlace}/bin/busybox
fi`;
