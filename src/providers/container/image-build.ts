import type { HostImageRow } from '../../images/host-image.js';
import { NetrigError } from '../../errors.js';
import type { EngineImageOptions } from './image.js';

export async function buildFromRegistry(row: HostImageRow, reference: string, options: EngineImageOptions): Promise<void> {
  throw new NetrigError('NETRIG_IMAGE_BUILD', `no ${row.name} ${reference} ${options.info.name}`);
}
